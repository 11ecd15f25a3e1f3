//! The board's disks as a table and as JSON: what is mounted, and why the rest is not. This command reads the kernel's
//! table and the disks itself, which saves work in PID 1.

use super::files::read;
use super::output::show;
use super::usage::{DONE, FAILED, misused_as};
use crate::os::files::read_text;
use crate::os::path::statfs;
use crate::storage;
use hilum::cmdline::DEFAULT_CONFIG;
use hilum::config::{Swap, SystemMount};
use hilum::fixed_string::text;
use hilum::split::Split;
use hilum::status::{Bytes, Text};
use hilum::storage::MountEntry;

/// `mounts [--json] [--config FILE]`
pub(super) fn run(words: &[&str]) -> i32 {
    let (is_json, path) = match words {
        [] => (false, DEFAULT_CONFIG),
        ["--json"] => (true, DEFAULT_CONFIG),
        ["--config", path] => (false, *path),
        ["--json", "--config", path] | ["--config", path, "--json"] => (true, *path),
        _ => return misused_as("mounts"),
    };
    let Some(config) = read(path) else { return FAILED };
    let mut status = DONE;
    if !is_json {
        status |= show(format_args!(
            "{:<16} {:<24} {:<8} {:<4} {:>9} {:>5} {}\n",
            "FOLDER", "DEVICE", "TYPE", "MODE", "SIZE", "USED", "MISSING"
        ));
    }
    for (index, mount) in config.system.mounts.iter().enumerate() {
        // If two mounts are on one folder, the upper one comes later.
        let (mut count, mut seen) = (0_u32, 0);
        let counted = storage::each_mount(&mut |entry| count += u32::from(entry.is_at(mount.target)));
        let printed = storage::each_mount(&mut |entry| {
            if entry.is_at(mount.target) {
                seen += 1;
                status |= if seen == count { print(mount, Some(entry), index, is_json) } else { DONE };
            }
        });
        if count == 0 {
            status |= print(mount, None, index, is_json) | FAILED;
        }
        if counted.is_err() || printed.is_err() {
            return FAILED;
        }
    }
    if let Some(swap) = &config.system.swap {
        status |= print_swap(swap, is_json, config.system.mounts.is_empty());
    }
    if is_json {
        let is_empty = config.system.mounts.is_empty() && config.system.swap.is_none();
        status |= show(format_args!("{}]\n", if is_empty { "[" } else { "" }));
    }
    status
}

/// Prints the swap area like a mount; the kernel's list of areas has its size and use in KiB (proc_swaps(5)).
fn print_swap(swap: &Swap<'_>, is_json: bool, is_first: bool) -> i32 {
    let mut buffer = [0; 1024];
    let mut lines = read_text("/proc/swaps", &mut buffer).each_line();
    let area = lines.find_map(|line| line.strip_prefix("/dev/zram0"));
    let number = |place| hilum::number::number(area?.split_ascii_whitespace().nth(place)?);
    let (size, used) = (number(1).map(|kib: u64| kib << 10), number(2).map_or(0, |kib: u64| kib << 10));
    let row = Row {
        folder: "swap",
        source: "zram",
        device: "/dev/zram0",
        is_mounted: area.is_some(),
        kind: swap.algorithm,
        is_read_only: false,
        size,
        used,
        missing: if area.is_some() { "" } else { "not active" },
    };
    row.print(is_json, is_first) | if area.is_some() { DONE } else { FAILED }
}

/// What is printed of a mount.
struct Row<'a> {
    folder: &'a str,
    source: &'a str,
    device: &'a str,
    is_mounted: bool,
    kind: &'a str,
    is_read_only: bool,
    /// In bytes; `None` if it is unknown.
    size: Option<u64>,
    used: u64,
    missing: &'a str,
}

#[inline(never)]
fn print(mount: &SystemMount<'_>, entry: Option<&MountEntry<'_>>, index: usize, is_json: bool) -> i32 {
    let found = entry.and_then(|_| statfs(mount.target).ok());
    let block = |blocks: u64| found.map(|found| blocks.saturating_mul(found.f_bsize.unsigned_abs()));
    let (size, used) = found.map_or((0, 0), |found| (found.f_blocks, found.f_blocks.saturating_sub(found.f_bfree)));
    let missing = if entry.is_some() { heapless::String::new() } else { storage::why_missing(mount) };
    let row = Row {
        folder: mount.target,
        source: mount.source,
        device: entry.map_or(mount.source, |entry| entry.source),
        is_mounted: entry.is_some(),
        kind: entry.map_or(mount.kind, |entry| entry.kind),
        is_read_only: entry.map_or(mount.is_read_only, MountEntry::is_read_only),
        size: block(size),
        used: block(used).unwrap_or(0),
        missing: &missing,
    };
    row.print(is_json, index == 0)
}

impl Row<'_> {
    #[inline(never)]
    fn print(&self, is_json: bool, is_first: bool) -> i32 {
        let Self { folder, source, device, is_mounted, kind, is_read_only, size, used, missing } = *self;
        if is_json {
            return show(format_args!(
                "{}{{\"folder\":{},\"source\":{},\"device\":{},\"type\":{},\"read_only\":{is_read_only},\"size\":{},\"used\":{used},\"missing\":{}}}",
                if is_first { "[" } else { "," },
                Text(folder),
                Text(source),
                Text(if is_mounted { device } else { "" }),
                Text(kind),
                size.unwrap_or(0),
                Text(missing)
            ));
        }
        let percent = used.saturating_mul(100).div_ceil(size.unwrap_or(0).max(1));
        show(format_args!(
            "{folder:<16} {device:<24} {kind:<8} {:<4} {:>9} {:>5} {}\n",
            if is_read_only { "ro" } else { "rw" },
            text::<16>(format_args!("{}", Bytes(size))),
            text::<16>(format_args!("{percent}%")),
            if missing.is_empty() { "-" } else { missing },
        ))
    }
}
