//! Boot partitions: FAT filesystems by the crate `fatfs`, with a fixed clock. The output is reproducible.
//!
//! fatfs writes into `Sectors`, which keep what is not zero. It gets zeros for the contents of files, and where it writes them the
//! contents are read when the partition is written to a disk.

use crate::contents::Contents;
use crate::filesystem::uuid;
use anyhow::{Context, Result, ensure};
use fatfs::{
    Date, DateTime, FatType, File, FileSystem, FormatVolumeOptions, FsOptions, ReadWriteSeek, Time, TimeProvider,
};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::rc::Rc;

/// Bytes of a mebibyte, the alignment of partitions.
const MIB: u64 = 1 << 20;
/// Bytes of a sector, and of a cluster here.
const SECTOR: usize = 512;
/// Bytes of a block of an update.
const BLOCK: u64 = hilum::update::BLOCK_BYTES as u64;

/// Files of a boot partition by path.
pub type Files = BTreeMap<String, Contents>;

/// The clock of a boot partition: 1980-01-01 00:00:00, the earliest time in FAT.
#[derive(Debug)]
struct Epoch;

impl TimeProvider for Epoch {
    fn get_current_date(&self) -> Date {
        Date { year: 1980, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: self.get_current_date(), time: Time { hour: 0, min: 0, sec: 0, millis: 0 } }
    }
}

/// A disk in memory that has only the sectors that are not zeros.
struct Sectors {
    sectors: HashMap<u64, Box<[u8; SECTOR]>>,
    at: u64,
    len: u64,
    /// Where the last write began, and its length.
    last: Rc<Cell<(u64, u64)>>,
}

impl Sectors {
    /// Returns the number of the sector at the position, the offset in it, and how many of `bytes` bytes lie in it.
    fn place(&self, bytes: usize) -> (u64, usize, usize) {
        let offset = (self.at % SECTOR as u64) as usize;
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        (self.at / SECTOR as u64, offset, bytes.min(SECTOR - offset).min(left))
    }

    /// Returns a cluster, which is a sector. One that does not exist is added.
    fn sector(&mut self, number: u64) -> &mut [u8; SECTOR] {
        self.sectors.entry(number).or_insert_with(|| Box::new([0; SECTOR]))
    }

    /// Returns pieces of successive sectors with their offsets.
    fn into_parts(self) -> Vec<(u64, Contents)> {
        let mut parts: Vec<(u64, Vec<u8>)> = Vec::new();
        let sectors: BTreeMap<_, _> = self.sectors.into_iter().collect();
        for (number, sector) in sectors {
            let at = number * SECTOR as u64;
            match parts.last_mut() {
                Some((start, bytes)) if *start + bytes.len() as u64 == at => bytes.extend(*sector),
                _ => parts.push((at, sector.to_vec())),
            }
        }
        parts.into_iter().map(|(at, bytes)| (at, bytes.into())).collect()
    }
}

impl Read for Sectors {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (number, offset, bytes) = self.place(buffer.len());
        match self.sectors.get(&number) {
            Some(sector) => buffer[..bytes].copy_from_slice(&sector[offset..][..bytes]),
            None => buffer[..bytes].fill(0),
        }
        self.at += bytes as u64;
        Ok(bytes)
    }
}

