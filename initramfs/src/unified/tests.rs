//! Unified kernel images as objdump(1) reads them.

use super::*;
use std::process::Command;

/// Returns a stub with two sections. Its headers have room for two more with a file alignment of 0x200, and for 15 with
/// 0x400.
fn stub(file_alignment: u32) -> Vec<u8> {
    let mut writer = Vec::new();
    let mut file = object::write::pe::Writer::new(true, 0x1000, file_alignment, &mut writer);
    file.reserve_dos_header();
    file.reserve_nt_headers(16);
    file.reserve_section_headers(2);
    let text = file.reserve_text_section(0x800);
    let data = file.reserve_data_section(0x100, 0x80);
    file.write_empty_dos_header().expect("it fits");
    file.write_nt_headers(object::write::pe::NtHeaders {
        machine: pe::IMAGE_FILE_MACHINE_AMD64,
        time_date_stamp: 0,
        characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE,
        major_linker_version: 0,
        minor_linker_version: 0,
        address_of_entry_point: text.virtual_address,
        image_base: 0,
        major_operating_system_version: 0,
        minor_operating_system_version: 0,
        major_image_version: 0,
        minor_image_version: 0,
        major_subsystem_version: 0,
        minor_subsystem_version: 0,
        subsystem: pe::IMAGE_SUBSYSTEM_EFI_APPLICATION,
        dll_characteristics: 0,
        size_of_stack_reserve: 0,
        size_of_stack_commit: 0,
        size_of_heap_reserve: 0,
        size_of_heap_commit: 0,
    });
    file.write_section_headers();
    file.write_section(text.file_offset, &[0xcc; 0x800]);
    file.write_section(data.file_offset, &[0xdd; 0x80]);
    writer
}

#[test]
fn objdump_reads_the_sections_and_the_stub_is_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let stub = stub(0x400);
    let (kernel, initramfs) = (vec![0x6b; 0x30_0001], vec![0x69; 0x1234]);
    let unified = || {
        let all = unified(&stub, &kernel.clone().into(), &initramfs.clone().into(), "quiet panic=1").expect("it fits");
        all.read().expect("in memory").into_owned()
    };
    let bytes = unified();
    let file = folder.path().join("unified");
    std::fs::write(&file, &bytes).expect("a file");
    let output = Command::new("objdump").arg("-h").arg(&file).output().expect("objdump");
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<Vec<&str>> = listing.lines().map(|line| line.split_whitespace().collect()).collect();
    for (name, size, address) in [
        (".text", 0x800, 0x1000),
        (".data", 0x100, 0x2000),
        (".osrel", 38, 0x200_0000),
        (".cmdline", 13, 0x210_0000),
        (".linux", 0x30_0001, 0x220_0000),
        (".initrd", 0x1234, 0x260_0000),
    ] {
        let found = words.iter().find(|words| words.get(1) == Some(&name));
        let found = found.unwrap_or_else(|| panic!("{name}: {listing}"));
        let number = |index: usize| u64::from_str_radix(found[index], 16).expect("a number");
        // The stub's data section is shorter in the file than in memory.
        assert!((number(2) == size || name == ".data") && number(3) == address, "{name}: {listing}");
        assert!(number(5) % BLOCK == 0 || !matches!(name, ".linux" | ".initrd"), "{name}: {listing}");
    }
    for (name, expected) in [(".linux", &kernel), (".initrd", &initramfs), (".cmdline", &b"quiet panic=1".to_vec())] {
        let part = folder.path().join("part");
        let mut command = Command::new("objcopy");
        command
            .arg("--dump-section")
            .arg(format!("{name}={}", part.display()))
            .arg(&file)
            .arg(folder.path().join("copy"));
        let output = command.output().expect("objcopy");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(std::fs::read(&part).expect("its contents").starts_with(expected), "{name}");
    }
    // The whole stub except its headers, at the same offset.
    assert_eq!(bytes[0x400..stub.len()], stub[0x400..]);
    assert!(bytes == unified(), "the same bytes each time");
}

#[test]
fn initramfs_is_not_held_in_memory() {
    let file = tempfile::tempfile().expect("a file");
    file.set_len(256 << 20).expect("its size");
    let large = Contents::of_file(file, [0; 32]).expect("it is there");
    let unified = unified(&stub(0x400), &Contents::default(), &large, "quiet").expect("it fits");
    assert!(unified.len() > large.len() && unified.held() < 1 << 16, "{} bytes", unified.held());
}

#[test]
fn invalid_stub_or_stub_without_room_is_refused() {
    let error = |stub: &[u8]| {
        let (kernel, initramfs) = (b"kernel".as_slice().into(), b"initramfs".as_slice().into());
        format!("{:#}", unified(stub, &kernel, &initramfs, "").expect_err("refused"))
    };
    assert!(error(&stub(0x200)).ends_with("no room for 4 more section headers"), "{}", error(&stub(0x200)));
    for bytes in [&b""[..], b"MZ", &[0; 4096], &stub(0x400)[..0x100]] {
        assert!(error(bytes).starts_with("the stub is not a PE file that can be extended: "), "{}", error(bytes));
    }
}
