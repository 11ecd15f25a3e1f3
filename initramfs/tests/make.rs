//! `make` compiles what changed, and nothing because of the times of files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Runs make for the builder with a folder of its own, and with a cargo that only notes that it was called. Returns how often it was.
fn made(build: &Path) -> usize {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut make = Command::new("make");
    make.arg("--silent").arg(format!("BUILD={}", build.display()));
    make.arg(format!("CARGO={}", build.join("cargo-of-the-test").display()));
    make.arg(build.join("tools/hilum-initramfs")).current_dir(top).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let ran = make.output().expect("make");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    std::fs::read_to_string(build.join("calls")).unwrap_or_default().lines().count()
}

#[test]
fn nothing_is_compiled_for_newer_times_and_something_is_for_other_contents() {
    let folder = tempfile::tempdir().expect("a folder");
    let build = folder.path();
    std::fs::write(build.join("installed-build"), "").expect("a file");
    let cargo = build.join("cargo-of-the-test");
    let script = "#!/bin/sh\nset -e\necho \"$*\" >>\"$HILUM_BUILD/calls\"\nmkdir -p \"$CARGO_TARGET_DIR/debug\"\n\
                  cp /bin/true \"$CARGO_TARGET_DIR/debug/hilum-initramfs\"\n";
    std::fs::write(&cargo, script).expect("a script");
    std::fs::set_permissions(&cargo, PermissionsExt::from_mode(0o755)).expect("its mode");
    assert_eq!(made(build), 1, "it is not there");
    assert_eq!(made(build), 1);
    // As after a checkout: every source is newer.
    let tool = build.join("tools/hilum-initramfs");
    let age = || {
        let file = std::fs::File::open(&tool).expect("it was made");
        file.set_modified(std::time::UNIX_EPOCH).expect("its time");
    };
    age();
    assert_eq!(made(build), 1, "the contents are the same");
    assert!(tool.metadata().expect("it is there").modified().expect("a time") > std::time::UNIX_EPOCH);
    // As after a change: what it was made of was something else.
    age();
    std::fs::write(build.join("tools/hilum-initramfs.made-of"), "other\n").expect("a file");
    assert_eq!(made(build), 2);
}
