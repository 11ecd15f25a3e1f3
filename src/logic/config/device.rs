//! How a `device` line names what a workload may use: by a path below /dev, or by what does not change when it is plugged again.

use core::fmt;

/// What a line says of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSource<'a> {
    /// A node below /dev, or a folder there, which stands for every node in it.
    Path(&'a str),
    /// `usb=`: USB devices by what they say of themselves.
    Usb(UsbId<'a>),
    /// `path=`: everything below this path of /sys/devices: a port of the board.
    Port(&'a str),
}

/// What a USB device says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbId<'a> {
    /// idVendor
    pub vendor: u16,
    /// idProduct
    pub product: u16,
    /// Its serial number; empty for any.
    pub serial: &'a str,
}

/// One `device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device<'a> {
    /// Which.
    pub source: DeviceSource<'a>,
    /// `class=`: the subsystem that a node belongs to, as in /sys/class; empty for every one but the device's own raw node.
    pub class: &'a str,
    /// `as`: the path inside, below /dev; empty for the board's own.
    pub name: &'a str,
    /// Whether it may be read.
    pub read: bool,
    /// Whether it may be written.
    pub write: bool,
}

impl<'a> DeviceSource<'a> {
    /// A word of the configuration; none for what is no such word. A path is not looked at.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        if text.starts_with('/') {
            return Some(Self::Path(text));
        }
        match text.split_once('=')? {
            ("usb", id) => {
                let mut parts = id.splitn(3, ':');
                let mut number = || {
                    let digits = parts.next().filter(|digits| digits.len() == 4)?;
                    u16::from_str_radix(digits, 16).ok()
                };
                let (vendor, product) = (number()?, number()?);
                let serial = parts.next();
                (serial != Some("")).then_some(Self::Usb(UsbId { vendor, product, serial: serial.unwrap_or("") }))
            }
            ("path", path) if !path.is_empty() => Some(Self::Port(path)),
            _ => None,
        }
    }
}

impl Device<'_> {
    /// Whether /sys has to be searched for it.
    pub fn is_searched(&self) -> bool {
        !matches!(self.source, DeviceSource::Path(_))
    }
}

impl fmt::Display for DeviceSource<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => formatter.write_str(path),
            Self::Usb(UsbId { vendor, product, serial }) => {
                let colon = if serial.is_empty() { "" } else { ":" };
                write!(formatter, "usb={vendor:04x}:{product:04x}{colon}{serial}")
            }
            Self::Port(path) => write!(formatter, "path={path}"),
        }
    }
}

impl fmt::Display for Device<'_> {
    /// Which, and under which name.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(formatter)?;
        for (before, word) in [(" class=", self.class), (" as ", self.name)] {
            if !word.is_empty() {
                formatter.write_str(before)?;
                formatter.write_str(word)?;
            }
        }
        Ok(())
    }
}
