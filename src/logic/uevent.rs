//! What the kernel reports of devices as they come, change and go (uevents): `ACTION@DEVPATH`, a zero byte, and properties
//! `KEY=VALUE` with a zero byte behind each (lib/kobject_uevent.c).
//!
//! | key | of which devices | what |
//! |---|---|---|
//! | `SUBSYSTEM` | all | the bus or class: `block`, `net`, `tty`, `usb` |
//! | `DEVNAME` | those with a node | the node's path below /dev |
//! | `MAJOR`, `MINOR` | those with a node | its numbers |
//! | `DEVTYPE` | some | what kind of the subsystem: `disk`, `partition`, `usb_device` |
//! | `PRODUCT` | USB | `VENDOR/PRODUCT/RELEASE`, in hexadecimal digits without zeros before them |
//! | `MODALIAS` | those that a driver is loaded for | the name that the modules' patterns are compared with |
//! | `DISK_MEDIA_CHANGE` | disks with a medium of their own | `1` where that was put in or taken out |

/// What became of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is there, and its node as well.
    Add,
    /// It is gone.
    Remove,
    /// Something about it is another: a disk has another medium.
    Change,
    /// It has a driver, lost one, has another name, or is on or off.
    Other,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uevent<'a> {
    /// What happened.
    pub action: Action,
    /// The device's folder below /sys, with a slash before it.
    pub path: &'a str,
    properties: &'a [u8],
}

impl<'a> Uevent<'a> {
    /// Reads a message of the kernel. `None` if it is not one, such as what udev sends to its own listeners.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let end = message.iter().position(|byte| *byte == 0)?;
        let (action, path) = core::str::from_utf8(&message[..end]).ok()?.split_once('@')?;
        let action = match action {
            "add" => Action::Add,
            "remove" => Action::Remove,
            "change" => Action::Change,
            _ => Action::Other,
        };
        path.starts_with('/').then_some(Self { action, path, properties: &message[end + 1..] })
    }

    /// Returns the value of the first property with this key. `None` if it is not UTF-8 either: some come from the device itself.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        let of_key = |property: &'a [u8]| property.strip_prefix(key.as_bytes())?.strip_prefix(b"=");
        let value = self.properties.split(|byte| *byte == 0).find_map(of_key)?;
        core::str::from_utf8(value).ok()
    }

    /// Whether it is about a device of this subsystem.
    pub fn is_of(&self, subsystem: &str) -> bool {
        self.value("SUBSYSTEM") == Some(subsystem)
    }

    /// Returns the major and minor number of the device's node. `None` if it has no node.
    pub fn device(&self) -> Option<(u32, u32)> {
        let number = |key| self.value(key)?.parse().ok();
        Some((number("MAJOR")?, number("MINOR")?))
    }
}

#[cfg(test)]
mod tests;
