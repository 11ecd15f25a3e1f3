//! Bundles: makes them of disks with slots, and reads them. The formats are in the library's module `update`, with whose code a
//! board reads them.
//!
//! A bundle is written in one pass and read in one; what stays in memory is 32 bytes for each block of 4,096.

mod reader;

pub use reader::{Summary, read};

use crate::contents::Hash;
use crate::openssl::Key;
use crate::progress::Progress;
use crate::verity;
use anyhow::{Context, Result, ensure};
use hilum::update::{
    BLOCK_BYTES, Contents, GROUP_BLOCKS, MAP_BYTES, Record, SIGNATURES, Slot, Source, Tree, levels, sign,
};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A block of a slot.
type Block = [u8; BLOCK_BYTES];

/// The disks that the builder writes.
const DISKS: [&str; 3] = ["disk.img", "uefi-disk.img", "sd-card.img"];

/// What to make a bundle of.
#[derive(Debug)]
pub struct Order {
    /// A disk with slots, or the folder of an image that has one.
    pub image: PathBuf,
    /// The private keys that sign it, in PEM: one or two.
    pub keys: Vec<PathBuf>,
    /// A bundle of the version that boards run: blocks that it has are left out. Boards with other versions do not take it.
    pub since: Option<PathBuf>,
    /// The file to write; beside the disk if there is none.
    pub output: Option<PathBuf>,
}

/// The contents of slot a of a disk.
struct Slotted {
    disk: File,
    record: Record,
    /// Bytes of the contents.
    size: u64,
}

/// Makes a bundle of what is in slot a of a disk. Returns its path and its size in bytes.
///
/// # Errors
/// The disk has no slots, a key that cannot sign, a bundle of another board, and those of reading and writing.
pub fn make(order: &Order, progress: &Progress<'_>) -> Result<(PathBuf, u64)> {
    let keys = order.keys.len();
    ensure!((1..=SIGNATURES).contains(&keys), "{keys} keys; sign with one or two");
    let keys = order.keys.iter().map(|key| Key::new(key)).collect::<Result<Vec<_>>>()?;
    let path = disk_of(&order.image)?;
    let slot = Slotted::open(&path).with_context(|| path.display().to_string())?;
    let salt: Hash = Sha256::digest(format!("hilum update {}", slot.record.board())).into();
    let known = order.since.as_deref().map(|since| known_blocks(since, &salt, &slot, progress)).transpose()?;
    let (leaves, sources) = slot.hashes(&salt, &known.unwrap_or_default(), progress)?;
    let (root, nodes) = verity::levels(leaves, &salt);
    let version = slot.record.version(Slot::A);
    let contents = Contents {
        version,
        floor: slot.record.floor(),
        board: slot.record.board(),
        size: slot.size,
        parts: slot.record.parts(Slot::A),
        hashes: [root, salt],
    };
    let mut header = contents.block();
    let signed: Vec<u8> = hilum::update::Bundle::read(&header).context("the header of a bundle")?.signed().to_vec();
    for (index, key) in keys.iter().enumerate() {
        sign(&mut header, index, &key.sign(&signed)?).context("the signature is too long")?;
    }
    let output = order.output.clone().unwrap_or_else(|| beside(&path, version));
    let place = || output.display().to_string();
    let new = output.with_extension("bundle.new");
    let file = File::create(&new).with_context(place)?;
    slot.write(&header, &nodes, &sources, file, progress).with_context(place)?;
    // As a board reads it, with its code.
    read(&new, progress, &mut |_, _, _| {}).with_context(place)?;
    std::fs::rename(&new, &output).with_context(place)?;
    let bytes = std::fs::metadata(&output).with_context(place)?.len();
    Ok((output, bytes))
}

/// Returns the disk in a folder of an image, or the path itself.
fn disk_of(image: &Path) -> Result<PathBuf> {
    if !image.is_dir() {
        return Ok(image.to_owned());
    }
    let disk = DISKS.iter().map(|name| image.join(name)).find(|path| path.exists());
    disk.with_context(|| format!("{}: no disk with slots; build one for a description with [update]", image.display()))
}

/// Returns the path of a bundle: that of the disk's folder, with the version.
fn beside(disk: &Path, version: u64) -> PathBuf {
    let folder = disk.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = folder.file_name().map_or_else(|| "update".to_owned(), |name| name.to_string_lossy().into_owned());
    folder.join(format!("{name}-{version}.bundle"))
}

