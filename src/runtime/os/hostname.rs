//! The board's host name.

use super::environment::Environment;
use super::errno::describe;
use super::files::{read_link, read_text};
use core::fmt;
use hilum::config::{Config, Mac};
use hilum::split::Split;

/// The name of a machine's initial UTS namespace in /proc (include/linux/proc_ns.h).
const FIRST_NAMESPACE: &str = "uts:[4026531838]";

/// Sets the host name, with the MAC address of the link of the first `link` line if it is known. Leaves that of a
/// container to its creator, except in a namespace of its own. Calls `tell` with an error in one line.
pub(crate) fn set(
    environment: Environment,
    config: &Config<'_>,
    mac: Option<Mac>,
    tell: &mut dyn FnMut(fmt::Arguments<'_>),
) {
    let Some(pattern) = config.system.hostname else { return };
    let mut text = [0; 64];
    if environment == Environment::Container {
        let namespace = read_link("/proc/self/ns/uts", &mut text);
        if namespace.is_empty() || namespace == FIRST_NAMESPACE {
            return;
        }
    }
    // The firmware's description of the board: a device tree (of_fdt), or SMBIOS (drivers/firmware/dmi-id.c).
    let mut serial = read_text("/proc/device-tree/serial-number", &mut text);
    if serial.is_empty() {
        serial = read_text("/sys/class/dmi/id/product_serial", &mut text);
    }
    // Without a serial number, a hyphen would be left at the end.
    let Some(hostname) = hilum::config::hostname::expand(pattern, mac, serial) else { return };
    let hostname = hostname.without_end(b'-');
    if let Err(errno) = rustix::system::sethostname(hostname.as_bytes()) {
        tell(format_args!("hostname {hostname}: {}", describe(errno)));
    }
}
