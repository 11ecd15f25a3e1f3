//! Requests of rtnetlink: links, addresses, routes, neighbours (rtnetlink(7), include/uapi/linux/if_link.h).

use super::kernel::*;
use super::writer::Writer;
use crate::config::{Mac, Prefix};
use core::net::IpAddr;

/// The kind of a new link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make<'a> {
    /// A veth pair: one end stays as a port of this bridge, the other one moves into the namespace.
    Veth {
        /// The bridge's index.
        bridge: u32,
        /// The name of the end that stays.
        port: &'a str,
    },
    /// A macvlan on the parent in private mode: it cannot reach its siblings.
    Macvlan {
        /// The parent's index.
        parent: u32,
    },
    /// An ipvlan, which has the parent's MAC address.
    Ipvlan {
        /// The parent's index.
        parent: u32,
    },
}

/// A link in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inner<'a> {
    /// Its name there.
    pub name: &'a str,
    /// Its MAC address; `None` for the kernel's choice.
    pub mac: Option<Mac>,
    /// Its MTU; 0 for the kernel's default.
    pub mtu: u32,
    /// The descriptor of the namespace.
    pub namespace: u32,
}

/// ifinfomsg: family, index, flags, and the mask of flags to change.
fn link_header(writer: &mut Writer<'_>, family: u8, index: u32, flags: u32) {
    let mut header = [0; 16];
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    writer.put(&header);
}

fn mac_and_mtu(writer: &mut Writer<'_>, mac: Option<Mac>, mtu: u32) {
    if let Some(mac) = mac {
        writer.attribute(IFLA_ADDRESS, &mac.0);
    }
    if mtu > 0 {
        writer.number(IFLA_MTU, mtu);
    }
}

/// Creates a link in a namespace.
pub fn make_link(writer: &mut Writer<'_>, make: Make<'_>, inner: &Inner<'_>) {
    writer.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, |writer| {
        link_header(writer, 0, 0, 0);
        let describe = |writer: &mut Writer<'_>, mac: Option<Mac>| {
            writer.text(IFLA_IFNAME, inner.name);
            mac_and_mtu(writer, mac, inner.mtu);
            writer.number(IFLA_NET_NS_FD, inner.namespace);
        };
        match make {
            Make::Veth { bridge, port } => {
                writer.text(IFLA_IFNAME, port);
                mac_and_mtu(writer, None, inner.mtu);
                writer.number(IFLA_MASTER, bridge);
                writer.nest(IFLA_LINKINFO, |writer| {
                    writer.text(IFLA_INFO_KIND, "veth");
                    writer.nest(IFLA_INFO_DATA, |writer| {
                        writer.nest(VETH_INFO_PEER, |writer| {
                            link_header(writer, 0, 0, 0);
                            describe(writer, inner.mac);
                        });
                    });
                });
            }
            Make::Macvlan { parent } => {
                writer.number(IFLA_LINK, parent);
                describe(writer, inner.mac);
                writer.nest(IFLA_LINKINFO, |writer| {
                    writer.text(IFLA_INFO_KIND, "macvlan");
                    writer.nest(IFLA_INFO_DATA, |writer| writer.number(IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE));
                });
            }
            Make::Ipvlan { parent } => {
                writer.number(IFLA_LINK, parent);
                describe(writer, None);
                writer.nest(IFLA_LINKINFO, |writer| {
                    writer.text(IFLA_INFO_KIND, "ipvlan");
                    writer.nest(IFLA_INFO_DATA, |writer| {
                        writer.attribute(IFLA_IPVLAN_MODE, &IPVLAN_MODE_L2.to_ne_bytes());
                        writer.attribute(IFLA_IPVLAN_FLAGS, &IPVLAN_F_PRIVATE.to_ne_bytes());
                    });
                });
            }
        }
    });
}

/// Creates a bridge, which is down.
pub fn make_bridge(writer: &mut Writer<'_>, name: &str, mac: Mac) {
    writer.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, |writer| {
        link_header(writer, 0, 0, 0);
        writer.text(IFLA_IFNAME, name);
        writer.attribute(IFLA_ADDRESS, &mac.0);
        writer.nest(IFLA_LINKINFO, |writer| writer.text(IFLA_INFO_KIND, "bridge"));
    });
}

/// Creates a VLAN link on the link with the index `parent`; it is down.
pub fn make_vlan(writer: &mut Writer<'_>, name: &str, parent: u32, id: u16) {
    writer.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, |writer| {
        link_header(writer, 0, 0, 0);
        writer.text(IFLA_IFNAME, name);
        writer.number(IFLA_LINK, parent);
        writer.nest(IFLA_LINKINFO, |writer| {
            writer.text(IFLA_INFO_KIND, "vlan");
            writer.nest(IFLA_INFO_DATA, |writer| writer.attribute(IFLA_VLAN_ID, &id.to_ne_bytes()));
        });
    });
}

