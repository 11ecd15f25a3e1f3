//! Devices of a workload -> a BPF program for its cgroup (Documentation/admin-guide/cgroup-v2.rst, "Device
//! controller").
//!
//! It backs up nodev mounts and the missing right to create nodes: a device node opens only if it is in the list,
//! however the workload got it. No node can be created.
//!
//! `sysfs.rs` decides which nodes a line selects, by their paths in /sys.

mod sysfs;

pub use sysfs::{Facts, UsbPlace, is_meant, usb_place};

use heapless::Vec;

/// A device by type and numbers, and the access that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Whether it is a block device rather than a character device.
    pub is_block: bool,
    /// The major number.
    pub major: u32,
    /// The minor number; `None` for all of them.
    pub minor: Option<u32>,
    /// Whether it may be read.
    pub read: bool,
    /// Whether it may be written.
    pub write: bool,
}

const fn usual(major: u32, minor: Option<u32>) -> Allowed {
    Allowed { is_block: false, major, minor, read: true, write: true }
}

/// The devices that every workload may use (Documentation/admin-guide/devices.txt): null, zero, full, random, urandom,
/// tty, ptmx and the pseudo terminals.
pub const DEFAULT_DEVICES: [Allowed; 8] = [
    usual(1, Some(3)),
    usual(1, Some(5)),
    usual(1, Some(7)),
    usual(1, Some(8)),
    usual(1, Some(9)),
    usual(5, Some(0)),
    usual(5, Some(2)),
    usual(136, None),
];

/// Instructions of the longest program: seven for each device, plus the beginning and the end.
pub const INSTRUCTIONS: usize = 7 * (DEFAULT_DEVICES.len() + crate::config::limits::DEVICE_NODES) + 8;

/// One `struct bpf_insn`, in the kernel's layout.
pub type Instruction = [u8; 8];

/// Registers: the context, the result, and four for the program's own use.
const CONTEXT: u8 = 1;
const RESULT: u8 = 0;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Instruction codes (Documentation/bpf/standardization/instruction-set.rst).
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const COPY: u8 = 0xbf;
const AND_32: u8 = 0x54;
const SHIFT_RIGHT_32: u8 = 0x74;
const JUMP_NOT_EQUAL: u8 = 0x55;
const JUMP_ANY_BIT: u8 = 0x45;
const EXIT: u8 = 0x95;

/// Types and accesses in `struct bpf_cgroup_dev_ctx` (include/uapi/linux/bpf.h).
const KIND_BLOCK: i32 = 1;
const KIND_CHARACTER: i32 = 2;
const ACCESS_MAKE: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

/// Returns the program that allows the default devices and those of `devices`.
pub fn program(devices: &mut dyn Iterator<Item = Allowed>) -> Vec<Instruction, INSTRUCTIONS> {
    let mut program = Vec::new();
    let mut add = |code, destination: u8, source: u8, offset: i16, value: i32| {
        let [offset_low, offset_high] = offset.to_le_bytes();
        let [a, b, c, d] = value.to_le_bytes();
        let instruction = [code, source << 4 | destination, offset_low, offset_high, a, b, c, d];
        // The parser limits the number of devices, so the program has room for all.
        assert!(program.push(instruction).is_ok(), "a device program has at most {INSTRUCTIONS} instructions");
    };
    add(LOAD_WORD, KIND, CONTEXT, 0, 0);
    add(COPY, ACCESS, KIND, 0, 0);
    add(AND_32, KIND, 0, 0, 0xffff);
    add(SHIFT_RIGHT_32, ACCESS, 0, 0, 16);
    add(LOAD_WORD, MAJOR, CONTEXT, 4, 0);
    add(LOAD_WORD, MINOR, CONTEXT, 8, 0);
    for device in DEFAULT_DEVICES.into_iter().chain(devices) {
        let kind = if device.is_block { KIND_BLOCK } else { KIND_CHARACTER };
        let refused =
            ACCESS_MAKE | if device.read { 0 } else { ACCESS_READ } | if device.write { 0 } else { ACCESS_WRITE };
        // A comparison that fails jumps to the next device.
        let has_minor = i16::from(device.minor.is_some());
        add(JUMP_NOT_EQUAL, KIND, 0, 4 + has_minor, kind);
        add(JUMP_NOT_EQUAL, MAJOR, 0, 3 + has_minor, device.major as i32);
        if let Some(minor) = device.minor {
            add(JUMP_NOT_EQUAL, MINOR, 0, 3, minor as i32);
        }
        add(JUMP_ANY_BIT, ACCESS, 0, 2, refused);
        add(MOVE, RESULT, 0, 0, 1);
        add(EXIT, 0, 0, 0, 0);
    }
    add(MOVE, RESULT, 0, 0, 0);
    add(EXIT, 0, 0, 0, 0);
    program
}

#[cfg(test)]
mod tests;
