//! Parses the kernel's device events (uevents): `ACTION@DEVPATH`, a zero byte, and properties `KEY=VALUE` that each end
//! with a zero byte (lib/kobject_uevent.c).
//!
//! | key | present for | meaning |
//! |---|---|---|
//! | `SUBSYSTEM` | all | the bus or class: `block`, `net`, `tty`, `usb` |
//! | `DEVNAME` | devices with a node | the node's path below /dev |
//! | `MAJOR`, `MINOR` | devices with a node | its numbers |
//! | `DEVTYPE` | some | the type within the subsystem: `disk`, `partition`, `usb_device` |
//! | `PRODUCT` | USB | `VENDOR/PRODUCT/RELEASE`, in hexadecimal digits without leading zeros |
//! | `MODALIAS` | devices that need a driver | the name that is compared with the patterns of modules |
//! | `DISK_MEDIA_CHANGE` | disks with removable media | `1` if the medium was inserted or removed |

use crate::split::Split;

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was added, including its node.
    Add,
    /// It was removed.
    Remove,
    /// It changed: a disk has another medium.
    Change,
    /// Its driver, name or online state changed.
    Other,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uevent<'a> {
    /// What happened.
    pub action: Action,
    /// The device's folder below /sys, with a leading slash.
    pub path: &'a str,
    properties: &'a [u8],
}

impl<'a> Uevent<'a> {
    /// Parses a message of the kernel. `None` if it is something else, such as udev's messages to its own listeners.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let end = message.iter().position(|byte| *byte == 0)?;
        let (action, path) = core::str::from_utf8(&message[..end]).ok()?.cut(b'@')?;
        let action = match action {
            "add" => Action::Add,
            "remove" => Action::Remove,
            "change" => Action::Change,
            _ => Action::Other,
        };
        path.starts_with('/').then_some(Self { action, path, properties: &message[end + 1..] })
    }

    /// Returns the value of the first property with this key. `None` if it is not UTF-8, because some values come from
    /// the device itself.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        let of_key = |property: &'a [u8]| property.strip_prefix(key.as_bytes())?.strip_prefix(b"=");
        let value = self.properties.split(|byte| *byte == 0).find_map(of_key)?;
        core::str::from_utf8(value).ok()
    }

    /// Returns whether it is about a device of this subsystem.
    pub fn is_of(&self, subsystem: &str) -> bool {
        self.value("SUBSYSTEM") == Some(subsystem)
    }

    /// Returns whether a medium was inserted or removed.
    pub fn is_of_medium(&self) -> bool {
        self.value("DISK_MEDIA_CHANGE").is_some()
    }

    /// Returns the major and minor number of the device's node. `None` if it has no node.
    pub fn device(&self) -> Option<(u32, u32)> {
        let number = |key| crate::number::number(self.value(key)?);
        Some((number("MAJOR")?, number("MINOR")?))
    }
}

#[cfg(test)]
mod tests;