/// Brings a bridge port up in isolation: it reaches only the bridge itself. Unless it `may_spoof`, MAC addresses are
/// not learned from it, and unknown destinations are not flooded to it.
pub fn isolate_port(writer: &mut Writer<'_>, name: &str, may_spoof: bool) {
    const OFF: [u16; 4] =
        [IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_MCAST_FLOOD, IFLA_BRPORT_BCAST_FLOOD];
    writer.message(RTM_NEWLINK, 0, |writer| {
        link_header(writer, 0, 0, IFF_UP);
        writer.text(IFLA_IFNAME, name);
        writer.nest(IFLA_LINKINFO, |writer| {
            writer.text(IFLA_INFO_SLAVE_KIND, "bridge");
            writer.nest(IFLA_INFO_SLAVE_DATA, |writer| {
                OFF.into_iter().filter(|_| !may_spoof).for_each(|kind| writer.attribute(kind, &[0]));
                writer.attribute(IFLA_BRPORT_ISOLATED, &[1]);
            });
        });
    });
}

/// Brings a link up, and sets its MTU.
pub fn set_link(writer: &mut Writer<'_>, index: u32, mtu: u32) {
    writer.message(RTM_NEWLINK, 0, |writer| {
        link_header(writer, 0, index, IFF_UP);
        mac_and_mtu(writer, None, mtu);
    });
}

/// Stops a link from creating a link-local IPv6 address. This must be set while the link is down, on a kernel with
/// IPv6; the kernel refuses it when a link is created (EAFNOSUPPORT). It does not affect addresses and routes of router
/// advertisements; `accept_ra` and `autoconf` of net/ipv6/conf do (addrconf_prefix_rcv in net/ipv6/addrconf.c).
pub fn stop_addresses(writer: &mut Writer<'_>, index: u32) {
    writer.message(RTM_NEWLINK, 0, |writer| {
        link_header(writer, 0, index, 0);
        writer.nest(IFLA_AF_SPEC, |writer| {
            writer.nest(AF_INET6, |writer| writer.attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]));
        });
    });
}

/// Takes a link down.
pub fn take_down(writer: &mut Writer<'_>, index: u32) {
    writer.message(RTM_NEWLINK, 0, |writer| {
        // The new flags, and the mask of those to change.
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
        writer.put(&header);
    });
}

/// Renames a link, which must be down.
pub fn rename_link(writer: &mut Writer<'_>, index: u32, name: &str) {
    writer.message(RTM_NEWLINK, 0, |writer| {
        link_header(writer, 0, index, 0);
        writer.text(IFLA_IFNAME, name);
    });
}

/// Moves a link into a namespace.
pub fn move_link(writer: &mut Writer<'_>, index: u32, inner: &Inner<'_>) {
    writer.message(RTM_NEWLINK, 0, |writer| {
        link_header(writer, 0, index, 0);
        writer.text(IFLA_IFNAME, inner.name);
        writer.number(IFLA_NET_NS_FD, inner.namespace);
    });
}

/// Deletes a link; for a veth pair both ends.
pub fn delete_link(writer: &mut Writer<'_>, name: &str) {
    writer.message(RTM_DELLINK, 0, |writer| {
        link_header(writer, 0, 0, 0);
        writer.text(IFLA_IFNAME, name);
    });
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => AF_INET6 as u8,
    }
}

/// Writes an address attribute.
fn put_address(writer: &mut Writer<'_>, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => writer.attribute(kind, &address.octets()),
        IpAddr::V6(address) => writer.attribute(kind, &address.octets()),
    }
}

/// Whether an address implies a route to its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbours {
    /// The network is reachable on the link.
    OnLink,
    /// No route is added for the network.
    Nobody,
}

/// Adds an address to a link, with a lifetime in seconds unless `lifetime_s` is 0.
pub fn add_address(writer: &mut Writer<'_>, index: u32, prefix: Prefix, neighbours: Neighbours, lifetime_s: u32) {
    writer.message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, |writer| {
        let mut header = [family(prefix.address), prefix.length, 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        writer.put(&header);
        put_address(writer, IFA_LOCAL, prefix.address);
        put_address(writer, IFA_ADDRESS, prefix.address);
        if let (IpAddr::V4(_), 0..=30) = (prefix.address, prefix.length) {
            put_address(writer, IFA_BROADCAST, prefix.last());
        }
        writer.number(IFA_FLAGS, IFA_F_NODAD | if neighbours == Neighbours::Nobody { IFA_F_NOPREFIXROUTE } else { 0 });
        if lifetime_s > 0 {
            // ifa_cacheinfo: preferred and valid lifetime, and two times that the kernel fills in.
            let mut times = [0; 16];
            times[..4].copy_from_slice(&lifetime_s.to_ne_bytes());
            times[4..8].copy_from_slice(&lifetime_s.to_ne_bytes());
            writer.attribute(IFA_CACHEINFO, &times);
        }
    });
}

