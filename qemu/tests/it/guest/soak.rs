//! Disks, cables and devices are plugged and unplugged in random order, as fast as the machine allows, and end in the state that
//! the lines configure. Some turns here; `make soak` continues for HILUM_SOAK_SECONDS.
//!
//! What others do: systemd has a unit for each device that udev tells of, and `BindsTo=` stops with it what uses it; systemd-networkd
//! drops routes and name servers with the carrier. Each such event is a job of its own, and the last state counts.

use super::plugged_disks::disk;
use crate::support::real::RealBoard;
use crate::support::{BOOT, Booted, USUAL, at_prompt, fetched, without_prompt};
use hilum_qemu::Architecture;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

on_both_long!(x86_64: randomly_plugged_disks_cables_and_devices_end_in_the_configured_state);

/// Turns where nobody asks for a time.
const TURNS: u32 = 10;
/// How long a large kernel takes to find what was plugged.
const SLOW: Duration = Duration::from_secs(240);

/// What can be pulled.
const THINGS: [&str; 5] = ["disk", "card1", "card2", "a1", "b2"];

/// Returns a configuration with something for each of them.
fn config() -> String {
    let section = |name: &str, lines: &str, script: &str| {
        format!(
            "[workload {name}]\nroot /images/busybox\nexec /bin/busybox sh -c \"b=/bin/busybox; {script}\"\nstop KILL\n\
             {lines}\n"
        )
    };
    let meter = |name: &str, serial: &str| {
        let script = format!("echo hello > /dev/tty{name}; exec $b cat /dev/tty{name}");
        // A second counted restart would power the board off.
        let lines =
            format!("device usb=0403:6001:{serial} as /dev/tty{name}\nrestart always limit=1/10h else=poweroff");
        section(name, &lines, &script)
    };
    "hilum 1\n[system]\nconsole prompt\nmount LABEL=data /disk ext4 wait=300ms\n\
     link eth0 mac=52:54:00:00:00:01 dhcp\nlink eth1 mac=52:54:00:00:00:02 dhcp\n"
        .to_owned()
        + &section(
            "data",
            "mount /disk /data rw\nshare user\nrestart always limit=1/10h else=poweroff",
            "$b cat /data/name; exec $b sleep 100000",
        )
        + &meter("a1", "a1")
        + &meter("b2", "b2")
        + &section("other", "", "exec $b sleep 100000")
        + &section(
            "look",
            "share pid user\nafter data a1 b2",
            "while :; do set -- $($b grep RssAnon /proc/1/status) $($b ls /proc/1/fd | $b wc -l); \
             echo pid1 $2 kB $4 descriptors; $b sleep 5; done",
        )
}

/// QEMU's words: a port for the disk, USB with the other ends of two adapters, two cards.
fn words(scratch: &Path) -> Vec<String> {
    let mut words = String::from("-device pcie-root-port,id=plug -device qemu-xhci,id=usb");
    for name in ["a1", "b2"] {
        let _ = write!(words, " -chardev file,id={name},path={}", scratch.join(name).display());
    }
    for number in [1, 2] {
        let _ = write!(
            words,
            " -netdev user,id=net{number},net=10.0.{}.0/24 \
             -device virtio-net-pci,netdev=net{number},id=card{number},mac=52:54:00:00:00:0{number},romfile=",
            number + 1
        );
    }
    words.split(' ').map(str::to_owned).collect()
}

