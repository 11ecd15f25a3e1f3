//! Grows a partition to the end of its disk, or to the next partition: GPT (UEFI specification 2.10, chapter 5) and the
//! four entries of a DOS table.
//!
//! A power cut after any sector leaves a table with the old or the new size. A DOS table is one sector. Of a GPT, Linux
//! reads the header in sector 1 and the entries that it names; it looks at the backup only with `gpt` on its command
//! line. So the new entries are written at the end of the disk, as those of the new backup; one sector, the header, makes
//! them those that count; then they are copied to their usual place, and the header names that again.

use super::partition::{PartitionTable, table};
use super::superblock::crc;
use crate::text;
use core::fmt;

/// Bytes of the usual 128 entries; a table with another number is left as it is.
const ENTRIES: usize = 128 * 128;
/// Bytes of a header; the rest of a larger sector is not used.
const SECTOR: usize = 512;
/// Partitions end at a multiple of this.
const ALIGNMENT: u64 = 1 << 20;

/// A disk.
pub trait Disk {
    /// Reads bytes at this offset. Returns whether it has read all.
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> bool;
    /// Writes bytes at this offset. Returns whether they are on the disk.
    fn write(&mut self, at: u64, bytes: &[u8]) -> bool;
}

/// Why a partition keeps its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The table is damaged, of another kind, or not the one that the kernel has read.
    Table,
    /// The disk is smaller than the table says.
    Small,
    /// Another one begins behind it.
    Behind,
    /// The disk cannot be read or written.
    Device,
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Table => text!("a partition table that hilum does not change"),
            Self::Small => text!("the disk is smaller than its partition table"),
            Self::Behind => text!("another partition is behind it"),
            Self::Device => text!("the disk cannot be read or written"),
        };
        text.fmt(formatter)
    }
}

/// Makes partition `number`, which begins at the offset `start`, as large as a disk of `bytes` bytes permits. Returns
/// its new size in bytes, `None` if it stays as it is.
///
/// # Errors
/// Why it cannot be larger.
pub fn grow(disk: &mut dyn Disk, bytes: u64, number: u32, start: u64) -> Result<Option<u64>, Kept> {
    let mut room = [0; ROOM];
    if !disk.read(0, &mut room[..FRONT]) {
        return Err(Kept::Device);
    }
    let (place, entries) = match table(&room[..FRONT]).ok_or(Kept::Table)? {
        PartitionTable::Gpt { at, entry: 128, count: 128 } => (at, Entries { at: FRONT, count: 128, bytes: 128 }),
        PartitionTable::Gpt { .. } => return Err(Kept::Table),
        PartitionTable::Dos(_) => (0, Entries { at: 446, count: 4, bytes: 16 }),
    };
    let is_gpt = entries.count == 128;
    if is_gpt && !disk.read(place, &mut room[FRONT..HEADER]) {
        return Err(Kept::Device);
    }
    let index = number.wrapping_sub(1) as usize;
    let (own, old) = entries.extent(&room, index);
    // The numbers of a table are sectors, and those of a DOS table do not say how large they are.
    let sector = [512, 4096].into_iter().find(|sector| own.wrapping_mul(*sector) == start).filter(|_| own < old);
    let sector = sector.ok_or(Kept::Table)?;
    // Behind a GPT's partitions are its entries once more, and the header.
    let end = match is_gpt {
        true => (bytes / sector).saturating_sub(ENTRIES as u64 / sector + 1),
        false => (bytes / sector).min(1 << 32),
    };
    let (mut limit, mut is_last) = (end, true);
    for other in 0..entries.count {
        let (first, _) = entries.extent(&room, other);
        if own < first && first < limit {
            (limit, is_last) = (first, false);
        }
    }
    let new = limit & !((ALIGNMENT / sector) - 1);
    let kept = match is_last {
        _ if old > end => Err(Kept::Small),
        _ if new > old => Ok(Some((new - own) * sector)),
        true => Ok(None),
        false => Err(Kept::Behind),
    };
    let grows = matches!(kept, Ok(Some(_)));
    let entry = entries.at + entries.bytes * index;
    let is_done = if is_gpt {
        room.copy_within(sector as usize..sector as usize + SECTOR, HEADER);
        let mut gpt = Gpt { room: &mut room, sector, disk };
        if !gpt.is_whole(place) {
            return Err(Kept::Table);
        }
        gpt.update(place, end, grows.then_some((entry, new)))
    } else if grows {
        // The address by cylinder, head and sector is beyond its range.
        put(&mut room, entry + 5, 3, 0xff_ff_fe);
        put(&mut room, entry + 12, 4, new - own);
        disk.write(0, &room[..SECTOR])
    } else {
        true
    };
    if is_done { kept } else { Err(Kept::Device) }
}

