//! An initramfs as a file: several archives one behind the other, which the kernel unpacks in this order (buffer-format.rst: each
//! may be compressed or not, and zeros fill the bytes up to the next multiple of four).
//!
//! 1. the files that change most often, compressed: PID 1, the list of files, the configuration;
//! 2. all other entries, compressed; each large file has an archive of its own;
//! 3. image files, and large files that are compressed already, uncompressed; the last entry is the file that PID 1 looks for.
//!
//! Archives of the second kind are in the cache, so a changed configuration compresses only the first one again.
//!
//! For updates ([`Layout::Blocks`]) the archives are more, and each begins at a block, so that what changes changes few blocks: PID 1
//! is apart from the configuration, the modules and each root filesystem have archives of their own, and so has each file of 256 KiB.
//! An image file begins at a block as well: NULs fill up its name, as dracut-cpio(1) does it.
//!
//! Without compression ([`Layout::Plain`]) there are two archives: the first one, and everything else.

use super::{CONFIG, END, Image, LEVEL, MANIFEST};
use crate::cache::Cache;
use crate::contents::Contents;
use crate::node::Node;
use crate::progress::Progress;
use anyhow::{Context, Result};
use cpio::newc::{Builder, ModeFileType, trailer};
use hilum::storage::{START_BYTES, Superblock};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;

/// An entry: its path, permission bits, and what it is.
type Entry<'a> = (&'a String, &'a (u32, Node));

/// The size of a large file in bytes, and in the layout for updates.
const LARGE: u64 = 16 << 20;
const LARGE_BLOCKS: u64 = 256 << 10;

/// Bytes of a block.
const BLOCK: u64 = hilum::update::BLOCK_BYTES as u64;
/// Bytes of a name with which the contents of an archive's first file begin at a block: what the header of 110 bytes leaves. The
/// kernel takes names up to PATH_MAX, 4,096.
const NAME: usize = BLOCK as usize - 110;

/// How the archives are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Few archives, one right behind the other.
    Small,
    /// Archives at multiples of 4,096 bytes, and a change stays in few of them.
    Blocks,
    /// Nothing is compressed.
    Plain,
}

