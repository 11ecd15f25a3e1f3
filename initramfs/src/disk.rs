//! Disks and SD cards: partition tables by the crate `gpt`, and partitions. The output is reproducible.

use crate::contents::Contents;
use crate::filesystem::uuid;
use anyhow::{Context, Result, ensure};
use gpt::GptConfig;
use gpt::mbr::{PartRecord, ProtectiveMBR};
use gpt::partition_types;
use hilum::update::Slot;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// Bytes of a mebibyte, the alignment of partitions.
const MIB: u64 = 1 << 20;
/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// The role of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read by the firmware: FAT32.
    Boot,
    /// One of two slots, read by the firmware: FAT32.
    Slot(Slot),
    /// One of two slots, from which a boot loader takes parts.
    RawSlot(Slot),
    /// Written by people: FAT32 with the files of a site.
    Site,
    /// Written by the board: a Linux filesystem.
    Data,
}

impl Role {
    /// Returns the partition's name in a GPT.
    const fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Slot(Slot::A) | Self::RawSlot(Slot::A) => "slot-a",
            Self::Slot(Slot::B) | Self::RawSlot(Slot::B) => "slot-b",
            Self::Site => "site",
            Self::Data => "data",
        }
    }

    /// Returns the partition's type in a GPT.
    fn guid(self) -> partition_types::Type {
        match self {
            Self::Boot | Self::Slot(_) => partition_types::EFI,
            Self::RawSlot(_) => partition_types::LINUX_RESERVED,
            // Other systems show it to people.
            Self::Site => partition_types::BASIC,
            Self::Data => partition_types::LINUX_FS,
        }
    }

    /// Returns the partition's type in a DOS table: FAT32 (LBA) or Linux.
    const fn dos_type(self) -> u8 {
        match self {
            Self::Boot | Self::Slot(_) | Self::Site => 0x0c,
            Self::RawSlot(_) | Self::Data => 0x83,
        }
    }
}

/// A partition.
pub struct Partition {
    /// Its role.
    pub role: Role,
    /// What it holds.
    pub contents: Contents,
    /// Its size in bytes, if it is larger than its contents.
    pub bytes: u64,
}

/// The type of the partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// A GUID partition table.
    Gpt,
    /// A DOS table, which the Raspberry Pi's firmware supports on every model.
    Dos,
}

/// The place of a partition on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its role.
    pub role: Role,
    /// Its first sector.
    pub start: u64,
    /// Its size in sectors.
    pub sectors: u64,
    /// Its id as in the partition table; zero in a DOS table.
    pub guid: [u8; 16],
}

/// A disk that was written.
#[derive(Debug)]
pub struct Disk {
    /// The file, open for reading and writing.
    pub file: File,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its partitions, in the order of their numbers, from 1.
    pub places: Vec<Place>,
}

/// Writes a disk with these partitions, of `size` bytes or the minimum. The ids of the disk and its partitions depend only on
/// `name`.
///
/// # Errors
/// Partitions that do not fit, or a file that cannot be written.
pub fn disk(output: &Path, table: Table, name: &str, partitions: &[Partition], size: Option<u64>) -> Result<Disk> {
    let (mut at, mut places) = (MIB, Vec::new());
    for Partition { role, contents, bytes } in partitions {
        let bytes = contents.len().max(*bytes).next_multiple_of(MIB);
        let id = uuid(&format!("{name} {}", role.name()));
        let guid = if table == Table::Gpt { id.to_bytes_le() } else { [0; 16] };
        places.push(Place { role: *role, start: at / SECTOR, sectors: bytes / SECTOR, guid });
        at += bytes;
    }
    // A GPT has a backup copy at the end.
    let size = size.unwrap_or(at + MIB);
    ensure!(size > at, "{} bytes do not fit on a disk of {size}", at + MIB);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    let mut file = options.open(output).with_context(|| output.display().to_string())?;
    file.set_len(size)?;
    match table {
        Table::Gpt => write_gpt(&mut file, name, size, &places).context("the partition table")?,
        Table::Dos => write_dos(&mut file, name, &places).context("the partition table")?,
    }
    for (partition, place) in partitions.iter().zip(&places) {
        partition.contents.copy(&file, place.start * SECTOR)?;
    }
    Ok(Disk { file, bytes: size, places })
}

/// Writes a GUID partition table and its backup at the end (UEFI specification 2.10, chapter 5).
fn write_gpt(file: &mut File, name: &str, size: u64, places: &[Place]) -> Result<()> {
    let protected = u32::try_from(size / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(protected).overwrite_lba0(file)?;
    let mut table = GptConfig::new().writable(true).create_from_device(file, Some(uuid(&format!("disk {name}"))))?;
    let partition = |place: &Place| gpt::partition::Partition {
        part_type_guid: place.role.guid(),
        part_guid: uuid::Uuid::from_bytes_le(place.guid),
        first_lba: place.start,
        last_lba: place.start + place.sectors - 1,
        flags: 0,
        name: place.role.name().to_owned(),
    };
    table.update_partitions((1..).zip(places.iter().map(partition)).collect::<BTreeMap<u32, _>>())?;
    table.write()?;
    Ok(())
}

/// Writes a DOS partition table.
fn write_dos(file: &mut File, name: &str, places: &[Place]) -> Result<()> {
    let mut table = ProtectiveMBR::new();
    let (id, ..) = uuid(&format!("disk {name}")).as_fields();
    table.set_disk_signature(id.to_le_bytes());
    table.set_partition(0, PartRecord::zero());
    for (index, place) in places.iter().enumerate() {
        let [start_head, start_sector, start_track] = cylinder_head_sector(place.start);
        let [end_head, end_sector, end_track] = cylinder_head_sector(place.start + place.sectors - 1);
        let record = PartRecord {
            boot_indicator: 0,
            start_head,
            start_sector,
            start_track,
            os_type: place.role.dos_type(),
            end_head,
            end_sector,
            end_track,
            lb_start: u32::try_from(place.start)?,
            lb_size: u32::try_from(place.sectors)?,
        };
        table.set_partition(index, record).context("a DOS table has four partitions")?;
    }
    table.overwrite_lba0(file)?;
    Ok(())
}

/// Returns a sector's CHS address for 255 heads and 63 sectors per track: head; sector, with the upper two bits of the
/// cylinder; the lower eight bits of the cylinder. Sectors beyond the range have the last address.
fn cylinder_head_sector(sector: u64) -> [u8; 3] {
    let (cylinder, head, sector) = (sector / (255 * 63), sector / 63 % 255, sector % 63 + 1);
    match cylinder {
        0..1024 => [head as u8, (cylinder >> 8 << 6 | sector) as u8, cylinder as u8],
        _ => [0xfe, 0xff, 0xff],
    }
}

#[cfg(test)]
mod tests;
