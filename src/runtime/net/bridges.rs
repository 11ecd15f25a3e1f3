//! The host's side of workload networks: settings, bridges, rules.

use super::{exchange, filter_socket, has_ipv6, index_of, request, route_socket};
use crate::console::Console;
use crate::os::errno::describe;
use crate::os::sysctl::{set, set_by_name, set_unless_configured};
use hilum::config::{Bridge, Config, Sysctl};
use hilum::netlink::{Writer, board_rules, bridge_neighbours, make_bridge, set_up_bridge};
use hilum::settings;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// Bytes of the board's rules: each takes less than 600, and 4 bridges with 4 masquerades have 40 rules.
const RULES_BYTES: usize = 32 * 1024;

/// Applies the `sysctl` lines.
pub(crate) fn set_all(config: &Config<'_>, console: &mut Console) {
    for Sysctl { name, value } in &config.system.sysctls {
        if let Err(errno) = set_by_name(name, value) {
            console.error(format_args!("sysctl {name}: {}", describe(errno)));
        }
    }
}

/// Creates the board's rules and the bridges with entries for all workloads behind them. Existing ones are updated.
pub(crate) fn prepare(config: &Config<'_>, console: &mut Console) {
    super::host_link::make_vlans(config, console);
    if config.system.network.bridges.is_empty() {
        return;
    }
    leave_bridged_packets(config);
    // Rules come first; without them packets are not forwarded.
    let ruled = rules(config);
    if let Err(errno) = ruled {
        console.error(format_args!(
            "packet rules: {}: the kernel lacks a part of nf_tables, or a module is not loaded",
            describe(errno)
        ));
    }
    if ruled.is_ok()
        && let Err(errno) = super::connections::forget(&|_| false)
    {
        console.error(format_args!(
            "connections: {}: the kernel lacks ctnetlink, or its module is not loaded; old connections to published ports may stay broken",
            describe(errno)
        ));
    }
    let made = bridges(config).and_then(|()| if ruled.is_ok() { forward(config) } else { Ok(()) });
    if let Err((what, errno)) = made {
        let hint = match errno {
            Errno::OPNOTSUPP => ": the kernel lacks bridge, or its module is not loaded",
            _ => "",
        };
        console.error(format_args!("bridge {what}: {}{hint}; workloads behind it do not start", describe(errno)));
    }
}

/// Disables packet rules for bridged frames, if br_netfilter is loaded by now.
pub(crate) fn leave_bridged_packets(config: &Config<'_>) {
    settings::each(&mut |_, setting| {
        if setting.is_of_bridges() {
            set_unless_configured(config, &[setting.name], setting.value());
        }
    });
}

/// Creates the bridges with entries for all workloads behind them.
fn bridges<'a>(config: &'a Config<'_>) -> Result<(), (&'a str, Errno)> {
    let has_ipv6 = has_ipv6();
    for bridge in &config.system.network.bridges {
        let make = || -> Result<(), Errno> {
            let socket = route_socket()?;
            match exchange(&socket, &mut |writer| make_bridge(writer, bridge.name, bridge.mac())) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let index = index_of(&socket, bridge.name)?;
            // Ports cannot reach each other, so ICMP redirects would be wrong.
            let _ = set(&["net/ipv4/conf/", bridge.name, "/send_redirects"], "0");
            // There is no router behind it.
            for setting in ["accept_ra", "autoconf"] {
                set_unless_configured(config, &["net/ipv6/conf/", bridge.name, "/", setting], "0");
            }
            exchange(&socket, &mut |writer| set_up_bridge(writer, bridge, index, has_ipv6))?;
            neighbours(&socket, config, bridge, index)
        };
        make().map_err(|errno| (bridge.name, errno))?;
    }
    Ok(())
}

/// Adds entries for all workloads behind a bridge, one workload at a time to limit the buffer.
fn neighbours(socket: &OwnedFd, config: &Config<'_>, bridge: &Bridge<'_>, index: u32) -> Result<(), Errno> {
    let mut all = config.workloads.iter();
    all.try_for_each(|workload| {
        exchange(socket, &mut |writer| bridge_neighbours(writer, workload, &config.pools, bridge, index))
    })
}

/// Adds entries for new workloads behind their bridges.
pub(crate) fn adopt(config: &Config<'_>, console: &mut Console) {
    for bridge in &config.system.network.bridges {
        let made = route_socket().and_then(|socket| {
            let index = index_of(&socket, bridge.name)?;
            neighbours(&socket, config, bridge, index)
        });
        if let Err(errno) = made {
            console.error(format_args!("bridge {}: {}", bridge.name, describe(errno)));
        }
    }
}

/// Enables forwarding, which the rules restrict to and from bridges.
fn forward<'a>(config: &'a Config<'_>) -> Result<(), (&'a str, Errno)> {
    let network = &config.system.network;
    let all = network.bridges.iter().flat_map(|bridge| &bridge.addresses);
    let _ = set(&["net/ipv4/conf/all/send_redirects"], "0");
    for (is_ipv4, path) in [(true, "net/ipv4/ip_forward"), (false, "net/ipv6/conf/all/forwarding")] {
        if all.clone().any(|prefix| prefix.address.is_ipv4() == is_ipv4) {
            set(&[path], "1").map_err(|errno| (path, errno))?;
        }
    }
    Ok(())
}

/// Returns whether the configuration makes the board a router for traffic other than its workloads'.
fn is_router(config: &Config<'_>) -> bool {
    const NAMES: [&str; 4] =
        ["net.ipv4.ip_forward", "net/ipv4/ip_forward", "net.ipv6.conf.all.forwarding", "net/ipv6/conf/all/forwarding"];
    config.system.sysctls.iter().any(|sysctl| NAMES.contains(&sysctl.name) && sysctl.value != "0")
}

/// Creates the board's table if there are bridges.
fn rules(config: &Config<'_>) -> Result<(), Errno> {
    let mut buffer = [0; RULES_BYTES];
    let mut writer = Writer::new(&mut buffer);
    board_rules(&mut writer, config, is_router(config));
    // It is closed only by the exit of this helper; otherwise all who wait for the rules would wait for the close too
    // (`Rules`).
    let socket = core::mem::ManuallyDrop::new(filter_socket()?);
    request(&socket, &writer)
}
