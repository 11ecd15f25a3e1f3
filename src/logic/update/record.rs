//! The record of the slots: two copies on the disk, of which the older one is overwritten. Whatever write a power cut ends, one
//! copy is whole.

use super::bytes::{Fields, PARTS, put, put_name, put_parts};
use super::{Parts, Slot};
use crate::storage::crc32c;
use crate::text;
use crate::text::Text;

/// The record, as the bytes of its sector.
///
/// | bytes | what |
/// |---|---|
/// | 0 | `hilumrec` |
/// | 8 | the sequence number: the copy with the higher one counts |
/// | 16 | the committed slot: 0 or 1 |
/// | 17 | the slot on trial: 0 or 1; 255 for none |
/// | 18 | whether the trial has begun: 0 or 1 |
/// | 19 | the verdict on the last trial |
/// | 24 | the floor: no older version is taken |
/// | 32 | the board's name, padded with NULs |
/// | 64, 176 | slots a and b, 112 bytes each |
/// | 288 | the version of the last trial |
/// | 296 | the reason for the verdict: a workload's name, padded with NULs |
/// | 360 | the disk's sector with the pointer that the firmware reads; 0 for none |
/// | 368 | the floor that the slot on trial brings |
/// | 508 | CRC-32C of the bytes before, without the final inversion |
///
/// A slot: version (0 for none), start and size in bytes on the disk, parts, the partition's GUID as on the disk, the number of the
/// partition, the number of the key that has signed the contents (0 for none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record([u8; Record::BYTES]);

const MAGIC: &[u8; 8] = b"hilumrec";
const SEQUENCE: usize = 8;
const COMMITTED: usize = 16;
const TRIAL: usize = 17;
const BEGUN: usize = 18;
const VERDICT: usize = 19;
const FLOOR: usize = 24;
const BOARD: usize = 32;
const SLOTS: usize = 64;
const SLOT_BYTES: usize = 112;
const TRIED: usize = 288;
const DETAIL: usize = 296;
const POINTER: usize = 360;
const NEXT_FLOOR: usize = 368;
const CHECKSUM: usize = 508;

/// Offsets in a slot.
const START: usize = 8;
const SIZE: usize = 16;
const SLOT_PARTS: usize = 24;
const GUID: usize = SLOT_PARTS + PARTS;
const NUMBER: usize = GUID + 16;
const KEY: usize = NUMBER + 8;

/// How a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There was no trial, or it has no verdict yet.
    None,
    /// The slot was committed.
    Committed,
    /// Its PID 1 never ran, or not as far as its workloads.
    NotStarted,
    /// It ended without a verdict: a panic, the watchdog, a power cut.
    Interrupted,
    /// Its workloads did not become healthy in time; the reason names the first of them.
    Unhealthy,
    /// The firmware started the slot that is not committed, although the pointer was right.
    Firmware,
}

impl Verdict {
    const ALL: [Self; 6] =
        [Self::None, Self::Committed, Self::NotStarted, Self::Interrupted, Self::Unhealthy, Self::Firmware];

    /// Returns what the verdict means, as the end of a sentence about a version.
    pub const fn text(self) -> Text {
        match self {
            Self::None => text!("has no verdict"),
            Self::Committed => text!("is committed"),
            Self::NotStarted => text!("did not get as far as its workloads"),
            Self::Interrupted => text!("ended before it was committed (a panic, the watchdog, or a power cut)"),
            Self::Unhealthy => text!("was not healthy in time"),
            Self::Firmware => text!("was left, because the firmware starts the other slot"),
        }
    }
}

impl Record {
    /// Bytes of a copy: a sector, which a device writes whole or not at all.
    pub const BYTES: usize = 512;
    /// Where the copies are on the disk, in bytes: behind every partition table, before the first partition, and far enough apart
    /// that no physical block has both.
    pub const PLACES: [u64; 2] = [64 << 10, 128 << 10];
    /// Bytes of a board's name.
    pub const BOARD_BYTES: usize = 32;

