//! Links of workloads with DHCP: PID 1 starts their clients in the workload's network namespace and applies the leases there.
//! A client starts when the workload's program was executed, and ends with the workload.

use super::client::Task;
use super::link_state::{HostLinks, Inside, LinkState, PATIENCE_MS};
use super::{each_link, route_socket};
use crate::os::clock::monotonic_ms;
use crate::os::namespaces::{self, enter_network};
use crate::os::path::open;
use hilum::config::{
    Addresses, Attachment, Config, HostLink, LinkMatch, Workload, WorkloadLink, WorkloadSet, limits, port_name,
};
use hilum::dhcp::{Lease, Taken, taken_inside};
use hilum::fixed_string::text;
use hilum::uplink::metric;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

/// `/run/resolv.`, a workload's name and `.conf`.
type OwnPath = heapless::String<{ limits::NAME_BYTES + 20 }>;

/// Returns the path of the file of name servers of a workload with leases of its own.
pub(super) fn own_path(name: &str) -> OwnPath {
    text(format_args!("/run/resolv.{name}.conf"))
}

/// Creates the file of name servers of a workload with leases of its own, and returns its path; `None` if it has none. In a
/// shared network, the file is that of the network's owner. PID 1 writes it when the program runs.
///
/// # Errors
/// Those of open(2).
#[inline(never)]
pub(crate) fn own_name_servers(config: &Config<'_>, workload: &Workload<'_>) -> Result<Option<OwnPath>, Errno> {
    let owner = workload.isolation.net_of.and_then(|owner| config.workloads.get(usize::from(owner)));
    let owner = owner.unwrap_or(workload);
    if !config.pools.of(owner.network.links).iter().any(|link| link.has_dhcp) {
        return Ok(None);
    }
    let path = own_path(owner.name);
    open(&path, OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(0o644))?;
    Ok(Some(path))
}

impl HostLinks {
    /// Starts and ends the links of workloads as these start and end. `run` returns the pid of the workload at an index, 0
    /// if its network is shared, and `None` if it does not run; `network` opens its network namespace.
    pub(crate) fn follow_workloads(
        &mut self,
        config: &Config<'_>,
        run: &dyn Fn(usize) -> Option<i32>,
        network: &dyn Fn(usize) -> Result<OwnedFd, Errno>,
    ) {
        // The links are not followed yet.
        if self.empty.is_empty() {
            return;
        }
        self.forget(&|inside| config.index_of(inside.slot).and_then(run) != Some(inside.run));
        for (index, workload) in config.workloads.iter().enumerate() {
            for (number, link) in (0..).zip(config.pools.of(workload.network.links)) {
                let Some(run) = run(index).filter(|_| link.has_dhcp) else { continue };
                let slot = config.slots.of(index);
                let mut all = self.known.iter().filter_map(|known| known.inside.as_ref());
                if all.any(|inside| (inside.slot, inside.number) == (slot, number)) {
                    continue;
                }
                // A process that has just exited has none.
                if let Ok(namespace) = network(index) {
                    self.begin(Inside { slot, number, run, namespace }, link);
                }
            }
        }
    }

    /// Removes the links of workloads that are not in `kept`.
    pub(crate) fn adopt(&mut self, kept: WorkloadSet) {
        self.forget(&|inside| !kept.contains(inside.slot));
    }

    /// Removes the links of a process that has exited. This must happen before a workload starts: its process would hold the
    /// network namespace open, and the parent cannot have links of the other kind until that is gone.
    pub(crate) fn exited(&mut self, pid: Pid) {
        self.forget(&|inside| inside.run == pid.as_raw_nonzero().get());
    }

    /// Removes links. A client exits when its socket is closed.
    fn forget(&mut self, is_over: &dyn Fn(&Inside) -> bool) {
        for known in &mut self.known {
            if known.inside.as_ref().is_some_and(is_over) {
                *known = LinkState::new(0, false);
            }
        }
    }

