//! dm-verity: a block device whose blocks are verified by a hash tree as they are read.
//!
//! The hash tree follows the filesystem in the image, so one device contains both. It has format 1 with SHA-256, no
//! salt, and blocks of 4,096 bytes (Documentation/admin-guide/device-mapper/verity.rst). Its root hash is in the
//! configuration. The requests that create the device are those of include/uapi/linux/dm-ioctl.h, version 4.

use super::{FilesystemKind, Superblock};
use crate::fixed_string::text;
use crate::number::number;

/// Bytes of a block, for data and tree.
pub const BLOCK_BYTES: u64 = 4096;

/// Bytes of a request to the device mapper, with room for one target and its parameters.
pub const REQUEST_BYTES: usize = 640;

/// Bytes of `struct dm_ioctl`.
const HEADER_BYTES: usize = 312;
/// Bytes of `struct dm_target_spec`.
const TARGET_BYTES: usize = 40;
/// Maximum bytes of a device's name (DM_NAME_LEN, including NUL).
const NAME_BYTES: usize = 128;
/// Bytes of a sector, the device mapper's unit.
const SECTOR_BYTES: u64 = 512;

/// DM_READONLY_FLAG
const READ_ONLY: u32 = 1;
/// DM_PERSISTENT_DEV_FLAG: the device gets the minor number of the request.
const PERSISTENT_DEV: u32 = 1 << 3;
/// DM_DEFERRED_REMOVE: the device is removed when its last user closes it.
const DEFERRED_REMOVE: u32 = 1 << 17;

/// Returns the number of blocks of the filesystem that begins with `start` ([`super::START_BYTES`]); its tree follows
/// them. `None` if the filesystem is unknown or empty.
///
/// The number is not verified. A wrong one leads to another tree, whose root hash does not match.
pub fn data_blocks(start: &[u8]) -> Option<u64> {
    let word = |at: usize| start.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes).map(u64::from);
    let bytes = match Superblock::read(start)?.kind {
        FilesystemKind::Squashfs => word(40)? | word(44)? << 32,
        // The block size as a power of two, and the number of blocks (fs/erofs/erofs_fs.h).
        FilesystemKind::Erofs => word(1024 + 36)?.checked_shl(u32::from(*start.get(1024 + 12)?))?,
        // s_log_block_size, s_blocks_count_lo, and s_blocks_count_hi with the feature 64bit.
        FilesystemKind::Ext4 => {
            let high = if word(1024 + 0x60)? & 0x80 == 0 { 0 } else { word(1024 + 0x150)? };
            (word(1024 + 4)? | high << 32).checked_mul(1024 << word(1024 + 0x18)?.min(6))?
        }
        _ => return None,
    };
    Some(bytes.div_ceil(BLOCK_BYTES)).filter(|blocks| (1..=u64::MAX / BLOCK_BYTES).contains(blocks))
}

/// Returns a request about the device with this name. `None` if the name is too long.
pub fn request(name: &str) -> Option<[u8; REQUEST_BYTES]> {
    let mut request = [0; REQUEST_BYTES];
    put(&mut request, 0, &4_u32.to_le_bytes());
    put(&mut request, 12, &(REQUEST_BYTES as u32).to_le_bytes());
    put(&mut request, 16, &(HEADER_BYTES as u32).to_le_bytes());
    put(&mut request, 48, name.as_bytes());
    (name.len() < NAME_BYTES).then_some(request)
}

/// Minor numbers of the devices of one slot, at which its process ids begin again.
const MINORS: u32 = 1 << 14;

/// Returns the minor number of a new device of the workload in this slot (less than 63), which a process makes. It differs between
/// processes, because the device of an earlier start may still be in use. The kernel gives the lowest free number to a device that asks
/// for none; so others have numbers that are of no slot.
pub fn minor(slot: usize, process: u32) -> u32 {
    (slot as u32 + 1) * MINORS + process % MINORS
}

/// Returns the slot whose device has this name below /dev or /sys/block. `None` if it is another one's device.
pub fn slot_of(node: &str) -> Option<usize> {
    let minor: u32 = number(node.strip_prefix("dm-")?)?;
    (minor / MINORS).checked_sub(1).map(|slot| slot as usize)
}

/// Returns a request that creates a device with this minor number.
pub fn create_request(name: &str, minor: u32) -> Option<[u8; REQUEST_BYTES]> {
    let mut request = request(name)?;
    put(&mut request, 28, &PERSISTENT_DEV.to_le_bytes());
    // new_encode_dev of include/linux/kdev_t.h, with any major number.
    put(&mut request, 40, &(minor & 0xff | (minor & 0xf_ff00) << 12).to_le_bytes());
    Some(request)
}

/// Returns a request that loads the device's table: `blocks` blocks of the block device `major`:`minor`, followed by
/// the tree, with the root hash `digest`.
pub fn load_request(name: &str, (major, minor): (u32, u32), blocks: u64, digest: &str) -> Option<[u8; REQUEST_BYTES]> {
    let mut request = request(name)?;
    put(&mut request, 20, &1_u32.to_le_bytes());
    put(&mut request, 28, &READ_ONLY.to_le_bytes());
    let sectors = blocks.checked_mul(BLOCK_BYTES / SECTOR_BYTES)?;
    put(&mut request, HEADER_BYTES + 8, &sectors.to_le_bytes());
    put(&mut request, HEADER_BYTES + 24, b"verity");
    // Two device numbers, two block counts, and a digest of 64 digits fit.
    let device = text::<24>(format_args!("{major}:{minor}"));
    let words = text::<240>(format_args!(
        "1 {device} {device} {BLOCK_BYTES} {BLOCK_BYTES} {blocks} {blocks} sha256 {digest} -"
    ));
    put(&mut request, HEADER_BYTES + TARGET_BYTES, words.as_bytes());
    Some(request)
}

/// Returns a request that removes the device when nobody uses it any more.
pub fn remove_request(name: &str) -> Option<[u8; REQUEST_BYTES]> {
    let mut request = request(name)?;
    put(&mut request, 28, &DEFERRED_REMOVE.to_le_bytes());
    Some(request)
}

/// Returns whether a block did not match since the device exists, from the kernel's reply to a request for the state of
/// its targets: `C` instead of `V` (`verity_status` of drivers/md/dm-verity-target.c). The reply begins where the
/// kernel's own structure ends (`get_result_buffer` of drivers/md/dm-ioctl.c).
pub fn is_corrupt(answer: &[u8; REQUEST_BYTES]) -> bool {
    answer[HEADER_BYTES + TARGET_BYTES] == b'C'
}

fn put(request: &mut [u8; REQUEST_BYTES], at: usize, bytes: &[u8]) {
    let room = &mut request[at..];
    let length = bytes.len().min(room.len());
    room[..length].copy_from_slice(&bytes[..length]);
}

#[cfg(test)]
mod tests;