    /// Returns the record of a disk whose slot a is committed and slot b is empty.
    pub fn new(board: &str) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[TRIAL] = u8::MAX;
        put_name(&mut bytes, BOARD, Self::BOARD_BYTES, board);
        Self(bytes)
    }

    /// Returns a copy if it is whole.
    pub fn read(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let is_whole = bytes.starts_with(MAGIC) && bytes[CHECKSUM..] == crc32c(&bytes[..CHECKSUM]).to_le_bytes();
        is_whole.then_some(Self(*bytes))
    }

    /// Reads both copies of a disk by a function, which gets a buffer and the place of a copy, and returns as [`Self::newest`]. A copy
    /// that it cannot read is a damaged one.
    pub fn find(read: &mut dyn FnMut(&mut [u8; Self::BYTES], u64)) -> Option<(Self, usize)> {
        let mut copies = [[0; Self::BYTES]; 2];
        for (copy, place) in copies.iter_mut().zip(Self::PLACES) {
            read(copy, place);
        }
        Self::newest(copies.each_ref())
    }

    /// Returns the record that counts of two copies, and the index of the other copy, which is written next.
    pub fn newest(copies: [&[u8; Self::BYTES]; 2]) -> Option<(Self, usize)> {
        match copies.map(Self::read) {
            [Some(first), Some(second)] if second.sequence() > first.sequence() => Some((second, 0)),
            [Some(first), _] => Some((first, 1)),
            [None, second] => Some((second?, 0)),
        }
    }

    /// Returns the bytes to write, with the next sequence number.
    pub fn to_write(&mut self) -> &[u8; Self::BYTES] {
        let sequence = self.sequence().wrapping_add(1);
        put(&mut self.0, SEQUENCE, sequence);
        let checksum = crc32c(&self.0[..CHECKSUM]);
        self.0[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        &self.0
    }

    /// Returns the bytes as they were last read or written.
    pub fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    fn sequence(&self) -> u64 {
        Fields(&self.0).number(SEQUENCE)
    }

    /// Returns the committed slot.
    pub fn committed(&self) -> Slot {
        if self.0[COMMITTED] == 0 { Slot::A } else { Slot::B }
    }

    /// Makes a slot the committed one.
    pub fn set_committed(&mut self, slot: Slot) {
        self.0[COMMITTED] = slot as u8;
    }

    /// Returns the slot on trial.
    pub fn trial(&self) -> Option<Slot> {
        Slot::ALL.get(usize::from(self.0[TRIAL])).copied()
    }

    /// Returns whether the trial has begun: PID 1 of the slot has run.
    pub fn has_begun(&self) -> bool {
        self.0[BEGUN] != 0
    }

    /// Notes that the trial has begun.
    pub fn begin(&mut self) {
        self.0[BEGUN] = 1;
    }

    /// Puts a slot on trial, from the next boot on.
    pub fn try_next(&mut self, slot: Slot) {
        let version = self.version(slot);
        (self.0[TRIAL], self.0[BEGUN], self.0[VERDICT]) = (slot as u8, 0, 0);
        put(&mut self.0, TRIED, version);
        put(&mut self.0, NEXT_FLOOR, 0);
        put_name(&mut self.0, DETAIL, 64, "");
    }

    /// Ends the trial, if there is one, with a verdict; `detail` is cut to 64 bytes.
    pub fn end(&mut self, verdict: Verdict, detail: &str) {
        if let (Verdict::Committed, Some(slot)) = (verdict, self.trial()) {
            self.set_committed(slot);
            self.raise_floor(Fields(&self.0).number(NEXT_FLOOR));
        }
        (self.0[TRIAL], self.0[BEGUN], self.0[VERDICT]) = (u8::MAX, 0, verdict as u8);
        put_name(&mut self.0, DETAIL, 64, detail);
    }

    /// Returns the verdict on the last trial, its version, and the reason.
    pub fn verdict(&self) -> (Verdict, u64, &str) {
        let verdict = Verdict::ALL.get(usize::from(self.0[VERDICT])).copied().unwrap_or(Verdict::None);
        (verdict, Fields(&self.0).number(TRIED), Fields(&self.0).name(DETAIL, 64))
    }

    /// Returns the floor: no older version is taken.
    pub fn floor(&self) -> u64 {
        Fields(&self.0).number(FLOOR)
    }

    /// Raises the floor; it never sinks.
    pub fn raise_floor(&mut self, floor: u64) {
        let floor = floor.max(self.floor());
        put(&mut self.0, FLOOR, floor);
    }

    /// Sets the floor that the slot on trial brings: the record's floor is raised to it if the slot is committed, and never sinks.
    pub fn set_next_floor(&mut self, floor: u64) {
        put(&mut self.0, NEXT_FLOOR, floor);
    }

    /// Returns the board's name.
    pub fn board(&self) -> &str {
        Fields(&self.0).name(BOARD, Self::BOARD_BYTES)
    }

    /// Returns the version in a slot; 0 if the slot is not complete.
    pub fn version(&self, slot: Slot) -> u64 {
        self.field(slot, 0)
    }

    /// Returns where a slot starts on the disk, in bytes.
    pub fn start(&self, slot: Slot) -> u64 {
        self.field(slot, START)
    }

    /// Returns the size of a slot in bytes.
    pub fn size(&self, slot: Slot) -> u64 {
        self.field(slot, SIZE)
    }

    /// Returns the parts of a slot's contents.
    pub fn parts(&self, slot: Slot) -> Parts {
        Fields(&self.0).parts(at(slot) + SLOT_PARTS)
    }

    /// Returns the GUID of a slot's partition, as in the partition table; zero for a DOS table.
    pub fn guid(&self, slot: Slot) -> &[u8; 16] {
        self.0[at(slot) + GUID..].first_chunk().unwrap_or(&[0; 16])
    }

    /// Returns the number of a slot's partition.
    pub fn partition(&self, slot: Slot) -> u64 {
        self.field(slot, NUMBER)
    }

    /// Sets the place of a slot on the disk.
    pub fn set_place(&mut self, slot: Slot, start: u64, size: u64, partition: u64, guid: [u8; 16]) {
        let at = at(slot);
        put(&mut self.0, at + START, start);
        put(&mut self.0, at + SIZE, size);
        put(&mut self.0, at + NUMBER, partition);
        self.0[at + GUID..at + GUID + 16].copy_from_slice(&guid);
    }

    /// Returns the number of the key that has signed a slot's contents; 0 for none.
    pub fn key(&self, slot: Slot) -> u64 {
        self.field(slot, KEY)
    }

    /// Notes which key has signed a slot's contents.
    pub fn set_key(&mut self, slot: Slot, key: u64) {
        put(&mut self.0, at(slot) + KEY, key);
    }

    /// Notes what is in a slot; version 0 while it is incomplete.
    pub fn set_contents(&mut self, slot: Slot, version: u64, parts: &Parts) {
        put(&mut self.0, at(slot), version);
        put_parts(&mut self.0, at(slot) + SLOT_PARTS, parts);
    }

    /// Returns the number of the sector that points the firmware to a slot, if there is one.
    pub fn pointer(&self) -> Option<u64> {
        Some(Fields(&self.0).number(POINTER)).filter(|sector| *sector > 0)
    }

    /// Sets the number of the sector that points the firmware to a slot.
    pub fn set_pointer(&mut self, sector: u64) {
        put(&mut self.0, POINTER, sector);
    }

    fn field(&self, slot: Slot, offset: usize) -> u64 {
        Fields(&self.0).number(at(slot) + offset)
    }
}

const fn at(slot: Slot) -> usize {
    SLOTS + slot as usize * SLOT_BYTES
}

/// Returns the sector that points a Raspberry Pi's firmware to a slot: autoboot.txt, whose length never changes. Partition 2 is slot
/// a, partition 3 slot b (<https://www.raspberrypi.com/documentation/computers/config_txt.html#autoboot-txt>).
pub fn pointer(slot: Slot) -> [u8; Record::BYTES] {
    let mut bytes = [b'\n'; Record::BYTES];
    let text: &[u8] = match slot {
        Slot::A => b"[all]\nboot_partition=2\n",
        Slot::B => b"[all]\nboot_partition=3\n",
    };
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

/// Returns the bits of the register by which a Raspberry Pi's firmware is told to start a partition; no bits make it follow its
/// pointer again. They are every other bit of [`PARTITION_BITS`], in PM_RSTS (drivers/watchdog/bcm2835_wdt.c of the kernel).
pub fn partition_bits(number: u64) -> u32 {
    (0..6).fold(0, |bits, bit| bits | ((number >> bit & 1) as u32) << (2 * bit))
}

/// The bits of the register that are the number of a partition.
pub const PARTITION_BITS: u32 = 0x555;
