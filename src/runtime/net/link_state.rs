//! What PID 1 knows of the board's links.

use super::client::Running;
use crate::os::environment::Environment;
use hilum::config::{Mac, Prefix, limits};
use hilum::dhcp::Lease;
use hilum::router::Names;
use rustix::fd::OwnedFd;

/// Milliseconds between two lines about what one link refuses: anybody on the wire can cause them.
pub(super) const QUIET_MS: u64 = 60_000;

/// A lease that a link does not take.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    pub(super) lease: Lease,
    /// When it was given, in milliseconds.
    pub(super) at: u64,
    pub(super) is_reported: bool,
}

/// The state of one link of the configuration.
pub(super) struct LinkState {
    /// Its index; 0 while it is not there.
    pub(super) index: u32,
    pub(super) mac: Option<Mac>,
    pub(super) has_carrier: bool,
    /// That something is missing was reported.
    pub(super) is_reported: bool,
    /// Who asks for its address.
    pub(super) client: Option<Running>,
    /// When the next one starts.
    pub(super) start_at: Option<u64>,
    /// What it was given.
    pub(super) lease: Option<Lease>,
    /// When that is over, in milliseconds; `None` for never.
    pub(super) lease_ends_at: Option<u64>,
    /// It was given, or given again, since the carrier came.
    pub(super) is_confirmed: bool,
    /// Who knows names, by routers and DHCPv6 servers.
    pub(super) names: Names,
    /// It does not answer its `probe`.
    pub(super) is_silent: bool,
    /// The metrics of the routes of its line and of its lease, while they are set.
    pub(super) own_metric: Option<u32>,
    pub(super) lease_metric: Option<u32>,
    /// Bytes of its largest packet: as it is, and as it was before a lease changed it.
    pub(super) mtu: u32,
    pub(super) mtu_before: Option<u32>,
    /// What its client was given last and the link does not take.
    pub(super) refused: Option<Refused>,
    /// When the next refusal may be reported, in milliseconds.
    pub(super) quiet_until: u64,
    /// The network of a router advertisement that was reported last as refused.
    pub(super) ignored: Option<Prefix>,
}

impl LinkState {
    pub(super) const NOTHING: Self = Self {
        index: 0,
        mac: None,
        has_carrier: false,
        is_reported: false,
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
    };
}

/// The board's links, as PID 1 follows them.
pub(crate) struct HostLinks {
    pub(super) environment: Environment,
    /// An empty folder.
    pub(super) empty: &'static str,
    /// The socket on which the kernel reports links. `None` if there is nothing to follow.
    pub(super) socket: Option<OwnedFd>,
    pub(super) known: [LinkState; limits::HOST_LINKS],
    /// When links without a carrier, or without a lease, are reported.
    pub(super) report_at: Option<u64>,
}
