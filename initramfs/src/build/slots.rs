//! Slots of updates: their contents, their places on a disk, and the record of them.

use crate::contents::Contents;
use crate::description::{Description, Output};
use crate::disk::{Disk, Partition, Role, SECTOR};
use crate::fat::{self, Files, Filesystem, Room};
use crate::image::Image;
use crate::openssl;
use anyhow::{Context, Result, ensure};
use hilum::config::Config;
use hilum::update::{BLOCK_BYTES, Parts, Range, Record, Slot, pointer};
use std::os::unix::fs::FileExt;

const MIB: u64 = 1 << 20;

/// The file that points a Raspberry Pi's firmware to a slot.
const POINTER: &str = "autoboot.txt";

/// What the descriptions say about updates, checked.
pub(super) struct Updates<'a> {
    description: &'a Description,
    version: u64,
    floor: u64,
}

/// The contents of a slot.
pub(super) struct Filled {
    pub(super) contents: Contents,
    pub(super) parts: Parts,
    /// Whether it is a filesystem for the firmware.
    pub(super) is_filesystem: bool,
}

impl<'a> Updates<'a> {
    /// Reads the table `[update]`, if there is one, and adds the certificates to the initramfs. `version` replaces the table's.
    ///
    /// # Errors
    /// A value that no board could use, or a key that no kernel could.
    pub(super) fn new(description: &'a Description, version: Option<u64>, image: &mut Image) -> Result<Option<Self>> {
        let Some(update) = &description.update else {
            ensure!(version.is_none(), "--version: no description has [update]; add it, or leave the version out");
            return Ok(None);
        };
        let place = |key: &str| description.place_of_key(key);
        let version = version.unwrap_or(update.version);
        ensure!(version > 0, "{}: version 0 stands for an empty slot; begin with 1", place("version"));
        let floor = update.floor;
        ensure!(
            floor <= version,
            "{}: floor {floor} is above version {version}, which no board would take; lower it",
            place("floor")
        );
        let keys = update.keys.len();
        ensure!((1..=2).contains(&keys), "{}: {keys} keys; name one certificate or two", place("keys"));
        for (number, key) in update.keys.iter().enumerate() {
            let certificate = openssl::certificate(key).with_context(|| place("keys"))?;
            image.file(&format!("etc/hilum/update/{}.der", number + 1), 0o644, certificate);
        }
        // The last word counts, and without one the kernel stays (panic=0).
        let last = |key| description.command_line.iter().rev().find_map(|word| word.strip_prefix(key));
        let restarts = last("panic=").is_some_and(|seconds| seconds.parse().is_ok_and(|seconds: i32| seconds != 0));
        ensure!(
            restarts && last("hilum.fail=") != Some("stay"),
            "{}: [update] needs a board that restarts by itself; add panic=10 to command-line, and leave out hilum.fail=stay",
            place("command-line")
        );
        let board = &description.board;
        let room = Record::BOARD_BYTES;
        ensure!(board.len() <= room, "{board}: a board's name has at most {room} bytes; rename its description");
        ensure!(
            description.outputs.iter().any(|output| *output != Output::Initramfs),
            "{}: [update] needs a disk; choose a board with the output direct, sd-card or uefi-disk",
            place("version")
        );
        Ok(Some(Self { description, version, floor }))
    }

    /// Checks that the table `[update]` and the line `update` are both there, or neither; `name` and `text` are those of the
    /// configuration.
    ///
    /// # Errors
    /// One of them is missing.
    pub(super) fn check(description: &Description, name: &str, text: &[u8], config: &Config<'_>) -> Result<()> {
        let has_table = description.update.is_some();
        ensure!(
            config.system.update.is_some() || !has_table,
            "{}: [update] needs the line update in [system] of {name}; add it",
            description.place_of_key("version")
        );
        let text = String::from_utf8_lossy(text);
        let line = text.lines().position(|line| line.split_whitespace().next() == Some("update")).unwrap_or_default();
        ensure!(
            has_table || config.system.update.is_none(),
            "{name}:{}:1: update: no description has [update]; add it, or remove this line",
            line + 1
        );
        Ok(())
    }

