//! linux.resources.devices -> an eBPF program of a control group (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE), without a system call.
//!
//! For each kind of access that a program asks for, the last rule that names the device and this access decides, as in the
//! devices controller of version 1. Without such a rule it is refused.

use super::resources::DeviceRule;
use crate::error::{Error, Result};

/// `struct bpf_insn`s.
pub type Program = Vec<[u8; 8]>;

/// Codes of instructions (include/uapi/linux/bpf.h): loads of 32 bits, operations and jumps with a constant.
const LOAD: u8 = 0x61;
const MOVE: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const IF_EQUAL: u8 = 0x16;
const IF_NOT_EQUAL: u8 = 0x56;
const EXIT: u8 = 0x95;
/// Registers: the answer, the context, and what the program keeps: type, access that no rule has decided, major, minor, a copy.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const LEFT: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;
/// BPF_DEVCG_ACC_* and BPF_DEVCG_DEV_*.
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

fn instruction(code: u8, to: u8, from: u8, offset: i16, value: i32) -> [u8; 8] {
    let (offset, value) = (offset.to_ne_bytes(), value.to_ne_bytes());
    let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    [code, registers, offset[0], offset[1], value[0], value[1], value[2], value[3]]
}

/// A rule in numbers.
#[derive(Debug, Clone, Copy)]
struct Rule {
    allow: bool,
    kind: Option<i32>,
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

/// What every container may do (config-linux.md, "Default Devices"): make nodes, and use those that the runtime makes.
const USUAL: [(i32, Option<i32>, Option<i32>, i32); 11] = [
    (CHARACTER, None, None, MKNOD),
    (BLOCK, None, None, MKNOD),
    (CHARACTER, Some(1), Some(3), MKNOD | READ | WRITE),
    (CHARACTER, Some(1), Some(5), MKNOD | READ | WRITE),
    (CHARACTER, Some(1), Some(7), MKNOD | READ | WRITE),
    (CHARACTER, Some(1), Some(8), MKNOD | READ | WRITE),
    (CHARACTER, Some(1), Some(9), MKNOD | READ | WRITE),
    (CHARACTER, Some(5), Some(0), MKNOD | READ | WRITE),
    (CHARACTER, Some(5), Some(1), MKNOD | READ | WRITE),
    // /dev/ptmx, and terminals.
    (CHARACTER, Some(5), Some(2), MKNOD | READ | WRITE),
    (CHARACTER, Some(136), None, MKNOD | READ | WRITE),
];

fn parse(rule: &DeviceRule) -> Result<Rule> {
    let wrong = |what: &str| Error(format!("linux.resources.devices: invalid {what}"));
    let number = |value: Option<i64>, what: &str| match value {
        None | Some(-1) => Ok(None),
        Some(value) => i32::try_from(value).ok().filter(|value| *value >= 0).map(Some).ok_or_else(|| wrong(what)),
    };
    let kind = match rule.kind.as_deref() {
        None | Some("" | "a") => None,
        Some("b") => Some(BLOCK),
        Some("c" | "u") => Some(CHARACTER),
        Some(_) => return Err(wrong("type")),
    };
    let letters = rule.access.as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    let access = letters.chars().try_fold(0, |access, letter| match letter {
        'r' => Ok(access | READ),
        'w' => Ok(access | WRITE),
        'm' => Ok(access | MKNOD),
        _ => Err(wrong("access")),
    })?;
    Ok(Rule {
        allow: rule.allow,
        kind,
        major: number(rule.major, "major")?,
        minor: number(rule.minor, "minor")?,
        access,
    })
}

/// Returns the instructions of a rule, which end the program or lead to what follows.
fn one(rule: &Rule) -> Program {
    let action = if rule.allow {
        vec![
            instruction(AND, LEFT, 0, 0, !rule.access),
            instruction(IF_NOT_EQUAL, LEFT, 0, 2, 0),
            instruction(MOVE, ANSWER, 0, 0, 1),
            instruction(EXIT, 0, 0, 0, 0),
        ]
    } else {
        vec![
            instruction(MOVE_REGISTER, SCRATCH, LEFT, 0, 0),
            instruction(AND, SCRATCH, 0, 0, rule.access),
            instruction(IF_EQUAL, SCRATCH, 0, 2, 0),
            instruction(MOVE, ANSWER, 0, 0, 0),
            instruction(EXIT, 0, 0, 0, 0),
        ]
    };
    let tests = [(KIND, rule.kind), (MAJOR, rule.major), (MINOR, rule.minor)];
    let tests: Vec<(u8, i32)> = tests.into_iter().filter_map(|(register, value)| Some((register, value?))).collect();
    let count = tests.len() + action.len();
    let jump = |(at, (register, value)): (usize, &(u8, i32))| {
        instruction(IF_NOT_EQUAL, *register, 0, (count - at - 1) as i16, *value)
    };
    tests.iter().enumerate().map(jump).chain(action).collect()
}

/// Returns the program of a list of rules.
///
/// # Errors
/// Rules with unknown words or impossible numbers.
pub fn program(rules: &[DeviceRule]) -> Result<Program> {
    let mut parsed = rules.iter().map(parse).collect::<Result<Vec<Rule>>>()?;
    let usual = |(kind, major, minor, access)| Rule { allow: true, kind: Some(kind), major, minor, access };
    parsed.extend(USUAL.map(usual));
    // The context is three numbers: access << 16 | type, major, minor.
    let mut code = vec![
        instruction(LOAD, KIND, CONTEXT, 0, 0),
        instruction(MOVE_REGISTER, LEFT, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, LEFT, 0, 0, 16),
        instruction(LOAD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD, MINOR, CONTEXT, 8, 0),
    ];
    // A rule that names everything hides those before it.
    for rule in parsed.iter().rev() {
        code.extend(one(rule));
        let is_all = rule.kind.is_none() && rule.major.is_none() && rule.minor.is_none();
        if is_all && rule.access == MKNOD | READ | WRITE {
            break;
        }
    }
    code.extend([instruction(MOVE, ANSWER, 0, 0, 0), instruction(EXIT, 0, 0, 0, 0)]);
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interprets a program. Returns whether the access is allowed.
    fn may(program: &Program, kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let (mut registers, mut at) = ([0_i32; 11], 0_usize);
        loop {
            let [code, both, low, high, a, b, c, d] = program[at];
            let (to, from) = (usize::from(both & 15), usize::from(both >> 4));
            let (offset, value) = (i16::from_ne_bytes([low, high]), i32::from_ne_bytes([a, b, c, d]));
            at += 1;
            let jump = usize::from(offset.unsigned_abs());
            match code {
                LOAD => registers[to] = context[usize::from(offset.unsigned_abs()) / 4],
                MOVE => registers[to] = value,
                MOVE_REGISTER => registers[to] = registers[from],
                AND => registers[to] &= value,
                SHIFT_RIGHT => registers[to] = (registers[to] as u32 >> value) as i32,
                IF_EQUAL if registers[to] == value => at += jump,
                IF_NOT_EQUAL if registers[to] != value => at += jump,
                IF_EQUAL | IF_NOT_EQUAL => {}
                EXIT => return registers[0] == 1,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
        DeviceRule {
            allow,
            kind: Some(kind.to_owned()),
            major: Some(major),
            minor: Some(minor),
            access: Some(access.to_owned()),
        }
    }

    #[test]
    fn a_device_that_no_rule_names_is_refused_and_the_usual_ones_are_not() {
        for rules in [vec![], vec![rule(false, "a", -1, -1, "rwm")]] {
            let program = program(&rules).expect("a program");
            assert!(may(&program, CHARACTER, READ | WRITE, 1, 3));
            assert!(may(&program, CHARACTER, READ | WRITE, 136, 7));
            assert!(may(&program, BLOCK, MKNOD, 8, 0));
            assert!(!may(&program, BLOCK, READ, 8, 0));
            assert!(!may(&program, CHARACTER, READ, 1, 1));
            assert!(!may(&program, BLOCK, READ | MKNOD, 8, 0));
        }
    }

    #[test]
    fn of_two_rules_the_last_one_decides_for_each_access() {
        let rules = [rule(true, "b", 8, -1, "rw"), rule(false, "b", 8, 1, "w"), rule(true, "c", 10, 200, "r")];
        let program = program(&rules).expect("a program");
        assert!(may(&program, BLOCK, READ | WRITE, 8, 0));
        assert!(may(&program, BLOCK, READ, 8, 1));
        assert!(!may(&program, BLOCK, READ | WRITE, 8, 1));
        assert!(!may(&program, CHARACTER, READ, 8, 0));
        assert!(!may(&program, CHARACTER, READ | WRITE, 10, 200));
    }

    #[test]
    fn accesses_that_two_rules_allow_are_allowed_together() {
        let program = program(&[rule(true, "b", 8, 0, "r"), rule(true, "b", 8, 0, "w")]).expect("a program");
        assert!(may(&program, BLOCK, READ | WRITE, 8, 0));
    }

    #[test]
    fn a_privileged_container_may_use_everything() {
        let program = program(&[rule(false, "a", -1, -1, "rwm"), rule(true, "a", -1, -1, "rwm")]).expect("a program");
        assert!(may(&program, BLOCK, READ | WRITE | MKNOD, 259, 5));
    }

    #[test]
    fn rules_with_wrong_words_are_refused() {
        for wrong in [rule(true, "x", 1, 1, "r"), rule(true, "c", 1, 1, "rx"), rule(true, "c", 1 << 40, 1, "r")] {
            assert!(program(&[wrong]).is_err());
        }
    }
}
