//! Partition tables, as far as needed to find a partition by id: GPT (UEFI specification 5.3) and the DOS table.

use super::superblock::{UUID_DASHES, is_hexadecimal};

/// The partition table at the start of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionTable {
    /// A GUID partition table: the offset of its entries, the size of an entry, and their number.
    Gpt {
        /// The offset of the first entry.
        at: u64,
        /// Bytes of one entry.
        entry: u32,
        /// The number of entries.
        count: u32,
    },
    /// A DOS table with the disk's signature.
    Dos(u32),
}

/// Parses the first bytes of a disk, at least 4 KiB and one sector. `None` if there is no table.
pub fn table(start: &[u8]) -> Option<PartitionTable> {
    let word = |at: usize| start.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    for sector in [512, 4096] {
        if start.get(sector..sector + 8) != Some(b"EFI PART") {
            continue;
        }
        let low = u64::from(word(sector + 72)?);
        let at = (low | u64::from(word(sector + 76)?) << 32).checked_mul(sector as u64)?;
        let (count, entry) = (word(sector + 80)?, word(sector + 84)?);
        return (entry >= 128).then_some(PartitionTable::Gpt { at, entry, count });
    }
    (start.get(510..512)? == [0x55, 0xaa]).then_some(())?;
    word(440).filter(|signature| *signature != 0).map(PartitionTable::Dos)
}

impl PartitionTable {
    /// Returns the offset of the first 32 bytes of the entry for partition `number`, from 1. `None` if no entry has to
    /// be read.
    pub fn entry(&self, number: u32) -> Option<u64> {
        match *self {
            Self::Gpt { at, entry, count } if (1..=count).contains(&number) => {
                at.checked_add(u64::from(number - 1).checked_mul(entry.into())?)
            }
            _ => None,
        }
    }

    /// Returns whether partition `number`, with this entry, has the id `text`.
    pub fn is(&self, number: u32, entry: &[u8; 32], text: &str) -> bool {
        match *self {
            Self::Gpt { .. } => {
                let mut id = [0; 16];
                id.copy_from_slice(&entry[16..]);
                // The first three fields are little-endian (UEFI specification, appendix A).
                id[..4].reverse();
                id[4..6].reverse();
                id[6..8].reverse();
                is_hexadecimal(&id, &UUID_DASHES, text)
            }
            Self::Dos(signature) => {
                let bytes = signature.to_be_bytes();
                u8::try_from(number)
                    .is_ok_and(|number| is_hexadecimal(&[bytes[0], bytes[1], bytes[2], bytes[3], number], &[4], text))
            }
        }
    }
}
