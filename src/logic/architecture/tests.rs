use super::*;

#[test]
fn names_are_parsed_and_unique() {
    for known in Architecture::ALL {
        assert_eq!(known.name().parse(), Ok(known));
        let mistake = "riscv64".parse::<Architecture>().expect_err("not supported");
        assert!(mistake.contains(known.name()), "{mistake}");
        for other in Architecture::ALL.into_iter().filter(|other| *other != known) {
            assert_ne!(known.debian(), other.debian());
            assert_ne!(known.multiarch(), other.multiarch());
            assert_ne!(known.oci(), other.oci());
            assert_ne!(known.efi_boot_file(), other.efi_boot_file());
            assert_ne!(known.efi_stub(), other.efi_stub());
            assert_ne!(known.audit(), other.audit());
        }
    }
}

#[test]
fn names_match_compiler_and_kernel() {
    assert_eq!(Architecture::OWN.name(), std::env::consts::ARCH);
    // AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 in include/uapi/linux/audit.h.
    assert_eq!(Architecture::ALL.map(Architecture::audit), [0xc000_003e, 0xc000_00b7]);
}
