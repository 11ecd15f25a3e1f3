//! What kexec_load(2) needs on aarch64, where the loader does what a boot loader does: a place in memory for kernel, initramfs and
//! device tree, a device tree with another command line, and the first instructions (Documentation/arch/arm64/booting.rst of the
//! kernel). Debian's kernels for arm64, 5.10 to 6.12, are built without kexec_file_load(2) (`CONFIG_KEXEC_FILE is not set` in
//! /boot/config-*), which would do all of that.

use crate::split::Split;

/// Bytes of the header of a kernel.
pub const HEADER_BYTES: usize = 64;
/// Bytes of memory for the first instructions and the device tree behind them.
pub const TREE_BYTES: usize = 512 << 10;
/// Bytes of the first instructions, a multiple of eight, as a device tree needs it.
pub const ENTRY_BYTES: usize = 40;

/// Where a kernel lies in memory: at this distance from a multiple of [`ALIGNMENT`].
const ALIGNMENT: u64 = 2 << 20;
const PAGE: u64 = 4096;

/// Returns a kernel's offset from a multiple of 2 MiB, and the bytes of memory that it uses. `None` if this is no kernel.
pub fn kernel(header: &[u8; HEADER_BYTES]) -> Option<(u64, u64)> {
    let number = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    // "ARM\x64" at byte 56. The size is 0 in kernels before 3.17.
    (header[56..60] == *b"ARMd" && number(16) > 0).then(|| (number(8), number(16)))
}

/// Addresses in physical memory, of whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The kernel.
    pub kernel: u64,
    /// The initramfs.
    pub initramfs: u64,
    /// The first instructions, and [`ENTRY_BYTES`] further the device tree.
    pub entry: u64,
}

/// Finds room for everything, in one piece, because the initramfs must be near the kernel. `iomem` is the text of /proc/iomem, as
/// root reads it, `kernel` what [`kernel`] returns. `None` if the memory has no such piece.
pub fn layout(iomem: &str, kernel: (u64, u64), initramfs: u64) -> Option<Layout> {
    let pages = |bytes: u64| bytes.checked_next_multiple_of(PAGE);
    let initramfs_at = pages(kernel.0.checked_add(kernel.1)?)?;
    let entry_at = initramfs_at.checked_add(pages(initramfs)?)?;
    let base = free(iomem, entry_at.checked_add(TREE_BYTES as u64)?)?;
    Some(Layout { kernel: base + kernel.0, initramfs: base + initramfs_at, entry: base + entry_at })
}

/// Returns the lowest piece of memory that nothing is said to be in: no kernel, nothing reserved.
fn free(iomem: &str, bytes: u64) -> Option<u64> {
    // From where on the memory is free, and its end.
    let (mut from, mut end) = (0_u64, 0);
    let mut lines = iomem.parts(b'\n');
    loop {
        let line = lines.next();
        let (first, rest) = line.unwrap_or_default().cut(b'-').unwrap_or_default();
        let (last, name) = rest.cut(b':').unwrap_or_default();
        // A line that is indented is about a part of the memory above it.
        let is_part = first.starts_with(' ');
        let (first, after) = (address(first), address(last).saturating_add(1));
        let found = from.checked_next_multiple_of(ALIGNMENT)?;
        if found.checked_add(bytes)? <= if is_part { end.min(first) } else { end } {
            return Some(found);
        }
        line?;
        if is_part {
            from = from.max(after);
        } else {
            (from, end) = if name == " System RAM" { (first, after) } else { (0, 0) };
        }
    }
}

/// Returns a number in hexadecimal digits; other characters are skipped.
#[inline(never)]
pub fn address(text: &str) -> u64 {
    text.bytes()
        .filter_map(|byte| char::from(byte).to_digit(16))
        .fold(0, |number, digit| number << 4 | u64::from(digit))
}

/// Returns the first instructions, which run without memory management: they pass the address of the device tree in x0, and zeros in
/// x1 to x3.
pub fn entry(layout: &Layout) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    // ldr x0, 24; ldr x4, 32; mov x1, xzr; mov x2, xzr; mov x3, xzr; br x4
    let code = [0x5800_00c0_u32, 0x5800_00e4, 0xaa1f_03e1, 0xaa1f_03e2, 0xaa1f_03e3, 0xd61f_0080];
    for (place, word) in bytes.chunks_exact_mut(4).zip(code) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    super::bytes::put(&mut bytes, 24, layout.entry + ENTRY_BYTES as u64);
    super::bytes::put(&mut bytes, 32, layout.kernel);
    bytes
}

