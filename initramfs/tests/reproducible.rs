//! The same descriptions give the same bytes: from another folder, by another clock, by a user without privileges.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn built(path: &str) -> PathBuf {
    let build = std::env::var_os("HILUM_BUILD")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../build"), PathBuf::from);
    let file = build.join(path);
    assert!(file.exists(), "{} is missing; run the tests with: make test", file.display());
    file
}

/// Nobody's user and group, in Debian and elsewhere.
const NOBODY: u32 = 65534;

fn copy_tree(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.expect("it can be read");
        let place = to.join(entry.path().strip_prefix(from).expect("it is below"));
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&place).expect("a folder");
        } else {
            std::fs::copy(entry.path(), &place).expect("a file");
        }
    }
}

/// Builds here and now as root, and elsewhere ten years later as nobody; compares every output.
fn assert_same(board: &str, architecture: &str) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let elsewhere = scratch.path().join("some/where/else");
    copy_tree(&own.join("boards"), &elsewhere.join("boards"));
    copy_tree(&own.join("appliances"), &elsewhere.join("appliances"));
    let builder = env!("CARGO_BIN_EXE_hilum-initramfs");
    let descriptions = [format!("boards/{board}.toml"), "appliances/mqtt/appliance.toml".to_owned()];
    let at = |folder: &Path| descriptions.each_ref().map(|description| folder.join(description));
    let packages = built(&format!("debian/packages/{architecture}-bookworm"));
    let listed = Command::new(builder).arg("packages").args(at(own)).output().expect("the builder");
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    std::fs::create_dir_all(elsewhere.join("packages")).expect("a folder");
    for name in listed.split_whitespace().skip(2) {
        let archive = format!("{name}.tar");
        std::fs::copy(packages.join(&archive), elsewhere.join("packages").join(&archive)).expect("a package");
    }
    let init = built(&format!("board/{architecture}/hilum"));
    for (from, name) in [(init.as_path(), "init"), (Path::new(builder), "builder")] {
        std::fs::copy(from, elsewhere.join(name)).expect("a file");
        set_permissions(elsewhere.join(name), Permissions::from_mode(0o755)).expect("its mode");
    }
    let output = scratch.path().join("second");
    std::fs::create_dir(&output).expect("a folder");
    std::os::unix::fs::chown(&output, Some(NOBODY), Some(NOBODY)).expect("root runs the tests");
    set_permissions(scratch.path(), Permissions::from_mode(0o755)).expect("its mode");

    let run = |mut command: Command| {
        let ran = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    let mut first = Command::new(builder);
    first.arg("image").args(at(own)).arg("--init").arg(&init).arg("--packages").arg(&packages);
    first.arg("--output").arg(scratch.path().join("first"));
    run(first);
    let mut second = Command::new("setpriv");
    second.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "faketime", "2036-05-06 07:08:09"]);
    second.arg(elsewhere.join("builder")).arg("image").args(at(&elsewhere)).current_dir("/");
    second.arg("--init").arg(elsewhere.join("init")).arg("--packages").arg(elsewhere.join("packages"));
    second.arg("--output").arg(&output).env("TZ", "Pacific/Kiritimati").env("HOME", "/nonexistent");
    run(second);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&output).expect("a folder") {
        let name = entry.expect("it can be read").file_name();
        let bytes = |folder: &Path| std::fs::read(folder.join(&name)).expect("an output");
        let (ours, others) = (bytes(&scratch.path().join("first")), bytes(&output));
        let at = ours.iter().zip(&others).position(|(left, right)| left != right);
        assert!(ours.len() == others.len() && at.is_none(), "{board}: {name:?} differs at byte {at:?}");
        names.push(name);
    }
    assert!(names.len() >= 2, "{names:?}");
}

#[test]
fn sd_card_is_reproducible() {
    assert_same("rpi3", "aarch64");
}

#[test]
fn uefi_disks_are_reproducible() {
    assert_same("uefi-x86_64", "x86_64");
    assert_same("uefi-aarch64", "aarch64");
}

#[test]
fn direct_boot_files_are_reproducible() {
    assert_same("qemu-x86_64", "x86_64");
}

/// The archive of a site: a configuration that the board would take, and further files.
#[test]
fn archive_of_a_site_has_its_files_and_refuses_other_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("keys"), "ssh-ed25519 AAAA someone\n").expect("a file");
    std::fs::write(at("bad.conf"), "hilum 2\n").expect("a file");
    let site = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hilum-initramfs"));
        command.arg("site").args(words).args(["--output", &at("site")]).output().expect("the builder")
    };
    let done = site(&["--file", &format!("/site/authorized_keys={}", at("keys"))]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let packed = std::fs::read(at("site")).expect("an archive");
    assert_eq!(packed.len() % 4, 0);
    // Zeros follow the archive.
    let mut bytes = Vec::new();
    let mut decoder = zstd::Decoder::new(&packed[..]).expect("zstd").single_frame();
    std::io::Read::read_to_end(&mut decoder, &mut bytes).expect("zstd");
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("site/authorized_keys") && has("ssh-ed25519 AAAA someone") && !has("etc/hilum.conf"));
    for path in ["site/keys", "/", "/a/../b", "/a//b", "/."] {
        let refused = site(&["--file", &format!("{path}={}", at("keys"))]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && said.contains("expected an absolute path, = and a file"),
            "{path}: {said}"
        );
    }
    assert!(!site(&[]).status.success(), "nothing to pack");
    assert!(!site(&[&at("bad.conf")]).status.success());
}
