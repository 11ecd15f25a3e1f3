//! The `device` line: names a device by a path below /dev, or by a property that stays the same when it is plugged in
//! again.

use super::limits;
use crate::split::Split;
use crate::text;
use crate::text::Text;
use core::fmt;

/// How a `device` line selects devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSource<'a> {
    /// A node below /dev, or a folder there, which selects every node in it.
    Path(&'a str),
    /// `usb=`: USB devices by their descriptor.
    Usb(UsbId<'a>),
    /// `path=`: everything below this path of /sys/devices, such as a port of the board.
    Port(&'a str),
}

/// The ids of a USB device's descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbId<'a> {
    /// idVendor, four hexadecimal digits.
    pub vendor: &'a str,
    /// idProduct, four hexadecimal digits.
    pub product: &'a str,
    /// The serial number; empty for any.
    pub serial: &'a str,
}

/// One `device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device<'a> {
    /// Which devices it selects.
    pub source: DeviceSource<'a>,
    /// `class=`: the subsystem of the nodes, as in /sys/class. Empty for nodes of every subsystem, except the raw USB
    /// node.
    pub class: &'a str,
    /// `as`: the path inside of the workload, below /dev; empty for the path on the board.
    pub name: &'a str,
    /// Whether the workload may read it.
    pub read: bool,
    /// Whether the workload may write it.
    pub write: bool,
}

/// What the first word may be, for errors.
pub(super) const SOURCE: Text =
    text!("a path below /dev, usb=VENDOR:PRODUCT[:SERIAL] with four hexadecimal digits each, or path= and a path");
const NO_LINKS: Text =
    text!("usb=VENDOR:PRODUCT[:SERIAL] or path=, because nothing makes links below by-... on this board");

/// Returns whether `path` is below /dev and has no `..`.
pub(super) fn is_below_dev(path: &str) -> bool {
    path.len() > 5 && path.len() <= limits::PATH_BYTES && path.starts_with("/dev/") && !climbs(path)
}

fn climbs(path: &str) -> bool {
    path.parts(b'/').any(|part| part == "..")
}

impl<'a> DeviceSource<'a> {
    /// Parses a word of the configuration.
    ///
    /// # Errors
    /// What was expected instead.
    #[inline(never)]
    pub(super) fn of(text: &'a str) -> Result<Self, Text> {
        if let Some(id) = text.strip_prefix("usb=") {
            return UsbId::of(id).map(Self::Usb).ok_or(SOURCE);
        }
        match text.strip_prefix("path=") {
            Some(path) if !path.is_empty() && path.len() <= limits::PATH_BYTES => Ok(Self::Port(path)),
            None if is_below_dev(text) && text.parts(b'/').any(|part| part.starts_with("by-")) => Err(NO_LINKS),
            None if is_below_dev(text) => Ok(Self::Path(text)),
            _ => Err(SOURCE),
        }
    }
}

impl<'a> UsbId<'a> {
    /// Parses `VENDOR:PRODUCT[:SERIAL]`.
    fn of(text: &'a str) -> Option<Self> {
        let (vendor, rest) = text.split_at_checked(4)?;
        let (product, rest) = rest.strip_prefix(':')?.split_at_checked(4)?;
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let serial = if rest.is_empty() { rest } else { rest.strip_prefix(':').filter(|serial| !serial.is_empty())? };
        (is_hex(vendor) && is_hex(product)).then_some(Self { vendor, product, serial })
    }
}

impl Device<'_> {
    /// Returns whether the device has to be looked up in /sys.
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
                write!(formatter, "usb={vendor}:{product}{colon}{serial}")
            }
            Self::Port(path) => write!(formatter, "path={path}"),
        }
    }
}

impl fmt::Display for Device<'_> {
    /// Writes the source, the class and the name inside, as in the file.
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
