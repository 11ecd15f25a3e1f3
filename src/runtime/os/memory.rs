//! The memory of this process, as the kernel counts it (/proc/PID/status, proc(5)).

use super::files::read_text;
use hilum::split::Split;

#[cfg(not(test))]
pub(crate) use hilum_sys::release_memory;

/// A test has threads, whose stacks are elsewhere.
#[cfg(test)]
pub(crate) fn release_memory() {}

/// Memory in kilobytes.
pub(crate) struct Memory {
    /// All resident memory, including pages of the file.
    pub(crate) resident_kb: u32,
    /// Private memory: stack and written tables.
    pub(crate) anonymous_kb: u32,
}

/// Returns this process's memory, or `None` if /proc does not have it.
///
/// smaps_rollup counts pages. VmRSS and RssAnon of /proc/self/status have the same meaning, but before kernel 6.2 they
/// lag behind by up to 64 pages, which is more than this process uses; they are used if the kernel lacks smaps_rollup.
pub(crate) fn own() -> Option<Memory> {
    read("/proc/self/smaps_rollup", "Rss:", "Anonymous:").or_else(|| read("/proc/self/status", "VmRSS:", "RssAnon:"))
}

fn read(path: &str, resident: &str, anonymous: &str) -> Option<Memory> {
    let mut buffer = [0; 2048];
    let text = read_text(path, &mut buffer);
    let field = |name: &str| {
        let line = text.each_line().find_map(|line| line.strip_prefix(name))?;
        hilum::number::number(line.split_ascii_whitespace().next()?)
    };
    Some(Memory { resident_kb: field(resident)?, anonymous_kb: field(anonymous)? })
}
