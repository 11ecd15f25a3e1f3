//! Facts about a device from its paths in /sys: the USB device that it belongs to, and its order.

use crate::config::{Device, DeviceSource, UsbId};
use crate::split::Split;

/// The place of a USB device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbPlace<'a> {
    /// The path of the device itself, which contains idVendor and so on.
    pub path: &'a str,
    /// A sort key: bus, ports and interface, in numerical order. It stays the same when the device is plugged into the
    /// same port again.
    pub order: u64,
}

/// Returns the USB device in a path: the one of the last interface in the path, or the one at its end
/// (Documentation/driver-api/usb/usb.rst: BUS-PORT.PORT:CONFIGURATION.INTERFACE).
pub fn usb_place(path: &str) -> Option<UsbPlace<'_>> {
    let mut rest = path;
    loop {
        let (parent, part) = rest.cut_last(b'/').unwrap_or(("", rest));
        match order_of(part) {
            Some((order, true)) => return Some(UsbPlace { path: parent, order }),
            Some((order, false)) if rest.len() == path.len() => return Some(UsbPlace { path, order }),
            _ if parent.is_empty() => return None,
            _ => rest = parent,
        }
    }
}

/// Parses `BUS-PORT.PORT`, with or without `:CONFIGURATION.INTERFACE`, into one number, and returns whether it is an
/// interface. A chain has at most seven ports.
fn order_of(name: &str) -> Option<(u64, bool)> {
    const PORTS: usize = 7;
    // Bus, ports, configuration, interface.
    let mut numbers = [0_u8; 1 + PORTS + 2];
    let (mut at, mut digits, mut is_interface) = (0, 0, false);
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' => {
                *numbers.get_mut(at)? = numbers[at].checked_mul(10)?.checked_add(byte - b'0')?;
                digits += 1;
                continue;
            }
            b'-' if at == 0 => at = 1,
            b'.' if (1..PORTS).contains(&at) || at == PORTS + 1 => at += 1,
            b':' if (1..=PORTS).contains(&at) => (at, is_interface) = (PORTS + 1, true),
            _ => return None,
        }
        if core::mem::take(&mut digits) == 0 {
            return None;
        }
    }
    let is_whole = digits > 0 && at > 0 && (!is_interface || at == PORTS + 2);
    // Numbers of ports and interfaces have at most six bits.
    let order = numbers.iter().fold(0, |order, number| order << 6 | u64::from((*number).min(63)));
    is_whole.then_some((order, is_interface))
}

/// Properties of a device node.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its path below /sys/devices, which the links of /sys/dev point to.
    pub path: &'a str,
    /// Its subsystem, such as `tty`.
    pub class: &'a str,
    /// The USB device that it belongs to.
    pub usb: Option<UsbId<'a>>,
}

/// Returns whether a line selects a device node.
pub fn is_meant(device: &Device<'_>, facts: &Facts<'_>) -> bool {
    let is_its_class = match device.class {
        "" => facts.class != "usb",
        class => class == facts.class,
    };
    is_its_class
        && match device.source {
            DeviceSource::Path(_) => false,
            DeviceSource::Port(port) => {
                let port = port.strip_prefix("/sys/devices").unwrap_or(port).without_start(b'/').without_end(b'/');
                let rest = facts.path.without_start(b'/').strip_prefix(port);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            DeviceSource::Usb(id) => facts.usb.is_some_and(|found| {
                found.vendor.eq_ignore_ascii_case(id.vendor)
                    && found.product.eq_ignore_ascii_case(id.product)
                    && (id.serial.is_empty() || id.serial == found.serial)
            }),
        }
}
