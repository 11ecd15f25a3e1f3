//! In the guest: the workload `bench`, which shares everything with the board, lets contestants take turns.
//!
//! It says its figures as lines on a serial port of its own, so that nobody's time goes into a console.

use crate::contestants::{FRESH_FLOOR, GUEST_SOCKET, NAMES, Place, ask, last_line};
use crate::starts::{Row, measure};
use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What a line with a figure begins with.
pub(crate) const MARK: &str = "BENCH ";

/// Measures, and says what came out.
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
    become_plain_root()?;
    let line = std::fs::read_to_string("/proc/cmdline")?;
    let runs = line.split_whitespace().find_map(|word| word.strip_prefix("bench.runs=")?.parse().ok());
    let place = Place::guest()?;
    // It listens once every workload has a process, and this is one of them.
    std::thread::sleep(Duration::from_secs(1));
    let mut rows = measure(&place, &NAMES, runs.context("bench.runs= on the kernel command line")?, true)?;
    for row in rows.iter_mut().filter(|row| row.problem.is_none()) {
        row.peak_kb = peak_kb(&place, &row.name).with_context(|| format!("memory of {}", row.name))?;
    }
    Ok(rows)
}

/// Takes the view of a root user of the board, as the other tools expect it: /proc and /sys without anything masked, and a
/// place in the root control group instead of one with limits.
fn become_plain_root() -> Result<()> {
    unmount("/proc", UnmountFlags::DETACH).context("/proc")?;
    mount("proc", "/proc", "proc", MountFlags::empty(), None).context("/proc")?;
    mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).context("/sys")?;
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MountFlags::empty(), None).context("/sys/fs/cgroup")?;
    std::fs::write("/sys/fs/cgroup/cgroup.procs", "0").context("the root control group")
}

/// Returns the most memory, the kernel's included, that was charged for one start (memory.peak). `None` for what is not one
/// process or more of its own.
fn peak_kb(place: &Place, name: &str) -> Result<Option<u64>> {
    const GROUP: &str = "/peak";
    let group = Path::new("/sys/fs/cgroup/peak");
    let path = match name {
        // Its group goes with the workload, so this one stays a moment. What PID 1 itself has is there already.
        "hilum" => {
            ask(Path::new(GUEST_SOCKET), "nap")?;
            std::thread::sleep(Duration::from_millis(200));
            Path::new("/sys/fs/cgroup/workload/nap")
        }
        FRESH_FLOOR | "bubblewrap" | "crun" | "runc" => {
            // A group that processes are in cannot have groups with limits below it.
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

/// Removes a group, once what the start left behind has ended: a process outlives its answer for a moment.
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