/// Returns the blocks of an older bundle by their hashes.
fn known_blocks(since: &Path, salt: &Hash, slot: &Slotted, progress: &Progress<'_>) -> Result<HashMap<Hash, u32>> {
    let place = || since.display().to_string();
    let mut known = HashMap::new();
    let summary = read(since, progress, &mut |block, hash, _| {
        if let Ok(block) = u32::try_from(block) {
            known.entry(*hash).or_insert(block);
        }
    });
    let summary = summary.with_context(place)?;
    let board = slot.record.board();
    ensure!(summary.board == board && summary.salt == *salt, "{}: for {}, not for {board}", place(), summary.board);
    let (old, new) = (summary.version, slot.record.version(Slot::A));
    ensure!(old < new, "{}: version {old} is not older than {new}; build the image with a higher one", place());
    Ok(known)
}

impl Slotted {
    /// Opens a disk that the builder wrote.
    fn open(path: &Path) -> Result<Self> {
        let disk = File::open(path)?;
        // A shorter file has no record.
        let newest = Record::find(&mut |copy, place| _ = disk.read_exact_at(copy, place));
        let (record, _) = newest.context("no slots on this disk; build it for a description with [update]")?;
        let (start, parts) = (record.start(Slot::A), record.parts(Slot::A));
        let mut sector = [0; 512];
        disk.read_exact_at(&mut sector, start)?;
        let size = if sector[82..].starts_with(b"FAT32") {
            // The number of sectors (Microsoft's FAT32 specification 1.03, "Boot Sector and BPB").
            let sectors = sector[32..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            u64::from(sectors) * 512
        } else {
            parts.ranges().iter().map(|part| part.start + part.bytes).max().unwrap_or(0)
        };
        let size = size.next_multiple_of(BLOCK_BYTES as u64);
        ensure!(levels(size / BLOCK_BYTES as u64).is_some() && size <= record.size(Slot::A), "slot a is damaged");
        Ok(Self { disk, record, size })
    }

    fn blocks(&self) -> u64 {
        self.size / BLOCK_BYTES as u64
    }

    fn block(&self, index: u64) -> Result<Block> {
        let mut block = [0; BLOCK_BYTES];
        self.disk.read_exact_at(&mut block, self.record.start(Slot::A) + index * BLOCK_BYTES as u64)?;
        Ok(block)
    }

    /// Returns the hashes of all blocks, one behind the other, and where a board gets each block from.
    fn hashes(
        &self,
        salt: &Hash,
        known: &HashMap<Hash, u32>,
        progress: &Progress<'_>,
    ) -> Result<(Vec<u8>, Vec<Source>)> {
        let salted = Sha256::new_with_prefix(salt);
        let (mut leaves, mut sources) = (Vec::new(), Vec::new());
        for index in 0..self.blocks() {
            let block = self.block(index)?;
            let hash: Hash = salted.clone().chain_update(block).finalize().into();
            sources.push(match known.get(&hash) {
                _ if block.iter().all(|byte| *byte == 0) => Source::Zero,
                Some(copy) => Source::Copy(*copy),
                None => Source::Here,
            });
            leaves.extend(hash);
            if index % 256 == 0 {
                progress.bytes("hashing", index * BLOCK_BYTES as u64, self.size);
            }
        }
        progress.end();
        Ok((leaves, sources))
    }

    /// Writes a bundle; `nodes` are the levels of its tree, the lowest first.
    fn write(
        &self,
        header: &Block,
        nodes: &[Vec<u8>],
        sources: &[Source],
        file: File,
        progress: &Progress<'_>,
    ) -> Result<()> {
        let mut output = BufWriter::with_capacity(1 << 20, file);
        output.write_all(header)?;
        let bundle = hilum::update::Bundle::read(header).context("the header of a bundle")?;
        let tree = Tree::new(*bundle.root(), bundle.salt(), self.blocks()).context("too many blocks")?;
        for (group, sources) in (0..).zip(sources.chunks(GROUP_BLOCKS)) {
            for level in (0..tree.nodes_before(group)).rev() {
                let at = usize::try_from(group >> (7 * level))? * BLOCK_BYTES;
                output.write_all(&nodes[level][at..at + BLOCK_BYTES])?;
            }
            let mut map = [0; MAP_BYTES];
            for index in 0..GROUP_BLOCKS {
                let source = sources.get(index).copied().unwrap_or(Source::Zero);
                map[index * 4..index * 4 + 4].copy_from_slice(&source.bytes());
            }
            output.write_all(&map)?;
            for (index, _) in (0..).zip(sources).filter(|(_, source)| **source == Source::Here) {
                output.write_all(&self.block(group * GROUP_BLOCKS as u64 + index)?)?;
            }
            progress.bytes("writing", group * (GROUP_BLOCKS * BLOCK_BYTES) as u64, self.size);
        }
        progress.end();
        output.flush()?;
        Ok(output.get_ref().sync_all()?)
    }
}
