//! The virtual machines: one for each architecture, as QEMU names things.

use hilum::Architecture;
use std::process::Command;

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Accelerator {
    /// QEMU's own translator: slow, and works everywhere.
    Tcg,
    /// The host's processor. In nested machines /dev/kvm often opens and then hangs.
    Kvm,
}

/// Words that give a machine a network card behind QEMU's own router: 10.0.2.15 by DHCP, the router at 10.0.2.2, name
/// servers at 10.0.2.3. `options` are added to the network's, such as `,hostfwd=tcp:127.0.0.1:8080-:80`.
pub fn network(options: &str) -> Vec<String> {
    let card = "virtio-net-pci,netdev=net,romfile=".to_owned();
    vec!["-netdev".to_owned(), format!("user,id=net{options}"), "-device".to_owned(), card]
}

/// Words that give a machine a virtio disk that it can write, in a file.
pub fn writable_disk(file: &std::path::Path) -> Vec<String> {
    let drive = format!("file={},format=raw,if=none,id=data", file.display());
    vec!["-drive".to_owned(), drive, "-device".to_owned(), "virtio-blk-pci,drive=data".to_owned()]
}

/// Returns the kernel's name of the serial console that QEMU's machine has.
pub(crate) const fn console(arch: Architecture) -> &'static str {
    match arch {
        Architecture::X86_64 => "ttyS0",
        Architecture::Aarch64 => "ttyAMA0",
    }
}

/// Returns the words for the kernel command line that QEMU's machine needs besides the console, each with a blank behind it.
pub(crate) const fn kernel_words(arch: Architecture) -> &'static str {
    match arch {
        // On a busy host the timer of an emulated x86 machine comes too late for the kernel's test of it at the boot, which
        // then panics ("IO-APIC + timer doesn't work"); KVM guests leave that test out by themselves.
        Architecture::X86_64 => "no_timer_check ",
        Architecture::Aarch64 => "",
    }
}

/// Returns QEMU with the machine and the processor, and nothing attached yet.
pub fn command(arch: Architecture, accelerator: Accelerator) -> Command {
    let mut command = Command::new(format!("qemu-system-{}", arch.name()));
    match arch {
        // The keyboard controller of this machine is what Ctrl-Alt-Del goes through.
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
