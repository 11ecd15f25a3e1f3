//! Updates into two slots: refused, tried, committed, given up, and cut.
//!
//! RAUC, SWUpdate and Mender need a boot loader that counts attempts; here the trial is started by the firmware's BootNext or by kexec,
//! and the record alone says which slot boots.

use super::boards::{text, tool};
use crate::support::{Booted, boot_command, build_update, has_line, probe};
use hilum::update::{BLOCK_BYTES, Bundle, Contents, MAP_BYTES, Record, Slot, Source, Verdict, sign};
use hilum_initramfs::bundle;
use hilum_initramfs::progress::Progress;
use hilum_qemu::{Accelerator, Architecture, End, firmware};
use std::cell::RefCell;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

mod broken;
pub(super) mod cuts;
mod raspberry;
mod row;
mod uefi;

on_both_long!(aarch64: version_that_does_not_start_or_hangs_or_is_not_healthy_is_given_up);

/// The timeout for firmware, a large kernel, its modules and an update together.
const SLOW: Duration = Duration::from_secs(240);
/// What makes a version that is never ready, and is given up.
const SICK: &str = "ready tcp 81 within=10m\n";
/// The same, and it is not given up before somebody says so.
const WAITING: &str = "ready tcp 82 within=10m\n";
/// What lets the program `hog` keep everything else from running, PID 1 included.
const HANGS: &str = "scheduler fifo 99\nready tcp 81 within=10m\n";

/// Words of a kernel command line without the driver of the disk.
const NO_DISK: &str = " module_blacklist=virtio_blk";

/// Versions of one appliance for one board.
struct Versions {
    folder: tempfile::TempDir,
    board: String,
    arch: Architecture,
    /// More lines of the configuration's [system], and of the description.
    more: [String; 2],
}

impl Versions {
    fn new(board: &str, arch: Architecture) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let new = Self { folder, board: format!("{board}-{}", arch.name()), arch, more: Default::default() };
        std::fs::create_dir_all(new.at("root/bin")).expect("a folder");
        std::fs::copy(probe(arch), new.at("root/bin/probe")).expect("the probe");
        for name in ["own", "other"] {
            let [key, certificate] = ["key", "crt"].map(|kind| new.at(&format!("{name}.{kind}")));
            let request = ["req", "-x509", "-nodes", "-subj", "/CN=hilum test", "-days", "2", "-newkey", "rsa:2048"];
            tool("openssl", &[&request[..], &["-keyout", text(&key), "-out", text(&certificate)]].concat());
        }
        new
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Builds a version, with more lines for its only workload. Returns the folder with the outputs.
    fn build(&self, version: u64, more: &str) -> PathBuf {
        self.build_with(version, "on-term", more)
    }

    /// Builds a version as [`Self::build`], whose workload runs a program of the probe.
    fn build_with(&self, version: u64, program: &str, more: &str) -> PathBuf {
        // Only that of a version which is given up is waited for.
        let within = if more == SICK { 20 } else { 600 };
        let [system, description] = &self.more;
        let config = format!(
            "hilum 1\n[system]\nhostname v{version}\nconsole prompt\nupdate after=1s within={within}s\n{system}\
             [workload app]\nroot /images/a\nexec /bin/probe {program}\n{more}"
        );
        std::fs::write(self.at("hilum.conf"), config).expect("a file");
        let lines = format!(
            "config = \"hilum.conf\"\n{description}[update]\nversion = {version}\nkeys = [\"own.crt\"]\nslot-size-mib = 64\n\
             [[root]]\npath = \"/images/a\"\nfolder = \"root\"\nformat = \"folder\"\n"
        );
        std::fs::write(self.at("appliance.toml"), lines).expect("a file");
        let output = self.at(&format!("version-{version}"));
        build_update(&self.board, &self.at("appliance.toml"), &output);
        output
    }

    /// Makes a bundle of a version.
    fn bundle(&self, image: &Path, key: &str) -> PathBuf {
        self.bundle_since(image, key, None)
    }

