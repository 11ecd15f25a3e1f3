//! Requests of route netlink: links, addresses, routes, neighbours (rtnetlink(7), include/uapi/linux/if_link.h).

use super::writer::Writer;
use crate::config::{Mac, Prefix};
use core::net::IpAddr;

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;
const NEW_NEIGHBOUR: u16 = 28;

/// NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE; NLM_F_REQUEST | NLM_F_DUMP
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const DUMP: u16 = 1 | 0x300;

/// IFF_UP
const UP: u32 = 1;
/// AF_BRIDGE, AF_INET6
const BRIDGE_FAMILY: u8 = 7;
const INET6: u16 = 10;

const IFLA_ADDRESS: u16 = 1;
const IFLA_NAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
/// Inside of IFLA_LINKINFO.
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const INFO_SLAVE_KIND: u16 = 4;
const INFO_SLAVE_DATA: u16 = 5;
/// IFLA_INET6_ADDR_GEN_MODE, and its value IN6_ADDR_GEN_MODE_NONE: the link makes no link-local address.
const ADDR_GEN_MODE: u16 = 8;
const NO_ADDRESSES: u8 = 1;

/// What kinds of links are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make<'a> {
    /// A pair: this end stays and becomes a port of the bridge with this index; the other one goes into the namespace.
    Veth {
        /// The bridge's index.
        bridge: u32,
        /// The name of the end that stays.
        port: &'a str,
    },
    /// A link of its own with the parent's wire, private: its siblings are not reached.
    Macvlan {
        /// The parent's index.
        parent: u32,
    },
    /// The same with the parent's MAC address.
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
    /// Its MAC address; none for the kernel's choice.
    pub mac: Option<Mac>,
    /// Bytes of its largest packet; 0 for the kernel's choice.
    pub mtu: u32,
    /// The namespace, as a descriptor.
    pub namespace: u32,
}

/// ifinfomsg: family, index, flags and those to change.
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

