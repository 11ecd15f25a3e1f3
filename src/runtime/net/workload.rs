//! One workload's links and rules: from outside, in the board's network namespace, and from inside.

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

/// How often a name is tried that is still taken by the same workload's link of before, and milliseconds between.
const TRIES: usize = 50;
/// The same for a link of the board that is not there yet: ten seconds.
const PARENT_TRIES: usize = 500;
const TRY_MS: u64 = 20;

/// Makes link `number` of `workload`, or gives it away, into the namespace.
///
/// The kernel takes a namespace apart some time after its last process ended, and with it the pair whose other end has
/// this link's name on the board. It is removed here where that has not happened yet.
///
/// # Errors
/// The kernel's: EOPNOTSUPP for a kind of link that it has not, ENODEV where the bridge or the parent is not there.
pub(crate) fn connect(
    workload: &Workload<'_>,
    link: &WorkloadLink<'_>,
    number: u8,
    namespace: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let socket = route_socket()?;
    let parent = parent_index(&socket, link)?;
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
    // The kernel looks for a link's name where the request comes from, even if it is made elsewhere: of these names the
    // board has none. Inside it gets its own.
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
                // Its name is free at once. Who else removes it meanwhile does the same, and is waited for.
                if exchange(&socket, &mut |writer| delete_link(writer, &port)).is_err() {
                    pause(TRY_MS);
                }
            }
            // A parent that another kind of link had until now, in a namespace that is still taken apart.
            Err(Errno::BUSY) => {
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

/// Returns the index of what a link leads to. A bridge is there by now; a link of the board may still be on its way.
fn parent_index(socket: &OwnedFd, link: &WorkloadLink<'_>) -> Result<u32, Errno> {
    for _ in 0..PARENT_TRIES {
        match (index_of(socket, link.attachment.name()), link.attachment) {
            (Err(Errno::NODEV), Attachment::Macvlan(_) | Attachment::Ipvlan(_) | Attachment::Physical(_)) => {
                pause(TRY_MS);
            }
            (result, _) => return result,
        }
    }
    Err(Errno::NODEV)
}

/// A socket to nf_tables that is not closed before its process exits.
///
/// The kernel waits for a grace period where such a socket is closed (`nft_rcv_nl_event` in net/netfilter/nf_tables_api.c):
/// 5 to 20 ms, in which PID 1 would do nothing else. So PID 1 keeps one, and a helper hands over first and exits then.
pub(crate) struct Rules(Option<ManuallyDrop<OwnedFd>>);

impl Rules {
    /// It is opened when it is needed, in the network namespace of that moment.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Makes the tables of `workload`; they replace those of before. Who sent to its ports before that is heard when
    /// [`super::connections::forget_missed`] is done.
    ///
    /// # Errors
    /// The kernel's: EPROTONOSUPPORT, ENOENT or EOPNOTSUPP where it lacks nf_tables or a part of it.
    pub(crate) fn make(&mut self, config: &Config<'_>, workload: &Workload<'_>) -> Result<(), Errno> {
        let mut buffer = [0; WORKLOAD_RULES_BYTES];
        let mut writer = Writer::new(&mut buffer);
        workload_rules(&mut writer, config, workload);
        self.request(&writer)?;
        // Who asks for a published port at 127.0.0.1 of the board has that as its address until the bridge's takes its place
        // (__mkroute_output and ip_route_input_slow in net/ipv4/route.c). The board's rules let nothing else through.
        let published = workload.network.published_address(&config.pools, true);
        if let Some((bridge, ..)) = published.filter(|_| !workload.network.publish.is_empty()) {
            set_unless_configured(config, &["net/ipv4/conf/", bridge, "/route_localnet"], "1");
        }
        Ok(())
    }

    /// Takes the tables of a workload away.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Errno> {
        let mut buffer = [0; 1024];
        let mut writer = Writer::new(&mut buffer);
        remove_workload_rules(&mut writer, name);
        match self.request(&writer) {
            // A kernel without nf_tables has none.
            Err(Errno::PROTONOSUPPORT) => Ok(()),
            result => result,
        }
    }

    fn request(&mut self, writer: &Writer<'_>) -> Result<(), Errno> {
        /// More answers than a request that was given up can have left: each takes a buffer of the socket.
        const LEFT: usize = 512;
        let socket = match &mut self.0 {
            Some(socket) => socket,
            none => none.insert(ManuallyDrop::new(filter_socket()?)),
        };
        // What is left of a request that failed is no answer to this one.
        let mut answer = [0; 64];
        for _ in 0..LEFT {
            if matches!(recv(&**socket, &mut answer[..], RecvFlags::DONTWAIT), Err(Errno::AGAIN)) {
                break;
            }
        }
        request(socket, writer)
    }
}

/// Gives link `number` its addresses and routes, from inside.
///
/// # Errors
/// The kernel's.
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
    // Before it is up: it has what its line says, and nothing that somebody on its wire advertises.
    for setting in ["accept_ra", "autoconf"] {
        let _ = set(&["net/ipv6/conf/", name, "/", setting], "0");
    }
    if has_ipv6 && let Attachment::Bridge(_) = link.attachment {
        // The board routes between its ports, and would report a shorter way that is none.
        let _ = set(&["net/ipv6/conf/", name, "/accept_redirects"], "0");
    }
    exchange(&socket, &mut |writer| inner_link(writer, config, link, index, has_ipv6))
}