    /// Makes a bundle of what this version has and the one of another bundle has not.
    fn bundle_since(&self, image: &Path, key: &str, since: Option<PathBuf>) -> PathBuf {
        let output = Some(image.join(format!("{key}{}.bundle", if since.is_some() { "-since" } else { "" })));
        let order = bundle::Order { image: image.into(), keys: vec![self.at(&format!("{key}.key"))], since, output };
        let mut quiet = |_: hilum_initramfs::progress::Event<'_>| {};
        let quiet = RefCell::new(&mut quiet as &mut dyn FnMut(hilum_initramfs::progress::Event<'_>));
        bundle::make(&order, &Progress::new(&quiet)).expect("a bundle").0
    }

    /// Writes a bundle with another header, which is signed.
    fn resigned(&self, bundle: &[u8], name: &str, change: &dyn Fn(&mut Contents<'_>)) -> PathBuf {
        let old = bundle.first_chunk().and_then(Bundle::read).expect("a bundle");
        let mut header = Contents {
            version: old.version(),
            floor: old.floor(),
            board: old.board(),
            size: old.size(),
            parts: old.parts(),
            hashes: [*old.root(), *old.salt()],
        };
        change(&mut header);
        let mut block = header.block();
        let [signed, signature] = ["signed", "signature"].map(|kind| self.at(&format!("{name}.{kind}")));
        std::fs::write(&signed, Bundle::read(&block).expect("a header").signed()).expect("a file");
        let key = self.at("own.key");
        tool("openssl", &["dgst", "-sha256", "-sign", text(&key), "-out", text(&signature), text(&signed)]);
        sign(&mut block, 0, &std::fs::read(signature).expect("a signature")).expect("its place");
        std::fs::write(self.at(name), [&block, &bundle[BLOCK_BYTES..]].concat()).expect("a file");
        self.at(name)
    }

    /// Boots the committed slot of a disk, with bundles as /dev/vdb and so on.
    fn boot(&self, disk: &Path, bundles: &[&Path]) -> Booted {
        // Nobody sends on the second port.
        boot_command(self.command(disk, bundles), "stdio -serial null")
    }

    fn command(&self, disk: &Path, bundles: &[&Path]) -> Command {
        let mut command = hilum_qemu::command(self.arch, Accelerator::Tcg);
        command.args(["-m", "512"]).args(hilum_qemu::writable_disk(disk));
        add_bundles(&mut command, bundles);
        firmware::direct(disk, None, self.folder.path()).expect("a slot").add_to(&mut command, "");
        command
    }
}

/// A bundle whose blocks of the running slot are other ones than were meant. Their places are not signed.
fn shifted(versions: &Versions, since: &[u8]) -> PathBuf {
    let mut copy = since.to_vec();
    // The header and two hash blocks are before the first map.
    let map = &mut copy[3 * BLOCK_BYTES..][..MAP_BYTES];
    let first = Source::Copy(0).bytes();
    assert!(map.chunks(4).filter(|source| source[3] == 0).count() > 2, "it copies blocks");
    map.chunks_mut(4).filter(|source| source[3] == 0).for_each(|source| source.copy_from_slice(&first));
    std::fs::write(versions.at("shifted"), copy).expect("a file");
    versions.at("shifted")
}

fn add_bundles(command: &mut Command, bundles: &[&Path]) {
    for (index, path) in bundles.iter().enumerate() {
        let drive = format!("if=none,id=b{index},format=raw,readonly=on,file={}", path.display());
        command.args(["-drive", &drive, "-device", &format!("virtio-blk-pci,drive=b{index}")]);
    }
}

/// Types a command, and waits for a text that comes after it.
fn ask(booted: &mut Booted, command: &str, answer: &str) {
    let before = booted.vm.console.text().len();
    booted.vm.type_text(&format!("{command}\r")).expect("the console");
    await_text(booted, before, answer);
}

/// Waits until the console has a text behind a place.
fn await_text(booted: &Booted, before: usize, text: &str) {
    let until = std::time::Instant::now() + SLOW;
    while !booted.vm.console.text()[before..].contains(text) {
        assert!(std::time::Instant::now() < until, "no {text:?} in\n{}", booted.vm.console.tail());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the guest restarts. Returns its console.
fn restarts(mut booted: Booted) -> String {
    let (console, end) = booted.vm.wait_end(SLOW).expect("it restarts");
    assert_eq!(end, End::Restart, "{console}");
    crate::support::without_prompt(&console)
}

/// Returns the contents of a slot; 48 MiB are more than a version here has.
fn contents(disk: &Path, slot: Slot) -> Vec<u8> {
    let record = firmware::record(disk).expect("a record");
    let mut bytes = vec![0; 48 << 20];
    std::fs::File::open(disk).expect("a disk").read_exact_at(&mut bytes, record.start(slot)).expect("a slot");
    bytes
}

/// Returns bundles for a board that runs version 2, with what it says to each: of three images, which are versions 1 to 3. The last
/// bundle is the only one that it takes.
fn bundles_for_two(versions: &Versions, [one, two, three]: [&Path; 3]) -> Vec<(PathBuf, &'static str)> {
    let good = versions.bundle(three, "own");
    let bytes = std::fs::read(&good).expect("a bundle");
    let since = versions.bundle_since(three, "own", Some(versions.bundle(two, "own")));
    let small = std::fs::read(&since).expect("a bundle");
    eprintln!("{} bytes, and {} without what version 2 has", bytes.len(), small.len());
    assert!(small.len() * 100 < bytes.len() * 15, "one line of the configuration has changed");
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut copy = bytes.clone();
        change(&mut copy);
        std::fs::write(versions.at(name), copy).expect("a file");
        versions.at(name)
    };
    let middle = bytes.len() / 2;
    vec![
        (versions.bundle(three, "other"), "hilum: not signed by a key of this image"),
        (versions.bundle(one, "own"), "hilum: its version is below the committed 2"),
        (changed("board", &|copy| copy[40] ^= 1), "hilum: not signed by a key of this image"),
        (changed("cut", &|copy| copy.truncate(middle / 512 * 512)), "hilum: the bundle is cut after "),
        (changed("damaged", &|copy| copy[middle] ^= 1), "hilum: the bundle is damaged before byte "),
        (changed("none", &|copy| copy[0] = b'H'), "hilum: no bundle of format 1"),
        (
            versions.resigned(&bytes, "size", &|header| header.size = 65 << 20),
            "hilum: it does not fit into a slot of 67108864 bytes",
        ),
        (versions.resigned(&bytes, "name", &|header| header.board = "other"), "hilum: it is for another board"),
        (
            versions.resigned(&bytes, "floor", &|header| header.version = 0),
            "hilum: the bundle's numbers are impossible",
        ),
        (shifted(versions, &small), "hilum: it is made since another version than 2; make it without SINCE"),
        (since, "hilum: update: version 3 in slot b is on trial"),
    ]
}

#[test]
fn bundle_that_is_not_right_is_refused_and_the_right_one_is_committed_x86_64() {
    let versions = Versions::new("qemu", Architecture::X86_64);
    let (one, two, three) = (versions.build(1, ""), versions.build(2, WAITING), versions.build(3, ""));
    let bundles = bundles_for_two(&versions, [&one, &two, &three]);
    let disk = two.join("disk.img");
    let before = contents(&disk, Slot::A);
    let paths: Vec<&Path> = bundles.iter().map(|(path, _)| path.as_path()).collect();
    let mut booted = versions.boot(&disk, &paths);
    booted.vm.console.expect("hilum: update: version 2 in slot a is running", SLOW).expect("it boots");
    for (letter, (_, answer)) in ('b'..).zip(&bundles) {
        if answer.ends_with("on trial") {
            let record = firmware::record(&disk).expect("a record");
            assert_eq!((record.version(Slot::A), record.version(Slot::B), record.trial()), (2, 0, None));
        }
        ask(&mut booted, &format!("update /dev/vd{letter}"), answer);
    }
    booted.vm.console.expect("hilum: update: version 3 in slot b is committed", SLOW).expect("a commit");
    assert!(before == contents(&disk, Slot::A), "the slot that ran is as it was");
    assert!(
        contents(&three.join("disk.img"), Slot::A) == contents(&disk, Slot::B),
        "whole, of what was sent and what was there"
    );
    // Back to version 2, and while that is on trial, not.
    ask(&mut booted, "rollback", "hilum: update: version 2 in slot a is on trial");
    booted.vm.type_text("rollback\r").expect("the console");
    let console = restarts(booted);
    let record = firmware::record(&disk).expect("a record");
    assert_eq!(
        (record.committed(), record.verdict()),
        (Slot::B, (Verdict::Unhealthy, 2, "hilum rollback")),
        "{console}"
    );
    let mut booted = versions.boot(&disk, &[]);
    booted.vm.console.expect("hilum: update: version 3 in slot b is running", SLOW).expect("it boots");
    ask(&mut booted, "status", "version 2 was not healthy in time: hilum rollback");
    let slots = "\"slots\":{\"a\":2,\"b\":3,\"running\":\"b\",\"committed\":\"b\",\"trial\":null,\"floor\":0,\"last\":\"version 2 was";
    ask(&mut booted, "status --json", slots);
    second_update_is_refused(&mut booted);
    booted.vm.type_text("poweroff\r").expect("the console");
    booted.vm.wait(SLOW).expect("it powers off");
    assert_eq!(firmware::record(&disk).expect("a record").version(Slot::A), 2, "nothing came, so nothing was written");
}

/// An update from a sender that says nothing keeps others from beginning, and not the board from going down.
fn second_update_is_refused(booted: &mut Booted) {
    let refused = "hilum: another update is running";
    for _ in 0..20 {
        ask(booted, "update /dev/ttyS1", "update /dev/ttyS1");
        std::thread::sleep(Duration::from_secs(1));
        // It ends the command, and not the helper.
        booted.vm.type_text("\x03").expect("the console");
        ask(booted, "update /dev/vda", "\nhilum: ");
        if booted.vm.console.tail().contains(refused) {
            return ask(booted, "rollback", refused);
        }
    }
    panic!("{}", booted.vm.console.tail());
}

/// By kexec alone, as a rollback of a good one is, on a kernel with a driver for QEMU's watchdog, and with two processors, of which one has to stop for kexec.
fn version_that_does_not_start_or_hangs_or_is_not_healthy_is_given_up(arch: Architecture) {
    let mut versions = Versions::new("qemu", arch);
    versions.more = [
        "watchdog /dev/watchdog0 10s\nsysctl kernel.sched_rt_runtime_us -1\n".to_owned(),
        format!("kernel = \"linux-image-{}\"\nmodules = [\"i6300esb\"]\n", arch.debian()),
    ];
    let (one, good, broken) = (versions.build(1, ""), versions.build(2, ""), versions.build(3, ""));
    let (hangs, sick) = (versions.build_with(4, "hog", HANGS), versions.build(5, SICK));
    // An initramfs that no kernel unpacks.
    let image = broken.join("disk.img");
    let record = firmware::record(&image).expect("a record");
    let place = record.start(Slot::A) + record.parts(Slot::A).initramfs.start;
    let file = std::fs::File::options().write(true).open(&image).expect("a disk");
    file.write_all_at(&vec![0xa5; 1 << 20], place).expect("a damaged initramfs");
    let bundles = [good, broken, hangs, sick].map(|image| versions.bundle(&image, "own"));
    let disk = one.join("disk.img");
    let boot = |said: &str| {
        let mut command = versions.command(&disk, &bundles.each_ref().map(PathBuf::as_path));
        command.args(["-smp", "2", "-device", "i6300esb", "-action", "watchdog=reset"]);
        let booted = boot_command(command, "stdio");
        booted.vm.console.expect(said, SLOW).expect("it boots");
        booted
    };
    let mut booted = boot("hilum: update: version 1 in slot a is running");
    ask(&mut booted, "update /dev/vdb", "hilum: update: version 2 in slot b is committed");
    ask(&mut booted, "rollback", "hilum: update: version 1 in slot a is committed");
    ask(&mut booted, "update /dev/vdc", "version 3 is in the other slot; restarting into it");
    restarts(booted);
    let mut booted = boot("hilum: update: version 3 did not get as far as its workloads");
    ask(&mut booted, "update --status", "slot a: version 1, committed, running");
    ask(&mut booted, "update /dev/vdd", "hilum: update: version 4 in slot b is on trial");
    booted.vm.type_text("signal app TERM\r").expect("the console");
    let console = restarts(booted);
    has_line(&console, "app | got TERM");
    assert!(!console.contains("not healthy after 20 s"), "{console}");
    let ended = "version 4 ended before it was committed (a panic, the watchdog, or a power cut)";
    let mut booted = boot(&format!("hilum: update: {ended}"));
    ask(&mut booted, "update /dev/vde", "hilum: update: version 5 in slot b is on trial");
    let console = restarts(booted);
    has_line(&console, "hilum: update: app is not healthy after 20 s");
    let record = firmware::record(&disk).expect("a record");
    assert_eq!((record.committed(), record.trial()), (Slot::A, None));
    assert_eq!(record.verdict(), (Verdict::Unhealthy, 5, "app"));
    if arch == Architecture::X86_64 {
        second_disk_with_slots_is_told(&versions, &disk);
    }
}

/// A copy of the disk beside it, as a stick that somebody has made of it.
fn second_disk_with_slots_is_told(versions: &Versions, disk: &Path) {
    let copy = versions.at("copy.img");
    std::fs::copy(disk, &copy).expect("a copy");
    let mut command = versions.command(disk, &[]);
    let drive = format!("if=none,id=copy,format=raw,file={}", copy.display());
    command.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=copy"]);
    let mut booted = boot_command(command, "stdio");
    let refused = "two disks with slots";
    booted.vm.console.expect(&format!("hilum: update: {refused}; updates are refused"), SLOW).expect("it boots");
    ask(&mut booted, "update /dev/vda", &format!("hilum: {refused}"));
    booted.vm.type_text("poweroff\r").expect("the console");
    booted.vm.wait(SLOW).expect("it powers off");
}