/// Makes a link in a namespace.
pub fn make_link(writer: &mut Writer<'_>, make: Make<'_>, inner: &Inner<'_>) {
    /// VETH_INFO_PEER; IFLA_MACVLAN_MODE and MACVLAN_MODE_PRIVATE; IFLA_IPVLAN_MODE, IPVLAN_MODE_L2, IFLA_IPVLAN_FLAGS,
    /// IPVLAN_F_PRIVATE
    const PEER: u16 = 1;
    const MODE: u16 = 1;
    const MACVLAN_PRIVATE: u32 = 1;
    const IPVLAN_L2: u16 = 0;
    const FLAGS: u16 = 2;
    const IPVLAN_PRIVATE: u16 = 1;
    writer.message(NEW_LINK, CREATE | EXCLUSIVE, |writer| {
        link_header(writer, 0, 0, 0);
        let describe = |writer: &mut Writer<'_>, mac: Option<Mac>| {
            writer.text(IFLA_NAME, inner.name);
            mac_and_mtu(writer, mac, inner.mtu);
            writer.number(IFLA_NET_NS_FD, inner.namespace);
        };
        match make {
            Make::Veth { bridge, port } => {
                writer.text(IFLA_NAME, port);
                mac_and_mtu(writer, None, inner.mtu);
                writer.number(IFLA_MASTER, bridge);
                writer.nest(IFLA_LINKINFO, |writer| {
                    writer.text(INFO_KIND, "veth");
                    writer.nest(INFO_DATA, |writer| {
                        writer.nest(PEER, |writer| {
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
                    writer.text(INFO_KIND, "macvlan");
                    writer.nest(INFO_DATA, |writer| writer.number(MODE, MACVLAN_PRIVATE));
                });
            }
            Make::Ipvlan { parent } => {
                writer.number(IFLA_LINK, parent);
                describe(writer, None);
                writer.nest(IFLA_LINKINFO, |writer| {
                    writer.text(INFO_KIND, "ipvlan");
                    writer.nest(INFO_DATA, |writer| {
                        writer.attribute(MODE, &IPVLAN_L2.to_ne_bytes());
                        writer.attribute(FLAGS, &IPVLAN_PRIVATE.to_ne_bytes());
                    });
                });
            }
        }
    });
}

/// Makes a bridge, down.
pub fn make_bridge(writer: &mut Writer<'_>, name: &str, mac: Mac) {
    writer.message(NEW_LINK, CREATE | EXCLUSIVE, |writer| {
        link_header(writer, 0, 0, 0);
        writer.text(IFLA_NAME, name);
        writer.attribute(IFLA_ADDRESS, &mac.0);
        writer.nest(IFLA_LINKINFO, |writer| writer.text(INFO_KIND, "bridge"));
    });
}

/// Brings a bridge's port up. It reaches the bridge and no other port; nothing is learnt from what it sends, and what
/// the bridge does not know does not reach it, unless it `may_spoof`.
pub fn isolate_port(writer: &mut Writer<'_>, name: &str, may_spoof: bool) {
    /// IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_MCAST_FLOOD, IFLA_BRPORT_BCAST_FLOOD, IFLA_BRPORT_ISOLATED
    const OFF: [u16; 4] = [8, 9, 27, 30];
    const ISOLATED: u16 = 33;
    writer.message(NEW_LINK, 0, |writer| {
        link_header(writer, 0, 0, UP);
        writer.text(IFLA_NAME, name);
        writer.nest(IFLA_LINKINFO, |writer| {
            writer.text(INFO_SLAVE_KIND, "bridge");
            writer.nest(INFO_SLAVE_DATA, |writer| {
                OFF.into_iter().filter(|_| !may_spoof).for_each(|kind| writer.attribute(kind, &[0]));
                writer.attribute(ISOLATED, &[1]);
            });
        });
    });
}

/// Brings a link up, with these changes.
pub fn set_link(writer: &mut Writer<'_>, index: u32, mtu: u32) {
    writer.message(NEW_LINK, 0, |writer| {
        link_header(writer, 0, index, UP);
        mac_and_mtu(writer, None, mtu);
    });
}

/// Has the link make no link-local IPv6 address for itself. To be said while it is down, to a kernel that has IPv6; where a
/// link is made the kernel does not take it (EAFNOSUPPORT). It does not stop addresses and routes of router advertisements:
/// `accept_ra` and `autoconf` of net/ipv6/conf do (addrconf_prefix_rcv in net/ipv6/addrconf.c).
pub fn stop_addresses(writer: &mut Writer<'_>, index: u32) {
    writer.message(NEW_LINK, 0, |writer| {
        link_header(writer, 0, index, 0);
        writer.nest(IFLA_AF_SPEC, |writer| {
            writer.nest(INET6, |writer| writer.attribute(ADDR_GEN_MODE, &[NO_ADDRESSES]));
        });
    });
}

/// Gives a link another name; it has to be down.
pub fn rename_link(writer: &mut Writer<'_>, index: u32, name: &str) {
    writer.message(NEW_LINK, 0, |writer| {
        link_header(writer, 0, index, 0);
        writer.text(IFLA_NAME, name);
    });
}

/// Gives a link away to a namespace.
pub fn move_link(writer: &mut Writer<'_>, index: u32, inner: &Inner<'_>) {
    writer.message(NEW_LINK, 0, |writer| {
        link_header(writer, 0, index, 0);
        writer.text(IFLA_NAME, inner.name);
        writer.number(IFLA_NET_NS_FD, inner.namespace);
    });
}

/// Removes a link, and the other end of a pair with it.
pub fn delete_link(writer: &mut Writer<'_>, name: &str) {
    writer.message(DELETE_LINK, 0, |writer| {
        link_header(writer, 0, 0, 0);
        writer.text(IFLA_NAME, name);
    });
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => INET6 as u8,
    }
}

/// What an address in an attribute takes.
fn put_address(writer: &mut Writer<'_>, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => writer.attribute(kind, &address.octets()),
        IpAddr::V6(address) => writer.attribute(kind, &address.octets()),
    }
}

/// Whose route to the rest of its network an address brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbours {
    /// Everybody of its network is on the link.
    OnLink,
    /// Nobody is, but who has a route of its own.
    Nobody,
}

