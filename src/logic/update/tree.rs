//! The hash tree of a slot's contents: that of dm-verity (format 1, SHA-256, the salt before the block), in the order of a stream.
//!
//! A **group** is the 128 blocks whose hashes are one block of the lowest level. For each group a bundle has:
//!
//! 1. the hash blocks that this group is the first to need, the highest level first, the lowest always;
//! 2. a map: for each block of the group four bytes, little-endian, with its [`Source`]. It is not signed: the hash of a block
//!    decides, wherever it comes from;
//! 3. the blocks that the map says follow.
//!
//! So each block can be checked as it arrives, with one hash block per level in memory. Contents of one block have no tree: the
//! root is the block's hash.

use super::BLOCK_BYTES;
use sha2::{Digest, Sha256};

/// Hashes in a block.
pub const GROUP_BLOCKS: usize = BLOCK_BYTES / 32;
/// Bytes of a group's map.
pub const MAP_BYTES: usize = GROUP_BLOCKS * 4;
/// The maximum number of levels: 128^4 blocks are 1 TiB.
pub const NODES: usize = 4;

/// Where a block comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It follows in the bundle.
    Here,
    /// It is all zeros.
    Zero,
    /// It is a copy of this block of the running slot.
    Copy(u32),
}

impl Source {
    /// Returns the source of a block of a group by the group's map.
    pub fn read(map: &[u8; MAP_BYTES], index: usize) -> Self {
        match map[index * 4..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)) {
            u32::MAX => Self::Here,
            0xffff_fffe => Self::Zero,
            block => Self::Copy(block),
        }
    }

    /// Returns the bytes in a map.
    pub const fn bytes(self) -> [u8; 4] {
        match self {
            Self::Here => u32::MAX,
            Self::Zero => 0xffff_fffe,
            Self::Copy(block) => block,
        }
        .to_le_bytes()
    }
}

/// Returns the number of levels of the tree of this many blocks. `None` if they are too many, or none.
pub fn levels(blocks: u64) -> Option<usize> {
    let (mut count, mut nodes) = (0, blocks);
    while nodes > 1 {
        nodes = nodes.div_ceil(GROUP_BLOCKS as u64);
        count += 1;
    }
    (count <= NODES && blocks > 0).then_some(count)
}

/// Returns the SHA-256 hash of bytes with a prefix.
pub fn hash(prefix: &[u8], bytes: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(prefix).chain_update(bytes).finalize().into()
}

/// The tree as far as it was read.
pub struct Tree {
    levels: usize,
    root: [u8; 32],
    salt: [u8; 32],
    /// The hash block of each level, the lowest first.
    nodes: [[u8; BLOCK_BYTES]; NODES],
}

impl Tree {
    /// Returns the tree of a bundle before its first group. `None` if the number of blocks is impossible.
    pub fn new(root: [u8; 32], salt: &[u8; 32], blocks: u64) -> Option<Self> {
        let levels = levels(blocks)?;
        Some(Self { levels, root, salt: *salt, nodes: [[0; BLOCK_BYTES]; NODES] })
    }

    /// Returns the number of hash blocks before this group.
    pub fn nodes_before(&self, group: u64) -> usize {
        (0..self.levels).take_while(|level| group.is_multiple_of(1 << (7 * level))).count()
    }

    /// Takes a hash block before a group. `level` counts down from [`Self::nodes_before`], whose last one is 0. Returns whether the
    /// block is the right one.
    pub fn take_node(&mut self, group: u64, level: usize, block: &[u8; BLOCK_BYTES]) -> bool {
        if !self.is_hash_of(group >> (7 * level), level + 1, block) {
            return false;
        }
        self.nodes[level] = *block;
        true
    }

    /// Returns whether these are the contents of this block.
    pub fn is_valid(&self, block: u64, contents: &[u8; BLOCK_BYTES]) -> bool {
        self.is_hash_of(block, 0, contents)
    }

    /// Compares the hash of a block with that which its parent has at this level.
    fn is_hash_of(&self, index: u64, parent: usize, block: &[u8; BLOCK_BYTES]) -> bool {
        let hash = hash(&self.salt, block);
        if parent >= self.levels {
            return hash == self.root;
        }
        let at = (index % GROUP_BLOCKS as u64) as usize * 32;
        self.nodes[parent][at..at + 32] == hash
    }
}