/// Plugs something in, or unplugs it.
fn set(booted: &Booted, thing: &str, disk: &Path, is_in: bool) {
    let until = Instant::now() + BOOT;
    let act = || match (thing, is_in) {
        ("disk", true) => booted.vm.plug_disk(disk, "plug"),
        ("disk", false) => booted.vm.pull_disk("plug", SLOW),
        ("card1" | "card2", _) => booted.vm.set_cable(thing, is_in),
        (_, true) => booted.vm.plug_usb_serial(thing, thing, thing),
        (_, false) => booted.vm.unplug(thing),
    };
    while let Err(error) = act() {
        // QEMU frees the other end of an adapter some time after the adapter.
        assert!(is_in && Instant::now() < until, "{thing} {is_in}: {error}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Types a command at the prompt; returns what it answers.
fn ask(booted: &mut Booted, command: &str) -> String {
    at_prompt(&booted.vm.console);
    let before = booted.vm.console.text().len();
    booted.vm.type_text(&format!("{command}\r")).expect("the console");
    std::thread::sleep(Duration::from_millis(300));
    at_prompt(&booted.vm.console);
    without_prompt(&booted.vm.console.text()[before..])
}

/// Waits until the answers to `status`, `mounts` and `net` have lines that begin so, and no others that begin as in `without`.
fn expect(booted: &mut Booted, wanted: &[&str], without: &[&str]) {
    let until = Instant::now() + SLOW;
    loop {
        let told: String = ["status", "mounts", "net"].map(|command| ask(booted, command)).concat();
        let lines: Vec<String> =
            told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let has = |words: &&&str| lines.iter().any(|line| line.starts_with(**words));
        let missing: Vec<_> = wanted.iter().filter(|words| !has(words)).collect();
        let wrong: Vec<_> = without.iter().filter(has).collect();
        if missing.is_empty() && wrong.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "no {missing:?}, but {wrong:?} in\n{told}\n{}", booted.vm.console.tail());
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// What is there when everything is plugged in, and when nothing is.
const ALL: &[&str] = &[
    "data ready",
    "a1 ready",
    "b2 ready",
    "other ready",
    "/disk /dev/vda ext4 rw",
    "uplink eth0 IPv4: used",
    "uplink eth1 IPv4: not used: eth0 comes first",
    "address 10.0.2.15/24 on eth0",
    "address 10.0.3.15/24 on eth1",
    "route default via 10.0.2.2 dev eth0",
];
const NOTHING: &[&str] = &[
    "data waiting",
    "a1 waiting",
    "b2 waiting",
    "other ready",
    "uplink eth0 IPv4: not used: no carrier",
    "uplink eth1 IPv4: not used: no carrier",
];

/// Returns the kilobytes and the descriptors of PID 1, as a workload beside it reports them from now on.
fn footprint(booted: &Booted) -> [u32; 2] {
    // One that it is about to print may be of the time before.
    let count = || booted.vm.console.text().matches("look | pid1 ").count();
    let (before, until) = (count(), Instant::now() + SLOW);
    while count() < before + 2 {
        assert!(Instant::now() < until, "it reports nothing: {}", booted.vm.console.tail());
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = without_prompt(&booted.vm.console.text());
    let numbers = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("look | pid1 ")?.strip_suffix(" descriptors")?.split_once(" kB "));
    numbers
        .map_or_else(|| panic!("{text}"), |(memory, count)| [memory, count].map(|one| one.parse().expect("a number")))
}

fn randomly_plugged_disks_cables_and_devices_end_in_the_configured_state(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let data = disk(scratch.path(), "data", "data");
    let modules = ["xhci_pci", "virtio_pci", "virtio_net", "virtio_blk"];
    let busybox = fetched(arch, USUAL, "busybox");
    let mut booted = RealBoard::build(arch, &config(), &modules, ("busybox", &busybox)).boot(&words(scratch.path()));
    ["disk", "a1", "b2"].iter().for_each(|thing| set(&booted, thing, &data, true));
    expect(&mut booted, ALL, &[]);
    let before = footprint(&booted);
    let (mut are_in, mut chance, mut plugs, mut pulls) = ([true; THINGS.len()], 1_u32, 0, 0);
    let mut disk_moved = Instant::now();
    let (until, begun) = (std::env::var("HILUM_SOAK_SECONDS").ok(), Instant::now());
    let until = until.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    while until.map_or(plugs + pulls < TURNS, |until| begun.elapsed() < until) {
        // Numerical Recipes' generator: the same order each time.
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let index = (chance >> 16) as usize % THINGS.len();
        are_in[index] = !are_in[index];
        if THINGS[index] == "disk" {
            // QEMU takes a disk out of a port that has no power yet without asking the guest. virtio_blk may then wait for its
            // requests for ever as it removes the disk, and the port reports nothing more.
            std::thread::sleep(Duration::from_secs(4).saturating_sub(disk_moved.elapsed()));
            disk_moved = Instant::now();
        }
        set(&booted, THINGS[index], &data, are_in[index]);
        *(if are_in[index] { &mut plugs } else { &mut pulls }) += 1;
        // In the middle of a mount, of a start, of a question for an address, or later.
        std::thread::sleep(Duration::from_millis(u64::from(chance >> 22)));
    }
    let put = |booted: &Booted, are_in: [bool; THINGS.len()], to: bool| {
        THINGS
            .iter()
            .zip(are_in)
            .filter(|(_, is_in)| *is_in != to)
            .for_each(|(thing, _)| set(booted, thing, &data, to));
    };
    put(&booted, are_in, false);
    expect(&mut booted, NOTHING, &["/disk /dev/", "route default"]);
    put(&booted, [false; THINGS.len()], true);
    expect(&mut booted, ALL, &[]);
    let after = footprint(&booted);
    eprintln!(
        "{}: {plugs} plugs and {pulls} pulls in {} s; PID 1 had {} kB and {} descriptors, then {} kB and {}",
        arch.name(),
        begun.elapsed().as_secs(),
        before[0],
        before[1],
        after[0],
        after[1]
    );
    let told = ask(&mut booted, "status");
    for name in ["data", "a1", "b2"] {
        let mut rows = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.first() == Some(&name)).expect("its row");
        assert_eq!(row[4], "0", "a restart of {name} was counted\n{told}\n{}", booted.vm.console.tail());
    }
    booted.vm.type_text("poweroff\r").expect("the console");
    let console = without_prompt(&booted.vm.wait(BOOT).expect("it powers off"));
    // A program that reads the end of its adapter may exit before the kernel removes the node: it is restarted, which is not
    // counted in the end, or the board would not have come this far.
    eprintln!("{}: {} restarts taken back", arch.name(), console.matches(": restart 1 in ").count());
    assert!(after[1] == before[1] && after[0] <= before[0] + 64, "{before:?} {after:?}");
    let checked = std::process::Command::new("e2fsck").args(["-f", "-n"]).arg(&data).output().expect("e2fsck");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
