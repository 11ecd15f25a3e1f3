//! The board's own networks: bridges and rules before the first workload, links as they appear.
//!
//! A link is set up when the kernel tells of it: at boot, or whenever it is plugged in. Nothing waits for one; a link
//! that has no carrier in time is told of, once.

use super::{each_link, filter_socket, has_ipv6, index_of, request, route_socket, set};
use crate::init::{Console, words};
use hilum::config::{Config, HostLink, Prefix, Sysctl, Which, limits};
use hilum::netlink::{
    LinkEntry, Message, Messages, Neighbours, Writer, add_address, add_route, board_rules, make_bridge,
    rename_link, set_link, set_up_bridge,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// Milliseconds that a link has to get a carrier before that is told.
const CARRIER_MS: u64 = 10_000;
/// Bytes of the board's rules: each takes less than 600; 4 bridges and 4 masquerades have 40.
const RULES_BYTES: usize = 32 * 1024;

/// What is known of one link of the configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Known {
    /// Its index; 0 while it is not there.
    index: u32,
    has_carrier: bool,
    /// That it is missing, or without carrier, was told.
    is_told: bool,
}

/// The board's links, as PID 1 follows them.
pub(crate) struct BoardLinks {
    /// Where the kernel tells of links; none where there is nothing to follow.
    socket: Option<OwnedFd>,
    known: [Known; limits::HOST_LINKS],
    /// When links without a carrier are told of.
    tell_at: Option<u64>,
}

/// Writes the configuration's settings.
pub(crate) fn set_all(config: &Config<'_>, console: &mut Console) {
    for Sysctl { name, value } in &config.system.sysctls {
        if let Err(errno) = set_by_name(name, value) {
            console.say(format_args!("sysctl {name}: {}", words(errno)));
        }
    }
}

/// Makes the bridges, with everybody who will be behind them, and the board's rules; what is there is brought up to date.
pub(crate) fn prepare(config: &Config<'_>, console: &mut Console) {
    if let Err((what, errno)) = bridges(config) {
        let hint = match errno {
            Errno::OPNOTSUPP => ": the kernel lacks bridge, or its module is not loaded",
            _ => "",
        };
        console.say(format_args!("bridge {what}: {}{hint}; workloads behind it do not start", words(errno)));
    }
    if let Err(errno) = rules(config) {
        console.say(format_args!(
            "packet rules: {}: the kernel lacks a part of nf_tables, or a module is not loaded",
            words(errno)
        ));
    }
}

