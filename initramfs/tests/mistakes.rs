//! What description files name and is not there: one line each, with the file and the line that names it.

use hilum_initramfs::build::{Places, build};
use std::path::Path;

/// The error for a description with these lines; the folder's name is left out.
fn refusal(folder: &Path, lines: &str) -> String {
    let vmlinuz = folder.join("vmlinuz");
    std::fs::write(&vmlinuz, "Linux version 6.1.0-50 (x)").expect("a file");
    std::fs::create_dir_all(folder.join("root/bin")).expect("a folder");
    std::fs::write(folder.join("root/bin/run"), "#!/bin/run\n").expect("a file");
    let config = "hilum 1\n[system]\nmodule none\n[workload a]\nroot /images/a\nexec /bin/run\n";
    let config = if lines.contains("site.conf") { config } else { "hilum 1\n" };
    std::fs::write(folder.join("hilum.conf"), config).expect("a file");
    std::fs::write(folder.join("site.conf"), config).expect("a file");
    let head = "architecture = \"x86_64\"\nkernel = \"./vmlinuz\"\n";
    let config = if lines.contains("config =") { "" } else { "config = \"hilum.conf\"\n" };
    let file = folder.join("board.toml");
    std::fs::write(&file, format!("{head}{config}{lines}")).expect("a file");
    let init = "/bin/true".into();
    let places = Places { init, packages: folder.to_owned(), output: folder.join("output") };
    let error = build(&[file], &places, &mut |_| {}).expect_err("it is refused");
    assert!(!folder.join("output").exists(), "nothing is written");
    format!("{error:#}").replace(&format!("{}/", folder.display()), "")
}

#[test]
fn what_is_not_there_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    for (lines, expected) in [
        ("modules = [\n\"nothing\"]\n", "board.toml:5: module nothing: the kernel has no such module"),
        ("[[file]]\npath = \"/x\"\nfrom = \"gone\"\n", "board.toml:5: file /x: gone: No such file or directory"),
        ("[[file]]\npath = \"/x\"\nfrom = \"vmlinuz\"\nmode = \"9\"\n", "board.toml:5: file /x: mode 9: invalid digit"),
        ("[[root]]\npath = \"/images/a\"\nfolder = \"gone\"\n", "board.toml:5: root /images/a: "),
        (
            "[[root]]\npath = \"/images/a\"\npackages = [\"p\"]\n",
            "board.toml:5: root /images/a: package p: p.tar is not there",
        ),
        (
            "[[root]]\npath = \"/images/a\"\npacked = \"vmlinuz\"\n",
            "board.toml:5: root /images/a: vmlinuz is no image of",
        ),
        ("kernel-modules = \"root\"\nconfig = \"site.conf\"\n", "site.conf:3:1: module none: no /lib/modules/none.ko"),
        ("outputs = [\"uefi-disk\"]\n", "board.toml:4: package systemd-boot-efi: systemd-boot-efi.tar is not there"),
        ("outputs = [\"sd-card\"]\n", "board.toml:4: an sd card needs [firmware]"),
    ] {
        let error = refusal(folder.path(), lines);
        assert!(error.starts_with(expected), "{error}");
    }
}
