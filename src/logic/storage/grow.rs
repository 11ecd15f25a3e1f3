//! Grows a partition to the end of its disk, or to the next partition: GPT (UEFI specification 2.10, chapter 5) and the
//! four entries of a DOS table.
//!
//! A power cut after any sector leaves a table with the old or the new size. A DOS table is one sector. Of a GPT, Linux
//! reads the header in sector 1 and the entries that it names; it looks at the backup only with `gpt` on its command
//! line. So the new entries are written at the end of the disk, as those of the new backup; one sector, the header, makes
//! them those that count; then they are copied to their usual place, and the header names that again.

use super::partition::{PartitionTable, table};
use super::superblock::crc;
use crate::errno::Errno;
use core::fmt;

/// The polynomial of a GPT's checksums (ISO 3309), reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// Bytes of the usual 128 entries; a table with more is left as it is.
const ENTRIES: usize = 128 * 128;
/// Bytes of a header; the rest of a larger sector is not used.
const SECTOR: usize = 512;
/// Partitions end at a multiple of this.
const ALIGNMENT: u64 = 1 << 20;

/// A disk.
pub trait Disk {
    /// Reads bytes at this offset.
    ///
    /// # Errors
    /// Those of the device.
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), Errno>;
    /// Writes bytes at this offset. They are on the disk when it returns.
    ///
    /// # Errors
    /// Those of the device.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Errno>;
}

/// Why a partition keeps its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The table is damaged, of another kind, or not the one that the kernel has read.
    Table,
    /// The disk is smaller than the table says.
    Small,
    /// This partition begins behind it.
    Behind(u32),
    /// The disk cannot be read or written.
    Device(Errno),
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => formatter.write_str("a partition table that hilum does not change"),
            Self::Small => formatter.write_str("the disk is smaller than its partition table"),
            Self::Behind(number) => write!(formatter, "partition {number} is behind it"),
            Self::Device(errno) => errno.fmt(formatter),
        }
    }
}

impl From<Errno> for Kept {
    fn from(errno: Errno) -> Self {
        Self::Device(errno)
    }
}

/// Makes partition `number`, which begins at the offset `start`, as large as a disk of `bytes` bytes permits. Returns
/// its new size in bytes, `None` if it stays as it is.
///
/// # Errors
/// Why it cannot be larger.
pub fn grow(disk: &mut dyn Disk, bytes: u64, number: u32, start: u64) -> Result<Option<u64>, Kept> {
    let mut first = [0; 4096 + SECTOR];
    disk.read(0, &mut first)?;
    let index = number.wrapping_sub(1) as usize;
    match table(&first).ok_or(Kept::Table)? {
        PartitionTable::Gpt { at, entry, count } => {
            let sector = if first[SECTOR..].starts_with(b"EFI PART") { SECTOR } else { 4096 };
            let mut entries = [0; ENTRIES];
            let length = (entry as usize).saturating_mul(count as usize);
            let entries = entries.get_mut(..length).ok_or(Kept::Table)?;
            disk.read(at, entries)?;
            let (front, header) = first.split_at_mut(sector);
            let gpt = Gpt { header: &mut header[..SECTOR], entries, sector: sector as u64, bytes };
            gpt.grow(disk, &mut front[..SECTOR], at, (entry as usize, index), start)
        }
        PartitionTable::Dos(_) => {
            // Its numbers are sectors, of which only the kernel knows the size.
            let entry = |index: usize| first.get(446 + 16 * index..).filter(|_| index < 4);
            let sectors = |index, at: usize| entry(index).map_or(0, |entry| u64::from(word(entry, at)));
            let sector = [512, 4096].into_iter().find(|sector| sectors(index, 8) * sector == start);
            let sector = sector.filter(|_| start != 0).ok_or(Kept::Table)?;
            let range = |index| match entry(index).is_some_and(|entry| entry[4] != 0) {
                true => (sectors(index, 8), sectors(index, 8) + sectors(index, 12)),
                false => (0, 0),
            };
            let end = (bytes / sector).min(1 << 32);
            let Some(end) = new_end(&range, 4, index, end, sector)? else { return Ok(None) };
            let count = end - range(index).0;
            let at = 446 + 16 * index;
            // The address by cylinder, head and sector is beyond its range.
            first[at + 5..at + 8].copy_from_slice(&[0xfe, 0xff, 0xff]);
            put(&mut first, at + 12, &(count as u32).to_le_bytes());
            disk.write(0, &first[..SECTOR])?;
            Ok(Some(count * sector))
        }
    }
}

