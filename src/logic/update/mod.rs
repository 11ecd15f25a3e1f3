//! Updates: two slots, the record of which one boots, and bundles.
//!
//! A disk has two **slots**, partitions that hold everything that the firmware or kexec(2) starts. One is committed. An update
//! writes the other one from a **bundle**, and the board boots it once, on trial. It is committed if the workloads are healthy
//! there; otherwise the next boot is that of the committed slot. The [`Record`] remembers which is which. [`boot`] decides what a
//! boot means, [`Bundle`] and [`Tree`] read a bundle. The builder writes records and bundles with the same code.

pub mod arm64;
pub mod boot;
mod bundle;
mod bytes;
pub mod efi;
mod record;
mod tree;
pub mod trial;

pub use bundle::{Bundle, Contents, Mismatch, SIGNATURES, sign};
pub use record::{PARTITION_BITS, Record, Verdict, partition_bits, pointer};
pub use tree::{GROUP_BLOCKS, MAP_BYTES, NODES, Source, Tree, hash, levels};

/// Bytes of a block: of a bundle, of its hash tree, and of a slot.
pub const BLOCK_BYTES: usize = 4096;

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The first one.
    A,
    /// The second one.
    B,
}

impl Slot {
    /// Both slots.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// Returns the other slot.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Returns the slot's name: `a` or `b`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// A part of a slot, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// Where it starts.
    pub start: u64,
    /// Its length; 0 if the slot has no such part.
    pub bytes: u64,
}

/// What kexec(2) starts from a slot. All are empty if the firmware starts the slot itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts {
    /// The kernel.
    pub kernel: Range,
    /// The initramfs.
    pub initramfs: Range,
    /// The kernel command line, without a newline.
    pub command_line: Range,
}

impl Parts {
    /// Returns all parts, in the order of their fields.
    pub const fn ranges(&self) -> [Range; 3] {
        [self.kernel, self.initramfs, self.command_line]
    }
}

#[cfg(test)]
mod tests;
