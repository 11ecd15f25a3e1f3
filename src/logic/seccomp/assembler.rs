//! Actions by number -> a BPF program (bpf(4), Documentation/userspace-api/seccomp_filter.rst).

use super::profiles::index_of;
use super::{Call, Check, FilterAction, Seccomp, action_for};
use crate::Architecture;
use heapless::Vec;

/// Instructions of the longest program: every second number of the table has a different action. The kernel's limit is
/// 4,096 (BPF_MAXINSNS).
pub const INSTRUCTIONS: usize = 1024;

/// A program for seccomp(2): [`Instruction`]s in the kernel's layout.
pub type Program = Vec<[u8; 8], INSTRUCTIONS>;

/// One instruction, with the fields of `struct sock_filter` (include/uapi/linux/filter.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// Instructions to skip if a comparison is true.
    pub jump_true: u8,
    /// Instructions to skip if it is false.
    pub jump_false: u8,
    /// The operand.
    pub value: u32,
}

impl Instruction {
    /// Returns its bytes; both architectures are little-endian.
    pub const fn bytes(self) -> [u8; 8] {
        let ([code_low, code_high], [a, b, c, d]) = (self.code.to_le_bytes(), self.value.to_le_bytes());
        [code_low, code_high, self.jump_true, self.jump_false, a, b, c, d]
    }
}

/// Instruction codes (include/uapi/linux/bpf_common.h).
pub(super) const LOAD: u16 = 0x20;
pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_EQUAL: u16 = 0x15;
pub(super) const JUMP_AT_LEAST: u16 = 0x35;
pub(super) const JUMP_ANY_BIT: u16 = 0x45;
pub(super) const AND: u16 = 0x54;
pub(super) const RETURN: u16 = 0x06;

/// Results of the program (seccomp(2)); the errno is in the low 16 bits.
pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const REFUSE: u32 = 0x0005_0000 | 1;
pub(super) const UNKNOWN: u32 = 0x0005_0000 | 38;
/// EPROTONOSUPPORT, as from a kernel without that protocol.
pub(super) const NO_PROTOCOL: u32 = 0x0005_0000 | 93;

/// Offsets in `struct seccomp_data`; both architectures are little-endian, so the low half of an argument comes first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENT_0: u32 = 16;
const ARGUMENT_1: u32 = 24;
const ARGUMENT_2: u32 = 32;

/// Numbers from this one on belong to x32 (`__X32_SYSCALL_BIT`).
const X32: u32 = 0x4000_0000;

/// The highest number of any table, plus one.
const NUMBERS: usize = 512;

/// Checked first: the calls that programs make in their inner loops.
const FREQUENT: [Call; 4] =
    [Call(index_of("read")), Call(index_of("write")), Call(index_of("futex")), Call(index_of("ppoll"))];

/// An action for the numbers from `start` to the next range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) start: u16,
    pub(super) action: FilterAction,
}

/// Returns the program of a profile. `capabilities` has bit N for capability N.
pub fn assemble(arch: Architecture, seccomp: &Seccomp, capabilities: u64) -> Program {
    let mut program = Program::new();
    let mut add = |instruction| push(&mut program, instruction);
    add(load(ARCHITECTURE));
    add(compare(JUMP_EQUAL, arch.audit(), 1, 0));
    add(give(KILL_PROCESS));
    add(load(NUMBER));
    match arch {
        Architecture::X86_64 => {
            add(compare(JUMP_AT_LEAST, X32, 0, 1));
            add(give(KILL_PROCESS));
        }
        Architecture::Aarch64 => {}
    }
    let mut answers = [FilterAction::Unknown; NUMBERS];
    for call in Call::all() {
        if let Some(number) = call.number(arch) {
            answers[usize::from(number)] = action_for(seccomp, capabilities, call);
        }
    }
    for number in FREQUENT.iter().filter_map(|call| call.number(arch)) {
        if answers[usize::from(number)] == FilterAction::Allow {
            add(compare(JUMP_EQUAL, number.into(), 0, 1));
            add(give(ALLOW));
        }
    }
    let mut ranges: Vec<Range, NUMBERS> = Vec::new();
    for (start, action) in (0..).zip(answers) {
        if ranges.last().is_none_or(|range| range.action != action) {
            // There is room for one range per number.
            let _ = ranges.push(Range { start, action });
        }
    }
    search(&mut program, &ranges);
    program
}

