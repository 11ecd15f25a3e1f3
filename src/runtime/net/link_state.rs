//! The state of the board's links in PID 1.

use super::client::Running;
use crate::os::environment::Environment;
use heapless::Vec;
use hilum::config::{Config, Mac, Prefix, Workload, WorkloadLink, limits};
use hilum::dhcp::Lease;
use hilum::router::Names;
use rustix::fd::OwnedFd;

/// Minimum milliseconds between two messages about refusals of a link, because anybody on the network can cause them.
pub(super) const QUIET_MS: u64 = 60_000;

/// A refused lease.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    pub(super) lease: Lease,
    /// When it was granted, in milliseconds.
    pub(super) at: u64,
    pub(super) is_reported: bool,
}

/// Milliseconds after which a missing carrier or lease is reported.
pub(super) const PATIENCE_MS: u64 = 10_000;

/// A link in a workload's network namespace.
pub(super) struct Inside {
    /// The slot of the workload.
    pub(super) slot: usize,
    /// The number of the link in the workload.
    pub(super) number: u8,
    /// The pid of the workload, or 0 if its network is shared ([`HostLinks::follow_workloads`]).
    pub(super) run: i32,
    pub(super) namespace: OwnedFd,
}

impl Inside {
    /// Returns the workload and its line.
    #[inline(never)]
    pub(super) fn lines<'l, 'a>(&self, config: &'l Config<'a>) -> Option<(&'l Workload<'a>, &'l WorkloadLink<'a>)> {
        let workload = config.workloads.get(config.index_of(self.slot)?)?;
        Some((workload, config.pools.of(workload.network.links).get(usize::from(self.number))?))
    }
}

/// The state of a link of the configuration.
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub(super) struct LinkState {
    /// Its index; 0 if it does not exist.
    pub(super) index: u32,
    /// Its current MTU, and its MTU before a lease changed it.
    pub(super) mtu: u32,
    pub(super) mac: Option<Mac>,
    pub(super) has_carrier: bool,
    /// Whether a missing carrier or lease was reported.
    pub(super) is_reported: bool,
    /// Whether the lease was granted or extended since the carrier returned.
    pub(super) is_confirmed: bool,
    /// Whether its `probe` gets no answer.
    pub(super) is_silent: bool,
    /// Its client process.
    pub(super) client: Option<Running>,
    /// When the next client starts.
    pub(super) start_at: Option<u64>,
    /// When the lease ends, in milliseconds; `None` for never.
    pub(super) lease_ends_at: Option<u64>,
    /// The metrics of the routes of its line and of its lease, if they are set.
    pub(super) own_metric: Option<u32>,
    pub(super) lease_metric: Option<u32>,
    pub(super) mtu_before: Option<u32>,
    /// When the next refusal may be reported, in milliseconds.
    pub(super) quiet_until: u64,
    /// Its place in a workload, if it is a workload's link.
    pub(super) inside: Option<Inside>,
    /// Its lease.
    pub(super) lease: Option<Lease>,
    /// Names from routers and DHCPv6 servers.
    pub(super) names: Names,
    /// The last lease that was refused.
    pub(super) refused: Option<Refused>,
    /// The last network of a router advertisement that was reported as refused.
    pub(super) ignored: Option<Prefix>,
}

impl LinkState {
    /// Returns the state of a link that was found now, or does not exist. A constant would be a kilobyte of the file.
    #[inline(never)]
    pub(super) fn new(index: u32, is_reported: bool) -> Self {
        Self {
            index,
            mac: None,
            has_carrier: false,
            is_reported,
            client: None,
            start_at: None,
            lease: None,
            lease_ends_at: None,
            is_confirmed: false,
            names: Names::NOTHING,
            is_silent: false,
            own_metric: None,
            lease_metric: None,
            mtu: 0,
            mtu_before: None,
            refused: None,
            quiet_until: 0,
            ignored: None,
            inside: None,
        }
    }
}

/// The board's links, as PID 1 follows them.
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub(crate) struct HostLinks {
    pub(super) environment: Environment,
    /// The path of an empty folder.
    pub(super) empty: &'static str,
    /// The socket for link events; `None` if there is nothing to follow.
    pub(super) socket: Option<OwnedFd>,
    /// When to report links without a carrier or a lease.
    pub(super) report_at: Option<u64>,
    /// Whether a link or a lease has changed, for the service of the time.
    pub(crate) has_news: bool,
    /// The board's links in the order of their lines, then workloads' links with DHCP.
    pub(super) known: Vec<LinkState, { limits::HOST_LINKS + limits::LEASED_LINKS }>,
}
