//! The virtual machines, one for each architecture, in QEMU's terms.

use hilum::Architecture;
use std::process::Command;

/// The accelerator that executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Accelerator {
    /// QEMU's translator: slow, but works everywhere.
    Tcg,
    /// KVM. In nested machines /dev/kvm often opens and then hangs.
    Kvm,
}

/// Returns words for a network card behind QEMU's user-mode router: 10.0.2.15 by DHCP, router 10.0.2.2, name server
/// 10.0.2.3. `options` are added to the network's, such as `,hostfwd=tcp:127.0.0.1:8080-:80`.
pub fn network(options: &str) -> Vec<String> {
    let card = "virtio-net-pci,netdev=net,romfile=".to_owned();
    vec!["-netdev".to_owned(), format!("user,id=net{options}"), "-device".to_owned(), card]
}

/// Returns words for a writable virtio disk in a file.
pub fn writable_disk(file: &std::path::Path) -> Vec<String> {
    let drive = format!("file={},format=raw,if=none,id=data", file.display());
    vec!["-drive".to_owned(), drive, "-device".to_owned(), "virtio-blk-pci,drive=data".to_owned()]
}

/// Returns the kernel's name of the serial console of QEMU's machine.
pub(crate) const fn console(arch: Architecture) -> &'static str {
    match arch {
        Architecture::X86_64 => "ttyS0",
        Architecture::Aarch64 => "ttyAMA0",
    }
}

/// Returns the words of the kernel command line that QEMU's machine needs besides the console, each followed by a
/// blank.
pub(crate) const fn kernel_words(arch: Architecture) -> &'static str {
    match arch {
        // On a busy host the timer of an emulated x86 machine is too late for the kernel's check at boot, which then
        // panics ("IO-APIC + timer doesn't work"); KVM guests skip that check by themselves. Debian's kernel tests each
        // cryptographic algorithm at boot: half of its instructions before /init.
        Architecture::X86_64 => "no_timer_check cryptomgr.notests ",
        Architecture::Aarch64 => "cryptomgr.notests ",
    }
}

/// Returns the command of QEMU's microvm (x86_64): virtio devices at addresses of memory, a serial port, and neither PCI nor ACPI.
/// Its kernel is uncompressed.
pub fn microvm(accelerator: Accelerator) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "microvm,acpi=off,pcie=off,rtc=on"]);
    match accelerator {
        Accelerator::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
        Accelerator::Tcg => command.args(["-accel", "tcg", "-cpu", "max"]),
    };
    command.args(["-no-reboot", "-nic", "none"]);
    command
}

/// Returns words for QEMU with the devices of a machine without PCI, such as [`microvm`].
pub fn without_pci(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|word| word.replace(",romfile=", "").replacen("-pci,", "-device,", 1)).collect()
}

/// Returns the QEMU command with machine and processor, and no devices.
pub fn command(arch: Architecture, accelerator: Accelerator) -> Command {
    let mut command = Command::new(format!("qemu-system-{}", arch.name()));
    match arch {
        // Ctrl-Alt-Del needs the keyboard controller of this machine.
        Architecture::X86_64 => command.args(["-machine", "q35"]),
        Architecture::Aarch64 => command.args(["-machine", "virt"]),
    };
    match (accelerator, arch) {
        (Accelerator::Kvm, _) => command.args(["-accel", "kvm", "-cpu", "host"]),
        (Accelerator::Tcg, Architecture::X86_64) => command.args(["-accel", "tcg", "-cpu", "max"]),
        // The newest model signs return addresses, which is slow to emulate.
        (Accelerator::Tcg, Architecture::Aarch64) => command.args(["-accel", "tcg", "-cpu", "cortex-a57"]),
    };
    command.args(["-no-reboot", "-nic", "none"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make run` and the tests start QEMU with the command line of the board.
    #[test]
    fn machine_has_the_words_of_its_board() {
        for arch in Architecture::ALL {
            let name = format!("../initramfs/boards/qemu-{}.toml", arch.name());
            let board = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
            let words = format!("console={} quiet panic=-1 {}", console(arch), kernel_words(arch));
            let words: Vec<String> = words.split_whitespace().map(|word| format!("\"{word}\"")).collect();
            let line = format!("\ncommand-line = [{}]\n", words.join(", "));
            assert!(board.expect("the board").contains(&line), "{line}");
        }
    }

    #[test]
    fn devices_of_a_machine_without_pci_have_no_rom_and_no_slot() {
        let words = without_pci(network(",hostfwd=tcp:127.0.0.1:1-:2"));
        assert_eq!(words[1], "user,id=net,hostfwd=tcp:127.0.0.1:1-:2");
        assert_eq!(words[3], "virtio-net-device,netdev=net");
        assert_eq!(
            without_pci(writable_disk(std::path::Path::new("a-pci"))).last().expect("a device"),
            "virtio-blk-device,drive=data"
        );
    }
}
