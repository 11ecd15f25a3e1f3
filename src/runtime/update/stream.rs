//! Writes a bundle into the slot that does not run.
//!
//! Nothing is written before the signature holds, and no block before its hash does. While it is incomplete, the record says that
//! the slot is empty, and the slot's first block is zero: firmware does not take it for a filesystem.

use super::disk::{Blocks, Disk};
use super::{RECORD, Reason, reason, refused, signature};
use crate::os::clock::monotonic_ms;
use crate::os::wait::poll_fd_until;
use hilum::text;
use hilum::update::{BLOCK_BYTES, Bundle, GROUP_BLOCKS, MAP_BYTES, Mismatch, Parts, Slot, Source, Tree};
use rustix::event::PollFlags;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// Milliseconds that the sender has for each block. One that stops is given up, and one that sends a byte now and then as well.
const PIECE_MS: u64 = 60_000;
const BLOCK: u64 = BLOCK_BYTES as u64;

/// What a bundle is read from.
struct Input<'a> {
    file: BorrowedFd<'a>,
    read: u64,
}

impl Input<'_> {
    fn fill(&mut self, mut bytes: &mut [u8]) -> Result<(), Reason> {
        let until = monotonic_ms() + PIECE_MS;
        while !bytes.is_empty() {
            if monotonic_ms() >= until || !poll_fd_until(self.file, PollFlags::IN, until) {
                return Err(reason(text!("no block came within {} s"), PIECE_MS / 1_000));
            }
            match rustix::io::read(self.file, &mut *bytes) {
                Ok(0) => return Err(reason(text!("the bundle is cut after {} bytes"), self.read)),
                Ok(count) => {
                    self.read += count as u64;
                    bytes = &mut bytes[count..];
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(refused(text!("standard input: {}"), errno)),
            }
        }
        Ok(())
    }
}

/// Reads a bundle and writes it into the slot that does not run. The record says then that this slot is on trial from the next boot
/// on. Calls `progress` with the blocks that are written and those that there are.
///
/// # Errors
/// Why it was not taken, or not completed.
#[inline(never)]
pub(crate) fn receive(
    file: BorrowedFd<'_>,
    disk: &mut Disk,
    running: Slot,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Slot, Reason> {
    let slot = running.other();
    let mut input = Input { file, read: 0 };
    let mut first = [0; BLOCK_BYTES];
    input.fill(&mut first)?;
    let bundle = Bundle::read(&first).ok_or_else(|| reason(text!("no bundle of format 1"), 0))?;
    let key = signature::verify(&bundle)?;
    bundle.check(&disk.record, slot).map_err(why)?;
    let record = |errno| refused(RECORD, errno);
    disk.record.set_contents(slot, 0, &Parts::default());
    disk.write_record().map_err(record)?;
    write(&mut input, &bundle, disk, slot, progress)?;
    disk.record.set_contents(slot, bundle.version(), &bundle.parts());
    disk.record.set_key(slot, key as u64);
    disk.record.try_next(slot);
    disk.record.set_next_floor(bundle.floor());
    disk.write_record().map_err(record)?;
    Ok(slot)
}

/// Writes the contents of a slot.
fn write(
    input: &mut Input<'_>,
    bundle: &Bundle<'_>,
    disk: &Disk,
    slot: Slot,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Reason> {
    let blocks = bundle.size() / BLOCK;
    let malformed = || why(Mismatch::Malformed);
    let mut tree = Tree::new(*bundle.root(), bundle.salt(), blocks).ok_or_else(malformed)?;
    let mut group = Blocks([[0; BLOCK_BYTES]; GROUP_BLOCKS]);
    let mut first = Blocks([[0; BLOCK_BYTES]; 1]);
    let of_slot = |errno| refused(text!("the other slot: {}"), errno);
    for number in 0..blocks.div_ceil(GROUP_BLOCKS as u64) {
        let start = number * GROUP_BLOCKS as u64;
        let count = (blocks - start).min(GROUP_BLOCKS as u64) as usize;
        let part = &mut group.0[..count];
        read_group(input, disk, slot, (&mut tree, number, start), part)?;
        if number == 0 {
            core::mem::swap(&mut first.0[0], &mut part[0]);
            part[0].fill(0);
        }
        store(disk, slot, start * BLOCK, part).map_err(of_slot)?;
        progress(start + count as u64, blocks);
    }
    disk.flush().and_then(|()| store(disk, slot, 0, &first.0)).and_then(|()| disk.flush()).map_err(of_slot)
}

/// Writes blocks of a slot, and reads them back.
#[inline(never)]
fn store(disk: &Disk, slot: Slot, at: u64, blocks: &[[u8; BLOCK_BYTES]]) -> Result<(), Errno> {
    disk.write(slot, at, blocks)?;
    let mut copy = Blocks([[0; BLOCK_BYTES]; GROUP_BLOCKS]);
    let copy = &mut copy.0[..blocks.len()];
    disk.read(slot, at, copy)?;
    if copy.as_flattened() == blocks.as_flattened() { Ok(()) } else { Err(Errno::IO) }
}

/// Reads the blocks of a group, and checks them.
fn read_group(
    input: &mut Input<'_>,
    disk: &Disk,
    slot: Slot,
    (tree, number, start): (&mut Tree, u64, u64),
    part: &mut [[u8; BLOCK_BYTES]],
) -> Result<(), Reason> {
    let damaged = |input: &Input<'_>| reason(text!("the bundle is damaged before byte {}"), input.read);
    let mut node = [0; BLOCK_BYTES];
    for level in (0..tree.nodes_before(number)).rev() {
        input.fill(&mut node)?;
        if !tree.take_node(number, level, &node) {
            return Err(damaged(input));
        }
    }
    let mut map = [0; MAP_BYTES];
    input.fill(&mut map)?;
    for (index, block) in part.iter_mut().enumerate() {
        let source = Source::read(&map, index);
        match source {
            Source::Here => input.fill(block)?,
            Source::Zero => block.fill(0),
            Source::Copy(from) => disk
                .read(slot.other(), u64::from(from) * BLOCK, core::slice::from_mut(block))
                .map_err(|errno| refused(text!("the running slot: {}"), errno))?,
        }
        if !tree.is_valid(start + index as u64, block) {
            return Err(match source {
                Source::Copy(_) => reason(
                    text!("it is made since another version than {}; make it without SINCE"),
                    disk.record.version(slot.other()),
                ),
                _ => damaged(input),
            });
        }
    }
    Ok(())
}

fn why(mismatch: Mismatch) -> Reason {
    match mismatch {
        Mismatch::Board => reason(text!("it is for another board"), 0),
        Mismatch::Floor(floor) => reason(text!("its version is below this board's floor {}"), floor),
        Mismatch::Older(version) => reason(text!("its version is below the committed {}"), version),
        Mismatch::Large(bytes) => reason(text!("it does not fit into a slot of {} bytes"), bytes),
        Mismatch::Malformed => reason(text!("the bundle's numbers are impossible"), 0),
    }
}

#[cfg(test)]
mod tests;
