//! The links and rules of a workload, on the host's side and inside of its network namespace.

use super::{each_link, exchange, filter_socket, has_ipv6, index_of, request, route_socket};
use crate::os::sysctl::{set, set_unless_configured};
use crate::os::wait::pause;
use core::mem::ManuallyDrop;
use hilum::config::{Attachment, Config, Mac, Workload, WorkloadLink, port_name};
use hilum::netlink::{
    Inner, Make, WORKLOAD_RULES_BYTES, Writer, add_forwarding, delete_link, inner_link, isolate_port, make_link,
    move_link, remove_workload_rules, rename_link, stop_addresses, workload_rules,
};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// How often a name is tried that a link of the same workload's previous run still has, and the milliseconds between
/// attempts.
const TRIES: usize = 50;
/// The same for a link of the board that does not exist yet: ten seconds.
const PARENT_TRIES: usize = 500;
const TRY_MS: u64 = 20;

/// Creates link `number` of `workload` in the namespace, or moves a physical one there. Waits for what is missing only if
/// it may: PID 1 does not, and its next attempt is a start.
///
/// The kernel deletes a namespace some time after its last process exited, and with it the veth pair whose other end
/// has this name on the host. If that has not happened yet, the pair is deleted here.
///
/// # Errors
/// Those of the kernel: EOPNOTSUPP if it does not support this kind of link, ENODEV if the bridge or parent does not
/// exist.
pub(crate) fn connect(
    workload: &Workload<'_>,
    link: &WorkloadLink<'_>,
    number: u8,
    namespace: BorrowedFd<'_>,
    may_wait: bool,
) -> Result<(), Errno> {
    let socket = route_socket()?;
    let parent = parent_index(&socket, link, may_wait)?;
    let mut parent_mac = Mac([0; 6]);
    if let Attachment::Macvlan(_) = link.attachment {
        each_link(&socket, &mut |entry| {
            if entry.index == parent {
                parent_mac = entry.mac.unwrap_or(parent_mac);
            }
        })?;
    }
    let mac = link.mac(workload.name, number, parent_mac);
    let port = port_name(workload.name, number);
    // The kernel looks up names where the request is sent, even if the link is created in another namespace. The host
    // has none with these names. Inside it gets its final name.
    let name = match link.attachment {
        Attachment::Macvlan(_) | Attachment::Ipvlan(_) => &port,
        _ => link.inner_name(number),
    };
    let inner = Inner { name, mac: Some(mac), mtu: link.mtu, namespace: namespace.as_raw_fd().unsigned_abs() };
    let make = match link.attachment {
        Attachment::Bridge(_) => Make::Veth { bridge: parent, port: &port },
        Attachment::Macvlan(_) => Make::Macvlan { parent },
        Attachment::Ipvlan(_) => Make::Ipvlan { parent },
        Attachment::Physical(_) => return exchange(&socket, &mut |writer| move_link(writer, parent, &inner)),
    };
    for _ in 0..TRIES {
        match exchange(&socket, &mut |writer| make_link(writer, make, &inner)) {
            Err(Errno::EXIST) if matches!(make, Make::Veth { .. }) => {
                // Its name is free at once. If somebody else deletes it at the same time, this waits for that.
                if exchange(&socket, &mut |writer| delete_link(writer, &port)).is_err() && may_wait {
                    pause(TRY_MS);
                }
            }
            // Until now the parent had a link of another kind, in a namespace that is still being deleted.
            Err(Errno::BUSY) if may_wait => {
                pause(TRY_MS);
            }
            Ok(()) if matches!(make, Make::Veth { .. }) => {
                let index = index_of(&socket, &port)?;
                return exchange(&socket, &mut |writer| {
                    if has_ipv6() {
                        stop_addresses(writer, index);
                    }
                    isolate_port(writer, &port, link.may_spoof);
                    add_forwarding(writer, index, mac);
                });
            }
            result => return result,
        }
    }
    Err(Errno::BUSY)
}

/// Returns the index of the parent of a link. A bridge exists by now; a link of the board may still appear.
fn parent_index(socket: &OwnedFd, link: &WorkloadLink<'_>, may_wait: bool) -> Result<u32, Errno> {
    for _ in 0..PARENT_TRIES {
        match (index_of(socket, link.attachment.name()), link.attachment) {
            (Err(Errno::NODEV), Attachment::Macvlan(_) | Attachment::Ipvlan(_) | Attachment::Physical(_))
                if may_wait =>
            {
                pause(TRY_MS);
            }
            (result, _) => return result,
        }
    }
    Err(Errno::NODEV)
}

