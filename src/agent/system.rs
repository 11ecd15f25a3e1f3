//! What the kernel tells every process about the machine: /proc, and the size of filesystems.

use std::path::{Path, PathBuf};

/// Bytes and files of a mounted filesystem.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) folder: String,
    pub(crate) size: u64,
    pub(crate) free: u64,
    /// Without what is reserved for root.
    pub(crate) available: u64,
    pub(crate) files: u64,
    pub(crate) files_free: u64,
    pub(crate) is_read_only: bool,
}

/// Returns the filesystems at these folders; those that cannot be asked are left out.
pub(crate) fn disks(folders: &[PathBuf]) -> Vec<Disk> {
    folders.iter().filter_map(|folder| disk(folder)).collect()
}

fn disk(folder: &Path) -> Option<Disk> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(Disk {
        folder: folder.display().to_string(),
        size: stat.f_blocks * stat.f_frsize,
        free: stat.f_bfree * stat.f_frsize,
        available: stat.f_bavail * stat.f_frsize,
        files: stat.f_files,
        files_free: stat.f_ffree,
        is_read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// Returns the lines of /proc/meminfo as names and bytes.
pub(crate) fn memory() -> Vec<(String, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
        Some((name.to_owned(), kib * 1024))
    };
    text.lines().filter_map(line).collect()
}

/// The states of a processor in /proc/stat, in its order (proc(5)).
pub(crate) const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// Returns the seconds that each processor spent in each of [`MODES`], and the seconds since 1970 when the kernel started.
pub(crate) fn processors() -> (Vec<(String, Vec<f64>)>, Option<f64>) {
    // USER_HZ, which is 100 on every architecture of Linux that runs hilum (proc(5)).
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let mut processors = Vec::new();
    let mut booted = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        if name == "btime" {
            booted = words.next().and_then(|word| word.parse().ok());
        } else if let Some(number) = name.strip_prefix("cpu").filter(|number| !number.is_empty()) {
            let ticks = words.take(MODES.len()).filter_map(|word| word.parse::<f64>().ok());
            processors.push((number.to_owned(), ticks.map(|ticks| ticks / TICKS).collect()));
        }
    }
    (processors, booted)
}

/// Returns the load over one, five and fifteen minutes.
pub(crate) fn load() -> Vec<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect()
}

/// Returns the bytes of memory that this process has in use.
pub(crate) fn own_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    kib.parse::<u64>().ok().map(|kib| kib * 1024)
}