    /// Returns the partitions of both slots; the second one is empty.
    ///
    /// # Errors
    /// The contents do not fit.
    pub(super) fn partitions(&self, filled: &Filled) -> Result<[Partition; 2]> {
        let needed = filled.contents.len();
        let wanted = self.description.update.as_ref().and_then(|update| update.slot_size_mib);
        let bytes = wanted.map_or((needed + needed / 2).next_multiple_of(8 * MIB), |size| u64::from(size) * MIB);
        ensure!(
            needed <= bytes,
            "{}: a slot of {} MiB is too small; it needs {}",
            self.description.place_of_key("slot-size-mib"),
            bytes / MIB,
            needed.div_ceil(MIB)
        );
        let role = if filled.is_filesystem { Role::Slot } else { Role::RawSlot };
        let first = Partition { role: role(Slot::A), contents: filled.contents.clone(), bytes };
        Ok([first, Partition { role: role(Slot::B), contents: Contents::default(), bytes }])
    }

    /// Writes both copies of the record on a disk with these partitions. `parts` are those of slot a; `pointer` is the sector
    /// that points the firmware to a slot.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn write_record(&self, disk: &Disk, parts: &Parts, pointer: Option<u64>) -> Result<()> {
        let mut record = Record::new(&self.description.board);
        record.raise_floor(self.floor);
        for (number, place) in (1..).zip(&disk.places) {
            if let Role::Slot(slot) | Role::RawSlot(slot) = place.role {
                record.set_place(slot, place.start * SECTOR, place.sectors * SECTOR, number, place.guid);
            }
        }
        record.set_contents(Slot::A, self.version, parts);
        pointer.into_iter().for_each(|sector| record.set_pointer(sector));
        for place in Record::PLACES {
            disk.file.write_all_at(record.to_write(), place)?;
        }
        Ok(())
    }
}

/// Returns a slot that is a filesystem for UEFI: the firmware starts its only file.
///
/// # Errors
/// Those of the filesystem.
pub(super) fn of_uefi(files: &Files) -> Result<Filled> {
    let contents = fat::fat(files, "ESP", Room::None)?.contents;
    Ok(Filled { contents, parts: Parts::default(), is_filesystem: true })
}

/// Returns a slot that is a filesystem for a Raspberry Pi. `words` are the kernel command line.
///
/// # Errors
/// Those of the filesystem.
pub(super) fn of_card(files: &Files, words: &str) -> Result<Filled> {
    let Filesystem { contents, places } = fat::fat(files, "HILUM", Room::None)?;
    // Each file is in one piece.
    let place = |name: &str| Range { start: places[name], bytes: files[name].len() };
    // The file ends with a newline, which is no part of the words.
    let command_line = Range { bytes: words.len() as u64, ..place("cmdline.txt") };
    let parts = Parts { kernel: place("vmlinuz"), initramfs: place("initramfs"), command_line };
    Ok(Filled { contents, parts, is_filesystem: true })
}

/// Returns the first partition of a card: the pointer to slot a, and the sector that it is in, from the start of the partition.
/// `first` are files that the boot ROM of older models reads, and those of a site, with which the label is another one; a
/// first partition without config.txt is passed over.
///
/// # Errors
/// Those of the filesystem.
pub(super) fn front(first: Files, label: &str) -> Result<(Contents, u64)> {
    let mut files = first;
    files.insert("config.txt".into(), b"# The slots have their own, on partitions 2 and 3.\n".into());
    files.insert(POINTER.into(), pointer(Slot::A).into());
    let Filesystem { contents, places } = fat::fat(&files, label, Room::None)?;
    Ok((contents, places[POINTER] / SECTOR))
}

/// Returns a slot without a filesystem: command line, kernel and initramfs, each at a multiple of [`BLOCK_BYTES`].
pub(super) fn of_parts(words: &str, kernel: Contents, initramfs: Contents) -> Filled {
    let (mut all, mut at) = (Vec::new(), 0);
    let mut add = |contents: Contents| {
        let range = Range { start: at, bytes: contents.len() };
        at = (at + contents.len()).next_multiple_of(BLOCK_BYTES as u64);
        all.push((range.start, contents));
        range
    };
    let command_line = add(words.as_bytes().into());
    let parts = Parts { command_line, kernel: add(kernel), initramfs: add(initramfs) };
    Filled { contents: Contents::joined(all, at), parts, is_filesystem: false }
}