fn send(socket: &OwnedFd, write: impl FnOnce(&mut Writer<'_>)) -> Result<(), Errno> {
    let mut buffer = [0; 8192];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    request(socket, &writer)
}

impl BoardLinks {
    /// Follows nothing.
    pub(crate) const fn none() -> Self {
        Self {
            socket: None,
            known: [Known { index: 0, has_carrier: false, is_told: false }; limits::HOST_LINKS],
            tell_at: None,
        }
    }

    /// Follows the links of the configuration; those that are there are to be looked at.
    pub(crate) fn follow(config: &Config<'_>, now: u64, console: &mut Console) -> Self {
        let mut links = Self::none();
        if !config.system.network.links.is_empty() {
            match follow() {
                Ok(socket) => {
                    links.socket = Some(socket);
                    links.tell_at = Some(now + CARRIER_MS);
                }
                Err(errno) => console.say(format_args!("links: {}", words(errno))),
            }
        }
        links
    }

    /// Where the kernel tells of links.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// When [`Self::turn`] has something to do.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.tell_at
    }

    /// Sets up what is there.
    pub(crate) fn look(&mut self, config: &Config<'_>, console: &mut Console) {
        let Ok(socket) = route_socket() else { return };
        let result = each_link(&socket, |entry| self.hear(config, entry, console));
        if let Err(errno) = result {
            console.say(format_args!("links: {}", words(errno)));
        }
    }

    /// Reads what the kernel tells.
    pub(crate) fn read(&mut self, config: &Config<'_>, console: &mut Console) {
        let mut buffer = [0; 4096];
        loop {
            let Some(socket) = &self.socket else { return };
            match recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    for message in Messages::of(&buffer[..length.min(buffer.len())]) {
                        if let Ok(Message::Entry(kind, body)) = message
                            && let Some(entry) = LinkEntry::read(kind, body)
                        {
                            self.hear(config, &entry, console);
                        }
                    }
                }
                // Some of what it told is lost: everything is looked at again.
                Err(Errno::NOBUFS) => return self.look(config, console),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Tells of links that have no carrier in time.
    pub(crate) fn turn(&mut self, config: &Config<'_>, now: u64, console: &mut Console) {
        if self.tell_at.is_none_or(|at| now < at) {
            return;
        }
        self.tell_at = None;
        for (link, known) in config.system.network.links.iter().zip(&mut self.known) {
            let what = match known {
                Known { index: 0, .. } => "is not there",
                Known { has_carrier: false, .. } => "has no carrier; is the cable in?",
                _ => continue,
            };
            known.is_told = true;
            console.tell(format_args!("link {}: {what}", link.name));
        }
    }

    fn hear(&mut self, config: &Config<'_>, entry: &LinkEntry<'_>, console: &mut Console) {
        for (link, known) in config.system.network.links.iter().zip(&mut self.known) {
            if entry.is_gone {
                if known.index == entry.index {
                    *known = Known { index: 0, has_carrier: false, is_told: true };
                    console.tell(format_args!("link {}: is gone", link.name));
                }
                continue;
            }
            if known.index != entry.index && !is_meant(link, entry) {
                continue;
            }
            if known.index != entry.index {
                known.index = entry.index;
                known.has_carrier = false;
                if let Err(errno) = set_up(config, link, entry) {
                    console.tell(format_args!("link {}: {}", link.name, words(errno)));
                }
            }
            if known.has_carrier != entry.has_carrier {
                known.has_carrier = entry.has_carrier;
                // At first it comes and goes with what the driver does.
                let is_settled = self.tell_at.is_none();
                if known.is_told || (is_settled && !entry.has_carrier) {
                    known.is_told = true;
                    let what = if entry.has_carrier { "has a carrier" } else { "lost its carrier" };
                    console.tell(format_args!("link {}: {what}", link.name));
                }
            }
        }
    }
}

/// Whether a line means this link.
fn is_meant(link: &HostLink<'_>, entry: &LinkEntry<'_>) -> bool {
    match link.which {
        Which::Name => entry.name == link.name,
        // A port of something else may have the same one, as a macvlan's parent has it.
        Which::Mac(mac) => entry.mac == Some(mac) && entry.master == 0,
        Which::Path(path) => has_path(entry.name, path),
    }
}

/// Whether the device of the link with this name has this path: /sys/class/net/NAME is a symbolic link to it.
fn has_path(name: &str, path: &str) -> bool {
    let mut link: heapless::String<40> = heapless::String::new();
    // A link's name has at most 15 bytes.
    let _ = core::fmt::Write::write_fmt(&mut link, format_args!("/sys/class/net/{name}"));
    let mut buffer = [core::mem::MaybeUninit::uninit(); 512];
    let Ok((found, _)) = rustix::fs::readlinkat_raw(rustix::fs::CWD, link.as_str(), &mut buffer) else { return false };
    let found = core::str::from_utf8(found).unwrap_or_default();
    let device = found.strip_prefix("../../devices/").unwrap_or(found);
    let wanted = path.strip_prefix("/sys/devices/").unwrap_or(path).trim_matches('/');
    device.strip_prefix(wanted).is_some_and(|rest| rest.starts_with("/net/"))
}

/// Brings a link up, under its name and with its addresses and routes.
fn set_up(config: &Config<'_>, link: &HostLink<'_>, entry: &LinkEntry<'_>) -> Result<(), Errno> {
    let socket = route_socket()?;
    if entry.name != link.name {
        // It can only be renamed while it is down, which it is at first.
        send(&socket, |writer| rename_link(writer, entry.index, link.name))?;
    }
    send(&socket, |writer| {
        set_link(writer, entry.index, link.mtu);
        for prefix in &link.addresses {
            add_address(writer, entry.index, *prefix, Neighbours::OnLink, 0);
        }
        for gateway in &link.gateways {
            add_route(writer, entry.index, Prefix::everywhere(*gateway), Some(*gateway));
        }
        for route in &config.system.network.routes {
            if link.addresses.iter().any(|prefix| prefix.contains(route.gateway)) {
                add_route(writer, entry.index, route.to, Some(route.gateway));
            }
        }
    })?;
    let has_bridges_6 = config.system.network.bridges.iter().flat_map(|bridge| &bridge.addresses);
    if has_bridges_6.clone().any(|prefix| prefix.address.is_ipv6()) {
        // A board that forwards does not listen to routers otherwise (ip-sysctl.rst).
        let _ = set(&["net/ipv6/conf/", link.name, "/accept_ra"], "2");
    }
    Ok(())
}

/// A socket that hears of links (RTNLGRP_LINK).
fn follow() -> Result<OwnedFd, Errno> {
    const LINKS: u32 = 1;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, LINKS))?;
    Ok(socket)
}

