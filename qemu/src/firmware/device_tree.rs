//! A flattened device tree (Devicetree Specification 0.4, chapter 5), as far as a Raspberry Pi's firmware changes it.

/// Offsets of numbers in the header.
const TOTAL: usize = 4;
const STRUCTURE: usize = 8;
const STRINGS: usize = 12;
const RESERVED: usize = 16;
const STRINGS_BYTES: usize = 32;
const STRUCTURE_BYTES: usize = 36;

/// Tokens.
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;

fn number(tree: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_be_bytes(*tree.get(at..)?.first_chunk()?) as usize)
}

/// Returns a device tree with the number of a partition in /chosen/bootloader, which the firmware says it has started, and the register
/// PM_RSTS that it has read (<https://www.raspberrypi.com/documentation/computers/configuration.html>). `None` if the tree is damaged or
/// has no /chosen.
pub(super) fn with_partition(tree: &[u8], partition: u32, register: u32) -> Option<Vec<u8>> {
    let (structure, strings) = (number(tree, STRUCTURE)?, number(tree, STRINGS)?);
    let (structure_bytes, strings_bytes) = (number(tree, STRUCTURE_BYTES)?, number(tree, STRINGS_BYTES)?);
    let name = u32::try_from(strings_bytes).ok()?;
    let mut node = Vec::new();
    for word in [BEGIN_NODE, u32::from_be_bytes(*b"boot"), u32::from_be_bytes(*b"load"), u32::from_be_bytes(*b"er\0\0")]
    {
        node.extend(word.to_be_bytes());
    }
    for word in [PROPERTY, 4, name, partition, PROPERTY, 4, name + 10, register, END_NODE] {
        node.extend(word.to_be_bytes());
    }
    let at = end_of_chosen(tree, structure)?;
    // The strings go to the end, wherever they were.
    let mut changed = [&tree[..at], &node, &tree[at..]].concat();
    let moved = |place: usize| if place >= at { place + node.len() } else { place };
    let texts = tree.get(strings..strings + strings_bytes)?;
    let end = changed.len();
    changed.extend([texts, b"partition\0pm_rsts\0"].concat());
    for (place, value) in [
        (TOTAL, changed.len()),
        (STRUCTURE, moved(structure)),
        (RESERVED, moved(number(tree, RESERVED)?)),
        (STRINGS, end),
        (STRINGS_BYTES, strings_bytes + 18),
        (STRUCTURE_BYTES, structure_bytes + node.len()),
    ] {
        changed[place..place + 4].copy_from_slice(&u32::try_from(value).ok()?.to_be_bytes());
    }
    Some(changed)
}

/// Returns the offset of the end token of /chosen.
fn end_of_chosen(tree: &[u8], structure: usize) -> Option<usize> {
    let (mut at, mut depth, mut chosen) = (structure, 0_u32, None);
    loop {
        let token = number(tree, at)? as u32;
        match token {
            BEGIN_NODE => {
                let name = tree.get(at + 4..)?.split(|byte| *byte == 0).next()?;
                depth += 1;
                if depth == 2 && name == b"chosen" {
                    chosen = Some(depth);
                }
                at += (4 + name.len() + 1).next_multiple_of(4);
            }
            END_NODE if chosen == Some(depth) => return Some(at),
            END_NODE => {
                depth = depth.checked_sub(1)?;
                at += 4;
            }
            PROPERTY => at += (12 + number(tree, at + 4)?).next_multiple_of(4),
            // Padding.
            4 => at += 4,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