    fn begin(&mut self, inside: Inside, link: &WorkloadLink<'_>) {
        let now = monotonic_ms();
        let mut state = LinkState::new(0, false);
        state.has_carrier = true;
        state.start_at = Some(now);
        // The route of the line was set with the link.
        state.own_metric = metric(inside.number.into(), true, false).filter(|_| !link.gateways.is_empty());
        state.inside = Some(inside);
        self.report_at.get_or_insert(now + PATIENCE_MS);
        // The parser allows no more than fit.
        match self.known.iter_mut().skip(limits::HOST_LINKS).find(|known| known.inside.is_none()) {
            Some(place) => *place = state,
            None => _ = self.known.push(state),
        }
    }

    /// Restarts the clients of workloads' links on a link of the board whose carrier has changed: the new carrier may be that
    /// of another network.
    pub(super) fn follow_parent(&mut self, config: &Config<'_>, name: &str, has_carrier: bool) {
        for known in &mut self.known {
            let link = known.inside.as_ref().and_then(|inside| inside.lines(config));
            if link.is_some_and(|(_, link)| link.attachment.name() == name) {
                known.client = None;
                known.start_at = has_carrier.then(monotonic_ms);
            }
        }
    }

    /// Returns the name of the link at `place` for messages.
    pub(super) fn name_of(&self, config: &Config<'_>, place: usize) -> heapless::String<15> {
        let inside = self.known.get(place).and_then(|known| known.inside.as_ref());
        match inside.and_then(|inside| Some((inside.lines(config)?.0.name, inside.number))) {
            Some((name, number)) => port_name(name, number),
            None => text(format_args!("{}", config.system.network.links.get(place).map_or("", |link| link.name))),
        }
    }

    /// Calls `run` with the link at `place`, in its network namespace.
    #[inline(never)]
    pub(super) fn with_link(
        &mut self,
        config: &Config<'_>,
        place: usize,
        run: &mut dyn FnMut(&mut Self, &HostLink<'_>),
    ) {
        let Some(inside) = self.known.get(place).and_then(|known| known.inside.as_ref()) else {
            if let Some(link) = config.system.network.links.get(place) {
                run(self, link);
            }
            return;
        };
        let Some((workload, link)) = inside.lines(config) else { return };
        let name = port_name(workload.name, inside.number);
        let described = HostLink {
            line: link.line,
            name: &name,
            which: LinkMatch::Name,
            mtu: link.mtu,
            has_dhcp: true,
            has_slaac: false,
            probe: None,
            addresses: Addresses::new(),
            gateways: link.gateways.clone(),
        };
        let Ok(own) = namespaces::network() else { return };
        if enter_network(inside.namespace.as_fd()).is_ok() {
            run(self, &described);
            // This cannot fail: the namespace is its own.
            let _ = enter_network(own.as_fd());
        }
    }

    /// Returns the configuration of the client of the link at `place`; `None` if the link is gone.
    pub(super) fn task<'c>(&mut self, config: &'c Config<'_>, place: usize, link: &HostLink<'_>) -> Option<Task<'c>> {
        let known = self.known.get_mut(place)?;
        let (mut host_name, mut shares_mac) = ("", false);
        if let Some(inside) = &known.inside {
            let (workload, own) = inside.lines(config)?;
            known.index = 0;
            let name = own.inner_name(inside.number);
            let _ = route_socket().and_then(|socket| {
                each_link(&socket, &mut |entry| {
                    if entry.name == name {
                        (known.index, known.mac, known.mtu) = (entry.index, entry.mac, entry.mtu);
                    }
                })
            });
            host_name = workload.hostname;
            shares_mac = matches!(own.attachment, Attachment::Ipvlan(_));
        }
        let (index, mac) = (known.index, known.mac);
        let (has_dhcp, has_slaac, probe) = (link.has_dhcp, link.has_slaac, link.probe);
        (index != 0).then_some(Task { index, mac, has_dhcp, has_slaac, probe, host_name, shares_mac })
    }

    /// Returns the network of another link of the workload that a lease overlaps.
    pub(super) fn taken_inside<'a>(&self, config: &'a Config<'_>, inside: &Inside, lease: &Lease) -> Option<Taken<'a>> {
        let leases = |number: u8| {
            let is_it = |other: &Inside| (other.slot, other.number) == (inside.slot, number);
            self.known.iter().find(|known| known.inside.as_ref().is_some_and(is_it))?.lease
        };
        let (workload, _) = inside.lines(config)?;
        taken_inside(config.pools.of(workload.network.links), inside.number, lease, &leases)
    }
}