impl Image {
    /// Writes the archives to a file. Returns its size in bytes.
    ///
    /// # Errors
    /// A file of 4 GiB or more, which the format cannot hold, and those of reading and writing.
    pub fn write_to(&self, path: &Path, layout: Layout, cache: &Cache, progress: &Progress<'_>) -> Result<u64> {
        let (large, step) = match layout {
            Layout::Small | Layout::Plain => (LARGE, 4),
            Layout::Blocks => (LARGE_BLOCKS, BLOCK),
        };
        let (mut front, mut init, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rest, mut alone): (BTreeMap<&str, Vec<Entry<'_>>>, _) = (BTreeMap::new(), Vec::new());
        for entry in self.in_order() {
            let (path, (_, node)) = entry;
            let group = if layout == Layout::Blocks { group(path) } else { "" };
            match node {
                _ if layout == Layout::Blocks && path == "init" => init.push(entry),
                _ if [CONFIG, MANIFEST, "init", "etc"].contains(&path.as_str()) => front.push(entry),
                _ if path == END || layout == Layout::Plain => plain.push(entry),
                Node::File(contents) => match packing(contents, large).with_context(|| format!("/{path}"))? {
                    Packing::Plain => plain.push(entry),
                    Packing::Alone => alone.push(vec![entry]),
                    Packing::WithOthers => rest.entry(group).or_default().push(entry),
                },
                _ => rest.entry(group).or_default().push(entry),
            }
        }
        // END is last.
        plain.sort_by_key(|(path, _)| (*path == END, *path));
        let mut output = File::create(path).with_context(|| path.display().to_string())?;
        let mut packed = Vec::new();
        match layout {
            Layout::Plain => self.write_entries(&front, &mut packed, 0, &mut |_| {})?,
            Layout::Small | Layout::Blocks => self.compress(&front, &mut packed, &mut |_| {})?,
        }
        output.write_all(&packed)?;
        align(&mut output, step)?;
        // The empty group has the folders that the others are in.
        let segments = std::iter::once(init).chain(rest.into_values()).chain(alone);
        for segment in segments.filter(|segment| !segment.is_empty()) {
            let segment = self.segment(&segment, cache, progress)?;
            let at = output.stream_position()?;
            segment.copy(&output, at)?;
            output.seek(std::io::SeekFrom::End(0))?;
            align(&mut output, step)?;
        }
        let (total, mut done) = (bytes(&plain), 0);
        let archives = if layout == Layout::Blocks { 1 } else { plain.len().max(1) };
        for archive in plain.chunks(archives) {
            let name = if layout == Layout::Blocks && archive[0].0 != END { NAME } else { 0 };
            self.write_entries(archive, &mut output, name, &mut |more| {
                done += more;
                if total >= LARGE {
                    progress.bytes("copying images", done, total);
                }
            })?;
            progress.end();
            align(&mut output, step)?;
        }
        Ok(output.stream_position()?)
    }

    /// Returns entries as a compressed archive, from the cache or new.
    fn segment(&self, entries: &[Entry<'_>], cache: &Cache, progress: &Progress<'_>) -> Result<Contents> {
        let identity = self.identity(entries);
        let total = bytes(entries);
        let source = cache.entry(&cache.key("segment", &[&identity]), progress, &mut |path| {
            let mut done = 0;
            let output = File::create(path)?;
            self.compress(entries, &mut &output, &mut |more| {
                done += more;
                progress.bytes("compressing", done, total);
            })?;
            progress.end();
            Ok(())
        })?;
        let len = source.file()?.metadata()?.len();
        Ok(Contents::part(&source, 0, len))
    }

    /// Returns bytes that identify entries.
    fn identity(&self, entries: &[Entry<'_>]) -> Vec<u8> {
        let mut all = Vec::new();
        for (path, (mode, node)) in entries {
            let (uid, gid) = self.owners.get(*path).copied().unwrap_or_default();
            all.extend(format!("{path}\0{mode} {uid} {gid} ").into_bytes());
            match node {
                Node::Folder => all.push(b'd'),
                Node::File(contents) => all.extend(contents.identity()),
                Node::Link(target) => all.extend(format!("l{target}\0").into_bytes()),
                Node::Character(major, minor) => all.extend(format!("c{major} {minor}\0").into_bytes()),
            }
        }
        all
    }

    fn compress(&self, entries: &[Entry<'_>], output: &mut dyn Write, advance: &mut dyn FnMut(u64)) -> Result<()> {
        let mut encoder = zstd::Encoder::new(output, LEVEL)?;
        self.write_entries(entries, &mut encoder, 0, advance)?;
        encoder.finish()?.flush()?;
        Ok(())
    }

    /// Writes one archive with inode numbers from 1 on; calls `advance` with the number of bytes of files. Names are padded with
    /// NULs to `name` bytes.
    pub(super) fn write_entries(
        &self,
        entries: &[Entry<'_>],
        output: &mut dyn Write,
        name: usize,
        advance: &mut dyn FnMut(u64),
    ) -> Result<()> {
        for (number, (path, (mode, node))) in (1..).zip(entries) {
            let target;
            let (kind, contents) = match node {
                Node::Folder => (ModeFileType::Directory, None),
                Node::File(contents) => (ModeFileType::Regular, Some(contents)),
                Node::Link(to) => {
                    target = Contents::from(to.as_bytes());
                    (ModeFileType::Symlink, Some(&target))
                }
                Node::Character(..) => (ModeFileType::Char, None),
            };
            let len = contents.map_or(0, Contents::len);
            let size = u32::try_from(len).ok().filter(|size| *size < u32::MAX);
            let size = size.with_context(|| format!("/{path}: 4 GiB or more"))?;
            let links = if *node == Node::Folder { 2 } else { 1 };
            let (major, minor) = if let Node::Character(major, minor) = node { (*major, *minor) } else { (0, 0) };
            let padded = format!("{path:\0<0$}", name.saturating_sub(1));
            let entry = Builder::new(&padded).ino(number).nlink(links).mode(*mode).set_mode_file_type(kind);
            let (uid, gid) = self.owners.get(*path).copied().unwrap_or_default();
            let entry = entry.uid(uid).gid(gid);
            let mut writer = entry.rdev_major(major).rdev_minor(minor).write(&mut *output, size);
            match contents {
                Some(contents) => contents.write(&mut writer, advance).with_context(|| format!("/{path}"))?,
                None => writer.write_all(&[])?,
            }
            writer.finish()?;
        }
        trailer(output)?;
        Ok(())
    }
}

/// How a file is stored.
#[derive(Debug, PartialEq, Eq)]
enum Packing {
    WithOthers,
    Alone,
    Plain,
}

/// Chooses how to store a file: uncompressed if it is a compressed image, or if it is large and zstd makes it less than an eighth
/// smaller.
fn packing(contents: &Contents, large: u64) -> Result<Packing> {
    /// The size of a sample of a large file in bytes, and the number of samples.
    const SAMPLE: u64 = 64 << 10;
    const SAMPLES: u64 = 64;
    let start = contents.start(START_BYTES)?;
    if Superblock::read(&start).is_some_and(|found| ["erofs", "squashfs"].contains(&found.kind.name())) {
        return Ok(Packing::Plain);
    }
    if contents.len() < large {
        return Ok(Packing::WithOthers);
    }
    let (mut before, mut after) = (0, 0);
    for number in 0..SAMPLES {
        let at = (contents.len() - SAMPLE) / (SAMPLES - 1) * number;
        let piece = contents.piece(at, SAMPLE)?;
        before += piece.len();
        after += zstd::bulk::compress(&piece, 1)?.len();
    }
    Ok(if after > before / 8 * 7 { Packing::Plain } else { Packing::Alone })
}

/// Returns the archive that an entry belongs to: the folder of the modules or of a root filesystem, which is empty for others.
fn group(path: &str) -> &str {
    let mut slashes = path.match_indices('/').map(|(at, _)| at).skip(1);
    let is_one = ["lib/", "images/"].iter().any(|folder| path.starts_with(folder));
    slashes.next().filter(|_| is_one).map_or("", |at| &path[..at])
}

/// Returns the size of the files of entries in bytes.
fn bytes(entries: &[Entry<'_>]) -> u64 {
    let lens = entries.iter().map(|(_, (_, node))| if let Node::File(contents) = node { contents.len() } else { 0 });
    lens.sum()
}

/// Writes zeros up to the next multiple of `step` bytes; the kernel expects an uncompressed archive at a multiple of four, and skips
/// zeros before any archive (`unpack_to_rootfs` of init/initramfs.c).
fn align(output: &mut File, step: u64) -> Result<()> {
    let at = output.stream_position()?;
    output.write_all(&[0; BLOCK as usize][..(at.next_multiple_of(step) - at) as usize])?;
    Ok(())
}
