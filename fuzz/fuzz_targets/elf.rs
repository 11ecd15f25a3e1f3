//! ELF files of an image, as the builder inspects them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = hilum_initramfs::elf::facts(data);
    let _ = hilum_initramfs::elf::faults(data, &[], None);
});