/// Removes an address from a link.
pub fn delete_address(writer: &mut Writer<'_>, index: u32, prefix: Prefix) {
    writer.message(RTM_DELADDR, 0, |writer| {
        let mut header = [family(prefix.address), prefix.length, 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        writer.put(&header);
        put_address(writer, IFA_LOCAL, prefix.address);
    });
}

/// Adds a route over a link: to a network (all addresses for length 0), by a gateway or directly. Of several routes to
/// a network the kernel uses the one with the lowest `metric`.
pub fn add_route(writer: &mut Writer<'_>, index: u32, to: Prefix, gateway: Option<IpAddr>, metric: u32) {
    route(writer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, index, to, gateway, metric);
}

/// Removes such a route.
pub fn delete_route(writer: &mut Writer<'_>, index: u32, to: Prefix, gateway: Option<IpAddr>, metric: u32) {
    route(writer, RTM_DELROUTE, 0, index, to, gateway, metric);
}

/// Removes a route that the kernel created.
pub fn delete_kernel_route(writer: &mut Writer<'_>, entry: &super::RouteEntry) {
    let Some(to) = entry.to.or_else(|| entry.gateway.map(Prefix::everywhere)) else { return };
    writer.message(RTM_DELROUTE, 0, |writer| {
        writer.put(&[family(to.address), to.length, 0, 0, RT_TABLE_MAIN, entry.protocol, 0, RTN_UNICAST, 0, 0, 0, 0]);
        if to.length > 0 {
            put_address(writer, RTA_DST, to.address);
        }
        writer.number(RTA_OIF, entry.index);
        if let Some(gateway) = entry.gateway {
            put_address(writer, RTA_GATEWAY, gateway);
        }
    });
}

fn route(writer: &mut Writer<'_>, kind: u16, flags: u16, index: u32, to: Prefix, gateway: Option<IpAddr>, metric: u32) {
    writer.message(kind, flags, |writer| {
        let scope = if gateway.is_none() { RT_SCOPE_LINK } else { 0 };
        writer.put(&[
            family(to.address),
            to.length,
            0,
            0,
            RT_TABLE_MAIN,
            RTPROT_STATIC,
            scope,
            RTN_UNICAST,
            0,
            0,
            0,
            0,
        ]);
        if to.length > 0 {
            put_address(writer, RTA_DST, to.address);
        }
        writer.number(RTA_OIF, index);
        if let Some(gateway) = gateway {
            put_address(writer, RTA_GATEWAY, gateway);
        }
        if metric > 0 {
            writer.number(RTA_PRIORITY, metric);
        }
    });
}

/// Adds a permanent neighbour entry: the kernel does not ask for this MAC address, and ignores replies.
pub(super) fn add_neighbour(writer: &mut Writer<'_>, index: u32, address: IpAddr, mac: Mac) {
    neighbour(writer, family(address), index, NUD_PERMANENT, 0, |writer| {
        put_address(writer, NDA_DST, address);
        writer.attribute(NDA_LLADDR, &mac.0);
    });
}

/// Adds a permanent entry to a bridge's forwarding table: this MAC address is behind this port.
pub fn add_forwarding(writer: &mut Writer<'_>, port: u32, mac: Mac) {
    neighbour(writer, AF_BRIDGE, port, NUD_NOARP, NTF_MASTER, |writer| writer.attribute(NDA_LLADDR, &mac.0));
}

fn neighbour(
    writer: &mut Writer<'_>,
    family: u8,
    index: u32,
    state: u8,
    flags: u8,
    body: impl FnOnce(&mut Writer<'_>),
) {
    writer.message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, |writer| {
        let mut header = [family, 0, 0, 0, 0, 0, 0, 0, state, 0, flags, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        writer.put(&header);
        body(writer);
    });
}

/// The lists that can be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Links, as [`super::LinkEntry`].
    Links,
    /// Addresses, as [`super::AddressEntry`].
    Addresses,
    /// Routes, as [`super::RouteEntry`].
    Routes,
}

/// Requests a list; it ends with a message of its own.
pub fn list(writer: &mut Writer<'_>, what: List) {
    let kind = match what {
        List::Links => RTM_GETLINK,
        List::Addresses => RTM_GETADDR,
        List::Routes => RTM_GETROUTE,
    };
    writer.silent(kind, NLM_F_REQUEST | NLM_F_DUMP, |writer| link_header(writer, 0, 0, 0));
}