/// The system calls that a sandboxed helper of hilum needs to process untrusted input.
const OWN_PART: [Call; 9] = [
    Call(index_of("clock_gettime")),
    Call(index_of("exit_group")),
    Call(index_of("poll")),
    Call(index_of("ppoll")),
    Call(index_of("read")),
    Call(index_of("recvfrom")),
    Call(index_of("restart_syscall")),
    Call(index_of("sendto")),
    Call(index_of("write")),
];

/// Returns the program for a process that only waits, reads and writes open descriptors. Any other call kills it.
pub fn assemble_only(arch: Architecture) -> Program {
    let mut program = Program::new();
    let mut add = |instruction| push(&mut program, instruction);
    add(load(ARCHITECTURE));
    add(compare(JUMP_EQUAL, arch.audit(), 1, 0));
    add(give(KILL_PROCESS));
    add(load(NUMBER));
    for number in OWN_PART.iter().filter_map(|call| call.number(arch)) {
        add(compare(JUMP_EQUAL, number.into(), 0, 1));
        add(give(ALLOW));
    }
    add(give(KILL_PROCESS));
    program
}

fn push(program: &mut Program, instruction: Instruction) {
    // `longest_program_fits` assembles the longest program.
    assert!(program.push(instruction.bytes()).is_ok(), "a seccomp program has at most {INSTRUCTIONS} instructions");
}

/// Adds a binary search for the range of the number in the accumulator.
pub(super) fn search(program: &mut Program, ranges: &[Range]) {
    match ranges {
        [] => {}
        [only] => leaf(program, only.action),
        _ => {
            let (left, right) = ranges.split_at(ranges.len() / 2);
            let start = right[0].start.into();
            match u8::try_from(length(left)) {
                Ok(skip) => push(program, compare(JUMP_AT_LEAST, start, skip, 0)),
                Err(_) => {
                    // A comparison skips at most 255 instructions; a jump skips any number.
                    push(program, compare(JUMP_AT_LEAST, start, 0, 1));
                    push(program, Instruction { code: JUMP, jump_true: 0, jump_false: 0, value: length(left) as u32 });
                }
            }
            search(program, left);
            search(program, right);
        }
    }
}

/// Returns the number of instructions that [`search`] adds.
fn length(ranges: &[Range]) -> usize {
    match ranges {
        [] => 0,
        [only] => match only.action {
            FilterAction::Check(check) => check.instructions().len(),
            _ => 1,
        },
        _ => {
            let (left, right) = ranges.split_at(ranges.len() / 2);
            let left = length(left);
            left + length(right) + if left > usize::from(u8::MAX) { 2 } else { 1 }
        }
    }
}

/// Instructions of the longest check.
const CHECK: usize = 24;

impl Check {
    /// Returns the instructions that check the arguments. The kernel uses the low 32 bits of these arguments, and so
    /// does the check.
    fn instructions(self) -> Vec<Instruction, CHECK> {
        /// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. The bit of NEWTIME is part of the signal
        /// number in clone(2).
        const NAMESPACES: u32 = 0x7e02_0000;
        const TIOCSTI: u32 = 0x5412;
        const TIOCLINUX: u32 = 0x541c;
        /// PER_LINUX and PER_LINUX32, each also with UNAME26, and the query.
        const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
        let mut code = Vec::new();
        match self {
            Self::NoNamespaces => {
                add(&mut code, load(ARGUMENT_0));
                add(&mut code, compare(JUMP_ANY_BIT, NAMESPACES, 0, 1));
                add(&mut code, give(REFUSE));
                add(&mut code, give(ALLOW));
            }
            Self::NoTerminalInput => one_of(&mut code, ARGUMENT_1, &[TIOCSTI, TIOCLINUX], REFUSE, ALLOW),
            Self::HarmlessPersonality => one_of(&mut code, ARGUMENT_0, &PERSONALITIES, ALLOW, REFUSE),
            Self::UnixPair => one_of(&mut code, ARGUMENT_0, &[AF_UNIX], ALLOW, REFUSE),
            Self::Sockets { has_net_admin } => sockets(&mut code, has_net_admin),
        }
        code
    }
}

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;

