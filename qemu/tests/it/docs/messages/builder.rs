//! Errors of the image builder in description files and their inputs; also those of `make` and the VM runner.

use super::Told;
use crate::support::{built, hilum, host};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A complete description except for its configuration and contents.
const HEAD: &str = "architecture = \"x86_64\"\nkernel = \"./vmlinuz\"\nconfig = \"hilum.conf\"\n";
const ROOT: &str = "[[root]]\npath = \"/images/web\"\nformat = \"folder\"\nfolder = \"root\"\n";
const EXEC: &str = "exec /bin/web";

pub(crate) fn told() -> Vec<Told> {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = scratch.path();
    furnish(folder);
    let builder = built("tools/hilum-initramfs");
    // Progress lines with times come before it.
    let run = |words: &[&str]| {
        let text = super::said(Command::new(&builder).args(words), folder);
        let is_told = |line: &&str| line.split_whitespace().nth(1).is_none_or(|word| word != "s");
        text.lines().filter(is_told).collect::<Vec<_>>().join("\n")
    };
    let init = hilum(hilum_qemu::Architecture::X86_64);
    let init = init.to_str().expect("UTF-8");
    let image = |description: &str, lines: &str| {
        let config = format!("hilum 1\n{lines}\n");
        std::fs::write(folder.join("hilum.conf"), config).expect("a file");
        std::fs::write(folder.join("board.toml"), description).expect("a file");
        run(&["image", "board.toml", "--init", init, "--packages", ".", "--output", "output"])
    };
    let described = |lines: &str| image(&format!("{HEAD}{lines}"), "");
    let workload = |lines: &str| image(&format!("{HEAD}{ROOT}"), &format!("[workload web]\nroot /images/web\n{lines}"));
    let container = |name: &str| described(&format!("[[root]]\npath = \"/images/web\"\nimage = \"{name}\"\n"));
    let mut told = vec![
        ("The description does not exist", run(&["packages", "bord.toml"])),
        ("A key of a description is misspelt", image("architecture = \"x86_64\"\nkernal = \"x\"\n", "")),
        ("The architecture is unknown", image(&HEAD.replace("x86_64", "riscv64"), "")),
        ("No description names a kernel", image("architecture = \"x86_64\"\nconfig = \"hilum.conf\"\n", "")),
        ("The configuration does not exist", image(&HEAD.replace("hilum.conf", "web.conf"), "")),
        ("A key of the configuration is misspelt", workload("exce /bin/web")),
        ("The kind of output is unknown", described("outputs = [\"floppy\"]\n")),
        ("A module is not in the kernel", described("modules = [\"virtio_nett\"]\n")),
        ("A module of the configuration is not in the kernel", described_module(&image)),
        ("A file does not exist", described("[[file]]\npath = \"/etc/motd\"\nfrom = \"motd\"\n")),
        (
            "A package was not fetched",
            described("[[root]]\npath = \"/images/web\"\npackages = [\"nginx\"]\ndependencies = false\n"),
        ),
        ("A root has no source", described("[[root]]\npath = \"/images/web\"\n")),
        ("The folder of a root does not exist", described("[[root]]\npath = \"/images/web\"\nfolder = \"gone\"\n")),
        ("A packed root is not an image", described("[[root]]\npath = \"/images/web\"\npacked = \"vmlinuz\"\n")),
        ("A container image does not exist", container("web.tar")),
        ("A container image is another kind of archive", container("other.tar")),
        ("The root of a workload is not in the image", image(HEAD, "[workload web]\nroot /images/web\nexec /bin/web")),
        ("The program is not in the root filesystem", workload("exec /bin/httpd")),
        ("The program is not executable", workload("exec /bin/plain")),
        ("The program was built for another architecture", workload("exec /bin/foreign")),
        ("The script's interpreter is not in the root filesystem", workload("exec /bin/script")),
        ("The program is a text file", workload("exec /bin/text")),
        ("The source of a mount does not exist", workload(&format!("{EXEC}\nmount /data /tmp"))),
        ("The mount point does not exist", workload(&format!("{EXEC}\nmount /images /srv"))),
        ("A site's configuration is wrong", {
            std::fs::write(folder.join("site.conf"), "hilum 1\n[system]\nhostnam kitchen\n").expect("a file");
            run(&["site", "site.conf", "--output", "site"])
        }),
    ];
    told.extend(runner(folder));
    told
}

fn described_module(image: &dyn Fn(&str, &str) -> String) -> String {
    image(&format!("{HEAD}kernel-modules = \"modules\"\n"), "[system]\nmodule wiregard")
}

/// Returns the errors of the VM runner and `make`.
fn runner(folder: &Path) -> Vec<Told> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let make = |words: &[&str]| {
        let line =
            super::said(Command::new("make").arg("--no-print-directory").arg("-C").arg(&project).args(words), folder);
        // The line number changes with the file.
        line.split_once("*** ").map_or(line.clone(), |(_, line)| format!("Makefile: *** {line}"))
    };
    let mut run = Command::new(env!("CARGO_BIN_EXE_hilum-qemu"));
    run.args(["run", "--arch", host().name(), "--image", "image"]);
    vec![
        ("The image to boot does not exist", super::said(&mut run, folder)),
        ("make: the architecture is unknown", make(&["run", "ARCH=riscv64"])),
        ("make: the board is unknown", make(&["image", "BOARD=rpi5"])),
    ]
}

/// Creates the files that descriptions refer to, and the errors in them.
fn furnish(folder: &Path) {
    let write = |path: &str, bytes: &[u8], mode: u32| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("its mode");
    };
    let program = std::fs::read(crate::support::probe(hilum_qemu::Architecture::X86_64)).expect("the probe");
    let mut foreign = program.clone();
    // e_machine of the ELF header: 0xf3 is RISC-V.
    foreign[18..20].copy_from_slice(&[0xf3, 0]);
    write("vmlinuz", b"Linux version 6.1.0-50 (x)", 0o644);
    write("modules/modules.builtin", b"", 0o644);
    write("root/bin/web", &program, 0o755);
    write("root/bin/plain", &program, 0o644);
    write("root/bin/foreign", &foreign, 0o755);
    write("root/bin/script", b"#!/bin/sh\n", 0o755);
    write("root/bin/text", b"text", 0o755);
    // An empty archive is two blocks of zeros (pax(1)).
    write("other.tar", &[0; 1024], 0o644);
}
