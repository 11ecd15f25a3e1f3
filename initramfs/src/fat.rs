//! Boot partitions: FAT filesystems by the crate `fatfs`, with a fixed clock. The output is reproducible.

use crate::contents::Contents;
use crate::filesystem::uuid;
use anyhow::{Context, Result, ensure};
use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};
use std::collections::BTreeMap;
use std::io::{Cursor, Write};

/// Bytes of a mebibyte, the alignment of partitions.
const MIB: u64 = 1 << 20;
/// Bytes of a sector, and of a cluster here.
const SECTOR: usize = 512;

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

/// Returns a FAT32 filesystem with these files, with 50 % free space for the next version.
///
/// # Errors
/// A label of more than 11 bytes, or a path that FAT does not support.
pub fn fat(files: &Files, label: &str) -> Result<Vec<u8>> {
    let bytes: u64 = files.values().map(|contents| contents.len() + 64 * 1024).sum();
    // FAT32, which every firmware supports, has at least 65,525 clusters of 512 bytes.
    let size = (bytes + bytes / 2).next_multiple_of(MIB).max(40 * MIB);
    let mut name = [b' '; 11];
    ensure!(label.len() <= name.len(), "label {label} is longer than the {} bytes of FAT", name.len());
    name[..label.len()].copy_from_slice(label.as_bytes());
    let (serial, ..) = uuid(&format!("fat {label}")).as_fields();
    let mut image = Cursor::new(vec![0; usize::try_from(size)?]);
    let options = FormatVolumeOptions::new().fat_type(FatType::Fat32).bytes_per_cluster(SECTOR as u32);
    fatfs::format_volume(&mut image, options.volume_id(serial).volume_label(name)).context("a FAT filesystem")?;
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
            contents.write(&mut file, &mut |_| {}).with_context(|| path.clone())?;
            file.flush().with_context(|| path.clone())?;
        }
        drop(root);
        filesystem.unmount()?;
    }
    let mut image = image.into_inner();
    let volume = Volume::new(&image);
    volume.correct_folders(&mut image, volume.root);
    Ok(image)
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
    /// The offset of the first allocation table.
    table: usize,
    /// The offset of cluster 2, the first one.
    clusters: usize,
    /// The first cluster of the root.
    root: usize,
}

impl Volume {
    /// Reads the boot sector (Microsoft's FAT32 specification 1.03, "Boot Sector and BPB").
    fn new(image: &[u8]) -> Self {
        let (reserved, tables, size) = (half(image, 14), usize::from(image[16]), word(image, 36));
        let table = reserved * SECTOR;
        Self { table, clusters: table + tables * size * SECTOR, root: word(image, 44) }
    }

    fn cluster(&self, number: usize) -> usize {
        self.clusters + (number - 2) * SECTOR
    }

    /// Corrects the first two entries of each folder below a folder: `.`, and `..`, which must refer to cluster 0 for
    /// the root. fatfs 0.3.6 writes long names before both, and the root's real cluster, which fsck.vfat(8) rejects.
    fn correct_folders(&self, image: &mut [u8], folder: usize) {
        let mut cluster = folder;
        // Values from 0x0ffffff8 mark the last cluster.
        while cluster < 0x0fff_fff8 {
            for entry in (self.cluster(cluster)..self.cluster(cluster) + SECTOR).step_by(ENTRY) {
                if image[entry + 11] != FOLDER || matches!(image[entry], b'.' | DELETED) {
                    continue;
                }
                let child = half(image, entry + 20) << 16 | half(image, entry + 26);
                let first = self.cluster(child);
                if image[first + 11] == LONG_NAME {
                    image.copy_within(first + ENTRY..first + 2 * ENTRY, first);
                    image.copy_within(first + 3 * ENTRY..first + 4 * ENTRY, first + ENTRY);
                    image[first + 2 * ENTRY] = DELETED;
                    image[first + 3 * ENTRY] = DELETED;
                }
                if folder == self.root {
                    // The upper and lower half of the cluster number.
                    image[first + ENTRY + 20..][..2].fill(0);
                    image[first + ENTRY + 26..][..2].fill(0);
                }
                self.correct_folders(image, child);
            }
            cluster = word(image, self.table + cluster * 4) & 0x0fff_ffff;
        }
    }
}

fn half(image: &[u8], at: usize) -> usize {
    u16::from_le_bytes([image[at], image[at + 1]]).into()
}

fn word(image: &[u8], at: usize) -> usize {
    half(image, at) | half(image, at + 2) << 16
}

#[cfg(test)]
mod tests;
