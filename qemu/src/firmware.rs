//! Plays the firmware of boards with slots, which QEMU has not: reads from the disk which slot is to start, and takes kernel,
//! initramfs and command line from that slot.

mod device_tree;

use anyhow::{Context, Result, bail, ensure};
use fatfs::{FileSystem, FsOptions};
use hilum::update::{Range, Record, Slot};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a firmware starts.
#[derive(Debug)]
pub struct Start {
    /// The slot that it is from.
    pub slot: Slot,
    /// The kernel.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
    /// The kernel command line.
    pub command_line: String,
    /// The device tree, if the firmware passes one.
    pub device_tree: Option<PathBuf>,
}

impl Start {
    /// Adds the words for QEMU that start it; `more` are added to the kernel command line.
    pub fn add_to(&self, command: &mut Command, more: &str) {
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initramfs);
        command.arg("-append").arg(format!("{} {more}", self.command_line).trim_end());
        if let Some(tree) = &self.device_tree {
            command.arg("-dtb").arg(tree);
        }
    }
}

/// Returns the record on a disk.
///
/// # Errors
/// The disk has none, or cannot be read.
pub fn record(disk: &Path) -> Result<Record> {
    let file = File::open(disk).with_context(|| disk.display().to_string())?;
    // A shorter file has no record.
    let newest = Record::find(&mut |copy, place| _ = file.read_exact_at(copy, place));
    Ok(newest.with_context(|| format!("{}: no record of slots", disk.display()))?.0)
}

/// Plays a boot loader for QEMU's machines: the slot that the record says is committed, or `slot`. The command line gets
/// `hilum.slot=`. The files are written to the folder `scratch`.
///
/// # Errors
/// The disk has no slots, or the slot has no kernel.
pub fn direct(disk: &Path, slot: Option<Slot>, scratch: &Path) -> Result<Start> {
    let record = record(disk)?;
    let slot = slot.unwrap_or_else(|| record.committed());
    let parts = record.parts(slot);
    ensure!(parts.kernel.bytes > 0, "{}: slot {} is empty", disk.display(), slot.name());
    let mut file = File::open(disk)?;
    let mut part = |range: Range, name: &str| -> Result<PathBuf> {
        let path = scratch.join(name);
        file.seek(SeekFrom::Start(record.start(slot) + range.start))?;
        io::copy(&mut (&mut file).take(range.bytes), &mut File::create(&path)?)?;
        Ok(path)
    };
    let words = std::fs::read(part(parts.command_line, "command-line")?)?;
    let command_line = format!("{} hilum.slot={}", String::from_utf8_lossy(&words), slot.name());
    let (kernel, initramfs) = (part(parts.kernel, "kernel")?, part(parts.initramfs, "initramfs")?);
    Ok(Start { slot, kernel, initramfs, command_line, device_tree: None })
}

/// Plays the firmware of a Raspberry Pi with an SD card: the partition that the register PM_RSTS names, or else autoboot.txt on the
/// first one, with its config.txt and cmdline.txt. The register is 0 when the power was off. `device_tree` is the file of the model; it gets the number of the partition, as the firmware does it.
/// The files are written to the folder `scratch`.
///
/// # Errors
/// A partition that is no FAT filesystem, or has not the files; the firmware would stop there.
pub fn raspberry_pi(card: &Path, register: u32, device_tree: &str, scratch: &Path) -> Result<Start> {
    let first = Partition::open(card, 1)?;
    let pointer = first.text("autoboot.txt")?;
    let number = pointer.lines().find_map(|line| line.strip_prefix("boot_partition="));
    let number = number.and_then(|number| number.trim().parse().ok()).context("autoboot.txt: no boot_partition")?;
    // The number is in every other bit (drivers/watchdog/bcm2835_wdt.c of the kernel).
    let asked = (0..6).fold(0, |number, bit| number | (register >> (2 * bit) & 1) << bit);
    let number = if asked == 0 { number } else { asked };
    let slot = match number {
        2 => Slot::A,
        3 => Slot::B,
        _ => bail!("partition {number} is no slot"),
    };
    let partition = Partition::open(card, number)?;
    let config = partition.text("config.txt")?;
    let named = |key: &str| {
        let value = config.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next());
        value.with_context(|| format!("config.txt of partition {number}: no {key}"))
    };
    let copy = |name: &str| partition.copy(name, scratch);
    let (kernel, initramfs) = (copy(named("kernel=")?)?, copy(named("initramfs ")?)?);
    let tree = copy(device_tree)?;
    let bytes = device_tree::with_partition(&std::fs::read(&tree)?, number, register).context("the device tree")?;
    std::fs::write(&tree, bytes)?;
    let command_line = partition.text("cmdline.txt")?.trim().to_owned();
    Ok(Start { slot, kernel, initramfs, command_line, device_tree: Some(tree) })
}

/// A FAT filesystem on a partition.
struct Partition {
    filesystem: FileSystem<Slice>,
    number: u32,
}

impl Partition {
    /// Opens a partition of a DOS table by its number.
    fn open(disk: &Path, number: u32) -> Result<Self> {
        let file = File::open(disk).with_context(|| disk.display().to_string())?;
        let mut table = [0; 512];
        file.read_exact_at(&mut table, 0)?;
        // Four entries of 16 bytes, each with the first sector and the number of sectors.
        let entry = &table[446 + 16 * (number as usize - 1)..][..16];
        let [start, sectors] =
            [8, 12].map(|at| entry[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)));
        let slice = Slice { file, start: u64::from(start) * 512, bytes: u64::from(sectors) * 512, at: 0 };
        let filesystem = FileSystem::new(slice, FsOptions::new());
        Ok(Self { filesystem: filesystem.with_context(|| format!("partition {number} is no filesystem"))?, number })
    }

    fn copy(&self, name: &str, folder: &Path) -> Result<PathBuf> {
        let place = || format!("{name} of partition {}", self.number);
        let path = folder.join(name);
        let mut file = self.filesystem.root_dir().open_file(name).with_context(place)?;
        io::copy(&mut file, &mut File::create(&path)?).with_context(place)?;
        Ok(path)
    }

    fn text(&self, name: &str) -> Result<String> {
        let mut text = String::new();
        let place = || format!("{name} of partition {}", self.number);
        let mut file = self.filesystem.root_dir().open_file(name).with_context(place)?;
        file.read_to_string(&mut text).with_context(place)?;
        Ok(text)
    }
}

/// A part of a file that is only read.
struct Slice {
    file: File,
    start: u64,
    bytes: u64,
    at: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let found = self.file.read_at(&mut buffer[..wanted], self.start + self.at)?;
        self.at += found as u64;
        Ok(found)
    }
}

impl Write for Slice {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Slice {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(more) => self.at.checked_add_signed(more),
            SeekFrom::End(more) => self.bytes.checked_add_signed(more),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
