//! The supported architectures, and their names in other systems.
//!
//! The library, the image builder, the tests and the benchmarks match on [`Architecture`] without a catch-all arm, so
//! the compiler lists what a new architecture needs.

use core::str::FromStr;

/// An architecture of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86; system calls without the x32 variant.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Architecture {
    /// Every supported architecture.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The architecture that this code was compiled for. It does not exist on other architectures.
    #[cfg(target_arch = "x86_64")]
    pub const OWN: Self = Self::X86_64;
    /// The architecture that this code was compiled for. It does not exist on other architectures.
    #[cfg(target_arch = "aarch64")]
    pub const OWN: Self = Self::Aarch64;

    /// Returns the name in uname(2) and in Rust's targets; the project's own files use it too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Returns the target for which the board's programs are compiled (`rustc --print target-list`).
    pub const fn rust_target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// Returns Debian's name (dpkg-architecture(1), DEB_HOST_ARCH).
    pub const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Returns the folder below /usr/lib in which Debian keeps shared libraries (dpkg-architecture(1),
    /// DEB_HOST_MULTIARCH).
    pub const fn multiarch(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu",
            Self::Aarch64 => "aarch64-linux-gnu",
        }
    }

    /// Returns the name in container images (OCI image specification, `architecture`: Go's GOARCH).
    pub const fn oci(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Returns the file that UEFI firmware boots from a disk without a boot entry (UEFI specification 2.10, 3.5.1.1).
    pub const fn efi_boot_file(self) -> &'static str {
        match self {
            Self::X86_64 => "BOOTX64.EFI",
            Self::Aarch64 => "BOOTAA64.EFI",
        }
    }

    /// Returns the file name of systemd's stub for unified kernel images (systemd-stub(7)).
    pub const fn efi_stub(self) -> &'static str {
        match self {
            Self::X86_64 => "linuxx64.efi.stub",
            Self::Aarch64 => "linuxaa64.efi.stub",
        }
    }

    /// Returns the machine number of ELF files (include/uapi/linux/elf-em.h).
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }

    /// Returns the value that seccomp filters and audit see (AUDIT_ARCH_* in include/uapi/linux/audit.h).
    pub const fn audit(self) -> u32 {
        /// __AUDIT_ARCH_64BIT and __AUDIT_ARCH_LE
        const LITTLE_ENDIAN_64: u32 = 0xc000_0000;
        LITTLE_ENDIAN_64 | self.elf_machine() as u32
    }
}

impl FromStr for Architecture {
    type Err = &'static str;

    /// Parses the name that [`Self::name`] returns. The error lists the known names.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or("expected x86_64 or aarch64")
    }
}

#[cfg(test)]
mod tests;
