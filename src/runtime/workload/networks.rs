//! Network namespaces that outlive a run: those that several workloads share (`share net=NAME`), and those of workloads
//! that are restarted.
//!
//! PID 1 creates a shared one when the first of its workloads starts. No workload owns it, so none can change its addresses
//! or routes, whatever its capabilities. A workload's own is created with its first process, and kept for its next run
//! if [`Workload::keeps_network`]. It then belongs to the user namespace of that first run, over which later runs have no
//! capabilities. PID 1 enters a namespace for the clone.

use crate::console::Console;
use crate::net::Rules;
use crate::os::errno::describe;
use crate::os::namespaces::network;
use hilum::config::{Config, Workload, WorkloadSet, limits};
use hilum::netlink::has_tables;
use hilum::plan::SETTINGS;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

/// The namespaces.
pub(crate) struct Networks {
    /// By the slot of the workload that is named, or of the only one.
    held: [Option<OwnedFd>; limits::WORKLOADS],
    /// PID 1's own socket for packet rules.
    pub(crate) rules: Rules,
}

/// The way back to PID 1's own network namespace; `None` if it was not left.
#[must_use]
pub(crate) struct Away(Option<OwnedFd>);

impl Networks {
    pub(crate) const fn none() -> Self {
        Self { held: [const { None }; limits::WORKLOADS], rules: Rules::none() }
    }

    /// Handles another configuration: deletes the namespaces of slots that are not in `kept`, with their rules.
    pub(crate) fn adopt(&mut self, old: &Config<'_>, kept: WorkloadSet, console: &mut Console) {
        for (slot, place) in self.held.iter_mut().enumerate().filter(|(slot, _)| !kept.contains(*slot)) {
            let Some(workload) = place.take().and(old.index_of(slot)).and_then(|index| old.workloads.get(index)) else {
                continue;
            };
            if has_tables(&workload.network, &old.pools) {
                let _ = remove_rules(&mut self.rules, old, workload, true, console);
            }
        }
    }

    /// Returns whether the workload at `index` shares a namespace with links that does not exist yet.
    pub(crate) fn lacks(&self, config: &Config<'_>, index: usize) -> bool {
        let isolation = &config.workload(index).isolation;
        let owner = isolation.net_of.map_or(index, usize::from);
        let has_links = config.workloads.get(owner).is_some_and(|owner| !owner.network.links.is_empty());
        isolation.is_net_shared && has_links && matches!(self.held.get(config.slots.of(owner)), Some(None))
    }

    /// Returns the shared namespace that the workload at `index` is the owner of.
    pub(crate) fn shared(&self, config: &Config<'_>, index: usize) -> Option<&OwnedFd> {
        self.held.get(config.slots.of(index))?.as_ref()
    }

    /// Keeps the network namespace that a run of the workload at `index` is in for the next run, if it does that. `open`
    /// opens it; a process that has exited has none any more.
    pub(crate) fn keep(&mut self, config: &Config<'_>, index: usize, open: impl FnOnce() -> Result<OwnedFd, Errno>) {
        let place = self.held.get_mut(config.slots.of(index));
        if let Some(place @ None) = place.filter(|_| config.workload(index).keeps_network(&config.pools)) {
            *place = open().ok();
        }
    }

    /// Returns whether the workload at `index` has a namespace that was kept.
    pub(crate) fn has_kept(&self, config: &Config<'_>, index: usize) -> bool {
        !config.workload(index).isolation.is_net_shared && self.shared(config, index).is_some()
    }

    /// Closes the namespace that was kept for the workload at `index`. Returns whether there was one.
    pub(crate) fn throw_away(&mut self, config: &Config<'_>, index: usize) -> bool {
        self.has_kept(config, index)
            && self.held.get_mut(config.slots.of(index)).is_some_and(|place| place.take().is_some())
    }

    /// Enters the network namespace that the workload at `index` shares with another, or that was kept for it; otherwise
    /// does nothing.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(crate) fn enter(&mut self, config: &Config<'_>, index: usize) -> Result<Away, Errno> {
        let workload = config.workload(index);
        let owner = workload.isolation.net_of.map_or(index, usize::from);
        let place = self.held.get_mut(config.slots.of(owner)).ok_or(Errno::INVAL)?;
        if !workload.isolation.is_net_shared && place.is_none() {
            return Ok(Away(None));
        }
        let away = Away(Some(network()?));
        match place {
            Some(namespace) => crate::os::namespaces::enter_network(namespace.as_fd())?,
            None => {
                hilum_sys::unshare_network()?;
                let made = set_up().and_then(|namespace| {
                    if let (Some(workload), Away(Some(own))) = (config.workloads.get(owner), &away) {
                        connect(&mut self.rules, config, workload, own, &namespace)?;
                    }
                    Ok(namespace)
                });
                match made {
                    Ok(namespace) => *place = Some(namespace),
                    Err(errno) => {
                        away.leave()?;
                        return Err(errno);
                    }
                }
            }
        }
        Ok(away)
    }
}

impl Away {
    /// Returns whether the current namespace has its links, addresses and rules.
    pub(crate) fn is_set_up(&self) -> bool {
        self.0.is_some()
    }

    /// Returns to the previous namespace.
    pub(crate) fn leave(self) -> Result<(), Errno> {
        self.0.map_or(Ok(()), |own| crate::os::namespaces::enter_network(own.as_fd()))
    }
}

/// Removes the rules of a workload. If `is_over`, starts a helper that deletes its connections, and returns that
/// helper.
#[inline(never)]
pub(crate) fn remove_rules(
    rules: &mut Rules,
    config: &Config<'_>,
    workload: &Workload<'_>,
    is_over: bool,
    console: &mut Console,
) -> Option<Pid> {
    let removed = rules.remove(workload.name);
    let forgetter = if is_over { crate::net::spawn_forget(config, workload).map(Some) } else { Ok(None) };
    match removed.and(forgetter) {
        Ok(helper) => helper.map(|helper| helper.pid),
        Err(errno) => {
            console.error(format_args!("workload \"{}\": packet rules: {}", workload.name, describe(errno)));
            None
        }
    }
}

/// Connects the namespace according to its owner's lines: creates links on the host's side, and configures them inside.
fn connect(
    rules: &mut Rules,
    config: &Config<'_>,
    workload: &Workload<'_>,
    own: &OwnedFd,
    namespace: &OwnedFd,
) -> Result<(), Errno> {
    if workload.network.links.is_empty() {
        return Ok(());
    }
    crate::os::namespaces::enter_network(own.as_fd())?;
    let links = || (0..).zip(config.pools.of(workload.network.links));
    links().try_for_each(|(number, link)| crate::net::connect(workload, link, number, namespace.as_fd(), false))?;
    if has_tables(&workload.network, &config.pools) {
        rules.make(config, workload)?;
        crate::net::spawn_forget_missed(config.pools.of(workload.network.publish));
    }
    crate::os::namespaces::enter_network(namespace.as_fd())?;
    links().try_for_each(|(number, link)| crate::net::set_up(config, workload, link, number))
}

/// Creates and prepares the namespace, as a workload does with its own.
fn set_up() -> Result<OwnedFd, Errno> {
    crate::net::loopback_up()?;
    for setting in &SETTINGS {
        let file = rustix::fs::open(setting.path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, setting.value.as_bytes())?;
    }
    network()
}
