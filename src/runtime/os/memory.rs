//! What this process holds in memory, as the kernel counts it (/proc/PID/status, proc(5)).

use super::files::read_file;

#[cfg(not(test))]
pub(crate) use hilum_sys::release_memory;

/// A test has threads, whose stacks are not where a program's is.
#[cfg(test)]
pub(crate) fn release_memory() {}

/// Kilobytes of memory.
pub(crate) struct Memory {
    /// Everything resident, pages of the file included.
    pub(crate) resident_kb: u32,
    /// What is this process's own: stack and written tables.
    pub(crate) anonymous_kb: u32,
}

/// This process's memory. `None` if /proc does not tell.
///
/// smaps_rollup counts pages. The VmRSS and RssAnon of /proc/self/status, which mean the same, lag behind by up to 64
/// pages on kernels before 6.2, which is more than this process has; they serve where the other is not compiled in.
pub(crate) fn own() -> Option<Memory> {
    read("/proc/self/smaps_rollup", "Rss:", "Anonymous:").or_else(|| read("/proc/self/status", "VmRSS:", "RssAnon:"))
}

fn read(path: &str, resident: &str, anonymous: &str) -> Option<Memory> {
    let mut buffer = [0; 2048];
    let length = read_file(path, &mut buffer).ok()?;
    let text = core::str::from_utf8(&buffer[..length]).ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    Some(Memory { resident_kb: field(resident)?, anonymous_kb: field(anonymous)? })
}
