//! The kernel settings of a machine (`hilum::settings`), which are applied at boot before the board's links come up.

use crate::console::Console;
use crate::net;
use crate::os::sysctl::{get, set_by_name, set_unless_configured};
use core::fmt;
use hilum::config::Config;
use hilum::settings::{OF_EACH_LINK, each, is_set_by};
use rustix::io::Errno;

/// Settings that could not be changed, by index.
#[derive(Default)]
pub(super) struct Unmade {
    missing: u32,
    refused: u32,
}

impl Unmade {
    /// Prints one line for all of them, if there are any.
    pub(super) fn print(&self, console: &mut Console) {
        if self.missing | self.refused != 0 {
            console.error(format_args!("kernel settings not applied: {self}"));
        }
    }
}

impl fmt::Display for Unmade {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut written = Ok(());
        each(&mut |index, setting| {
            let bit = 1 << index;
            let why = if self.missing & bit != 0 {
                "not in this kernel"
            } else if self.refused & bit != 0 {
                "refused"
            } else {
                return;
            };
            written = written.and_then(|()| write!(formatter, "{separator}{} ({why})", setting.name));
            separator = ", ";
        });
        written
    }
}

/// Applies the settings that have no `sysctl` line and no good value yet. May be repeated.
pub(super) fn make(config: &Config<'_>) -> Unmade {
    let mut unmade = Unmade::default();
    let sysctls = &config.system.sysctls;
    let has_ipv6 = net::has_ipv6();
    each(&mut |index, setting| {
        // A kernel without IPv6 does not need its settings, nor one without br_netfilter the settings of bridges.
        let is_of_ipv6 = setting.name.starts_with("net.ipv6.");
        if is_set_by(sysctls, setting.name) || (!has_ipv6 && is_of_ipv6) || setting.is_of_bridges() {
            return;
        }
        let mut text = [0; 16];
        match get(setting.name, &mut text).map(|text| setting.is_good(text)) {
            Ok(true) => {}
            Err(Errno::NOENT) => unmade.missing |= 1 << index,
            Ok(false) | Err(_) => {
                let made = set_by_name(setting.name, setting.value());
                unmade.refused |= u32::from(made.is_err()) << index;
            }
        }
    });
    if has_ipv6 {
        links(config);
    }
    net::leave_bridged_packets(config);
    unmade
}

/// Applies settings to existing links. A link that has disappeared needs none.
fn links(config: &Config<'_>) {
    let Ok(socket) = net::route_socket() else { return };
    let _ = net::each_link(&socket, &mut |link| {
        set_unless_configured(config, &["net/ipv6/conf/", link.name, "/", OF_EACH_LINK], "0");
    });
}
