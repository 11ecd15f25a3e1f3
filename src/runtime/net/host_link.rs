//! A link of the board: whether a line selects it, and its settings.

use super::uplinks::prefer_routers;
use super::{exchange, index_of, route_socket};
use crate::console::Console;
use crate::os::errno::describe;
use crate::os::files::{read_link, read_number};
use crate::os::sysctl::set_unless_configured;
use hilum::config::{Config, HostLink, LinkMatch};
use hilum::fixed_string::text;
use hilum::netlink::{self, LinkEntry, Neighbours, add_address, add_route, rename_link, set_link, take_down};
use hilum::split::Split;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name_inlined;

/// How often a rename is tried if new network cards take the name meanwhile.
const NAME_TRIES: usize = 4;

/// Returns whether a line selects this link. A link that another line selects by its device gets that line's name, so
/// its current name does not count.
pub(super) fn is_meant(config: &Config<'_>, link: &HostLink<'_>, entry: &LinkEntry<'_>) -> bool {
    let mut others = config.system.network.links.iter();
    match link.which {
        LinkMatch::Name => entry.name == link.name && !others.any(|other| has_device(other, entry)),
        // A VLAN has its parent's MAC address.
        LinkMatch::Vlan { .. } => entry.name == link.name,
        _ => has_device(link, entry),
    }
}

/// Returns whether a line selects this link by its device.
fn has_device(link: &HostLink<'_>, entry: &LinkEntry<'_>) -> bool {
    match link.which {
        LinkMatch::Name | LinkMatch::Vlan { .. } => false,
        // Another link may have the same address, such as a bridge port or a macvlan on it.
        LinkMatch::Mac(mac) => entry.mac == Some(mac) && entry.master == 0,
        LinkMatch::Path(path) => has_path(entry, path),
    }
}

/// Returns whether the device of the link has this path: /sys/class/net/NAME is a symbolic link to it.
fn has_path(entry: &LinkEntry<'_>, path: &str) -> bool {
    let name = entry.name;
    // A link's name has at most 15 bytes.
    let mut link = text::<48>(format_args!("/sys/class/net/{name}/ifindex"));
    // The report may be outdated: another link may have the name by now.
    if read_number(&link) != Some(entry.index.into()) {
        return false;
    }
    link.truncate(link.len() - "/ifindex".len());
    let mut buffer = [0; 512];
    let found = read_link(&link, &mut buffer);
    let device = found.strip_prefix("../../devices/").unwrap_or(found);
    let wanted = path.strip_prefix("/sys/devices/").unwrap_or(path).without_start(b'/').without_end(b'/');
    device.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
}

/// Configures a link: name, addresses, routes, and brings it up.
pub(super) fn set_up(config: &Config<'_>, link: &HostLink<'_>, entry: &LinkEntry<'_>) -> Result<(), Errno> {
    let socket = route_socket()?;
    give_name(&socket, entry.index, link.name)?;
    harden(config, link);
    let mut links = config.system.network.links.iter();
    if let Some(place) = links.position(|other| other.name == link.name) {
        prefer_routers(config, place, false);
    }
    exchange(&socket, &mut |writer| {
        set_link(writer, entry.index, link.mtu);
        for prefix in &link.addresses {
            add_address(writer, entry.index, *prefix, Neighbours::OnLink, 0);
        }
        for route in &config.system.network.routes {
            if link.addresses.iter().any(|prefix| prefix.contains(route.gateway)) {
                add_route(writer, entry.index, route.to, Some(route.gateway), 0);
            }
        }
    })?;
    // Create its VLANs, each of which the kernel reports like any other link. Before the kernel module is loaded this
    // fails; `make_vlans` retries.
    let is_parent =
        |other: &&HostLink<'_>| matches!(other.which, LinkMatch::Vlan { parent, .. } if parent == link.name);
    config.system.network.links.iter().filter(is_parent).for_each(|vlan| _ = make_vlan(&socket, vlan));
    Ok(())
}

/// Creates the link of a VLAN line if it does not exist.
fn make_vlan(socket: &OwnedFd, link: &HostLink<'_>) -> Result<(), Errno> {
    let LinkMatch::Vlan { parent, id } = link.which else { return Ok(()) };
    let parent = index_of(socket, parent)?;
    exchange(socket, &mut |writer| netlink::make_vlan(writer, link.name, parent, id))
}

/// Creates the VLANs whose parents exist. The others are created with their parents.
pub(super) fn make_vlans(config: &Config<'_>, console: &mut Console) {
    for link in &config.system.network.links {
        match route_socket().and_then(|socket| make_vlan(&socket, link)) {
            Ok(()) | Err(Errno::EXIST | Errno::NODEV) => {}
            Err(errno) => {
                console.error(format_args!("link {}: {}: is module 8021q missing?", link.name, describe(errno)))
            }
        }
    }
}

/// Renames the link with this index. If another link has the name, that one gets this link's previous name, for network
/// cards whose names the kernel has swapped. A link can only be renamed while it is down, as it is initially.
fn give_name(socket: &OwnedFd, index: u32, name: &str) -> Result<(), Errno> {
    // The name in the kernel's event may be outdated.
    let own = index_to_name_inlined(socket, index)?;
    if own.as_str() == name {
        return Ok(());
    }
    let rename = |index: u32, name: &str| {
        exchange(socket, &mut |writer| {
            take_down(writer, index);
            rename_link(writer, index, name);
        })
    };
    for _ in 0..NAME_TRIES {
        match rename(index, name) {
            Err(Errno::EXIST) => {}
            done => return done,
        }
        // A network card may get or lose the name meanwhile.
        let Ok(other) = index_of(socket, name) else { continue };
        rename(other, &text::<15>(format_args!("rename{other}")))?;
        rename(index, name)?;
        // A new network card may have taken this link's previous name; then the other link keeps its temporary name.
        return rename(other, own.as_str()).or_else(|errno| if errno == Errno::EXIST { Ok(()) } else { Err(errno) });
    }
    Err(Errno::EXIST)
}

/// Restricts a link before it is up: it accepts no routes, addresses or redirects from the network except what its line
/// allows (ip-sysctl.rst). A kernel without IPv6 lacks some of these settings. Settings of `sysctl` lines are not
/// changed.
fn harden(config: &Config<'_>, link: &HostLink<'_>) {
    let set = |parts: &[&str], value: &str| set_unless_configured(config, parts, value);
    for name in ["accept_redirects", "secure_redirects", "accept_source_route", "send_redirects"] {
        set(&["net/ipv4/conf/", link.name, "/", name], "0");
    }
    // Replies may arrive on another link than the route back uses, if there are two uplinks.
    set(&["net/ipv4/conf/", link.name, "/rp_filter"], "2");
    // Routes of a link without a carrier are ignored, including those to its own network.
    for family in ["net/ipv4/conf/", "net/ipv6/conf/"] {
        set(&[family, link.name, "/ignore_routes_with_linkdown"], "1");
    }
    // With 2, a board that forwards also accepts router advertisements.
    let (advertised, own) = if link.has_slaac { ("2", "1") } else { ("0", "0") };
    for (name, value) in [
        ("accept_ra", advertised),
        ("autoconf", own),
        // No routes that are more specific than the default route (RFC 4191).
        ("accept_ra_rt_info_max_plen", "0"),
        ("accept_redirects", "0"),
        ("accept_source_route", "0"),
    ] {
        set(&["net/ipv6/conf/", link.name, "/", name], value);
    }
}
