//! `pause`, `resume`, `update` and `events`: what acts on the control group of a container.

use crate::cgroup::resources::{Resources, settings};
use crate::cgroup::{Group, stats, systemd};
use crate::error::{Error, Result};
use crate::state::{Folder, Kept, Status};
use std::path::Path;
use std::time::Duration;

fn group(kept: &Kept) -> Result<&Group> {
    kept.group.as_ref().ok_or_else(|| Error(format!("container {} has no cgroup", kept.id)))
}

/// Stops all processes of a container, or lets them continue.
///
/// # Errors
/// It is in another state.
pub fn freeze(root: &Path, id: &str, is_frozen: bool) -> Result<()> {
    let folder = Folder::open(root, id)?;
    let kept = folder.read()?;
    match (kept.status(&folder.path), is_frozen) {
        (Status::Stopped, _) => Err("container not running".into()),
        (Status::Created | Status::Running, false) => Err("container not paused".into()),
        (Status::Paused, true) => Err("container already paused".into()),
        _ => group(&kept)?.freeze(is_frozen),
    }
}

/// Changes the limits of a container.
///
/// # Errors
/// It does not run, or the kernel refuses a limit: those before it are changed then.
pub fn update(root: &Path, id: &str, resources: &Resources) -> Result<()> {
    let folder = Folder::open(root, id)?;
    let kept = folder.read()?;
    if kept.status(&folder.path) == Status::Stopped {
        return Err("container not running".into());
    }
    let group = group(&kept)?;
    let settings = settings(resources)?;
    if let Some(unit) = &group.unit {
        systemd::change(unit, &settings)?;
    }
    group.limit(&settings)?;
    if resources.devices.is_empty() { Ok(()) } else { group.filter_devices(resources) }
}

/// Prints what a container has used, once or until it stops.
///
/// # Errors
/// It does not run.
pub fn events(root: &Path, id: &str, is_once: bool, seconds: u64) -> Result<()> {
    loop {
        let folder = Folder::open(root, id)?;
        let kept = folder.read()?;
        if kept.status(&folder.path) == Status::Stopped {
            return if is_once { Err("container not running".into()) } else { Ok(()) };
        }
        println!("{}", stats::stats(group(&kept)?, id));
        if is_once {
            return Ok(());
        }
        drop(folder);
        std::thread::sleep(Duration::from_secs(seconds));
    }
}