/// Tokens of a device tree (Devicetree Specification 0.4, chapter 5.4).
const BEGIN_NODE: usize = 1;
const END_NODE: usize = 2;
const PROPERTY: usize = 3;
const NOTHING: usize = 4;

#[inline(never)]
fn number(tree: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(*tree.get(at..)?.first_chunk()?) as usize)
}

/// Passes a flattened device tree (format 17) to `put`, in parts, with these properties of /chosen in place of those that it has.
/// Padding between the parts of the tree is left out. `tree` is worthless afterwards.
///
/// Returns `None` if the tree is damaged, has its parts in an unusual order, or has no /chosen, or if `put` does; then what was passed
/// is worthless.
pub fn with_chosen(
    tree: &mut [u8],
    properties: &[(&str, &[u8])],
    put: &mut dyn FnMut(&[u8]) -> Option<()>,
) -> Option<()> {
    let (structure, strings) = (number(tree, 8)?, number(tree, 12)?);
    let (strings_bytes, structure_end) = (number(tree, 32)?, structure + number(tree, 36)?);
    // The list of reserved memory comes first, as dtc(1) and libfdt write it.
    if number(tree, 0)? != 0xd00d_feed || number(tree, 20)? < 17 || number(tree, 16)? > structure {
        return None;
    }
    let chosen = replace(tree, structure, strings, properties)?;
    let (mut added, mut added_strings) = (0, 0);
    for (name, value) in properties {
        added += 12 + value.len().next_multiple_of(4);
        added_strings += name.len() + 1;
    }
    let new_strings = structure_end + added;
    for (at, value) in [
        (4, new_strings + strings_bytes + added_strings),
        (12, new_strings),
        (32, strings_bytes + added_strings),
        (36, new_strings - structure),
    ] {
        tree.get_mut(at..at + 4)?.copy_from_slice(&(value as u32).to_be_bytes());
    }
    put(tree.get(..chosen)?)?;
    let mut name_at = strings_bytes;
    for (name, value) in properties {
        for word in [PROPERTY, value.len(), name_at] {
            put(&(word as u32).to_be_bytes())?;
        }
        put(value)?;
        put(&[0; 3][..value.len().next_multiple_of(4) - value.len()])?;
        name_at += name.len() + 1;
    }
    put(tree.get(chosen..structure_end)?)?;
    put(tree.get(strings..strings + strings_bytes)?)?;
    for (name, _) in properties {
        put(name.as_bytes())?;
        put(&[0])?;
    }
    Some(())
}

/// Overwrites these properties of /chosen with nothing. Returns the place for new ones.
fn replace(tree: &mut [u8], structure: usize, strings: usize, properties: &[(&str, &[u8])]) -> Option<usize> {
    let (mut at, mut depth, mut chosen) = (structure, 0_u32, None);
    loop {
        let token = number(tree, at)?;
        let start = at;
        at += 4;
        match token {
            BEGIN_NODE => {
                let name = name(tree, at)?;
                depth += 1;
                let is_chosen = depth == 2 && name == b"chosen";
                at = (at + name.len() + 1).next_multiple_of(4);
                if is_chosen {
                    chosen = Some(at);
                }
            }
            END_NODE if depth == 2 && chosen.is_some() => return chosen,
            END_NODE => depth = depth.checked_sub(1)?,
            PROPERTY => {
                let name = name(tree, strings + number(tree, at + 4)?)?;
                let is_old = depth == 2 && chosen.is_some() && properties.iter().any(|(new, _)| new.as_bytes() == name);
                at = (at + 8 + number(tree, at)?).next_multiple_of(4);
                for word in tree.get_mut(start..at)?.chunks_exact_mut(4).filter(|_| is_old) {
                    word.copy_from_slice(&(NOTHING as u32).to_be_bytes());
                }
            }
            NOTHING => {}
            _ => return None,
        }
    }
}

/// Returns a name, which ends with a NUL.
#[inline(never)]
fn name(tree: &[u8], at: usize) -> Option<&[u8]> {
    tree.get(at..)?.split(|byte| *byte == 0).next()
}

#[cfg(test)]
mod tests;
