//! Metrics of the machine, from /proc and its filesystems, and of the agent itself.

use super::format::Families;
use crate::logs::EARLIEST;
use crate::system::{self, Disk, MODES};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Adds them.
pub(super) fn add(families: &mut Families, folders: &[PathBuf]) {
    let (processors, booted) = system::processors();
    families.gauge("node_boot_time_seconds", "When the kernel started.", booted.map(|booted| ([], booted)));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    families.gauge("node_time_seconds", "The board's clock.", [([], now)]);
    families.gauge(
        "hilum_clock_plausible",
        "Whether the clock is later than 2023.",
        [([], f64::from(now >= EARLIEST.as_secs_f64()))],
    );
    families.counter(
        "node_cpu_seconds_total",
        "Seconds that the processors spent in each mode.",
        processors.iter().flat_map(|(number, seconds)| {
            MODES.iter().zip(seconds).map(|(mode, seconds)| ([("cpu", &**number), ("mode", *mode)], *seconds))
        }),
    );
    for (name, load) in ["node_load1", "node_load5", "node_load15"].into_iter().zip(system::load()) {
        families.gauge(name, "Load average over as many minutes.", [([], load)]);
    }
    for (name, bytes) in system::memory() {
        if ["MemTotal", "MemFree", "MemAvailable", "SwapTotal", "SwapFree"].contains(&&*name) {
            let help = format!("{name} of /proc/meminfo.");
            families.gauge(&format!("node_memory_{name}_bytes"), &help, [([], bytes as f64)]);
        }
    }
    disks(families, &system::disks(folders));
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let (name, release, machine) = (text(uname.nodename()), text(uname.release()), text(uname.machine()));
    families.gauge(
        "node_uname_info",
        "The kernel and the host name, as the agent sees it.",
        [([("nodename", &*name), ("release", &*release), ("machine", &*machine)], 1.0)],
    );
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    families.gauge("hilum_agent_info", "The version of the agent.", [(version, 1.0)]);
    let own = system::own_memory().map(|bytes| ([], bytes as f64));
    families.gauge("process_resident_memory_bytes", "Memory of the agent.", own);
}

fn disks(families: &mut Families, disks: &[Disk]) {
    let each = |value: fn(&Disk) -> f64| disks.iter().map(move |disk| ([("mountpoint", &*disk.folder)], value(disk)));
    families.gauge("node_filesystem_size_bytes", "Size of a filesystem.", each(|disk| disk.size as f64));
    families.gauge("node_filesystem_free_bytes", "What is free of it.", each(|disk| disk.free as f64));
    families.gauge(
        "node_filesystem_avail_bytes",
        "What is free of it for others than root.",
        each(|disk| disk.available as f64),
    );
    families.gauge("node_filesystem_files", "Files that it has room for.", each(|disk| disk.files as f64));
    families.gauge("node_filesystem_files_free", "How many more.", each(|disk| disk.files_free as f64));
    families.gauge("node_filesystem_readonly", "Whether it is read-only.", each(|disk| disk.is_read_only.into()));
}