/// `net.ipv4.ip_forward` or `net/ipv4/ip_forward`; in the second way a part may have dots (sysctl(8)).
fn set_by_name(name: &str, value: &str) -> Result<(), Errno> {
    if name.contains('/') {
        return set(&[name], value);
    }
    let mut path: heapless::String<128> = heapless::String::new();
    for (index, part) in name.split('.').enumerate() {
        if index > 0 {
            path.push('/').map_err(|_| Errno::NAMETOOLONG)?;
        }
        path.push_str(part).map_err(|_| Errno::NAMETOOLONG)?;
    }
    set(&[&path], value)
}

/// Makes the bridges, with everybody who will be behind them.
fn bridges<'a>(config: &'a Config<'_>) -> Result<(), (&'a str, Errno)> {
    let network = &config.system.network;
    if network.bridges.is_empty() {
        return Ok(());
    }
    let has_ipv6 = has_ipv6();
    for bridge in &network.bridges {
        let make = || -> Result<(), Errno> {
            let socket = route_socket()?;
            match send(&socket, |writer| make_bridge(writer, bridge.name, bridge.mac())) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let index = index_of(&socket, bridge.name)?;
            // Its ports do not see each other: a shorter way that it tells of is none.
            let _ = set(&["net/ipv4/conf/", bridge.name, "/send_redirects"], "0");
            send(&socket, |writer| set_up_bridge(writer, config, bridge, index, has_ipv6))
        };
        make().map_err(|errno| (bridge.name, errno))?;
    }
    let all = network.bridges.iter().flat_map(|bridge| &bridge.addresses);
    let _ = set(&["net/ipv4/conf/all/send_redirects"], "0");
    for (is_ipv4, path) in [(true, "net/ipv4/ip_forward"), (false, "net/ipv6/conf/all/forwarding")] {
        if all.clone().any(|prefix| prefix.address.is_ipv4() == is_ipv4) {
            set(&[path], "1").map_err(|errno| (path, errno))?;
        }
    }
    Ok(())
}

/// Whether lines of the configuration make the board a router of what is no workload's.
fn is_router(config: &Config<'_>) -> bool {
    const NAMES: [&str; 4] =
        ["net.ipv4.ip_forward", "net/ipv4/ip_forward", "net.ipv6.conf.all.forwarding", "net/ipv6/conf/all/forwarding"];
    config.system.sysctls.iter().any(|sysctl| NAMES.contains(&sysctl.name) && sysctl.value != "0")
}

/// Makes the board's table where there are bridges.
fn rules(config: &Config<'_>) -> Result<(), Errno> {
    if config.system.network.bridges.is_empty() {
        return Ok(());
    }
    let mut buffer = [0; RULES_BYTES];
    let mut writer = Writer::new(&mut buffer);
    board_rules(&mut writer, config, is_router(config));
    request(&filter_socket()?, &writer)
}
