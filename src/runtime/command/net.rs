//! `hilum net`: the links, addresses, routes and rules of the board. This command asks the kernel itself and works
//! without PID 1. A running PID 1 adds which uplink is in use, and the leases.

use super::client::Connection;
use super::output::show;
use super::usage::{DONE, FAILED};
use crate::net::{each, each_link, filter_socket, route_socket};
use crate::os::errno::describe;
use core::fmt;
use heapless::{String, Vec};
use hilum::config::Ip;
use hilum::fixed_string::text;
use hilum::log::Printable;
use hilum::netlink::{AddressEntry, List, RouteEntry, RuleEntry, list, list_rules};
use hilum::wire::{Command, Request};
use hilum_sys::print;
use rustix::io::Errno;

/// Links by index: the board's own, and one for each link of a workload.
type Names = Vec<(u32, String<16>), 160>;

/// Prints everything. Returns the exit status.
pub(super) fn net(socket: &str) -> i32 {
    if let Ok(connection) = Connection::open(socket, &Request::new(Command::Uplinks)) {
        let _ = connection.show_lines();
    }
    match links().and_then(|names| addresses(&names).and_then(|()| routes(&names))).and_then(|()| rules()) {
        Ok(()) => DONE,
        Err(errno) => {
            print(format_args!("hilum: net: {}\n", describe(errno)));
            FAILED
        }
    }
}

/// Packets and bytes.
struct Count((u64, u64));

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packets, bytes) = self.0;
        write!(formatter, "{packets} packets {bytes} bytes")
    }
}

fn name(names: &Names, index: u32) -> Printable<'_> {
    Printable(names.iter().find(|(known, _)| *known == index).map_or("?", |(_, name)| name).as_bytes())
}

fn links() -> Result<Names, Errno> {
    let socket = route_socket()?;
    let mut names = Names::new();
    each_link(&socket, &mut |link| {
        // A link for which there is no room has no name further below.
        let _ = names.push((link.index, String::try_from(link.name).unwrap_or_default()));
    })?;
    each_link(&socket, &mut |link| {
        let state = match (link.is_up, link.has_carrier) {
            (true, true) => "up",
            (true, false) => "no carrier",
            _ => "down",
        };
        // Any privileged program may have chosen a name that controls a terminal.
        let name = text::<64>(format_args!("{}", Printable(link.name.as_bytes())));
        show(format_args!("link {name:<15} {state:<10} mtu {:<6}", link.mtu));
        match link.mac {
            Some(mac) => show(format_args!(" {mac}")),
            None => show(format_args!(" {:<17}", "-")),
        };
        if link.master > 0 {
            show(format_args!(" in {}", self::name(&names, link.master)));
        }
        show(format_args!("  in {}, out {}\n", Count(link.received), Count(link.sent)));
    })?;
    Ok(names)
}

fn addresses(names: &Names) -> Result<(), Errno> {
    each(&route_socket()?, &mut |writer| list(writer, List::Addresses), &mut |kind, body| {
        if let Some(entry) = AddressEntry::read(kind, body) {
            show(format_args!("address {} on {}\n", entry.prefix, name(names, entry.index)));
        }
    })
}

fn routes(names: &Names) -> Result<(), Errno> {
    each(&route_socket()?, &mut |writer| list(writer, List::Routes), &mut |kind, body| {
        let Some(entry) = RouteEntry::read(kind, body) else { return };
        match entry.to {
            Some(to) => show(format_args!("route {to}")),
            None => show(format_args!("route default")),
        };
        if let Some(gateway) = entry.gateway {
            show(format_args!(" via {}", Ip(gateway)));
        }
        show(format_args!(" dev {}\n", name(names, entry.index)));
    })
}

fn rules() -> Result<(), Errno> {
    let listed = filter_socket().and_then(|socket| {
        each(&socket, &mut list_rules, &mut |kind, body| {
            let Some(rule) = RuleEntry::read(kind, body).filter(|rule| rule.table.starts_with("hilum")) else { return };
            let [table, chain, words] = [rule.table, rule.chain, rule.words].map(|text| Printable(text.as_bytes()));
            show(format_args!("rule {table} {chain}: {words}"));
            if let Some(counted) = rule.counted {
                show(format_args!("; {}", Count(counted)));
            }
            show(format_args!("\n"));
        })
    });
    match listed {
        // A kernel without nf_tables has no rules.
        Err(Errno::PROTONOSUPPORT | Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
        result => result,
    }
}
