use super::*;
use proptest::prelude::*;

/// Runs a program as the kernel does, for a call of this architecture.
fn answer(program: &Program, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = [0; 64];
    data[..4].copy_from_slice(&number.to_le_bytes());
    data[4..8].copy_from_slice(&Architecture::X86_64.audit().to_le_bytes());
    for (place, argument) in data[16..].chunks_exact_mut(8).zip(arguments) {
        place.copy_from_slice(&argument.to_le_bytes());
    }
    let (mut at, mut register) = (0, 0_u32);
    loop {
        let [a, b, jump_true, jump_false, value @ ..] = program[at];
        let (code, value) = (u16::from_le_bytes([a, b]), u32::from_le_bytes(value));
        at += 1;
        let mut jump = |is_true: bool| at += usize::from(if is_true { jump_true } else { jump_false });
        match code {
            LOAD => register = u32::from_le_bytes(data[value as usize..][..4].try_into().expect("four bytes")),
            AND => register &= value,
            EQUAL => jump(register == value),
            ABOVE => jump(register > value),
            AT_LEAST => jump(register >= value),
            JUMP => at += value as usize,
            RETURN => return value,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

/// What an operator means (libseccomp, seccomp_rule_add(3)).
fn is_true(argument: &Argument, given: u64) -> bool {
    match argument.op.as_str() {
        "SCMP_CMP_EQ" => given == argument.value,
        "SCMP_CMP_NE" => given != argument.value,
        "SCMP_CMP_GT" => given > argument.value,
        "SCMP_CMP_GE" => given >= argument.value,
        "SCMP_CMP_LT" => given < argument.value,
        "SCMP_CMP_LE" => given <= argument.value,
        _ => given & argument.value == argument.value_two,
    }
}

const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_GT", "SCMP_CMP_GE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_MASKED_EQ"];

/// Values whose halves are often equal to each other's.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), (0_u64..3, 0_u64..3).prop_map(|(high, low)| high << 32 | low)]
}

proptest! {
    #[test]
    fn a_rule_matches_if_all_its_comparisons_are_true(
        wanted in proptest::collection::vec((0_u32..6, 0..OPERATORS.len(), value(), value()), 1..4),
        given in proptest::array::uniform6(value()),
    ) {
        let compared = |(index, operator, value, value_two): (u32, usize, u64, u64)| {
            Argument { index, value, value_two, op: OPERATORS[operator].into() }
        };
        let args: Vec<Argument> = wanted.into_iter().map(compared).collect();
        let matches = args.iter().all(|argument| is_true(argument, given[argument.index as usize]));
        let syscalls = vec![Rule { names: vec!["mkdir".into()], action: "SCMP_ACT_ERRNO".into(), errno_ret: Some(95), args }];
        let filter = Seccomp { default_action: "SCMP_ACT_ALLOW".into(), syscalls, ..Seccomp::default() };
        let program = assemble(&filter, Architecture::X86_64).expect("it is done");
        let expected = if matches { 0x0005_0000 | 95 } else { 0x7fff_0000 };
        prop_assert_eq!(answer(&program, 83, given), expected);
        prop_assert_eq!(answer(&program, 84, given), 0x7fff_0000);
    }

    #[test]
    fn no_file_makes_the_planner_panic(text in ".{0,64}", number in any::<i64>()) {
        let spec = serde_json::json!({
            "ociVersion": "1.0.2", "process": { "args": [text], "cwd": text, "oomScoreAdj": number as i32 },
            "mounts": [{ "destination": text, "options": [text] }],
            "linux": { "sysctl": { &text: text }, "namespaces": [{ "type": text }, { "type": "mount" }], "rootfsPropagation": text },
        });
        if let Ok(spec) = serde_json::from_value(spec) {
            let _ = crate::refuse::check(&spec).and_then(|()| crate::plan::plan(&spec, true).map(drop));
        }
    }
}

#[test]
fn unknown_words_and_notifications_are_refused() {
    for action in ["SCMP_ACT_NOTIFY", "ALLOW", ""] {
        let filter = Seccomp { default_action: action.into(), ..Seccomp::default() };
        assert!(assemble(&filter, Architecture::X86_64).is_err(), "{action}");
    }
}

#[test]
fn numbers_of_32_bit_calls_are_those_of_the_kernel() {
    // Beside Debian's linux-libc-dev, which every compiler has.
    let text = std::fs::read_to_string("/usr/include/x86_64-linux-gnu/asm/unistd_32.h").expect("linux-libc-dev");
    let known = super::ia32::numbers();
    let mut count = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("#define __NR_")) {
        let (name, number) = line.split_once(' ').expect("two words");
        assert_eq!(known.get(name).map(ToString::to_string).as_deref(), Some(number), "{name}");
        count += 1;
    }
    assert!(count > 400, "{count}");
}