/// Gives a link an address, for `lifetime_s` seconds where that is not 0.
pub fn add_address(writer: &mut Writer<'_>, index: u32, prefix: Prefix, neighbours: Neighbours, lifetime_s: u32) {
    /// IFA_F_NODAD, IFA_F_NOPREFIXROUTE
    const NO_DAD: u32 = 0x02;
    const NO_ROUTE: u32 = 0x200;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_BROADCAST: u16 = 4;
    const IFA_CACHEINFO: u16 = 6;
    const IFA_FLAGS: u16 = 8;
    writer.message(NEW_ADDRESS, CREATE | REPLACE, |writer| {
        let mut header = [family(prefix.address), prefix.length, 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        writer.put(&header);
        put_address(writer, IFA_LOCAL, prefix.address);
        put_address(writer, IFA_ADDRESS, prefix.address);
        if let (IpAddr::V4(_), 0..=30) = (prefix.address, prefix.length) {
            put_address(writer, IFA_BROADCAST, prefix.last());
        }
        writer.number(IFA_FLAGS, NO_DAD | if neighbours == Neighbours::Nobody { NO_ROUTE } else { 0 });
        if lifetime_s > 0 {
            // ifa_cacheinfo: preferred, valid, and two times that the kernel fills in.
            let mut times = [0; 16];
            times[..4].copy_from_slice(&lifetime_s.to_ne_bytes());
            times[4..8].copy_from_slice(&lifetime_s.to_ne_bytes());
            writer.attribute(IFA_CACHEINFO, &times);
        }
    });
}

/// Takes an address from a link.
pub fn delete_address(writer: &mut Writer<'_>, index: u32, prefix: Prefix) {
    const IFA_LOCAL: u16 = 2;
    writer.message(DELETE_ADDRESS, 0, |writer| {
        let mut header = [family(prefix.address), prefix.length, 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        writer.put(&header);
        put_address(writer, IFA_LOCAL, prefix.address);
    });
}

/// A route over a link: to this network (to everywhere where it has length 0), by this gateway or directly. Of several to the same network the one with the lowest `metric` is taken.
pub fn add_route(writer: &mut Writer<'_>, index: u32, to: Prefix, gateway: Option<IpAddr>, metric: u32) {
    route(writer, NEW_ROUTE, CREATE | REPLACE, index, to, gateway, metric);
}

/// Takes such a route away.
pub fn delete_route(writer: &mut Writer<'_>, index: u32, to: Prefix, gateway: Option<IpAddr>, metric: u32) {
    route(writer, DELETE_ROUTE, 0, index, to, gateway, metric);
}

/// Takes a route away that the kernel has made by itself, as `entry` tells.
pub fn delete_kernel_route(writer: &mut Writer<'_>, entry: &super::RouteEntry) {
    const MAIN: u8 = 254;
    const UNICAST: u8 = 1;
    const DESTINATION: u16 = 1;
    const OUTPUT: u16 = 4;
    let Some(to) = entry.to else { return };
    writer.message(DELETE_ROUTE, 0, |writer| {
        writer.put(&[family(to.address), to.length, 0, 0, MAIN, entry.protocol, 0, UNICAST, 0, 0, 0, 0]);
        put_address(writer, DESTINATION, to.address);
        writer.number(OUTPUT, entry.index);
    });
}

fn route(writer: &mut Writer<'_>, kind: u16, flags: u16, index: u32, to: Prefix, gateway: Option<IpAddr>, metric: u32) {
    /// RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST, RT_SCOPE_UNIVERSE and RT_SCOPE_LINK; RTNH_F_ONLINK
    const MAIN: u8 = 254;
    const STATIC: u8 = 4;
    const UNICAST: u8 = 1;
    const LINK: u8 = 253;
    const DESTINATION: u16 = 1;
    const OUTPUT: u16 = 4;
    const GATEWAY: u16 = 5;
    const METRIC: u16 = 6;
    writer.message(kind, flags, |writer| {
        let scope = if gateway.is_none() { LINK } else { 0 };
        writer.put(&[family(to.address), to.length, 0, 0, MAIN, STATIC, scope, UNICAST, 0, 0, 0, 0]);
        if to.length > 0 {
            put_address(writer, DESTINATION, to.address);
        }
        writer.number(OUTPUT, index);
        if let Some(gateway) = gateway {
            put_address(writer, GATEWAY, gateway);
        }
        if metric > 0 {
            writer.number(METRIC, metric);
        }
    });
}

/// Says for good which MAC address somebody on a link has: nobody is asked, and nobody else's answer counts.
pub(super) fn add_neighbour(writer: &mut Writer<'_>, index: u32, address: IpAddr, mac: Mac) {
    const PERMANENT: u8 = 0x80;
    const DESTINATION: u16 = 1;
    neighbour(writer, family(address), index, PERMANENT, 0, |writer| {
        put_address(writer, DESTINATION, address);
        writer.attribute(2, &mac.0);
    });
}

/// Says for good behind which of a bridge's ports a MAC address is.
pub fn add_forwarding(writer: &mut Writer<'_>, port: u32, mac: Mac) {
    /// NUD_NOARP: static, and not one of the bridge's own; NTF_MASTER: the bridge's table, not the port's.
    const STATIC: u8 = 0x40;
    const MASTER: u8 = 4;
    neighbour(writer, BRIDGE_FAMILY, port, STATIC, MASTER, |writer| writer.attribute(2, &mac.0));
}

fn neighbour(
    writer: &mut Writer<'_>,
    family: u8,
    index: u32,
    state: u8,
    flags: u8,
    body: impl FnOnce(&mut Writer<'_>),
) {
    writer.message(NEW_NEIGHBOUR, CREATE | REPLACE, |writer| {
        let mut header = [family, 0, 0, 0, 0, 0, 0, 0, state, 0, flags, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        writer.put(&header);
        body(writer);
    });
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Links, as [`super::LinkEntry`].
    Links,
    /// Addresses, as [`super::AddressEntry`].
    Addresses,
    /// Routes, as [`super::RouteEntry`].
    Routes,
}

/// Asks for a list; its end is a message of its own.
pub fn list(writer: &mut Writer<'_>, what: List) {
    let kind = match what {
        List::Links => GET_LINK,
        List::Addresses => GET_ADDRESS,
        List::Routes => GET_ROUTE,
    };
    writer.silent(kind, DUMP, |writer| link_header(writer, 0, 0, 0));
}
