//! Disks that are plugged and unplugged while the board runs.
//!
//! Other systems: systemd starts a mount unit at udev's event if configured by `x-systemd.device-timeout` or
//! `WantedBy=` the device, and stops it, and units with `BindsTo=` it, when the device disappears; mount(8) and other
//! inits mount what is present at boot, and leave a mount whose device is gone.

use super::devices::wait_for;
use super::storage::{board, boot, debugfs, ext4, section, tool};
use crate::support::real::RealBoard;
use crate::support::{BOOT, Booted, has_line, probe};
use hilum_qemu::Architecture;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

on_both!(
    late_disk_is_mounted_and_its_workloads_start,
    unplugged_disk_stops_its_workloads_and_its_return_starts_them,
    root_on_a_late_disk_is_awaited_and_its_workload_follows_the_disk,
);
on_both_long!(
    aarch64:
    randomly_plugged_disks_end_in_the_configured_state,
    disk_replaces_its_tmpfs_fallback_and_tmpfs_replaces_a_removed_disk,
    card_taken_out_of_its_reader_stops_its_workloads_and_its_return_starts_them
);

fn expect(booted: &Booted, text: &str) {
    booted.vm.console.expect(text, BOOT).unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Returns a disk with a file that identifies it.
pub(super) fn disk(scratch: &Path, label: &str, word: &str) -> PathBuf {
    let (disk, name) = (ext4(&scratch.join(word), label), scratch.join("name"));
    std::fs::write(&name, word).expect("a file");
    debugfs(&disk, &format!("write {} name", name.display()));
    disk
}

/// systemd: the mount unit has failed by then; the device starts it again if it wants it. Units that failed because of
/// the missing mount stay down.
fn late_disk_is_mounted_and_its_workloads_start(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let late = disk(scratch.path(), "late", "late");
    let sections = [
        // A single restart would power the board off at once.
        section("data", "do read:/data/name make:/data/new", "mount /late /data rw\nshare user")
            .replace("restart never", "restart on-failure delay=10ms limit=1/60s else=poweroff"),
        section("volume", "do make:/v/new", "volume v /v\nneeds data\nuser 1000"),
        section("look", "do say:looks", "after data volume"),
    ];
    let system = "mount LABEL=late /late ext4 wait=300ms\nvolumes /late/volumes";
    let mut image = board(arch, system, &sections.concat());
    image.folder("images/probe/v", 0o755);
    let mut booted = boot(arch, &image, &[]);
    expect(&booted, "mount /late: not mounted; workloads that use it wait for it");
    // A workload after it does not wait for a disk that may never appear.
    expect(&booted, "look | looks");
    booted.vm.plug_disk(&late, "plug").expect("a disk");
    let console = booted.vm.wait(BOOT).expect("it ends by itself");
    has_line(&console, "hilum: mount /late: ext4 on /dev/vda");
    has_line(&console, "data | content /data/name late");
    has_line(&console, "data | did make:/data/new 0");
    has_line(&console, "volume | did make:/v/new 0");
    assert!(!console.contains("ENOTBLK") && !console.contains("restart"), "{console}");
}

/// systemd: a unit with `BindsTo=` the mount unit stops with it; it is started again manually, or if the device wants
/// it.
fn unplugged_disk_stops_its_workloads_and_its_return_starts_them(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (first, second) = (disk(scratch.path(), "data", "first"), disk(scratch.path(), "data", "second"));
    let sections = [
        section("data", "do read:/data/name sleep:20000", "mount /disk /data rw\nshare user\nstop TERM 100ms"),
        section("other", "do say:other", ""),
    ];
    let system = "mount LABEL=data /disk ext4 wait=20s\nlog /disk/log";
    let mut booted = boot(arch, &board(arch, system, &sections.concat()), &[]);
    expect(&booted, "mount /disk: waiting up to 20 s for LABEL=data");
    booted.vm.plug_disk(&first, "plug").expect("a disk");
    expect(&booted, "data | content /data/name first");
    booted.vm.pull_disk("plug", BOOT).expect("it is pulled");
    expect(&booted, "mount /disk: /dev/vda removed; workloads that use it stop until it is back");
    expect(&booted, "workload \"data\": killed by SIGKILL");
    booted.vm.plug_disk(&second, "plug").expect("a disk");
    expect(&booted, "data | content /data/name second");
    let console = booted.vm.wait(BOOT).expect("it ends by itself");
    assert_eq!(console.matches("workload \"data\": started").count(), 2, "{console}");
    assert_eq!(console.matches("workload \"other\": started").count(), 1, "{console}");
    assert!(!console.contains("\"data\": restart"), "{console}");
    // The log continues on its disk.
    let log = debugfs(&second, "cat log");
    assert!(log.contains("mount /disk: ext4 on") && log.contains("content /data/name second"), "{log}");
}

/// mount(8) has `nofail` for the first part, and nothing for the second.
fn disk_replaces_its_tmpfs_fallback_and_tmpfs_replaces_a_removed_disk(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let late = disk(scratch.path(), "data", "late");
    let lines = "mount /disk /data rw\nshare user\nstop TERM 100ms";
    let sections = section("data", "do read:/data/name make:/data/new stay", lines);
    let booted = boot(arch, &board(arch, "mount LABEL=data /disk ext4 wait=300ms else=tmpfs", &sections), &[]);
    expect(&booted, "mount /disk: using tmpfs instead");
    expect(&booted, "data | did make:/data/new 0");
    booted.vm.plug_disk(&late, "plug").expect("a disk");
    expect(&booted, "mount /disk: ext4 on /dev/vda");
    expect(&booted, "data | content /data/name late");
    booted.vm.pull_disk("plug", BOOT).expect("it is pulled");
    expect(&booted, "mount /disk: /dev/vda removed; workloads that use it stop until it is back");
    expect(&booted, "mount /disk: using tmpfs instead");
    let started = "workload \"data\": started";
    let until = Instant::now() + BOOT;
    while booted.vm.console.text().matches(started).count() < 3 {
        assert!(Instant::now() < until, "it does not start a third time: {}", booted.vm.console.text());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!booted.vm.console.text().contains("\"data\": restart"), "{}", booted.vm.console.text());
}

/// Disks are plugged and unplugged in random order, as fast as the machine allows: the last state counts.
/// `HILUM_SOAK_SECONDS` sets the duration (make soak), instead of a fixed number of rounds.
fn randomly_plugged_disks_end_in_the_configured_state(arch: Architecture) {
    const TIMES: u32 = 4;
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let data = disk(scratch.path(), "data", "data");
    let sections = section("data", "do read:/data/name stay", "mount /disk /data rw\nshare user\nstop TERM 100ms");
    let booted = boot(arch, &board(arch, "mount LABEL=data /disk ext4 wait=300ms", &sections), &[]);
    expect(&booted, "mount /disk: not mounted");
    let until = std::env::var("HILUM_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let (begun, mut chance, mut times) = (Instant::now(), 1_u32, 0);
    while until.map_or(times < TIMES, |until| begun.elapsed() < until) {
        times += 1;
        // The generator of Numerical Recipes: the same order each time.
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        booted.vm.plug_disk(&data, "plug").expect("a disk");
        // Unplugged during the mount, during the start, or later.
        std::thread::sleep(Duration::from_millis(u64::from(chance >> 22)));
        booted.vm.pull_disk("plug", BOOT).expect("it is pulled");
    }
    eprintln!("{}: plugged {times} times", arch.name());
    // A file that no previous disk had identifies the last one.
    let last = disk(scratch.path(), "data", "last");
    booted.vm.plug_disk(&last, "plug").expect("a disk");
    expect(&booted, "data | content /data/name last");
    expect(&booted, "data | ready");
    assert!(!booted.vm.console.text().contains("\"data\": restart"), "{}", booted.vm.console.text());
}

/// systemd: a unit with `RootImage=` on a device fails without it; `BindsTo=` the device unit does the rest.
fn root_on_a_late_disk_is_awaited_and_its_workload_follows_the_disk(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = ext4(&scratch.path().join("root"), "root");
    super::storage::put_root(arch, &root, "");
    let by_path = section("path", "do stay", "stop TERM 100ms").replace("root /images/probe", "root /dev/vda");
    let by_label = section("label", "do stay", "stop TERM 100ms").replace("root /images/probe", "root LABEL=root");
    let sections = by_path + &by_label + &section("other", "do stay", "");
    let booted = boot(arch, &board(arch, "", &sections), &[]);
    expect(&booted, "workload \"path\": waits for device /dev/vda");
    expect(&booted, "workload \"label\": waits for device LABEL=root");
    expect(&booted, "workload \"other\": started");
    for turn in 1..=2 {
        booted.vm.plug_disk(&root, "plug").expect("a disk");
        for name in ["path", "label"] {
            let (started, until) = (format!("workload \"{name}\": started"), Instant::now() + BOOT);
            while booted.vm.console.text().matches(&started).count() < turn {
                assert!(Instant::now() < until, "{name} does not start: {}", booted.vm.console.text());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        booted.vm.pull_disk("plug", BOOT).expect("it is pulled");
        for name in ["path\": device /dev/vda removed", "label\": device LABEL=root removed"] {
            let until = Instant::now() + BOOT;
            while booted.vm.console.text().matches(name).count() < turn {
                assert!(Instant::now() < until, "{name}: {}", booted.vm.console.text());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    let text = booted.vm.console.text();
    assert!(!text.contains(": restart ") && !text.contains("gave up"), "{text}");
    assert_eq!(text.matches("workload \"other\": started").count(), 1, "{text}");
}

/// Puts a filesystem into the only partition of a new disk.
fn partitioned(filesystem: &Path) -> PathBuf {
    let disk = filesystem.with_extension("disk");
    std::fs::File::create(&disk).and_then(|file| file.set_len(40 << 20)).expect("a file");
    let command = format!(
        "echo start=2048 | sfdisk -q {0} && dd status=none conv=notrunc bs=512 seek=2048 of={0} if={1}",
        disk.display(),
        filesystem.display()
    );
    assert_eq!(tool("sh", &["-c", &command]), "");
    disk
}

/// udev lets the kernel look for media every two seconds (60-block.rules); nothing unmounts what was on the medium.
fn card_taken_out_of_its_reader_stops_its_workloads_and_its_return_starts_them(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let cards = [disk(scratch.path(), "whole", "one"), partitioned(&disk(scratch.path(), "part", "two"))];
    let sections = ["whole", "part"].map(|name| {
        section(name, "do read:/data/name stay", &format!("mount /{name} /data rw\nshare user\nstop TERM 100ms"))
    });
    let config = format!(
        "hilum 1\n[system]\nmount LABEL=whole /whole ext4 wait=300ms\nmount LABEL=part /part ext4 wait=300ms\n{}",
        sections.concat()
    );
    let mut words = "-device virtio-scsi-pci".to_owned();
    for (name, card) in ["whole", "part"].iter().zip(&cards) {
        words += &format!(
            " -blockdev driver=file,node-name=file-{name},filename={} -blockdev driver=raw,node-name={name},file=file-{name} \
             -device scsi-hd,id=reader-{name},drive={name},removable=on",
            card.display()
        );
    }
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    let modules = ["virtio_pci", "virtio_scsi", "sd_mod"];
    let booted = RealBoard::build(arch, &config, &modules, ("probe", &probe(arch))).boot(&words);
    let contents = [("whole", "whole | content /data/name one"), ("part", "part | content /data/name two")];
    for turn in 1..=2 {
        for (name, content) in contents {
            wait_for(&booted, content, turn);
            booted.vm.set_medium(&format!("reader-{name}"), name, false).expect("it is taken out");
        }
        for name in ["mount /whole: /dev/sd", "mount /part: /dev/sd"] {
            let gone = || {
                booted
                    .vm
                    .console
                    .text()
                    .lines()
                    .filter(|line| line.contains(name) && line.contains(" removed; "))
                    .count()
            };
            let until = Instant::now() + BOOT;
            while gone() < turn {
                assert!(Instant::now() < until, "{name}: {}", booted.vm.console.text());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        for (name, _) in contents {
            booted.vm.set_medium(&format!("reader-{name}"), name, true).expect("it is put back");
        }
    }
    contents.iter().for_each(|(_, content)| wait_for(&booted, content, 3));
    let console = booted.vm.console.text();
    assert!(!console.contains(": restart "), "{console}");
}
