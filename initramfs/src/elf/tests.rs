use super::*;

/// Returns an ELF file without sections: a header and segments of (type, flags).
fn file(kind: u16, segments: &[(u32, u32)]) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(kind.to_le_bytes());
    bytes.extend(elf::EM_X86_64.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for word in [0x40_0000_u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, u16::try_from(segments.len()).expect("few"), 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for (kind, flags) in segments {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend([0; 48]);
    }
    bytes
}

fn found(kind: u16, segments: &[(u32, u32)]) -> String {
    faults(&file(kind, segments), &[], None).expect("an ELF file").join("; ")
}

const STACK: (u32, u32) = (elf::PT_GNU_STACK, elf::PF_R | elf::PF_W);

#[test]
fn valid_file_has_no_fault() {
    let load = (elf::PT_LOAD, elf::PF_R | elf::PF_X);
    assert_eq!(found(elf::ET_EXEC, &[load, (elf::PT_LOAD, elf::PF_R | elf::PF_W), STACK]), "");
}

#[test]
fn each_fault_is_found() {
    for (kind, segments, expected) in [
        (elf::ET_DYN, vec![STACK], "not a static executable"),
        (elf::ET_EXEC, vec![STACK, (elf::PT_INTERP, 4)], "has an interpreter"),
        (elf::ET_EXEC, vec![STACK, (elf::PT_DYNAMIC, 4)], "has a dynamic section"),
        (elf::ET_EXEC, vec![STACK, (elf::PT_LOAD, 7)], "is writable and executable"),
        (elf::ET_EXEC, vec![(elf::PT_GNU_STACK, 7)], "has an executable stack"),
        (elf::ET_EXEC, vec![], "has no PT_GNU_STACK"),
    ] {
        let found = found(kind, &segments);
        assert!(found.contains(expected), "{expected:?} is not in {found:?}");
    }
}

#[test]
fn file_above_its_budget_or_with_a_build_path_is_rejected() {
    let mut bytes = file(elf::ET_EXEC, &[STACK]);
    bytes.extend(b"/home/me/hilum/src/main.rs");
    let found = faults(&bytes, &["/home/me".to_owned()], Some(bytes.len() - 1)).expect("an ELF file");
    let above = format!("{} bytes, 1 above its budget of {}", bytes.len(), bytes.len() - 1);
    assert_eq!(found, ["contains the text \"/home/me\"".to_owned(), above]);
    assert!(faults(&bytes, &[], Some(bytes.len())).expect("an ELF file").is_empty());
}

#[test]
fn undefined_symbol_is_found() {
    // The test program itself is linked with the C library.
    let own = std::fs::read("/proc/self/exe").expect("it runs");
    let found = faults(&own, &[], None).expect("an ELF file").join("\n");
    assert!(found.contains("undefined symbol"), "{found}");
}

#[test]
fn facts_contain_machine_and_loader() {
    let own = facts(&std::fs::read("/proc/self/exe").expect("it runs")).expect("an ELF file");
    assert_eq!(machine_name(own.machine), std::env::consts::ARCH);
    let numbers = Architecture::ALL.map(Architecture::elf_machine);
    assert_eq!(numbers, [elf::EM_X86_64, elf::EM_AARCH64]);
    assert!(own.interpreter.is_some_and(|path| path.contains("ld-linux")));
    assert_eq!(facts(b"#!/bin/sh\n"), None);
}
