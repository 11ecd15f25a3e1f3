//! Superblocks: filesystem type, label, UUID and state from the first bytes of a device.
//!
//! Layouts: ext4 by Documentation/filesystems/ext4/super.rst, erofs by fs/erofs/erofs_fs.h, squashfs by
//! fs/squashfs/squashfs_fs.h, FAT by Microsoft's specification of 2000 ("fatgen103"), exFAT by that of 2019, f2fs by
//! include/linux/f2fs_fs.h, xfs by fs/xfs/libxfs/xfs_format.h, LUKS by its own specifications (versions 1 and 2 begin
//! alike).

use crate::config::Source;

/// Bytes from the start of a device that contain all known superblocks.
pub const START_BYTES: usize = 2048;

/// A known filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesystemKind {
    /// ext2, ext3 and ext4; the kernel's ext4 driver mounts all of them.
    Ext4,
    /// FAT with 12, 16 or 32 bits.
    Vfat,
    /// erofs
    Erofs,
    /// squashfs
    Squashfs,
    /// f2fs
    F2fs,
    /// xfs
    Xfs,
    /// exFAT
    Exfat,
    /// LUKS; the encrypted contents are unknown.
    Luks,
}

impl FilesystemKind {
    /// Returns the kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Vfat => "vfat",
            Self::Erofs => "erofs",
            Self::Squashfs => "squashfs",
            Self::F2fs => "f2fs",
            Self::Xfs => "xfs",
            Self::Exfat => "exfat",
            Self::Luks => "LUKS",
        }
    }

    /// Returns the filesystem with this name.
    pub fn named(name: &str) -> Option<Self> {
        const MOUNTED: [FilesystemKind; 7] = [
            FilesystemKind::Ext4,
            FilesystemKind::Vfat,
            FilesystemKind::Erofs,
            FilesystemKind::Squashfs,
            FilesystemKind::F2fs,
            FilesystemKind::Xfs,
            FilesystemKind::Exfat,
        ];
        MOUNTED.into_iter().find(|kind| kind.name() == name)
    }
}

/// The state of a filesystem, according to its superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesystemHealth {
    /// Intact. The kernel replays the journal if necessary.
    Good,
    /// The kernel has recorded errors in it.
    Errors,
    /// The superblock is damaged.
    Damaged,
}

/// The contents of a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// The filesystem.
    pub kind: FilesystemKind,
    /// Its state.
    pub health: FilesystemHealth,
    /// Whether it was not unmounted; then the kernel replays its journal at mount.
    pub has_journal: bool,
    pub(super) label: [u8; 16],
    pub(super) id: [u8; 16],
}

/// The offset of most superblocks; squashfs and FAT begin at 0.
const AT: usize = 1024;

fn bytes<const COUNT: usize>(start: &[u8], at: usize) -> Option<[u8; COUNT]> {
    start.get(at..at + COUNT)?.try_into().ok()
}

fn word(start: &[u8], at: usize) -> Option<u32> {
    bytes(start, at).map(u32::from_le_bytes)
}

/// Returns the CRC-32C without the final inversion, as ext4 uses it (`crc32c(~0, ...)` in fs/ext4/super.c).
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    // Castagnoli's polynomial, reflected.
    crc(0x82f6_3b78, bytes)
}

/// Returns the checksum of 32 bits with this polynomial, reflected, without the final inversion.
pub(super) fn crc(polynomial: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 != 0 { polynomial } else { 0 })
    })
}

impl Superblock {
    /// Parses the first [`START_BYTES`] of a device. `None` if no known filesystem is found.
    pub fn read(start: &[u8]) -> Option<Self> {
        let named = |kind, label, id| Self { kind, health: FilesystemHealth::Good, has_journal: false, label, id };
        let mut label = [0; 16];
        match start.get(..4)? {
            b"hsqs" => return Some(named(FilesystemKind::Squashfs, label, label)),
            b"LUKS" => return Some(named(FilesystemKind::Luks, label, label)),
            b"XFSB" => {
                label[..12].copy_from_slice(start.get(108..120)?);
                return Some(named(FilesystemKind::Xfs, label, bytes(start, 32)?));
            }
            _ => {}
        }
        match word(start, AT)? {
            0xe0f5_e1e2 => return Some(named(FilesystemKind::Erofs, bytes(start, AT + 64)?, bytes(start, AT + 48)?)),
            0xf2f5_2010 => {
                // UTF-16; a label that is not ASCII cannot match a line.
                for (letter, unit) in label.iter_mut().zip(start.get(AT + 124..)?.as_chunks::<2>().0) {
                    *letter = if unit[1] == 0 { unit[0] } else { u8::MAX };
                }
                // A longer label cannot be in a configuration line either.
                if bytes(start, AT + 124 + 32)? != [0, 0] {
                    label[0] = u8::MAX;
                }
                return Some(named(FilesystemKind::F2fs, label, bytes(start, AT + 108)?));
            }
            _ => {}
        }
        ext4(start).or_else(|| fat(start))
    }

