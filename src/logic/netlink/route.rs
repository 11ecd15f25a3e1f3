//! Requests of route netlink: links, addresses, routes, neighbours (rtnetlink(7), include/uapi/linux/if_link.h).

use super::kernel::*;
use super::writer::Writer;
use crate::config::{Mac, Prefix};
use core::net::IpAddr;

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
    /// Its MAC address. `None` for the kernel's choice.
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

/// Makes a bridge, down.
pub fn make_bridge(writer: &mut Writer<'_>, name: &str, mac: Mac) {
    writer.message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, |writer| {
        link_header(writer, 0, 0, 0);
        writer.text(IFLA_IFNAME, name);
        writer.attribute(IFLA_ADDRESS, &mac.0);
        writer.nest(IFLA_LINKINFO, |writer| writer.text(IFLA_INFO_KIND, "bridge"));
    });
}

/// Makes a link, down, of what the link with the index `parent` carries with the tag of a VLAN.
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

/// Brings a bridge's port up. It reaches the bridge and no other port; nothing is learnt from what it sends, and what
/// the bridge does not know does not reach it, unless it `may_spoof`.
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

/// Brings a link up, with these changes.
pub fn set_link(writer: &mut Writer<'_>, index: u32, mtu: u32) {
    writer.message(RTM_NEWLINK, 0, |writer| {
        link_header(writer, 0, index, IFF_UP);
        mac_and_mtu(writer, None, mtu);
    });
}

/// Has the link make no link-local IPv6 address for itself. To be said while it is down, to a kernel that has IPv6; where a
/// link is made the kernel does not take it (EAFNOSUPPORT). It does not stop addresses and routes of router advertisements:
/// `accept_ra` and `autoconf` of net/ipv6/conf do (addrconf_prefix_rcv in net/ipv6/addrconf.c).
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
        // The flags that it is to have, and which of them change.
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
        writer.put(&header);
    });
}

/// Gives a link another name; it has to be down.
pub fn rename_link(writer: &mut Writer<'_>, index: u32, name: &str) {
    writer.message(RTM_NEWLINK, 0, |writer| {
        link_header(writer, 0, index, 0);
        writer.text(IFLA_IFNAME, name);
    });
}

/// Gives a link away to a namespace.
pub fn move_link(writer: &mut Writer<'_>, index: u32, inner: &Inner<'_>) {
    writer.message(RTM_NEWLINK, 0, |writer| {
        link_header(writer, 0, index, 0);
        writer.text(IFLA_IFNAME, inner.name);
        writer.number(IFLA_NET_NS_FD, inner.namespace);
    });
}

/// Removes a link, and the other end of a pair with it.
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
    writer.message(RTM_DELADDR, 0, |writer| {
        let mut header = [family(prefix.address), prefix.length, 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        writer.put(&header);
        put_address(writer, IFA_LOCAL, prefix.address);
    });
}

/// A route over a link: to this network (to everywhere where it has length 0), by this gateway or directly. Of several to the same network the one with the lowest `metric` is taken.
pub fn add_route(writer: &mut Writer<'_>, index: u32, to: Prefix, gateway: Option<IpAddr>, metric: u32) {
    route(writer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, index, to, gateway, metric);
}

/// Takes such a route away.
pub fn delete_route(writer: &mut Writer<'_>, index: u32, to: Prefix, gateway: Option<IpAddr>, metric: u32) {
    route(writer, RTM_DELROUTE, 0, index, to, gateway, metric);
}

/// Takes a route away that the kernel has made by itself, as `entry` tells.
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

/// Says for good which MAC address somebody on a link has: nobody is asked, and nobody else's answer counts.
pub(super) fn add_neighbour(writer: &mut Writer<'_>, index: u32, address: IpAddr, mac: Mac) {
    neighbour(writer, family(address), index, NUD_PERMANENT, 0, |writer| {
        put_address(writer, NDA_DST, address);
        writer.attribute(NDA_LLADDR, &mac.0);
    });
}

/// Says for good behind which of a bridge's ports a MAC address is.
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
        List::Links => RTM_GETLINK,
        List::Addresses => RTM_GETADDR,
        List::Routes => RTM_GETROUTE,
    };
    writer.silent(kind, NLM_F_REQUEST | NLM_F_DUMP, |writer| link_header(writer, 0, 0, 0));
}
