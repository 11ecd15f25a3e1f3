//! linux.seccomp -> a BPF program (seccomp(2)), with the numbers and instructions of the library.
//!
//! On x86_64 the rules are also for 32-bit programs if the filter names their architecture; calls of x32 get ENOSYS, as from kernels that
//! do not enable it. A call of any other architecture kills the process. Arguments are compared with all 64 bits.

mod ia32;

use crate::config::{Argument, Rule, Seccomp};
use crate::error::{Error, Result};
use hilum::Architecture;
use hilum::seccomp::{Call, Instruction};

/// Codes of instructions (include/uapi/linux/bpf_common.h).
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const EQUAL: u16 = 0x15;
const ABOVE: u16 = 0x25;
const AT_LEAST: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
/// Calls of x32 (`__X32_SYSCALL_BIT`).
const X32: u32 = 0x4000_0000;
/// The kernel's limit (BPF_MAXINSNS).
const LONGEST: usize = 4096;

/// Instructions in the kernel's layout.
pub type Program = Vec<[u8; 8]>;

fn instruction(code: u16, value: u32, jump_true: u8, jump_false: u8) -> [u8; 8] {
    Instruction { code, jump_true, jump_false, value }.bytes()
}

/// Returns the value of SECCOMP_RET_* for an action.
fn action(name: &str, errno: Option<u32>) -> Result<u32> {
    // Without a number, EPERM.
    let number = errno.unwrap_or(1) & 0xffff;
    Ok(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 | number,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | number,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ALLOW" => 0x7fff_0000,
        "SCMP_ACT_NOTIFY" => return Err("seccomp: SCMP_ACT_NOTIFY is not done by hilum-oci".into()),
        _ => return Err(Error(format!("seccomp: unknown action {name:?}"))),
    })
}

/// Adds a comparison: the next instruction is reached if it is true, otherwise the one behind `rest` further ones.
fn compare(argument: &Argument, rest: usize) -> Result<Program> {
    let (low, high) = (16 + 8 * argument.index, 20 + 8 * argument.index);
    if argument.index > 5 {
        return Err(Error(format!("seccomp: no argument {}", argument.index)));
    }
    let halves = |value: u64| ((value >> 32) as u32, value as u32);
    // Jumps count from the instruction behind the jump. `fail` is the distance from instruction `at` of `count`.
    let fail = |at: usize, count: usize| {
        u8::try_from(count - at - 1 + rest).map_err(|_| Error("seccomp: a rule has too many arguments".into()))
    };
    let (top, bottom) = halves(argument.value);
    let equal = |masks: Option<u64>, value: u64, is_equal: bool| -> Result<Program> {
        let (top, bottom) = halves(value);
        let mut code = Program::new();
        let count = if masks.is_some() { 6 } else { 4 };
        for (offset, part, mask) in
            [(high, top, masks.map(|mask| halves(mask).0)), (low, bottom, masks.map(|mask| halves(mask).1))]
        {
            code.push(instruction(LOAD, offset, 0, 0));
            if let Some(mask) = mask {
                code.push(instruction(AND, mask, 0, 0));
            }
            let at = code.len();
            let is_last = at + 1 == count;
            let end = u8::try_from(count - at - 1).unwrap_or(0);
            code.push(match (is_equal, is_last) {
                (true, _) => instruction(EQUAL, part, 0, fail(at, count)?),
                // Different in the upper half: true.
                (false, false) => instruction(EQUAL, part, 0, end),
                (false, true) => instruction(EQUAL, part, fail(at, count)?, 0),
            });
        }
        Ok(code)
    };
    // The upper halves decide unless they are equal; then the lower ones do.
    let order = |lower: u16, is_above: bool, is_true: bool| -> Result<Program> {
        let count = 5;
        let (yes, no) = (|at: usize| u8::try_from(count - at - 1).unwrap_or(0), |at: usize| fail(at, count));
        let (if_above, if_below) = if is_above { (yes(1), no(2)?) } else { (no(1)?, yes(2)) };
        let last = if is_true { instruction(lower, bottom, 0, no(4)?) } else { instruction(lower, bottom, no(4)?, 0) };
        Ok(vec![
            instruction(LOAD, high, 0, 0),
            instruction(ABOVE, top, if_above, 0),
            instruction(EQUAL, top, 0, if_below),
            instruction(LOAD, low, 0, 0),
            last,
        ])
    };
    match argument.op.as_str() {
        "SCMP_CMP_EQ" => equal(None, argument.value, true),
        "SCMP_CMP_NE" => equal(None, argument.value, false),
        "SCMP_CMP_MASKED_EQ" => equal(Some(argument.value), argument.value_two, true),
        "SCMP_CMP_GT" => order(ABOVE, true, true),
        "SCMP_CMP_GE" => order(AT_LEAST, true, true),
        "SCMP_CMP_LT" => order(AT_LEAST, false, false),
        "SCMP_CMP_LE" => order(ABOVE, false, false),
        other => Err(Error(format!("seccomp: unknown comparison {other:?}"))),
    }
}

