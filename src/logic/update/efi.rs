//! Boot entries of UEFI firmware as bytes (UEFI specification 2.10, chapters 3.1 and 10.3).

use super::{Record, Slot};
use crate::Architecture;
use crate::fixed_string::text;
use heapless::{String, Vec};

/// A load option of ours.
pub type LoadOption = Vec<u8, 192>;
/// A boot order: numbers of load options, each as two bytes, little-endian.
pub type Order = Vec<u8, 256>;

/// Bytes of a sector in a partition's device path.
const SECTOR: u64 = 512;

/// The beginning of the description of our load options, `hilum ` as UTF-16.
const NAME: &[u8] = b"h\0i\0l\0u\0m\0 \0";

/// Returns whether a load option is of ours, for a slot of some disk.
pub fn is_ours(option: &[u8]) -> bool {
    // Attributes and a length come before the description.
    option.get(6..).is_some_and(|description| description.starts_with(NAME))
}

/// Returns the load option that starts a slot: the file that firmware looks for on any disk, on the slot's partition.
pub fn load_option(record: &Record, slot: Slot) -> LoadOption {
    let mut option = LoadOption::new();
    let mut put = |bytes: &[u8]| {
        // All of it fits.
        let _ = option.extend_from_slice(bytes);
    };
    let file: String<32> = text(format_args!("\\EFI\\BOOT\\{}", Architecture::OWN.efi_boot_file()));
    let file_bytes = 4 + 2 * (file.len() as u16 + 1);
    // LOAD_OPTION_ACTIVE, and the length of the device path: the partition, the file, and the end.
    put(&1_u32.to_le_bytes());
    put(&(42 + file_bytes + 4).to_le_bytes());
    put(NAME);
    for byte in slot.name().as_bytes().iter().chain(&[0]) {
        put(&[*byte, 0]);
    }
    // A media device path for a hard drive, 42 bytes long.
    put(&[4, 1, 42, 0]);
    put(&(record.partition(slot) as u32).to_le_bytes());
    put(&(record.start(slot) / SECTOR).to_le_bytes());
    put(&(record.size(slot) / SECTOR).to_le_bytes());
    put(record.guid(slot));
    // The format is a GPT, and the signature a GUID.
    put(&[2, 2]);
    put(&[4, 4]);
    put(&file_bytes.to_le_bytes());
    for byte in file.as_bytes().iter().chain(&[0]) {
        put(&[*byte, 0]);
    }
    put(&[0x7f, 0xff, 4, 0]);
    option
}

/// Returns whether a boot order has the first number, and before the second one.
pub fn comes_first(order: &[u8], first: u16, second: u16) -> bool {
    let place = |number: u16| order.chunks_exact(2).position(|known| known == number.to_le_bytes());
    place(first).is_some_and(|at| place(second).is_none_or(|other| at < other))
}

/// Returns a boot order with a number moved to its start.
pub fn with_first(order: &[u8], first: u16) -> Order {
    let (first, mut moved) = (first.to_le_bytes(), Order::new());
    // What does not fit is left out.
    let _ = moved.extend_from_slice(&first);
    for number in order.chunks_exact(2) {
        let _ = number != first && moved.extend_from_slice(number).is_ok();
    }
    moved
}

/// Returns whether a variable with a partition's GUID, as UTF-16 text, is about this GUID, which is in the order of a partition
/// table.
pub fn is_guid(variable: &[u8], guid: &[u8; 16]) -> bool {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    // Two digits for each byte; hyphens and the upper halves of UTF-16 are none.
    let mut digits = variable.iter().filter_map(|byte| char::from(*byte).to_digit(16));
    let mut digit = || digits.next().unwrap_or(u32::MAX);
    ORDER.iter().all(|at| digit() == u32::from(guid[*at] >> 4) && digit() == u32::from(guid[*at] & 15))
}
