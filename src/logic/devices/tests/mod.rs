//! Runs the device programs in an interpreter of the few instructions that they use.

mod sysfs;

use super::*;

fn run(program: &[Instruction], kind: i32, access: i32, major: u32, minor: u32) -> u64 {
    let context = [(access as u32) << 16 | kind as u32, major, minor];
    let (mut registers, mut at) = ([0_u64; 11], 0_usize);
    loop {
        let [code, both, low, high, value @ ..] = program[at];
        let (destination, source) = (usize::from(both & 15), usize::from(both >> 4));
        let (offset, value) = (i16::from_le_bytes([low, high]), i32::from_le_bytes(value));
        at += 1;
        match code {
            LOAD_WORD => registers[destination] = context[offset as usize / 4].into(),
            COPY => registers[destination] = registers[source],
            MOVE => registers[destination] = value as u64,
            AND_32 => registers[destination] &= u64::from(value as u32),
            SHIFT_RIGHT_32 => registers[destination] = u64::from(registers[destination] as u32 >> value),
            JUMP_NOT_EQUAL if registers[destination] != value as u64 => at += offset as usize,
            JUMP_ANY_BIT if registers[destination] & value as u64 != 0 => at += offset as usize,
            JUMP_NOT_EQUAL | JUMP_ANY_BIT => {}
            EXIT => return registers[0],
            other => panic!("instruction {other:#x}"),
        }
    }
}

#[test]
fn default_devices_can_be_used_but_not_created() {
    let program = program(&mut core::iter::empty());
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, 0), (136, 77)] {
        assert_eq!(run(&program, KIND_CHARACTER, ACCESS_READ | ACCESS_WRITE, major, minor), 1, "{major}:{minor}");
        assert_eq!(run(&program, KIND_CHARACTER, ACCESS_MAKE, major, minor), 0, "{major}:{minor}");
        assert_eq!(run(&program, KIND_BLOCK, ACCESS_READ, major, minor), 0, "{major}:{minor}");
    }
    // mem, kmsg, the console, a disk.
    for (kind, major, minor) in
        [(KIND_CHARACTER, 1, 1), (KIND_CHARACTER, 1, 11), (KIND_CHARACTER, 5, 1), (KIND_BLOCK, 8, 0)]
    {
        assert_eq!(run(&program, kind, ACCESS_READ, major, minor), 0, "{major}:{minor}");
    }
}

#[test]
fn configured_device_allows_the_configured_access() {
    let serial = Allowed { is_block: false, major: 4, minor: Some(65), read: true, write: false };
    let disk = Allowed { is_block: true, major: 254, minor: Some(0), read: true, write: true };
    let program = program(&mut [serial, disk].into_iter());
    assert_eq!(run(&program, KIND_CHARACTER, ACCESS_READ, 4, 65), 1);
    assert_eq!(run(&program, KIND_CHARACTER, ACCESS_READ | ACCESS_WRITE, 4, 65), 0);
    assert_eq!(run(&program, KIND_CHARACTER, ACCESS_READ, 4, 64), 0);
    assert_eq!(run(&program, KIND_BLOCK, ACCESS_READ | ACCESS_WRITE, 254, 0), 1);
    assert_eq!(run(&program, KIND_BLOCK, ACCESS_MAKE, 254, 0), 0);
}

#[test]
fn longest_program_fits() {
    let serial = Allowed { is_block: false, major: 4, minor: Some(65), read: true, write: true };
    let devices = [serial; crate::config::limits::DEVICE_NODES];
    assert!(program(&mut devices.into_iter()).len() <= INSTRUCTIONS);
}