/// Returns the instructions of a rule for one call: its action if all comparisons are true, otherwise the next rule.
fn rule(rule: &Rule, number: u16, answer: u32) -> Result<Program> {
    let mut code = vec![instruction(RETURN, answer, 0, 0)];
    for argument in rule.args.iter().rev() {
        let mut whole = compare(argument, code.len())?;
        whole.append(&mut code);
        code = whole;
    }
    let mut all = vec![instruction(LOAD, 0, 0, 0), instruction(EQUAL, number.into(), 1, 0)];
    all.push(instruction(JUMP, code.len() as u32, 0, 0));
    all.append(&mut code);
    Ok(all)
}

/// Assembles the program of a filter. Rules with comparisons come first, as in libseccomp's order for one call.
///
/// # Errors
/// Unknown words, and what is not done: notifications, flags, a filter for another architecture alone.
pub fn assemble(seccomp: &Seccomp, arch: Architecture) -> Result<Program> {
    if seccomp.listener_path.is_some() {
        return Err("seccomp: listenerPath is not done by hilum-oci".into());
    }
    // LOG and SPEC_ALLOW change no decision; TSYNC is for programs with threads, and here is one.
    let known = ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
    if let Some(flag) = seccomp.flags.iter().find(|flag| !known.contains(&flag.as_str())) {
        return Err(Error(format!("seccomp: flag {flag} is not done by hilum-oci")));
    }
    let mut own = Program::new();
    if arch == Architecture::X86_64 {
        own.push(instruction(LOAD, 0, 0, 0));
        own.push(instruction(AT_LEAST, X32, 0, 1));
        own.push(instruction(RETURN, 0x0005_0000 | 38, 0, 0));
    }
    rules(seccomp, &|name| Call::named(name)?.number(arch), &mut own)?;
    let mut other = Program::new();
    if arch == Architecture::X86_64 && seccomp.architectures.iter().any(|name| name == "SCMP_ARCH_X86") {
        let numbers = ia32::numbers();
        rules(seccomp, &|name| numbers.get(name).copied(), &mut other)?;
    }
    // Jumps over more than 255 instructions have an instruction of their own.
    let mut program = vec![
        instruction(LOAD, 4, 0, 0),
        instruction(EQUAL, arch.audit(), 0, 1),
        instruction(JUMP, if other.is_empty() { 1 } else { 3 }, 0, 0),
    ];
    if !other.is_empty() {
        program.push(instruction(EQUAL, ia32::AUDIT, 0, 1));
        program.push(instruction(JUMP, 1 + own.len() as u32, 0, 0));
    }
    program.push(instruction(RETURN, 0x8000_0000, 0, 0));
    program.append(&mut own);
    program.append(&mut other);
    if program.len() > LONGEST {
        return Err(Error(format!(
            "seccomp: the filter has {} instructions, and the kernel takes {LONGEST}",
            program.len()
        )));
    }
    Ok(program)
}

/// Adds the rules for one architecture, and the answer to calls that none names.
fn rules(seccomp: &Seccomp, number: &dyn Fn(&str) -> Option<u16>, program: &mut Program) -> Result<()> {
    let other = action(&seccomp.default_action, seccomp.default_errno_ret)?;
    for has_arguments in [true, false] {
        for found in seccomp.syscalls.iter().filter(|rule| rule.args.is_empty() != has_arguments) {
            let answer = action(&found.action, found.errno_ret)?;
            // Calls that this architecture does not have are left out, as by libseccomp.
            let mut numbers: Vec<u16> = found.names.iter().filter_map(|name| number(name)).collect();
            numbers.sort_unstable();
            if has_arguments {
                for number in numbers {
                    program.append(&mut rule(found, number, answer)?);
                }
            } else if !numbers.is_empty() {
                program.push(instruction(LOAD, 0, 0, 0));
                for number in numbers {
                    program.push(instruction(EQUAL, number.into(), 0, 1));
                    program.push(instruction(RETURN, answer, 0, 0));
                }
            }
        }
    }
    program.push(instruction(RETURN, other, 0, 0));
    Ok(())
}

#[cfg(test)]
mod tests;