/// What is read of a disk: its first bytes, then the entries of a GPT, then its header.
type Room = [u8; ROOM];
const FRONT: usize = 4096 + SECTOR;
const HEADER: usize = FRONT + ENTRIES;
const ROOM: usize = HEADER + SECTOR;

/// Where the entries of a table are.
struct Entries {
    at: usize,
    count: usize,
    /// Bytes of one.
    bytes: usize,
}

impl Entries {
    /// Returns the first sector of a partition and the one behind it; zeros if there is none.
    #[inline(never)]
    fn extent(&self, room: &Room, index: usize) -> (u64, u64) {
        let at = self.at + self.bytes * index;
        match self.bytes {
            _ if index >= self.count => (0, 0),
            16 if room[at + 4] != 0 => (number(room, at + 8, 4), number(room, at + 8, 4) + number(room, at + 12, 4)),
            128 if room[at..at + 16] != [0; 16] => (number(room, at + 32, 8), number(room, at + 40, 8).wrapping_add(1)),
            _ => (0, 0),
        }
    }
}

/// Where fields of the header are.
const LENGTH: usize = HEADER + 12;
const SUM: usize = HEADER + 16;
const OWN: usize = HEADER + 24;
const OTHER: usize = HEADER + 32;
const LAST_USABLE: usize = HEADER + 48;
const PLACE: usize = HEADER + 72;
const SUM_OF_ENTRIES: usize = HEADER + 88;

/// A GPT in memory.
struct Gpt<'a> {
    room: &'a mut Room,
    /// Bytes of a sector.
    sector: u64,
    disk: &'a mut dyn Disk,
}

impl Gpt<'_> {
    /// Returns whether the checksums match, and the entries are at `place`, in bytes, as usual or because of a cut.
    fn is_whole(&mut self, place: u64) -> bool {
        let sums = (number(self.room, SUM, 4), number(self.room, SUM_OF_ENTRIES, 4));
        self.seal();
        sums == (number(self.room, SUM, 4), number(self.room, SUM_OF_ENTRIES, 4))
            && (place == 2 * self.sector || self.is_moved(place))
    }

    /// Returns whether a cut came between the two writes of the header.
    fn is_moved(&self, place: u64) -> bool {
        place / self.sector > number(self.room, LAST_USABLE, 8)
    }

    /// Writes the table with a new end of the partition with this entry, and completes what a cut has left. `spare` is the
    /// place of the backup's entries, in sectors. Returns whether that succeeded.
    fn update(&mut self, place: u64, spare: u64, new: Option<(usize, u64)>) -> bool {
        if let Some((entry, end)) = new {
            let last = spare + ENTRIES as u64 / self.sector;
            put(self.room, entry + 40, 8, end - 1);
            put(self.room, LAST_USABLE, 8, spare - 1);
            // The protective entry covers the disk.
            if self.room[450] == 0xee {
                put(self.room, 458, 4, last.min(u32::MAX.into()));
            }
            self.header(last, 1, spare);
            if !self.disk.write(0, &self.room[..SECTOR]) || !self.disk.write(spare * self.sector, &self.room[FRONT..]) {
                return false;
            }
            self.header(1, last, spare);
            if !self.disk.write(self.sector, &self.room[HEADER..]) {
                return false;
            }
        } else if !self.is_moved(place) {
            return true;
        }
        let other = number(self.room, OTHER, 8);
        self.header(1, other, 2);
        self.disk.write(2 * self.sector, &self.room[FRONT..HEADER])
            && self.disk.write(self.sector, &self.room[HEADER..])
    }

    /// Makes the header of sector `own`; the other one is at `other`, and the entries at `place`.
    fn header(&mut self, own: u64, other: u64, place: u64) {
        put(self.room, OWN, 8, own);
        put(self.room, OTHER, 8, other);
        put(self.room, PLACE, 8, place);
        self.seal();
    }

    /// Sets the checksums.
    #[inline(never)]
    fn seal(&mut self) {
        let length = (number(self.room, LENGTH, 4) as usize).min(SECTOR);
        // That of the header is zero while it is computed.
        put(self.room, SUM, 4, 0);
        for (place, part) in [(SUM_OF_ENTRIES, FRONT..HEADER), (SUM, HEADER..HEADER + length)] {
            // ISO 3309.
            let sum = !crc(0xedb8_8320, &self.room[part]);
            put(self.room, place, 4, sum.into());
        }
    }
}

/// Returns a number of `count` bytes.
#[inline(never)]
fn number(room: &Room, at: usize, count: usize) -> u64 {
    room[at..at + count].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Writes a number of `count` bytes.
#[inline(never)]
fn put(room: &mut Room, at: usize, count: usize, number: u64) {
    room[at..at + count].copy_from_slice(&number.to_le_bytes()[..count]);
}

#[cfg(test)]
mod tests;
