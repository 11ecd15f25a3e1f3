//! Repairs by the image's e2fsck, and formats by the blueprint that the image builder extracts from the output of
//! mke2fs(8).

use super::device::Name;
use crate::os::files::read_file;
use crate::os::path::{access, open};
use heapless::String;
use hilum::config::SystemMount;
use hilum::fixed_string::append;
use hilum::storage::Blueprint;
use rustix::fs::{Access, Mode, OFlags, SeekFrom, fsync, seek};
use rustix::io::{Errno, pwrite};

/// The repair program, if the image has it: Debian's e2fsck-static.
pub(super) const REPAIR: &str = "/sbin/e2fsck";
/// The folder of blueprints, by mount point.
const BLUEPRINTS: &str = "/lib/filesystems";

/// Executes the repair program in this process. Returns only on failure.
///
/// # Errors
/// ENOENT if the image does not have it.
pub(super) fn repair(device: &Name) -> Result<u32, Errno> {
    access(REPAIR, Access::EXEC_OK)?;
    let mut path: String<256> = String::new();
    append(&mut path, format_args!("{device}\0")).map_err(|_| Errno::NAMETOOLONG)?;
    let path = core::ffi::CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::INVAL)?;
    // Check even if it looks clean, and answer yes to every question: there is nobody to ask.
    let words = [Some(c"e2fsck"), Some(c"-f"), Some(c"-y"), Some(path), None];
    Err(hilum_sys::execute(c"/sbin/e2fsck", &words, &[None]))
}

/// Writes a new, empty filesystem.
///
/// # Errors
/// ENOENT if the image has no blueprint for it, ENOSPC if the device is too small; those of the device. Nothing is
/// written before these errors.
pub(super) fn format(mount: &SystemMount<'_>, device: &Name) -> Result<u32, Errno> {
    /// Zeros are written in chunks of this size.
    const HELPING: usize = 16 * 1024;
    let mut path: String<288> = String::new();
    append(&mut path, format_args!("{BLUEPRINTS}{}", mount.target)).map_err(|_| Errno::NAMETOOLONG)?;
    let mut file = [0; 64 * 1024];
    let length = read_file(&path, &mut file)?;
    let blueprint = Blueprint::read(&file[..length]).ok_or(Errno::INVAL)?;
    let disk = open(device.as_str(), OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC, Mode::empty())?;
    if seek(&disk, SeekFrom::End(0))? < blueprint.bytes {
        return Err(Errno::NOSPC);
    }
    // A device that cannot be read may only have a bad cable, and its contents may be intact: read everything that
    // would be overwritten before the first write.
    let mut old = [0; HELPING];
    for part in blueprint {
        let (mut at, end) = (part.at, part.at + u64::from(part.length));
        while at < end {
            let room = HELPING.min((end - at) as usize);
            match rustix::io::pread(&disk, &mut old[..room], at)? {
                0 => return Err(Errno::IO),
                count => at += count as u64,
            }
        }
    }
    let zeros = [0; HELPING];
    for part in blueprint {
        let mut done = 0;
        while done < part.length as usize {
            let rest = part.bytes.get(done..).filter(|rest| !rest.is_empty());
            let rest = rest.unwrap_or(&zeros[..HELPING.min(part.length as usize - done)]);
            done += pwrite(&disk, rest, part.at + done as u64)?;
        }
    }
    fsync(&disk)?;
    Ok(0)
}