/// A socket for nf_tables that is not closed before its process exits.
///
/// Closing such a socket waits for an RCU grace period (`nft_rcv_nl_event` in net/netfilter/nf_tables_api.c) of 5 to 20
/// ms, which would block PID 1. So PID 1 keeps one open, and a helper completes its work before it exits.
pub(crate) struct Rules(Option<ManuallyDrop<OwnedFd>>);

impl Rules {
    /// Creates it without a socket. It is opened on first use, in the network namespace of that moment.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Creates the tables of `workload`, and replaces previous ones. Flows to its ports from before are redirected
    /// after [`super::connections::forget_missed`].
    ///
    /// # Errors
    /// Those of the kernel: EPROTONOSUPPORT, ENOENT or EOPNOTSUPP if it lacks nf_tables or a part of it.
    pub(crate) fn make(&mut self, config: &Config<'_>, workload: &Workload<'_>) -> Result<(), Errno> {
        let mut buffer = [0; WORKLOAD_RULES_BYTES];
        let mut writer = Writer::new(&mut buffer);
        workload_rules(&mut writer, config, workload);
        self.request(&writer)?;
        // A connection to a published port at 127.0.0.1 of the board has that source address until it is masqueraded
        // (__mkroute_output and ip_route_input_slow in net/ipv4/route.c). The board's rules drop other packets with it.
        let published = workload.network.published_address(&config.pools, true);
        if let Some((bridge, ..)) = published.filter(|_| !workload.network.publish.is_empty()) {
            set_unless_configured(config, &["net/ipv4/conf/", bridge, "/route_localnet"], "1");
        }
        Ok(())
    }

    /// Removes the tables of a workload.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Errno> {
        let mut buffer = [0; 1024];
        let mut writer = Writer::new(&mut buffer);
        remove_workload_rules(&mut writer, name);
        match self.request(&writer) {
            // A kernel without nf_tables has no tables.
            Err(Errno::PROTONOSUPPORT) => Ok(()),
            result => result,
        }
    }

    fn request(&mut self, writer: &Writer<'_>) -> Result<(), Errno> {
        /// An upper bound of the replies that a failed request can leave behind; each takes a buffer of the socket.
        const LEFT: usize = 512;
        let socket = match &mut self.0 {
            Some(socket) => socket,
            none => none.insert(ManuallyDrop::new(filter_socket()?)),
        };
        // Discard replies of an earlier request that failed.
        let mut answer = [0; 64];
        for _ in 0..LEFT {
            if matches!(recv(&**socket, &mut answer[..], RecvFlags::DONTWAIT), Err(Errno::AGAIN)) {
                break;
            }
        }
        request(socket, writer)
    }
}

/// Sets the addresses and routes of link `number`, inside of the namespace.
///
/// # Errors
/// Those of the kernel.
pub(crate) fn set_up(
    config: &Config<'_>,
    workload: &Workload<'_>,
    link: &WorkloadLink<'_>,
    number: u8,
) -> Result<(), Errno> {
    let socket = route_socket()?;
    let name = link.inner_name(number);
    let index = match link.attachment {
        Attachment::Macvlan(_) | Attachment::Ipvlan(_) => {
            let index = index_of(&socket, &port_name(workload.name, number))?;
            exchange(&socket, &mut |writer| rename_link(writer, index, name))?;
            index
        }
        _ => index_of(&socket, name)?,
    };
    let has_ipv6 = has_ipv6();
    // Before it is up, so that it uses only its line, and nothing that is advertised on the network.
    for setting in ["accept_ra", "autoconf"] {
        let _ = set(&["net/ipv6/conf/", name, "/", setting], "0");
    }
    if has_ipv6 && let Attachment::Bridge(_) = link.attachment {
        // The board routes between its ports, so ICMP redirects would be wrong.
        let _ = set(&["net/ipv6/conf/", name, "/accept_redirects"], "0");
    }
    exchange(&socket, &mut |writer| inner_link(writer, config, link, index, has_ipv6))
}
