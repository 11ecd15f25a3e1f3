//! The first block of a bundle: what it is for, what it brings, and who signed that.

use super::bytes::{Fields, PARTS, put, put_name, put_parts};
use super::{BLOCK_BYTES, Parts, Record, Slot};

/// The number of signatures: two, so that boards with the old key and boards with the new one take the same bundle.
pub const SIGNATURES: usize = 2;

/// The first block of a bundle. The slot's contents follow, in the order of their hash tree (see [`super::Tree`]).
///
/// | bytes | what |
/// |---|---|
/// | 0 | `hilumbun` |
/// | 8 | the format: 1 |
/// | 16 | the version |
/// | 24 | the floor that a board has after it committed this version |
/// | 32 | the board's name, padded with NULs |
/// | 64 | the size of the slot's contents in bytes, a multiple of 4,096 |
/// | 72 | what kexec(2) starts |
/// | 120 | the root hash |
/// | 152 | the salt of the hash tree |
/// | 512, 514 | the lengths of the signatures; 0 for none |
/// | 1024, 1536 | the signatures of bytes 0 to 511: RSA with SHA-256, PKCS #1 version 1.5 |
#[derive(Debug, Clone, Copy)]
pub struct Bundle<'a>(&'a [u8; BLOCK_BYTES]);

const MAGIC: &[u8; 8] = b"hilumbun";
const FORMAT: usize = 8;
const VERSION: usize = 16;
const FLOOR: usize = 24;
const BOARD: usize = 32;
const SIZE: usize = 64;
const PARTS_AT: usize = 72;
const ROOT: usize = PARTS_AT + PARTS;
const SALT: usize = ROOT + 32;
const SIGNED: usize = 512;
const LENGTHS: usize = 512;
const SIGNATURE: usize = 1024;
/// Bytes of a signature: RSA with 4,096 bits at most.
const SIGNATURE_BYTES: usize = 512;

/// Why a board does not take a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It is for another board.
    Board,
    /// Its version is below the floor.
    Floor(u64),
    /// Its version is below the committed one.
    Older(u64),
    /// The slot is smaller than its contents; the size of the slot in bytes.
    Large(u64),
    /// A number in it is impossible.
    Malformed,
}

impl<'a> Bundle<'a> {
    /// Returns the bundle that begins with this block. `None` if it is no bundle, or of another format.
    pub fn read(block: &'a [u8; BLOCK_BYTES]) -> Option<Self> {
        (block.starts_with(MAGIC) && Fields(block).number(FORMAT) == 1).then_some(Self(block))
    }

    /// Returns the bytes that are signed.
    pub fn signed(&self) -> &'a [u8] {
        &self.0[..SIGNED]
    }

    /// Returns a signature. `None` if there is none.
    pub fn signature(&self, index: usize) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_le_bytes([self.0[LENGTHS + index * 2], self.0[LENGTHS + index * 2 + 1]]));
        let start = SIGNATURE + index * SIGNATURE_BYTES;
        (1..=SIGNATURE_BYTES).contains(&length).then(|| &self.0[start..start + length])
    }

    /// Returns its version.
    pub fn version(&self) -> u64 {
        Fields(self.0).number(VERSION)
    }

    /// Returns the floor that a board has after it committed this version.
    pub fn floor(&self) -> u64 {
        Fields(self.0).number(FLOOR)
    }

    /// Returns the name of the board that it is for.
    pub fn board(&self) -> &'a str {
        Fields(self.0).name(BOARD, Record::BOARD_BYTES)
    }

    /// Returns the bytes of the slot's contents.
    pub fn size(&self) -> u64 {
        Fields(self.0).number(SIZE)
    }

    /// Returns the parts of the slot's contents.
    pub fn parts(&self) -> Parts {
        Fields(self.0).parts(PARTS_AT)
    }

    /// Returns the root hash.
    pub fn root(&self) -> &'a [u8; 32] {
        self.0[ROOT..].first_chunk().unwrap_or(&[0; 32])
    }

    /// Returns the salt of the hash tree.
    pub fn salt(&self) -> &'a [u8; 32] {
        self.0[SALT..].first_chunk().unwrap_or(&[0; 32])
    }

    /// Checks whether a board takes this bundle into a slot. Its signature must have been verified.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, record: &Record, slot: Slot) -> Result<(), Mismatch> {
        let is_inside =
            |range: super::Range| range.start.checked_add(range.bytes).is_some_and(|end| end <= self.size());
        if self.size() == 0
            || !self.size().is_multiple_of(BLOCK_BYTES as u64)
            || self.version() == 0
            || !self.parts().ranges().into_iter().all(is_inside)
        {
            return Err(Mismatch::Malformed);
        }
        if self.board() != record.board() {
            return Err(Mismatch::Board);
        }
        if self.version() < record.floor() {
            return Err(Mismatch::Floor(record.floor()));
        }
        let committed = record.version(record.committed());
        if self.version() < committed {
            return Err(Mismatch::Older(committed));
        }
        if self.size() > record.size(slot) {
            return Err(Mismatch::Large(record.size(slot)));
        }
        Ok(())
    }
}

/// What the builder writes in a bundle's first block.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// The version, at least 1.
    pub version: u64,
    /// The floor that a board has after it committed this version.
    pub floor: u64,
    /// The name of the board.
    pub board: &'a str,
    /// The bytes of the slot's contents, a multiple of [`BLOCK_BYTES`].
    pub size: u64,
    /// What kexec(2) starts.
    pub parts: Parts,
    /// The root hash and the salt.
    pub hashes: [[u8; 32]; 2],
}

impl Contents<'_> {
    /// Returns the first block without signatures.
    pub fn block(&self) -> [u8; BLOCK_BYTES] {
        let mut bytes = [0; BLOCK_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        put(&mut bytes, FORMAT, 1);
        put(&mut bytes, VERSION, self.version);
        put(&mut bytes, FLOOR, self.floor);
        put_name(&mut bytes, BOARD, Record::BOARD_BYTES, self.board);
        put(&mut bytes, SIZE, self.size);
        put_parts(&mut bytes, PARTS_AT, &self.parts);
        let [root, salt] = &self.hashes;
        bytes[ROOT..SALT].copy_from_slice(root);
        bytes[SALT..SALT + 32].copy_from_slice(salt);
        bytes
    }
}

/// Adds a signature to a bundle's first block. `None` if it is too long.
pub fn sign(block: &mut [u8; BLOCK_BYTES], index: usize, signature: &[u8]) -> Option<()> {
    let start = SIGNATURE + index * SIGNATURE_BYTES;
    let length = u16::try_from(signature.len()).ok().filter(|length| usize::from(*length) <= SIGNATURE_BYTES)?;
    block[LENGTHS + index * 2..LENGTHS + index * 2 + 2].copy_from_slice(&length.to_le_bytes());
    block[start..start + signature.len()].copy_from_slice(signature);
    Some(())
}
