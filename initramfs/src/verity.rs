//! Hash trees of image files for dm-verity: format 1, SHA-256, no salt, blocks of 4,096 bytes
//! (Documentation/admin-guide/device-mapper/verity.rst). veritysetup(8) with `--no-superblock --salt=-` creates the
//! same.

use crate::contents::{Hash, hex};
use anyhow::{Context, Result};
use hilum::storage::START_BYTES;
use hilum::storage::verity::{BLOCK_BYTES, data_blocks};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::os::unix::fs::FileExt;

const BLOCK: usize = BLOCK_BYTES as usize;

/// Appends the tree to an image, replacing anything after its filesystem, and returns the root hash in hexadecimal
/// digits.
///
/// # Errors
/// The filesystem is unknown, or the image is shorter than its filesystem.
pub fn add_tree(image: &mut Vec<u8>) -> Result<String> {
    let start = &image[..image.len().min(START_BYTES)];
    let bytes = filesystem_bytes(start, image.len() as u64)?;
    image.resize(usize::try_from(bytes)?, 0);
    let (root, levels) = tree(&mut image.as_slice(), bytes)?;
    image.extend(levels);
    Ok(hex(&root))
}

/// Like [`add_tree`], for an image in a file.
///
/// # Errors
/// As [`add_tree`], and those of reading and writing.
pub fn add_tree_to(image: &File) -> Result<()> {
    let len = image.metadata()?.len();
    let bytes = filesystem_bytes(&start(image, len)?, len)?;
    image.set_len(bytes)?;
    let mut reader = image;
    reader.rewind()?;
    let (_, levels) = tree(&mut BufReader::with_capacity(1 << 20, reader), bytes)?;
    Ok(image.write_all_at(&levels, bytes)?)
}

/// Returns the root hash of an image with a hash tree, in hexadecimal digits: the hash of the first block of the tree, or of the
/// image if that is one block.
///
/// # Errors
/// As [`add_tree_to`].
pub fn root_hash(image: &File) -> Result<String> {
    let len = image.metadata()?.len();
    let bytes = filesystem_bytes(&start(image, len)?, len)?;
    let mut block = [0; BLOCK];
    image.read_exact_at(&mut block, if len > bytes { bytes } else { 0 })?;
    Ok(hex(&Sha256::digest(block).into()))
}

fn start(image: &File, len: u64) -> Result<Vec<u8>> {
    let mut start = vec![0; usize::try_from(len).unwrap_or(START_BYTES).min(START_BYTES)];
    image.read_exact_at(&mut start, 0)?;
    Ok(start)
}

/// Returns the size of an image's filesystem in bytes, a multiple of a block.
fn filesystem_bytes(start: &[u8], len: u64) -> Result<u64> {
    let blocks = data_blocks(start).context("verity: no image of erofs, squashfs or ext4")?;
    let bytes = blocks.checked_mul(BLOCK_BYTES);
    // squashfs need not end with a whole block.
    bytes.filter(|bytes| *bytes < len + BLOCK_BYTES).context("verity: the image ends before its filesystem")
}

/// Returns the root hash and the hash tree of `bytes` bytes of data.
fn tree(data: &mut dyn Read, bytes: u64) -> Result<(Hash, Vec<u8>)> {
    let (mut block, mut level) = ([0; BLOCK], Vec::new());
    for _ in 0..bytes / BLOCK_BYTES {
        data.read_exact(&mut block)?;
        level.extend(Sha256::digest(block));
    }
    let (root, levels) = levels(level, &[]);
    Ok((root, levels.into_iter().rev().flatten().collect()))
}

/// Returns the root hash and the levels of a tree, the lowest first; `level` are the hashes of its blocks, at least one. The salt
/// comes before each block. A single block has no tree: its hash is the root.
pub(crate) fn levels(mut level: Vec<u8>, salt: &[u8]) -> (Hash, Vec<Vec<u8>>) {
    let salted = Sha256::new_with_prefix(salt);
    let mut levels: Vec<Vec<u8>> = Vec::new();
    while level.len() > 32 {
        level.resize(level.len().next_multiple_of(BLOCK), 0);
        let above = level.chunks(BLOCK).flat_map(|block| salted.clone().chain_update(block).finalize()).collect();
        levels.push(std::mem::replace(&mut level, above));
    }
    (level.try_into().unwrap_or([0; 32]), levels)
}

/// The word in a configuration in place of a digest that the builder fills in.
pub const PLACEHOLDER: &str = hilum::config::Verity::PLACEHOLDER;

/// Returns the configuration with the digest of the image at `path` in place of `verity=image`.
pub fn fill_in(text: &str, path: &str, digest: &str) -> String {
    let mut filled = String::with_capacity(text.len() + digest.len());
    for line in text.split_inclusive('\n') {
        let mut words = line.split_whitespace();
        let is_its =
            words.next() == Some("root") && words.next().map(|word| word.trim_matches(['"', '\''])) == Some(path);
        if is_its {
            filled.push_str(&line.replacen(&format!("verity={PLACEHOLDER}"), &format!("verity={digest}"), 1));
        } else {
            filled.push_str(line);
        }
    }
    filled
}

#[cfg(test)]
mod tests;