impl Write for Sectors {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (number, offset, bytes) = self.place(buffer.len());
        if self.sectors.contains_key(&number) || buffer[..bytes].iter().any(|byte| *byte != 0) {
            self.sector(number)[offset..][..bytes].copy_from_slice(&buffer[..bytes]);
        }
        self.last.set((self.at, bytes as u64));
        self.at += bytes as u64;
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sectors {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(more) => self.at.checked_add_signed(more),
            SeekFrom::End(more) => self.len.checked_add_signed(more),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Free space in a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Half as much as the files take, for the next version.
    Half,
    /// None: the filesystem is replaced as a whole.
    None,
}

/// A filesystem.
pub struct Filesystem {
    /// Its bytes.
    pub contents: Contents,
    /// Where each file begins in it, in bytes.
    pub places: BTreeMap<String, u64>,
}

/// Returns a FAT32 filesystem with these files. Each is in one piece and begins at a multiple of 4,096 bytes, so that an
/// update finds its blocks in another version.
///
/// # Errors
/// A label of more than 11 bytes, or a path that FAT does not support.
pub fn fat(files: &Files, label: &str, room: Room) -> Result<Filesystem> {
    let bytes: u64 = files.values().map(|contents| contents.len() + 64 * 1024).sum();
    // FAT32, which every firmware supports, has at least 65,525 clusters of 512 bytes.
    let more = match room {
        Room::Half => bytes / 2,
        // Two allocation tables with four bytes for each cluster.
        Room::None => bytes / 32 + MIB,
    };
    let len = (bytes + more).next_multiple_of(MIB).max(40 * MIB);
    let mut name = [b' '; 11];
    ensure!(label.len() <= name.len(), "label {label} is longer than the {} bytes of FAT", name.len());
    name[..label.len()].copy_from_slice(label.as_bytes());
    let (serial, ..) = uuid(&format!("fat {label}")).as_fields();
    let last = Rc::default();
    let mut image = Sectors { sectors: HashMap::new(), at: 0, len, last: Rc::clone(&last) };
    let options = FormatVolumeOptions::new().fat_type(FatType::Fat32).bytes_per_cluster(SECTOR as u32);
    fatfs::format_volume(&mut image, options.volume_id(serial).volume_label(name)).context("a FAT filesystem")?;
    let mut places = BTreeMap::new();
    {
        let filesystem = FileSystem::new(&mut image, FsOptions::new().time_provider(&Epoch))?;
        // Counts the free clusters, and stores the number in the filesystem.
        filesystem.stats()?;
        let root = filesystem.root_dir();
        for (path, contents) in files {
            for (at, _) in path.match_indices('/') {
                root.create_dir(&path[..at]).with_context(|| path.clone())?;
            }
            let mut file = root.create_file(path).with_context(|| path.clone())?;
            let place = reserve(&mut file, contents.len(), &last).with_context(|| path.clone())?;
            places.insert(path.clone(), place);
        }
        drop(root);
        filesystem.unmount()?;
    }
    let volume = Volume::new(&mut image);
    volume.correct_folders(&mut image, volume.root);
    let mut parts = image.into_parts();
    let files = files.iter().filter(|(_, contents)| !contents.is_empty());
    parts.extend(files.map(|(path, contents)| (places[path], contents.clone())));
    Ok(Filesystem { contents: Contents::joined(parts, len), places })
}

/// Writes zeros to an empty file, cluster by cluster, and returns the offset of the first, a multiple of [`BLOCK`]; `last` is the
/// disk's last write.
fn reserve<F: ReadWriteSeek>(file: &mut File<'_, F>, len: u64, last: &Cell<(u64, u64)>) -> Result<u64> {
    if len == 0 {
        return Ok(0);
    }
    // Clusters are taken in order, and those that a file gives back are not used again.
    let mut at = 1;
    while at % BLOCK != 0 {
        file.write_all(&[0; SECTOR])?;
        at = last.get().0 + SECTOR as u64;
    }
    file.seek(SeekFrom::Start(0))?;
    file.truncate()?;
    for done in (0..len).step_by(SECTOR) {
        let wanted = (len - done).min(SECTOR as u64);
        file.write_all(&[0; SECTOR][..usize::try_from(wanted)?])?;
        assert_eq!(last.get(), (at + done, wanted));
    }
    file.flush()?;
    Ok(at)
}

/// The attributes of a folder, and of a part of a long name.
const FOLDER: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;
/// The first byte of an unused entry.
const DELETED: u8 = 0xe5;
/// Bytes of an entry.
const ENTRY: usize = 32;

/// The layout of a filesystem whose clusters are sectors.
struct Volume {
    /// The first sector of the first allocation table.
    table: u64,
    /// The sector of cluster 2, the first one.
    clusters: u64,
    /// The first cluster of the root.
    root: u64,
}

impl Volume {
    /// Reads the boot sector (Microsoft's FAT32 specification 1.03, "Boot Sector and BPB").
    fn new(image: &mut Sectors) -> Self {
        let boot = image.sector(0);
        let (table, tables, size) = (half(boot, 14), u64::from(boot[16]), word(boot, 36));
        Self { table, clusters: table + tables * size, root: word(boot, 44) }
    }

    fn cluster<'a>(&self, image: &'a mut Sectors, number: u64) -> &'a mut [u8; SECTOR] {
        image.sector(self.clusters + number - 2)
    }

    /// Corrects the first two entries of each folder below a folder: `.`, and `..`, which must refer to cluster 0 for
    /// the root. fatfs 0.3.6 writes long names before both, and the root's real cluster, which fsck.vfat(8) rejects.
    fn correct_folders(&self, image: &mut Sectors, folder: u64) {
        let mut cluster = folder;
        // Values from 0x0ffffff8 mark the last cluster.
        while cluster < 0x0fff_fff8 {
            let entries = *self.cluster(image, cluster);
            for entry in entries.chunks_exact(ENTRY) {
                if entry[11] != FOLDER || matches!(entry[0], b'.' | DELETED) {
                    continue;
                }
                let child = half(entry, 20) << 16 | half(entry, 26);
                let first = self.cluster(image, child);
                if first[11] == LONG_NAME {
                    first.copy_within(ENTRY..2 * ENTRY, 0);
                    first.copy_within(3 * ENTRY..4 * ENTRY, ENTRY);
                    first[2 * ENTRY] = DELETED;
                    first[3 * ENTRY] = DELETED;
                }
                if folder == self.root {
                    // The upper and lower half of the cluster number.
                    first[ENTRY + 20..][..2].fill(0);
                    first[ENTRY + 26..][..2].fill(0);
                }
                self.correct_folders(image, child);
            }
            let at = cluster * 4;
            let table = image.sector(self.table + at / SECTOR as u64);
            cluster = word(table, (at % SECTOR as u64) as usize) & 0x0fff_ffff;
        }
    }
}

fn half(bytes: &[u8], at: usize) -> u64 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]]).into()
}

fn word(bytes: &[u8], at: usize) -> u64 {
    half(bytes, at) | half(bytes, at + 2) << 16
}

#[cfg(test)]
mod tests;
