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
mod refused;
mod row;
mod uefi;

on_both_long!(aarch64: version_that_does_not_start_or_hangs_or_is_not_healthy_is_given_up);

/// The timeout for firmware, a large kernel, its modules and an update together.
const SLOW: Duration = Duration::from_secs(240);
/// What makes a version that is never ready, and is given up.
const SICK: &str = "ready tcp 81 within=10m\n";
/// The same, and it is not given up before somebody says so.
const WAITING: &str = "ready tcp 82 within=10m\n";
/// What makes a version whose critical workload is never ready, so that the watchdog ends the trial.
const CRITICAL: &str = "critical within=5s\nready tcp 81 within=10m\n";
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
        critical_workload_ends_its_trial(&mut versions, &disk);
        second_disk_with_slots_is_told(&versions, &disk);
    }
}

/// By the watchdog, before `within` of `update` has passed; the record, and nothing else, says that it was tried.
fn critical_workload_ends_its_trial(versions: &mut Versions, disk: &Path) {
    let bundle = versions.bundle(&versions.build(6, CRITICAL), "own");
    let boot = || {
        let mut command = versions.command(disk, &[&bundle]);
        command.args(["-device", "i6300esb", "-action", "watchdog=reset"]);
        boot_command(command, "stdio")
    };
    let mut booted = boot();
    booted.vm.console.expect("hilum: update: version 1 in slot a is running", SLOW).expect("it boots");
    ask(&mut booted, "update /dev/vdb", "hilum: update: version 6 in slot b is on trial");
    let console = restarts(booted);
    assert!(!console.contains("not healthy after"), "{console}");
    let ended = "hilum: update: version 6 ended before it was committed (a panic, the watchdog, or a power cut)";
    let mut booted = boot();
    booted.vm.console.expect(ended, SLOW).expect("it boots");
    ask(&mut booted, "update --status", "slot a: version 1, committed, running");
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
