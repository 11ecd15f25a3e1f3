//! Kernels that are built for the demo. `make kernel-test` builds them; they take minutes, so that `make test` leaves these tests out.

use super::budgets::number;
use crate::support::{BOOT, boot_command, built, free_port, probe};
use hilum_initramfs::Image;
use hilum_qemu::{Accelerator, Architecture, Options};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A machine, and the image below build/image/ that it boots.
struct Machine {
    name: &'static str,
    image: &'static str,
    is_microvm: bool,
}

const DEBIAN: Machine = Machine { name: "debian", image: "qemu-x86_64-web", is_microvm: false };
const Q35: Machine = Machine { name: "q35", image: "qemu-x86_64-web-tailored", is_microvm: false };
const MICROVM: Machine = Machine { name: "microvm", image: "microvm-x86_64-web", is_microvm: true };

impl Machine {
    /// Returns the command that boots an initramfs with the kernel of the image.
    fn command(&self, initramfs: &Path, append: &str, more: &[&str]) -> Command {
        let options = Options {
            arch: Architecture::X86_64,
            kernel: &built(&format!("image/{}/vmlinuz", self.image)),
            initramfs,
            append,
            memory_mib: 256,
            accelerator: Accelerator::Tcg,
            disk: None,
            more,
        };
        if self.is_microvm { options.on(hilum_qemu::microvm(Accelerator::Tcg)) } else { options.command() }
    }

    /// Returns the path of the image's initramfs.
    fn initramfs(&self) -> std::path::PathBuf {
        built(&format!("image/{}/initramfs", self.image))
    }

    /// Returns the thousands of instructions from the kernel's start to the entry of /init, which the probe prints.
    fn thousands_to_init(&self) -> u64 {
        let mut image = Image::new();
        image.file("entry", 0o755, std::fs::read(probe(Architecture::X86_64)).expect("the probe"));
        let bytes = image.behind(std::fs::read(self.initramfs()).expect("an initramfs")).expect("an archive");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("an archive");
        let words = ["-icount", "shift=0,sleep=off"];
        let booted = boot_command(self.command(file.path(), "rdinit=/entry -- timed-init", &words), "stdio");
        booted.vm.console.expect("entered ", BOOT).unwrap_or_else(|error| panic!("{error}"));
        // The whole line.
        booted.vm.console.expect("hilum: ", BOOT).unwrap_or_else(|error| panic!("{error}"));
        number(&booted.vm.console.text(), "entered ")
    }

    /// Boots it, fetches the demo's page from outside, and prints the time from the start of QEMU until then.
    fn serves(&self) {
        let port = free_port();
        let network = hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:8080"));
        let network = if self.is_microvm { hilum_qemu::without_pci(network) } else { network };
        let network: Vec<&str> = network.iter().map(String::as_str).collect();
        let append = if self.is_microvm { "reboot=t" } else { "" };
        let command = self.command(&self.initramfs(), append, &network);
        let start = Instant::now();
        let mut booted = boot_command(command, "stdio");
        let at = hilum_qemu::first_page(port, start + BOOT);
        let at = at.unwrap_or_else(|| panic!("no page: {}", booted.vm.console.text()));
        println!("{}: the page was served {} ms after the start of QEMU", self.name, (at - start).as_millis());
        let page = crate::support::page(port, "/");
        assert!(page.contains("Served by an isolated workload"), "{page}");
        crate::support::at_prompt(&booted.vm.console);
        booted.vm.type_text("reboot\r").expect("QEMU is there");
        let console = booted.vm.wait(BOOT).unwrap_or_else(|error| panic!("{error}"));
        for refused in ["kernel settings not applied", "ENOENT", "EOPNOTSUPP", "bind: "] {
            assert!(!console.contains(refused), "{refused}: {console}");
        }
    }
}

#[test]
#[ignore = "make kernel-test builds its kernel"]
fn demo_with_its_own_kernel_is_served() {
    DEBIAN.serves();
    Q35.serves();
}

#[test]
#[ignore = "make kernel-test builds its kernel"]
fn demo_in_a_machine_without_pci_is_served() {
    MICROVM.serves();
}

/// The gain is counted in instructions, so that it does not depend on the load of this machine.
#[test]
#[ignore = "make kernel-test builds its kernel"]
fn tailored_kernels_take_less_than_half_of_the_instructions() {
    let debian = DEBIAN.thousands_to_init();
    println!("Debian's kernel: {debian} thousand instructions to /init");
    for machine in [Q35, MICROVM] {
        let thousands = machine.thousands_to_init();
        println!("{}: {thousands} thousand instructions to /init", machine.name);
        assert!(thousands * 2 < debian, "{}: {thousands} are not less than half of {debian}", machine.name);
    }
}
