//! Hash trees of image files for dm-verity: format 1, SHA-256, no salt, blocks of 4,096 bytes
//! (Documentation/admin-guide/device-mapper/verity.rst). veritysetup(8) with `--no-superblock --salt=-` creates the
//! same.

use anyhow::{Context, Result};
use hilum::storage::START_BYTES;
use hilum::storage::verity::{BLOCK_BYTES, data_blocks};
use sha2::{Digest, Sha256};

const BLOCK: usize = BLOCK_BYTES as usize;

/// Appends the tree to an image, replacing anything after its filesystem, and returns the root hash in hexadecimal
/// digits.
///
/// # Errors
/// The filesystem is unknown, or the image is shorter than its filesystem.
pub fn add_tree(image: &mut Vec<u8>) -> Result<String> {
    let start = &image[..image.len().min(START_BYTES)];
    let blocks = data_blocks(start).context("verity: no image of erofs, squashfs or ext4")?;
    let bytes = usize::try_from(blocks * BLOCK_BYTES).ok();
    // squashfs need not end with a whole block.
    let bytes =
        bytes.filter(|bytes| *bytes < image.len() + BLOCK).context("verity: the image ends before its filesystem")?;
    image.resize(bytes, 0);
    let mut levels: Vec<Vec<u8>> = Vec::new();
    loop {
        let below = levels.last().unwrap_or(image);
        if below.len() == BLOCK {
            let root = Sha256::digest(below);
            levels.iter().rev().for_each(|level| image.extend(level));
            return Ok(root.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        let mut level: Vec<u8> = below.chunks(BLOCK).flat_map(Sha256::digest).collect();
        level.resize(level.len().next_multiple_of(BLOCK), 0);
        levels.push(level);
    }
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
