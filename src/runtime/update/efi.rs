//! Boot entries and boot order of UEFI firmware, by efivarfs (Documentation/filesystems/efivarfs.rst).

use crate::os::files::{read_file, sys_path};
use crate::os::path::{mount, open, unlink};
use hilum::fixed_string::text;
use hilum::update::efi;
use hilum::update::{Record, Slot};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;

const VARIABLES: &str = "/sys/firmware/efi/efivars";
/// The GUID of the specification's own variables, and that of systemd's.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Bytes of the attributes before a variable's value: non-volatile, and accessible before and after the boot.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// Boot entries that are looked at: firmware uses low numbers for its own.
const ENTRIES: u16 = 128;
/// Bytes of a variable that are read.
const BYTES: usize = 512;

/// Attaches the filesystem of variables, for this process's mount namespace.
pub(super) fn attach() -> Result<(), Errno> {
    match mount("efivarfs", VARIABLES, "efivarfs", MountFlags::NOSUID | MountFlags::NODEV, None) {
        Err(Errno::BUSY) => Ok(()),
        result => result,
    }
}

/// Returns the slot that the firmware has started, by the variable that systemd's stub sets.
pub(super) fn running(record: &Record) -> Option<Slot> {
    let mut buffer = [0; BYTES];
    let variable = read(&sys_path(format_args!("{VARIABLES}/LoaderDevicePartUUID-{LOADER}")), &mut buffer);
    Slot::ALL.into_iter().find(|slot| efi::is_guid(variable, record.guid(*slot)))
}

/// Returns whether the boot order prefers another slot to this one, or has neither.
pub(super) fn points_elsewhere(record: &Record, slot: Slot) -> Result<bool, Errno> {
    let [own, other] = [slot, slot.other()].map(|slot| entry(record, slot));
    let mut buffer = [0; BYTES];
    Ok(!efi::comes_first(read(&variable("BootOrder"), &mut buffer), own?, other?))
}

/// Puts a slot first in the boot order.
pub(super) fn point_to(record: &Record, slot: Slot) -> Result<(), Errno> {
    let mut buffer = [0; BYTES];
    let path = variable("BootOrder");
    write(&path, &efi::with_first(read(&path, &mut buffer), entry(record, slot)?))
}

/// Makes the firmware start a slot at the next boot alone.
pub(super) fn start_next(record: &Record, slot: Slot) -> Result<(), Errno> {
    write(&variable("BootNext"), &entry(record, slot)?.to_le_bytes())
}

/// Returns whether the firmware has started an entry of ours, and prefers another one of ours. The entry is removed: a firmware that
/// cannot start the other one does not come back to it for ever.
pub(super) fn end_lost_trial() -> bool {
    match (first_of("BootCurrent"), first_of("BootOrder")) {
        (Some(running), Some(preferred)) if running != preferred => unlink(&path_of(running)).is_ok(),
        _ => false,
    }
}

/// Returns the number of the boot entry that a variable begins with, if it is one of ours.
#[inline(never)]
fn first_of(name: &str) -> Option<u16> {
    let mut buffer = [0; BYTES];
    let number = u16::from_le_bytes(*read(&variable(name), &mut buffer).first_chunk()?);
    efi::is_ours(read(&path_of(number), &mut buffer)).then_some(number)
}

/// Returns the number of a slot's boot entry. If it is missing, it is added with the lowest free number: some firmware removes
/// entries of partitions that it cannot read.
fn entry(record: &Record, slot: Slot) -> Result<u16, Errno> {
    let (option, mut free) = (efi::load_option(record, slot), None);
    for number in (0..ENTRIES).rev() {
        let mut buffer = [0; BYTES];
        match read(&path_of(number), &mut buffer) {
            [] => free = Some(number),
            found if found == option.as_slice() => return Ok(number),
            _ => {}
        }
    }
    let number = free.ok_or(Errno::NOSPC)?;
    write(&path_of(number), &option)?;
    Ok(number)
}

/// Returns the path of a boot entry.
fn path_of(number: u16) -> heapless::String<512> {
    variable(&text::<16>(format_args!("Boot{number:04X}")))
}

fn variable(name: &str) -> heapless::String<512> {
    sys_path(format_args!("{VARIABLES}/{name}-{GLOBAL}"))
}

/// Returns a variable's value. Empty if there is none.
fn read<'b>(path: &str, buffer: &'b mut [u8; BYTES]) -> &'b [u8] {
    let length = read_file(path, buffer).unwrap_or(0);
    buffer[..length].get(ATTRIBUTES.len()..).unwrap_or_default()
}

/// Writes a variable, by one call of write(2).
fn write(path: &str, value: &[u8]) -> Result<(), Errno> {
    let mut bytes = heapless::Vec::<u8, BYTES>::new();
    let whole = bytes.extend_from_slice(&ATTRIBUTES).and_then(|()| bytes.extend_from_slice(value));
    whole.map_err(|_| Errno::NOSPC)?;
    let file = open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?;
    rustix::io::write(&file, &bytes).map(|_| ())
}
