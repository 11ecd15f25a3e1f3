//! The control group of a container that is being created.

use super::resources::{Resources, Setting, settings};
use super::systemd::{self, Unit};
use super::{Group, by_path, check};
use crate::arguments::Manager;
use crate::config::Spec;
use crate::error::Result;
use rustix::fd::OwnedFd;
use rustix::process::Pid;

/// What is to be made.
#[derive(Debug)]
pub struct Grouping<'a> {
    id: &'a str,
    resources: Resources,
    settings: Vec<Setting>,
    unit: Option<Unit>,
    /// The group, by path before there is a process, by systemd after that.
    pub group: Option<Group>,
}

impl<'a> Grouping<'a> {
    /// Decides without a change.
    ///
    /// # Errors
    /// Limits or paths that are wrong.
    pub fn plan(spec: &Spec, manager: Manager, id: &'a str) -> Result<Self> {
        let linux = spec.linux.as_ref();
        let path = linux.and_then(|linux| linux.cgroups_path.as_deref());
        let resources = linux.and_then(|linux| linux.resources.clone()).unwrap_or_default();
        let settings = settings(&resources)?;
        super::devices::program(&resources.devices)?;
        let (group, unit) = match manager {
            Manager::Disabled => (None, None),
            Manager::Path => (Some(by_path(path, id)?), None),
            Manager::Systemd => (None, Some(systemd::unit(path, id)?)),
        };
        if manager != Manager::Disabled {
            check()?;
        }
        Ok(Self { id, resources, settings, unit, group })
    }

    /// Makes a group by path, and opens it for the new process.
    ///
    /// # Errors
    /// Those of the kernel, and limits that it refuses.
    pub fn make(&mut self) -> Result<Option<OwnedFd>> {
        let Some(group) = &self.group else { return Ok(None) };
        if let Err(error) = group.create(&self.settings) {
            // It is somebody else's.
            self.group = None;
            return Err(error);
        }
        self.limit()?;
        self.group.as_ref().map(Group::open).transpose()
    }

    /// Lets systemd make a group for a process.
    ///
    /// # Errors
    /// Those of systemd and of the kernel.
    pub fn make_for(&mut self, pid: Pid) -> Result<()> {
        let Some(unit) = &self.unit else { return Ok(()) };
        self.group = Some(systemd::start(unit, self.id, pid, &self.settings)?);
        self.limit()
    }

    fn limit(&self) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        group.limit(&self.settings)?;
        group.filter_devices(&self.resources)
    }

    /// Removes the group after a failure.
    pub fn undo(&self) {
        if let Some(group) = &self.group {
            let _ = group.remove();
        }
    }
}
