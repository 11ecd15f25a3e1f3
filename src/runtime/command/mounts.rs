//! The board's disks as a table and as JSON: what is mounted, and why the rest is not. This command reads the kernel's
//! table and the disks itself, which saves work in PID 1.

use super::files::read;
use super::output::show;
use super::usage::{DONE, FAILED, misused_as};
use crate::os::path::Path;
use crate::storage;
use hilum::cmdline::DEFAULT_CONFIG;
use hilum::config::SystemMount;
use hilum::fixed_string::text;
use hilum::status::{Bytes, Text};
use hilum::storage::MountEntry;
use rustix::fs::statfs;

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
    if is_json {
        status |= show(format_args!("{}]\n", if config.system.mounts.is_empty() { "[" } else { "" }));
    }
    status
}

#[inline(never)]
fn print(mount: &SystemMount<'_>, entry: Option<&MountEntry<'_>>, index: usize, is_json: bool) -> i32 {
    let found = entry.and_then(|_| statfs(Path(mount.target)).ok());
    let block = |blocks: u64| found.map(|found| blocks.saturating_mul(found.f_bsize.unsigned_abs()));
    let (size, used) = found.map_or((0, 0), |found| (found.f_blocks, found.f_blocks.saturating_sub(found.f_bfree)));
    let device = entry.map_or(mount.source, |entry| entry.source);
    let kind = entry.map_or(mount.kind, |entry| entry.kind);
    let is_read_only = entry.map_or(mount.is_read_only, MountEntry::is_read_only);
    let missing = if entry.is_some() { heapless::String::new() } else { storage::why_missing(mount) };
    if is_json {
        return show(format_args!(
            "{}{{\"folder\":{},\"source\":{},\"device\":{},\"type\":{},\"read_only\":{is_read_only},\"size\":{},\"used\":{},\"missing\":{}}}",
            if index > 0 { "," } else { "[" },
            Text(mount.target),
            Text(mount.source),
            Text(if entry.is_some() { device } else { "" }),
            Text(kind),
            block(size).unwrap_or(0),
            block(used).unwrap_or(0),
            Text(&missing)
        ));
    }
    let percent = used.saturating_mul(100).div_ceil(size.max(1));
    show(format_args!(
        "{:<16} {device:<24} {kind:<8} {:<4} {:>9} {:>5} {}\n",
        mount.target,
        if is_read_only { "ro" } else { "rw" },
        text::<16>(format_args!("{}", Bytes(block(size)))),
        text::<16>(format_args!("{percent}%")),
        if missing.is_empty() { "-" } else { &missing },
    ))
}
