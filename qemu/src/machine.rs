//! The virtual machines: one for each architecture, as QEMU names things.

use std::process::Command;

/// An architecture that hilum is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Arch {
    /// 64-bit x86.
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

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

impl Arch {
    /// Both.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Its name in file names and in uname(2).
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The other one, for programs that must not run.
    pub const fn other(self) -> Self {
        match self {
            Self::X86_64 => Self::Aarch64,
            Self::Aarch64 => Self::X86_64,
        }
    }

    /// The kernel's name of the serial console.
    pub const fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            Self::Aarch64 => "ttyAMA0",
        }
    }

    /// QEMU with the machine and the processor, and nothing attached yet.
    pub fn command(self, accelerator: Accelerator) -> Command {
        let mut command = Command::new(format!("qemu-system-{}", self.name()));
        match self {
            // The keyboard controller of this machine is what Ctrl-Alt-Del goes through.
            Self::X86_64 => command.args(["-machine", "q35"]),
            Self::Aarch64 => command.args(["-machine", "virt"]),
        };
        match (accelerator, self) {
            (Accelerator::Kvm, _) => command.args(["-accel", "kvm", "-cpu", "host"]),
            (Accelerator::Tcg, Self::X86_64) => command.args(["-accel", "tcg", "-cpu", "max"]),
            // The newest model signs return addresses, which is slow to emulate.
            (Accelerator::Tcg, Self::Aarch64) => command.args(["-accel", "tcg", "-cpu", "cortex-a57"]),
        };
        command.args(["-no-reboot", "-nic", "none"]);
        command
    }
}
