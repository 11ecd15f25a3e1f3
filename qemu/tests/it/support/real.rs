//! Boards with Debian's kernel for real machines, whose drivers and filesystems are modules. The image builder creates them from a
//! description, so that they have exactly the modules that their configuration requires.

use super::{BOOT, Booted, boot_command, built, hilum};
use hilum_qemu::{Accelerator, Architecture, Options};
use std::path::Path;

/// The output of the builder.
pub(crate) struct RealBoard {
    arch: Architecture,
    folder: tempfile::TempDir,
}

impl RealBoard {
    /// Builds a board from its configuration, the modules to load at boot, and one program, which becomes /bin/PROGRAM of the root
    /// filesystem /images/NAME.
    pub(crate) fn build(arch: Architecture, config: &str, modules: &[&str], (name, program): (&str, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let at = |name: &str| folder.path().join(name);
        for place in ["bin", "data", "dev", "etc", "proc", "run", "sys", "tmp"] {
            std::fs::create_dir_all(at("root").join(place)).expect("a folder");
        }
        std::fs::copy(program, at("root/bin").join(name)).expect("the program");
        std::fs::write(at("board.conf"), config).expect("a file");
        let description = format!(
            "architecture = \"{}\"\nkernel = \"linux-image-{}\"\nconfig = \"board.conf\"\nmodules = {modules:?}\n\
             outputs = [\"direct\"]\n[[root]]\npath = \"/images/{name}\"\nfolder = \"root\"\n\
             [[file]]\npath = \"/etc/first.conf\"\nfrom = \"board.conf\"\n",
            arch.name(),
            arch.debian(),
        );
        std::fs::write(at("board.toml"), description).expect("a file");
        let packages = built(&format!("debian/packages/{}-bookworm", arch.name()));
        let places = hilum_initramfs::build::Places::new(hilum(arch), packages, at("output"));
        hilum_initramfs::build::build(&[at("board.toml")], &places, &mut |_| {}).expect("the builder takes it");
        Self { arch, folder }
    }

    /// Boots it with additional QEMU arguments, and returns when its kernel has started.
    pub(crate) fn boot(&self, words: &[String]) -> Booted {
        let at = |name: &str| self.folder.path().join(name);
        let more: Vec<&str> = words.iter().map(String::as_str).collect();
        let options = Options {
            arch: self.arch,
            kernel: &at("output/vmlinuz"),
            initramfs: &at("output/initramfs"),
            append: "",
            memory_mib: 512,
            accelerator: Accelerator::Tcg,
            disk: None,
            more: &more,
        };
        let booted = boot_command(options.command(), "stdio");
        // When the kernel prints something, QEMU has read its files.
        booted.vm.console.expect("hilum", BOOT).expect("it boots");
        booted
    }
}
