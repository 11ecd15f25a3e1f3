//! What the paths of /sys say of a device: what it hangs on, and in which order.

use crate::config::{Device, DeviceSource, UsbId};

/// Where a USB device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbPlace<'a> {
    /// The path of the device itself, with its idVendor and so on.
    pub path: &'a str,
    /// Its place among all: bus, ports and interface, in the order in which they are numbered. It stays when it is plugged again into
    /// the same port.
    pub order: u64,
}

/// Returns the USB device that a path leads through, by the last interface in it, or by its end where that is a device
/// (Documentation/driver-api/usb/usb.rst: BUS-PORT.PORT:CONFIGURATION.INTERFACE).
pub fn usb_place(path: &str) -> Option<UsbPlace<'_>> {
    let mut end = path.len();
    let mut is_last = true;
    for part in path.rsplit('/') {
        let start = end - part.len();
        let (device, interface) = part.split_once(':').unwrap_or((part, ""));
        let number = interface.split_once('.').map_or("", |(_, number)| number);
        if let Some(order) = order_of(device, number).filter(|_| is_last || !number.is_empty()) {
            let path = if number.is_empty() { path } else { &path[..start.saturating_sub(1)] };
            return Some(UsbPlace { path, order });
        }
        is_last = false;
        end = start.saturating_sub(1);
    }
    None
}

/// `BUS-PORT.PORT` and the number of an interface as one number; a chain has at most seven ports, each of at most 31.
fn order_of(device: &str, interface: &str) -> Option<u64> {
    let (bus, ports) = device.split_once('-')?;
    let mut order: u64 = bus.parse::<u8>().ok()?.into();
    let mut ports = ports.split('.');
    for _ in 0..7 {
        order = order << 6 | ports.next().map_or(Ok(0), str::parse::<u64>).ok()?.min(63);
    }
    let interface = if interface.is_empty() { 0 } else { interface.parse::<u8>().ok()? };
    ports.next().is_none().then_some(order << 8 | u64::from(interface))
}

/// What is known of a device node.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its path below /sys/devices, as the links of /sys/dev lead there.
    pub path: &'a str,
    /// Its subsystem, such as `tty`.
    pub class: &'a str,
    /// The USB device that it belongs to.
    pub usb: Option<UsbId<'a>>,
}

/// Whether a line means a device node.
pub fn is_meant(device: &Device<'_>, facts: &Facts<'_>) -> bool {
    let is_its_class = match device.class {
        "" => facts.class != "usb",
        class => class == facts.class,
    };
    is_its_class
        && match device.source {
            DeviceSource::Path(_) => false,
            DeviceSource::Port(port) => {
                let port = port.strip_prefix("/sys/devices").unwrap_or(port).trim_matches('/');
                let rest = facts.path.trim_start_matches('/').strip_prefix(port);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            DeviceSource::Usb(id) => facts.usb.is_some_and(|found| {
                (found.vendor, found.product) == (id.vendor, id.product)
                    && (id.serial.is_empty() || id.serial == found.serial)
            }),
        }
}