/// Returns the new end of partition `index` of `count`, in sectors; `None` if it stays. `range` returns the first sector of a
/// partition and the one behind it, and `end` is the end of what partitions may use.
fn new_end(
    range: &dyn Fn(usize) -> (u64, u64),
    count: usize,
    index: usize,
    end: u64,
    sector: u64,
) -> Result<Option<u64>, Kept> {
    let (own, old_end) = range(index);
    if old_end > end {
        return Err(Kept::Small);
    }
    let next = (0..count).filter(|other| range(*other).0 > own).min_by_key(|other| range(*other).0);
    let limit = next.map_or(end, |next| range(next).0.min(end));
    let new = limit / (ALIGNMENT / sector) * (ALIGNMENT / sector);
    match next {
        _ if new > old_end => Ok(Some(new)),
        Some(next) => Err(Kept::Behind(next as u32 + 1)),
        None => Ok(None),
    }
}

/// A GPT in memory.
struct Gpt<'a> {
    header: &'a mut [u8],
    entries: &'a mut [u8],
    /// Bytes of a sector, and of the disk.
    sector: u64,
    bytes: u64,
}

impl Gpt<'_> {
    /// Grows a partition: `front` is the first sector, `at` the place of the entries, which have `size` bytes.
    fn grow(
        mut self,
        disk: &mut dyn Disk,
        front: &mut [u8],
        at: u64,
        (size, index): (usize, usize),
        start: u64,
    ) -> Result<Option<u64>, Kept> {
        let (sector, sum) = (self.sector, word(self.header, 16));
        self.seal();
        let is_whole = sum == word(self.header, 16) && word(self.header, 88) == !crc(POLYNOMIAL, self.entries);
        let (last, home) = ((self.bytes / sector).saturating_sub(1), 2 * sector);
        let spare = last.saturating_sub((self.entries.len() as u64).div_ceil(sector));
        // A cut came between the two writes of the header.
        let is_moved = at / sector > number(self.header, 48);
        let entries = &*self.entries;
        let range =
            |index: usize| match entries.get(index * size..(index + 1) * size).filter(|entry| entry[..16] != [0; 16]) {
                Some(entry) => (number(entry, 32), number(entry, 40).saturating_add(1)),
                None => (0, 0),
            };
        let (own, _) = range(index);
        if !is_whole || !is_moved && at != home || own.checked_mul(sector) != Some(start) || own == 0 {
            return Err(Kept::Table);
        }
        let new = new_end(&range, entries.len() / size, index, spare, sector);
        let mut place = last;
        if let Ok(Some(end)) = new {
            put(self.entries, index * size + 40, &(end - 1).to_le_bytes());
            put(self.header, 48, &(spare - 1).to_le_bytes());
            put(self.header, 88, &(!crc(POLYNOMIAL, self.entries)).to_le_bytes());
            // The protective entry of the DOS table covers the disk.
            if front[450] == 0xee {
                put(front, 458, &u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
                disk.write(0, front)?;
            }
            disk.write(spare * sector, self.entries)?;
            self.write(disk, (last, 1), spare)?;
            self.write(disk, (1, last), spare)?;
        } else if is_moved {
            place = number(self.header, 32);
        } else {
            return new;
        }
        disk.write(home, self.entries)?;
        self.write(disk, (1, place), 2)?;
        Ok(new?.map(|end| (end - own) * sector))
    }

    /// Writes the header to a sector; the other header is at `other`, and the entries at `entries`.
    fn write(&mut self, disk: &mut dyn Disk, (own, other): (u64, u64), entries: u64) -> Result<(), Errno> {
        put(self.header, 24, &own.to_le_bytes());
        put(self.header, 32, &other.to_le_bytes());
        put(self.header, 72, &entries.to_le_bytes());
        self.seal();
        disk.write(own * self.sector, self.header)
    }

    /// Sets the header's checksum.
    fn seal(&mut self) {
        put(self.header, 16, &[0; 4]);
        let length = (word(self.header, 12) as usize).min(SECTOR);
        let sum = !crc(POLYNOMIAL, &self.header[..length]);
        put(self.header, 16, &sum.to_le_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

#[cfg(test)]
mod tests;