/// The netlink protocols that programs need (netlink(7)): NETLINK_ROUTE and KOBJECT_UEVENT. With CAP_NET_ADMIN also
/// those that configure a network: XFRM, NETFILTER, GENERIC and SOCK_DIAG.
const NETLINK: [u32; 2] = [0, 15];
const NETLINK_OF_ADMIN: [u32; 4] = [4, 6, 12, 16];

/// Checks the family, type and protocol of socket(2).
fn sockets(code: &mut Vec<Instruction, CHECK>, has_net_admin: bool) {
    /// The kernel creates a packet socket for AF_INET with this type (__sock_create in net/socket.c). Flags are in
    /// higher bits.
    const SOCK_PACKET: u32 = 10;
    const TYPE: u32 = 0xf;
    add(code, load(ARGUMENT_0));
    add(code, compare(JUMP_EQUAL, AF_NETLINK, 9, 0));
    add(code, compare(JUMP_EQUAL, AF_INET, 3, 0));
    add(code, compare(JUMP_EQUAL, AF_UNIX, 6, 0));
    add(code, compare(JUMP_EQUAL, AF_INET6, 5, 0));
    add(code, give(REFUSE));
    add(code, load(ARGUMENT_1));
    add(code, Instruction { code: AND, jump_true: 0, jump_false: 0, value: TYPE });
    add(code, compare(JUMP_EQUAL, SOCK_PACKET, 0, 1));
    add(code, give(REFUSE));
    add(code, give(ALLOW));
    let mut protocols: Vec<u32, { NETLINK.len() + NETLINK_OF_ADMIN.len() }> = Vec::new();
    let of_admin = if has_net_admin { &NETLINK_OF_ADMIN[..] } else { &[] };
    // There is room for both.
    let _ = protocols.extend_from_slice(&NETLINK).and_then(|()| protocols.extend_from_slice(of_admin));
    one_of(code, ARGUMENT_2, &protocols, ALLOW, NO_PROTOCOL);
}

/// Returns the action `listed` if the argument is one of the values, otherwise `other`.
fn one_of(code: &mut Vec<Instruction, CHECK>, argument: u32, values: &[u32], listed: u32, other: u32) {
    add(code, load(argument));
    for (index, value) in values.iter().enumerate() {
        add(code, compare(JUMP_EQUAL, *value, (values.len() - index) as u8, 0));
    }
    add(code, give(other));
    add(code, give(listed));
}

fn add(code: &mut Vec<Instruction, CHECK>, instruction: Instruction) {
    // `every_number_gets_the_action_of_its_call` assembles each check.
    assert!(code.push(instruction).is_ok(), "a check has at most {CHECK} instructions");
}

/// Adds the instructions of an action, including checks of arguments.
fn leaf(program: &mut Program, action: FilterAction) {
    match action {
        FilterAction::Allow => push(program, give(ALLOW)),
        FilterAction::Refuse => push(program, give(REFUSE)),
        FilterAction::Unknown => push(program, give(UNKNOWN)),
        FilterAction::Check(check) => {
            check.instructions().into_iter().for_each(|instruction| push(program, instruction))
        }
    }
}

const fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, jump_true: 0, jump_false: 0, value: offset }
}

const fn compare(code: u16, value: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, value }
}

const fn give(value: u32) -> Instruction {
    Instruction { code: RETURN, jump_true: 0, jump_false: 0, value }
}
