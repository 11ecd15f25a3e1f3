//! The disk with the slots and their record.

use crate::os::files::{each, sys_path};
use crate::os::path::{access, open};
use crate::storage::await_device;
use hilum::update::{BLOCK_BYTES, Record, Slot, pointer};
use rustix::fd::OwnedFd;
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::{Errno, pread, pwrite};

/// The block devices of the board, by name.
const DEVICES: &str = "/sys/class/block";

/// A disk with slots.
pub(crate) struct Disk {
    /// For the record and the pointer.
    file: OwnedFd,
    /// For slots: the page cache, which the record uses, never has a block of them.
    direct: OwnedFd,
    /// The record that counts.
    pub(crate) record: Record,
    /// The copy of the record that is written next.
    next: usize,
}

/// Blocks for a transfer, aligned for every device.
#[repr(C, align(4096))]
pub(super) struct Blocks<const COUNT: usize>(pub(super) [[u8; BLOCK_BYTES]; COUNT]);

impl Disk {
    /// Returns the disk that has a record.
    ///
    /// # Errors
    /// ENOENT if there is none within `wait_ms` milliseconds, ENOTUNIQ if there are two; those of the kernel.
    pub(crate) fn find(wait_ms: u64) -> Result<Self, Errno> {
        let mut found = Err(Errno::NOENT);
        await_device(wait_ms, &mut || {
            found = look();
            !matches!(found, Err(Errno::NOENT))
        })?;
        found
    }

    /// Returns a disk of two descriptors for its bytes.
    #[cfg(test)]
    pub(super) fn of(file: OwnedFd, direct: OwnedFd, record: Record) -> Self {
        Self { file, direct, record, next: 0 }
    }

    /// Writes the record, into the copy that does not count. It is on the disk when this returns.
    ///
    /// # Errors
    /// Those of pwrite(2) and fdatasync(2).
    pub(crate) fn write_record(&mut self) -> Result<(), Errno> {
        write_sector(&self.file, Record::PLACES[self.next], self.record.to_write())?;
        self.next = 1 - self.next;
        Ok(())
    }

    /// Returns whether the sector that the firmware reads points to another slot than this one. False if there is no such sector.
    pub(super) fn points_elsewhere(&self, slot: Slot) -> bool {
        let mut sector = [0; Record::BYTES];
        let Some(place) = self.pointer_place() else { return false };
        pread(&self.file, &mut sector, place).is_ok() && sector != pointer(slot)
    }

    /// Points the firmware to a slot, if the disk has a sector for that.
    ///
    /// # Errors
    /// Those of pwrite(2) and fdatasync(2).
    pub(super) fn point_to(&self, slot: Slot) -> Result<(), Errno> {
        self.pointer_place().map_or(Ok(()), |place| write_sector(&self.file, place, &pointer(slot)))
    }

    fn pointer_place(&self) -> Option<u64> {
        // Only Raspberry Pis have one.
        if cfg!(target_arch = "x86_64") {
            return None;
        }
        self.record.pointer()?.checked_mul(Record::BYTES as u64)
    }

    /// Reads blocks of a slot from an offset in bytes.
    ///
    /// # Errors
    /// Those of pread(2); EIO if they are outside of the slot, or on a part of the disk that is missing.
    pub(super) fn read(&self, slot: Slot, at: u64, blocks: &mut [[u8; BLOCK_BYTES]]) -> Result<(), Errno> {
        let bytes = blocks.as_flattened_mut();
        let place = self.place(slot, at, bytes.len())?;
        if pread(&self.direct, &mut *bytes, place)? == bytes.len() { Ok(()) } else { Err(Errno::IO) }
    }

    /// Writes blocks of a slot at an offset in bytes.
    ///
    /// # Errors
    /// Those of pwrite(2); EIO as in [`Self::read`].
    pub(super) fn write(&self, slot: Slot, at: u64, blocks: &[[u8; BLOCK_BYTES]]) -> Result<(), Errno> {
        let bytes = blocks.as_flattened();
        let place = self.place(slot, at, bytes.len())?;
        if pwrite(&self.direct, bytes, place)? == bytes.len() { Ok(()) } else { Err(Errno::IO) }
    }

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    /// Those of fdatasync(2).
    pub(super) fn flush(&self) -> Result<(), Errno> {
        rustix::fs::fdatasync(&self.direct)
    }

    fn place(&self, slot: Slot, at: u64, bytes: usize) -> Result<u64, Errno> {
        let end = at.checked_add(bytes as u64).filter(|end| *end <= self.record.size(slot));
        end.and_then(|_| self.record.start(slot).checked_add(at)).ok_or(Errno::IO)
    }
}

fn write_sector(file: &OwnedFd, place: u64, sector: &[u8; Record::BYTES]) -> Result<(), Errno> {
    if pwrite(file, sector, place)? < sector.len() {
        return Err(Errno::IO);
    }
    rustix::fs::fdatasync(file)
}

/// Looks at every disk that is there now.
fn look() -> Result<Disk, Errno> {
    let mut found = Err(Errno::NOENT);
    each(DEVICES, &mut |name| {
        // A floppy drive takes seconds to report that it is empty.
        let is_partition = access(&sys_path(format_args!("{DEVICES}/{name}/partition")), Access::EXISTS).is_ok();
        if is_partition || name.starts_with("fd") {
            return Ok(());
        }
        match (open_disk(&sys_path(format_args!("/dev/{name}"))), &found) {
            (Some(_), Ok(_)) => Err(Errno::NOTUNIQ),
            (Some(disk), Err(_)) => {
                found = Ok(disk);
                Ok(())
            }
            (None, _) => Ok(()),
        }
    })?;
    found
}

/// Returns the disk at this path if it has a record.
fn open_disk(path: &str) -> Option<Disk> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = open(path, flags, Mode::empty()).ok()?;
    let (record, next) = Record::find(&mut |copy, place| _ = pread(&file, copy, place))?;
    let direct = open(path, flags | OFlags::DIRECT, Mode::empty()).ok()?;
    Some(Disk { file, direct, record, next })
}
