//! Debian packages are those of initramfs/debian/lock, whatever is newest.

use hilum_initramfs::description::Description;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The files with this extension below a folder of the sources.
fn descriptions(folder: &str) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(source(folder)).sort_by_file_name().into_iter();
    let files = files.map(|entry| entry.expect("it can be read").into_path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

#[test]
fn every_package_of_the_boards_appliances_and_guests_is_locked_once() {
    let text = std::fs::read_to_string(source("initramfs/debian/lock")).expect("the list");
    let mut locked = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let [arch, release, package, _version, sum, date, file] = words[..] else { panic!("{line}") };
        assert!(sum.len() == 64 && date.len() == 16 && file.ends_with(".deb"), "{line}");
        assert!(locked.insert(format!("{arch} {release} {package}")), "twice: {line}");
    }
    let mut needed = 0;
    for board in descriptions("initramfs/boards") {
        for appliance in descriptions("initramfs/appliances").into_iter().chain(descriptions("qemu/guests")) {
            // What hilum-agent does is no description.
            if appliance.ends_with("agent.toml") {
                continue;
            }
            // These are for one board: Java's path has the name of the architecture, and the machine with radios has its own kernel.
            let is_for_one = appliance.ends_with("programs/appliance.toml") || appliance.ends_with("wifi/radios.toml");
            if is_for_one && !board.ends_with("qemu-x86_64.toml") {
                continue;
            }
            let both = Description::read_locked(&[board.clone(), appliance]).expect("descriptions and lock files");
            let own = std::fs::read_to_string(&both.lock).unwrap_or_default();
            let arch = both.architecture.as_deref();
            for package in both.packages() {
                let key = format!("{} {} {package}", arch.expect("an architecture"), both.release());
                let is_locked = locked.contains(&key) || own.lines().any(|line| line.starts_with(&format!("{key} ")));
                assert!(is_locked, "take it into the list: initramfs/debian/unpack --lock {key}");
                needed += 1;
            }
        }
    }
    assert!(needed > 100, "{needed}");
}

/// A checkout with nothing but the script, a list, and two mirrors of one package each.
struct Checkout {
    folder: tempfile::TempDir,
    /// The checksum of each mirror's package.
    sums: [String; 2],
}

impl Checkout {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("initramfs/debian")).expect("a folder");
        std::fs::copy(source("initramfs/debian/unpack"), at("initramfs/debian/unpack")).expect("the script");
        let sums = ["first", "second"].map(|mirror| {
            std::fs::create_dir_all(at("package/DEBIAN")).expect("a folder");
            std::fs::create_dir_all(at(mirror)).expect("a folder");
            std::fs::write(at("package/file"), mirror).expect("a file");
            let control = "Package: small\nVersion: 1\nArchitecture: all\nMaintainer: a <a@a>\nDescription: a\n";
            std::fs::write(at("package/DEBIAN/control"), control).expect("a file");
            let package = at(&format!("{mirror}/small.deb"));
            let made = Command::new("dpkg-deb").arg("--build").arg(at("package")).arg(&package).output();
            assert!(made.expect("dpkg-deb").status.success());
            let sum = Command::new("sha256sum").arg(&package).output().expect("sha256sum").stdout;
            String::from_utf8_lossy(&sum[..64]).into_owned()
        });
        Self { folder, sums }
    }

    /// Fetches the package with a checksum in the list.
    fn unpack(&self, sum: &str) -> Output {
        let line = format!("x86_64 bookworm small 1 {sum} 20261127T000000Z small.deb\n");
        std::fs::write(self.folder.path().join("initramfs/debian/lock"), line).expect("the list");
        let mirror = |name: &str| format!("file:{}", self.folder.path().join(name).display());
        let mut command = Command::new(self.folder.path().join("initramfs/debian/unpack"));
        command.env("DEBIAN_MIRROR", mirror("first")).env("DEBIAN_SNAPSHOT", mirror("second"));
        command.args(["x86_64", "bookworm", "small"]).output().expect("the script")
    }

    /// What was fetched last.
    fn contents(&self) -> String {
        let archive = self.folder.path().join("build/debian/packages/x86_64-bookworm/small.tar");
        let output = Command::new("tar").arg("-xOf").arg(archive).arg("./file").output().expect("tar");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn package_is_the_locked_one_from_mirror_or_snapshot() {
    let checkout = Checkout::new();
    for (index, expected) in ["first", "second", "first"].into_iter().enumerate() {
        let fetched = checkout.unpack(&checkout.sums[index % 2]);
        assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
        assert_eq!(checkout.contents(), expected, "a change of the list is noticed");
        let again = checkout.unpack(&checkout.sums[index % 2]);
        assert!(again.status.success() && again.stdout.is_empty(), "nothing is fetched twice");
    }
    let refused = checkout.unpack(&"0".repeat(64));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("package small 1: not on file:"), "{said}");
    assert!(
        said.trim_end().ends_with("use the newest: initramfs/debian/unpack --lock x86_64 bookworm small"),
        "{said}"
    );
    assert_eq!(checkout.contents(), "first", "what was there stays");
}