    /// Returns whether a line selects it by label or UUID. It does not know its path and its partition's id.
    pub fn is(&self, source: Source<'_>) -> bool {
        match source {
            Source::Label(text) => {
                let end = self.label.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
                let end = self.label[..end].iter().position(|byte| *byte == 0).unwrap_or(end);
                end > 0 && self.label[..end] == *text.as_bytes()
            }
            Source::Uuid(text) if matches!(self.kind, FilesystemKind::Vfat | FilesystemKind::Exfat) => {
                is_hexadecimal(&[self.id[3], self.id[2], self.id[1], self.id[0]], &[2], text)
            }
            Source::Uuid(text) => self.id != [0; 16] && is_hexadecimal(&self.id, &UUID_DASHES, text),
            _ => false,
        }
    }
}

/// The byte counts after which the text of a UUID has a dash (RFC 4122 3).
pub(super) const UUID_DASHES: [usize; 4] = [4, 6, 8, 10];

/// Returns whether `text` is these bytes in hexadecimal digits of either case, with dashes after these byte counts.
pub(super) fn is_hexadecimal(bytes: &[u8], dashes: &[usize], text: &str) -> bool {
    let mut letters = text.bytes();
    let mut is_next = |wanted: u8| letters.next().is_some_and(|letter| letter.to_ascii_lowercase() == wanted);
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
    for (index, byte) in bytes.iter().enumerate() {
        if dashes.contains(&index) && !is_next(b'-') || !is_next(digit(byte >> 4)) || !is_next(digit(*byte)) {
            return false;
        }
    }
    letters.next().is_none()
}

fn ext4(start: &[u8]) -> Option<Superblock> {
    /// The size of the structure, including the checksum at the end.
    const BYTES: usize = 1024;
    /// s_state: errors were found.
    const ERROR_FS: u16 = 2;
    /// s_feature_ro_compat: metadata has checksums.
    const METADATA_CSUM: u32 = 0x400;
    let block = start.get(AT..AT + BYTES)?;
    if bytes(block, 0x38)? != [0x53, 0xef] {
        return None;
    }
    let (blocks, log_block_size, state) =
        (word(block, 0x4)?, word(block, 0x18)?, u16::from_le_bytes(bytes(block, 0x3a)?));
    let has_checksum = word(block, 0x64)? & METADATA_CSUM != 0;
    let is_sound = log_block_size <= 6 && (blocks > 0 || word(block, 0x150)? > 0);
    let is_damaged = !is_sound || (has_checksum && crc32c(&block[..BYTES - 4]) != word(block, BYTES - 4)?);
    let health = match is_damaged {
        true => FilesystemHealth::Damaged,
        false if state & ERROR_FS != 0 => FilesystemHealth::Errors,
        false => FilesystemHealth::Good,
    };
    // s_feature_incompat: the journal was not closed.
    let has_journal = word(block, 0x60)? & 4 != 0;
    Some(Superblock {
        kind: FilesystemKind::Ext4,
        health,
        has_journal,
        id: bytes(block, 0x68)?,
        label: bytes(block, 0x78)?,
    })
}

fn fat(start: &[u8]) -> Option<Superblock> {
    if bytes(start, 510)? != [0x55, 0xaa] || !matches!(start.first()?, 0xe9 | 0xeb) {
        return None;
    }
    // The remains of a boot sector are also in the first sector of a disk; only a filesystem contains its own name.
    let (kind, serial_at, label_at) = match (start.get(82..87)?, start.get(54..57)?, start.get(3..8)?) {
        (b"FAT32", ..) => (FilesystemKind::Vfat, 67, Some(71)),
        (_, b"FAT", _) => (FilesystemKind::Vfat, 39, Some(43)),
        (_, _, b"EXFAT") => (FilesystemKind::Exfat, 100, None),
        _ => return None,
    };
    let (mut id, mut label) = ([0; 16], [0; 16]);
    id[..4].copy_from_slice(start.get(serial_at..serial_at + 4)?);
    if let Some(at) = label_at {
        label[..11].copy_from_slice(start.get(at..at + 11)?);
    }
    Some(Superblock { kind, health: FilesystemHealth::Good, has_journal: false, label, id })
}
