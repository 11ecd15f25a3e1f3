//! The part of the benchmark inside of the guest: the workload `bench`, which shares everything with the board, runs
//! the contestants in turn.
//!
//! It prints results to a separate serial port, so that no measured time includes console output.

use crate::contestants::{FRESH_FLOOR, GUEST_SOCKET, NAMES, Place, ask, last_line};
use crate::starts::{Row, measure};
use anyhow::{Context, Result, ensure};
use hilum::wire::Command as Asked;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The prefix of a line with a result.
pub(crate) const MARK: &str = "BENCH ";

/// Measures, and prints the results.
pub(crate) fn run() -> Result<()> {
    let mut serial = std::fs::File::options().write(true).open("/dev/ttyS1").context("/dev/ttyS1")?;
    let outcome = measure_all();
    if let Err(error) = &outcome {
        writeln!(serial, "{MARK}failed: {error:#}")?;
    }
    for row in outcome? {
        writeln!(serial, "{MARK}{}", serde_json::to_string(&row)?)?;
    }
    Ok(serial.flush()?)
}

fn measure_all() -> Result<Vec<Row>> {
    let runs = become_plain_root()?;
    let place = Place::guest()?;
    // PID 1 listens once every workload has a process, and this is one of them.
    std::thread::sleep(Duration::from_secs(1));
    let mut rows = measure(&place, &NAMES, runs, true)?;
    for row in rows.iter_mut().filter(|row| row.problem.is_none()) {
        row.peak_kb = peak_kb(&place, &row.name).with_context(|| format!("memory of {}", row.name))?;
    }
    Ok(rows)
}

/// Changes to a plain root environment, as the other tools expect it: /proc and /sys without masks, and the root cgroup
/// instead of one with limits. Returns the number of starts that was asked for.
pub(crate) fn become_plain_root() -> Result<usize> {
    unmount("/proc", UnmountFlags::DETACH).context("/proc")?;
    mount("proc", "/proc", "proc", MountFlags::empty(), None).context("/proc")?;
    mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).context("/sys")?;
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MountFlags::empty(), None).context("/sys/fs/cgroup")?;
    std::fs::write("/sys/fs/cgroup/cgroup.procs", "0").context("the root control group")?;
    let line = std::fs::read_to_string("/proc/cmdline")?;
    let runs = line.split_whitespace().find_map(|word| word.strip_prefix("bench.runs=")?.parse().ok());
    runs.context("bench.runs= on the kernel command line")
}

/// Returns the peak memory of one start, including kernel memory (memory.peak); `None` for a contestant without
/// processes of its own.
fn peak_kb(place: &Place, name: &str) -> Result<Option<u64>> {
    const GROUP: &str = "/peak";
    let group = Path::new("/sys/fs/cgroup/peak");
    let path = match name {
        // Its cgroup is removed with the workload, so this one stays a moment. PID 1's own memory already exists.
        "hilum" => {
            ask(Path::new(GUEST_SOCKET), Asked::Start, "nap")?;
            std::thread::sleep(Duration::from_millis(200));
            Path::new("/sys/fs/cgroup/workload/nap")
        }
        FRESH_FLOOR | "bubblewrap" | "crun" | "runc" => {
            // A cgroup with processes cannot have child cgroups with limits.
            std::fs::create_dir_all(group.join("runner"))?;
            std::fs::write(group.join("cgroup.subtree_control"), "+memory +pids")?;
            let script = "echo 0 >/sys/fs/cgroup/peak/runner/cgroup.procs && exec \"$@\"";
            let mut words = ["/bin/busybox", "sh", "-c", script, "sh"].map(str::to_owned).to_vec();
            words.extend(place.words(name, Some(GROUP))?);
            let output = place.command(&words, GROUP).stdin(Stdio::null()).output()?;
            ensure!(output.status.success(), "{}", last_line(&output.stderr));
            group
        }
        _ => return Ok(None),
    };
    let bytes = std::fs::read_to_string(path.join("memory.peak")).context("memory.peak")?;
    let peak: u64 = bytes.trim().parse()?;
    if path == group {
        for folder in ["runner", ""] {
            remove(&group.join(folder))?;
        }
    }
    Ok(Some(peak / 1024))
}

/// Removes a cgroup once the processes of the start have exited, which may be a moment after its result.
fn remove(group: &Path) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match std::fs::remove_dir(group) {
            Err(error) if Instant::now() > until => return Err(error).context("the group of the last start"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
            Ok(()) => return Ok(()),
        }
    }
}
