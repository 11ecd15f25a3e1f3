//! Sizes in bytes: the ELF file, the demo's initramfs, and an initramfs with only hilum and a configuration.

use crate::boot::demo;
use anyhow::{Context, Result};
use hilum_initramfs::{Compression, Image};
use hilum_qemu::Architecture;
use std::path::Path;

/// The result of one architecture, in bytes.
pub(crate) struct Row {
    arch: Architecture,
    pub(crate) elf: u64,
    /// Without kernel modules and workloads, compressed.
    bare: usize,
    demo: u64,
}

/// Measures the built files.
pub(crate) fn measure(build: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for arch in Architecture::ALL {
        let file = build.join("board").join(arch.name()).join("hilum");
        let elf = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let demo = demo(build, arch.name());
        let demo = std::fs::metadata(&demo).with_context(|| demo.display().to_string())?.len();
        let mut image = Image::new();
        let bytes = elf.len() as u64;
        image.file("init", 0o755, elf);
        let config = crate::guest::source("initramfs/appliances/web/hilum.conf");
        image.file("etc/hilum.conf", 0o644, std::fs::read(config)?);
        image.seal();
        rows.push(Row { arch, elf: bytes, bare: image.write(Compression::Zstd)?.len(), demo });
    }
    Ok(rows)
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text =
        "| bytes | hilum | initramfs without modules and workloads | the demo's initramfs |\n|---|---|---|---|\n"
            .to_owned();
    for Row { arch, elf, bare, demo } in rows {
        text += &format!("| {} | {elf} | {bare} | {demo} |\n", arch.name());
    }
    text
}
