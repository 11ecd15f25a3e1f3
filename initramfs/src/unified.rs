//! Unified kernel images: systemd's stub with the kernel, the initramfs and the command line as additional sections
//! (systemd-stub(7)).
//!
//! The sections are appended to the stub's file, as systemd's ukify does, so that the stub stays as Debian ships it. A
//! PE writer, such as that of the crate `object`, would lay out the whole file again. Kernel and initramfs are read when the image
//! is written.

use crate::contents::Contents;
use anyhow::{Context, Result, ensure};
use object::LittleEndian as LE;
use object::endian::{U16, U32};
use object::pe::{self, ImageNtHeaders64, ImageSectionHeader};
use object::pod::{bytes_of, from_bytes_mut};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader};
use std::ops::Range;

/// The address of the first appended section, above all sections of the stub.
const FIRST_ADDRESS: u64 = 0x200_0000;
/// The alignment of addresses of appended sections.
const ADDRESS_STEP: u64 = 0x10_0000;

/// Bytes of a block of an update.
const BLOCK: u64 = hilum::update::BLOCK_BYTES as u64;

/// The layout of the stub.
struct Layout {
    /// The offset of the NT headers.
    headers: usize,
    /// The offset of the next section header.
    next_section: usize,
    file_alignment: u64,
    section_alignment: u64,
    image_size: u64,
    /// Where its last section ends in the file. Debian's stub has symbols behind that.
    end: usize,
}

/// Returns a unified kernel image; `words` become the kernel command line.
///
/// # Errors
/// A stub that is not a 64-bit PE file or has no room for four more section headers, or parts of 4 GiB.
pub fn unified(stub: &[u8], kernel: &Contents, initramfs: &Contents, words: &str) -> Result<Contents> {
    const RELEASE: &str = "ID=hilum\nNAME=hilum\nPRETTY_NAME=hilum\n";
    let parts = [
        (".osrel", RELEASE.as_bytes().into()),
        (".cmdline", words.as_bytes().into()),
        (".linux", kernel.clone()),
        (".initrd", initramfs.clone()),
    ];
    let layout = layout(stub, parts.len()).context("the stub is not a PE file that can be extended")?;
    let mut file = stub.get(..layout.end).context("the stub is cut")?.to_vec();
    let (mut at, mut all) = (file.len() as u64, Vec::new());
    let mut address = layout.image_size.next_multiple_of(ADDRESS_STEP).max(FIRST_ADDRESS);
    let mut end = address;
    for (index, (name, contents)) in parts.into_iter().enumerate() {
        at = at.next_multiple_of(layout.file_alignment);
        // Kernel and initramfs begin at blocks, so that an update finds theirs again. What is before them is longer, because
        // signatures are computed of sections without gaps.
        let step = if matches!(name, ".cmdline" | ".linux") { BLOCK } else { layout.file_alignment };
        let next = (at + contents.len()).next_multiple_of(step.max(layout.file_alignment));
        let header = section(name, address, at..next, contents.len())?;
        let header = bytes_of(&header);
        file[layout.next_section + index * header.len()..][..header.len()].copy_from_slice(header);
        end = address + contents.len();
        // After the previous section.
        address = (end + 1).next_multiple_of(ADDRESS_STEP);
        all.push((at, contents));
        at = next;
    }
    let headers = from_bytes_mut::<ImageNtHeaders64>(&mut file[layout.headers..]);
    let (headers, _) = headers.ok().context("the headers of the stub")?;
    let sections = headers.file_header.number_of_sections.get(LE) + 4;
    headers.file_header.number_of_sections = U16::new(LE, sections);
    // What lies between sections belongs to no part that a signature is computed of in order.
    headers.file_header.pointer_to_symbol_table = U32::new(LE, 0);
    headers.file_header.number_of_symbols = U32::new(LE, 0);
    let size = end.next_multiple_of(layout.section_alignment);
    headers.optional_header.size_of_image = U32::new(LE, u32::try_from(size)?);
    // No checksum: UEFI does not verify it.
    headers.optional_header.check_sum = U32::new(LE, 0);
    all.push((0, file.into()));
    Ok(Contents::joined(all, at))
}

/// Reads the headers of a stub that gets `more` additional sections.
fn layout(stub: &[u8], more: usize) -> Result<Layout> {
    let headers = pe::ImageDosHeader::parse(stub)?.nt_headers_offset();
    let mut offset = headers.into();
    let (nt, _) = ImageNtHeaders64::parse(stub, &mut offset)?;
    let sections = nt.sections(stub, offset)?;
    let next_section = usize::try_from(offset)? + sections.len() * size_of::<ImageSectionHeader>();
    let end = next_section + more * size_of::<ImageSectionHeader>();
    let contents = sections.iter().map(|section| section.pointer_to_raw_data.get(LE)).filter(|at| *at != 0).min();
    let room = nt.optional_header().size_of_headers().min(contents.unwrap_or(u32::MAX)) as usize;
    ensure!(end <= room, "no room for {more} more section headers");
    let (file_alignment, section_alignment) =
        (nt.optional_header().file_alignment(), nt.optional_header().section_alignment());
    ensure!(file_alignment > 0 && section_alignment > 0, "the alignment is 0");
    Ok(Layout {
        headers: headers as usize,
        next_section,
        file_alignment: file_alignment.into(),
        section_alignment: section_alignment.into(),
        image_size: nt.optional_header().size_of_image().into(),
        end: sections
            .iter()
            .map(|part| part.pointer_to_raw_data.get(LE) + part.size_of_raw_data.get(LE))
            .max()
            .unwrap_or(0) as usize,
    })
}

/// Returns the header of a read-only section of `bytes` bytes, which has this range of the file.
fn section(name: &str, address: u64, file: Range<u64>, bytes: u64) -> Result<ImageSectionHeader> {
    let word = |value: u64| anyhow::Ok(U32::new(LE, u32::try_from(value).context("4 GiB or more")?));
    let mut padded = [0; 8];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    Ok(ImageSectionHeader {
        name: padded,
        virtual_size: word(bytes)?,
        virtual_address: word(address)?,
        size_of_raw_data: word(file.end - file.start)?,
        pointer_to_raw_data: word(file.start)?,
        pointer_to_relocations: word(0)?,
        pointer_to_linenumbers: word(0)?,
        number_of_relocations: U16::new(LE, 0),
        number_of_linenumbers: U16::new(LE, 0),
        characteristics: U32::new(LE, pe::IMAGE_SCN_CNT_INITIALIZED_DATA | pe::IMAGE_SCN_MEM_READ),
    })
}

#[cfg(test)]
mod tests;
