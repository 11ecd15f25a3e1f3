//! One of the board's links: whether a line means it, and what is set before and when it comes up.

use super::{exchange, route_socket};
use crate::os::files::read_file;
use crate::os::sysctl::set_unless_configured;
use hilum::config::{Config, HostLink, LinkMatch, Prefix};
use hilum::fixed_string::text;
use hilum::netlink::{LinkEntry, Neighbours, add_address, add_route, rename_link, set_link};
use rustix::io::Errno;

/// Whether a line means this link.
pub(super) fn is_meant(link: &HostLink<'_>, entry: &LinkEntry<'_>) -> bool {
    match link.which {
        LinkMatch::Name => entry.name == link.name,
        // A port of something else may have the same one, as a macvlan's parent has it.
        LinkMatch::Mac(mac) => entry.mac == Some(mac) && entry.master == 0,
        LinkMatch::Path(path) => has_path(entry, path),
    }
}

/// Whether the device of the link with this name has this path: /sys/class/net/NAME is a symbolic link to it.
fn has_path(entry: &LinkEntry<'_>, path: &str) -> bool {
    let name = entry.name;
    // A link's name has at most 15 bytes.
    let mut link = text::<48>(format_args!("/sys/class/net/{name}/ifindex"));
    let mut text = [0; 16];
    let length = read_file(&link, &mut text).unwrap_or(0);
    let index = core::str::from_utf8(&text[..length]).unwrap_or_default().trim_end().parse();
    // What the kernel tells is of some time ago: another link may have the name by now.
    if index != Ok(entry.index) {
        return false;
    }
    link.truncate(link.len() - "/ifindex".len());
    let mut buffer = [core::mem::MaybeUninit::uninit(); 512];
    let Ok((found, _)) = rustix::fs::readlinkat_raw(rustix::fs::CWD, crate::os::path::Path(&link), &mut buffer[..])
    else {
        return false;
    };
    let found = core::str::from_utf8(found).unwrap_or_default();
    let device = found.strip_prefix("../../devices/").unwrap_or(found);
    let wanted = path.strip_prefix("/sys/devices/").unwrap_or(path).trim_matches('/');
    device.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
}

/// Brings a link up, under its name and with its addresses and routes.
pub(super) fn set_up(config: &Config<'_>, link: &HostLink<'_>, entry: &LinkEntry<'_>) -> Result<(), Errno> {
    let socket = route_socket()?;
    if entry.name != link.name {
        // It can only be renamed while it is down, which it is at first.
        exchange(&socket, &mut |writer| rename_link(writer, entry.index, link.name))?;
    }
    harden(config, link);
    exchange(&socket, &mut |writer| {
        set_link(writer, entry.index, link.mtu);
        for prefix in &link.addresses {
            add_address(writer, entry.index, *prefix, Neighbours::OnLink, 0);
        }
        for gateway in &link.gateways {
            add_route(writer, entry.index, Prefix::everywhere(*gateway), Some(*gateway), 0);
        }
        for route in &config.system.network.routes {
            if link.addresses.iter().any(|prefix| prefix.contains(route.gateway)) {
                add_route(writer, entry.index, route.to, Some(route.gateway), 0);
            }
        }
    })?;
    Ok(())
}

/// Before a link is up: it takes no route, no address and no shorter way from whoever is on its wire but what its line asks
/// for (ip-sysctl.rst). A kernel without IPv6 has none of the second ones.
/// What a `sysctl` line says of the link stays.
fn harden(config: &Config<'_>, link: &HostLink<'_>) {
    let set = |parts: &[&str], value: &str| set_unless_configured(config, parts, value);
    for name in ["accept_redirects", "secure_redirects", "accept_source_route", "send_redirects"] {
        set(&["net/ipv4/conf/", link.name, "/", name], "0");
    }
    // Answers may come by another link than they would go by: two uplinks.
    set(&["net/ipv4/conf/", link.name, "/rp_filter"], "2");
    // With 2 a board that forwards listens to routers as well.
    let (advertised, own) = if link.has_slaac { ("2", "1") } else { ("0", "0") };
    for (name, value) in [
        ("accept_ra", advertised),
        ("autoconf", own),
        // No more specific routes than the default one (RFC 4191).
        ("accept_ra_rt_info_max_plen", "0"),
        ("accept_redirects", "0"),
        ("accept_source_route", "0"),
    ] {
        set(&["net/ipv6/conf/", link.name, "/", name], value);
    }
}
