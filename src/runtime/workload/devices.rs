//! Looks up the devices of `device` lines on the board.
//!
//! A device that is plugged in again gets another number, and there is no udev to create stable links. Therefore lines
//! are looked up at each start and at each device event: they select the nodes that /sys lists below the device.

use crate::os::files::{each, read_link, read_text, sys_path};
use crate::os::path::stat;
use heapless::{String, Vec};
use hilum::config::{Device, DeviceSource, UsbId, limits};
use hilum::devices::{Facts, UsbPlace, is_meant, usb_place};
use hilum::split::Split;
use rustix::fs::FileType;
use rustix::io::Errno;

/// Maximum bytes of a node's name below /dev.
const NAME_BYTES: usize = 96;
/// Bytes of a buffer for files of /sys.
const BYTES: usize = 512;
/// Maximum depth of folders below a line's path, such as 001 below /dev/bus/usb.
const DEPTH: usize = 3;

/// A device node of a workload.
pub(crate) struct Node {
    /// The index of the line that selects it.
    pub(crate) line: usize,
    /// Its number among the nodes of the line.
    pub(crate) number: usize,
    /// Its name below /dev on the board.
    pub(crate) name: String<NAME_BYTES>,
    /// Whether it is a block or a character device.
    pub(crate) kind: FileType,
    /// Its major and minor number.
    pub(crate) device: u64,
    /// The inode in the kernel's own /dev, which changes if the device is plugged in again under the same number.
    inode: u64,
    /// The sort key within a line.
    order: u64,
}

/// The nodes of a workload, in the order of its lines.
pub(crate) type Nodes = Vec<Node, { limits::DEVICE_NODES }>;

/// Finds the nodes of `device` lines.
///
/// # Errors
/// The index of the line, with ENOENT if the board has no such device, ENODEV if the path is not a device, TOOBIG for
/// more than [`limits::DEVICE_NODES`]; those of the kernel.
pub(crate) fn find(devices: &[Device<'_>]) -> Result<Nodes, (usize, Errno)> {
    let mut nodes = Nodes::new();
    for (line, device) in devices.iter().enumerate() {
        let before = nodes.len();
        let mut found = Ok(());
        if let DeviceSource::Path(path) = device.source {
            found = in_dev(path, line, DEPTH, &mut nodes);
        } else {
            for kind in [FileType::CharacterDevice, FileType::BlockDevice] {
                found = found.and_then(|()| in_sys(device, kind, line, &mut nodes));
            }
        }
        if found.is_ok() && nodes.len() == before {
            found = Err(Errno::NOENT);
        }
        found.map_err(|errno| (line, errno))?;
        (0..).zip(&mut nodes[before..]).for_each(|(number, node)| node.number = number);
    }
    Ok(nodes)
}

/// Inserts a node in order among those of its line.
fn add(nodes: &mut Nodes, node: Node) -> Result<(), Errno> {
    let mut at = nodes.len();
    nodes.push(node).map_err(|_| Errno::TOOBIG)?;
    let place = |node: &Node| (node.line, node.order, node.device);
    while at > 0 && place(&nodes[at - 1]) > place(&nodes[at]) {
        nodes.swap(at - 1, at);
        at -= 1;
    }
    Ok(())
}

/// Returns a hash over all nodes that changes when a device is added, removed, or plugged in again (FNV-1a).
pub(crate) fn fingerprint(nodes: &Nodes) -> u64 {
    let numbers = nodes.iter().flat_map(|node| [node.line as u64, node.device, node.inode]);
    numbers.fold(0xcbf2_9ce4_8422_2325, |sum, number| (sum ^ number).wrapping_mul(0x100_0000_01b3))
}

/// Adds the node at a path of /dev, or all nodes below it.
fn in_dev(path: &str, line: usize, depth: usize, nodes: &mut Nodes) -> Result<(), Errno> {
    let found = stat(path)?;
    let kind = FileType::from_raw_mode(found.st_mode);
    if kind == FileType::Directory && depth > 0 {
        return each(path, &mut |name| {
            match in_dev(&sys_path(format_args!("{path}/{name}")), line, depth - 1, nodes) {
                // It disappeared meanwhile, or is not a device.
                Err(Errno::NOENT | Errno::NODEV) => Ok(()),
                result => result,
            }
        });
    }
    if !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        return Err(Errno::NODEV);
    }
    let name = path.strip_prefix("/dev/").unwrap_or(path);
    let name = String::try_from(name).map_err(|_| Errno::NAMETOOLONG)?;
    add(nodes, Node { line, number: 0, name, kind, device: found.st_rdev, inode: found.st_ino, order: 0 })
}

/// Adds the selected nodes of one type: /sys/dev has a link for each node, by number.
#[inline(never)]
fn in_sys(device: &Device<'_>, kind: FileType, line: usize, nodes: &mut Nodes) -> Result<(), Errno> {
    let folder = if kind == FileType::BlockDevice { "/sys/dev/block" } else { "/sys/dev/char" };
    each(folder, &mut |entry| {
        let (mut path, mut class, mut ids, mut events) = ([0; BYTES], [0; BYTES], [[0; 128]; 3], [0; BYTES]);
        let at = |name: &str| sys_path(format_args!("{folder}/{entry}/{name}"));
        let path = read_link(&sys_path(format_args!("{folder}/{entry}")), &mut path);
        let path = path.strip_prefix("../../devices").unwrap_or(path);
        let place = usb_place(path);
        let usb = match (device.source, &place) {
            (DeviceSource::Usb(_), None) => return Ok(()),
            (DeviceSource::Usb(id), Some(place)) => Some(usb_id(place, !id.serial.is_empty(), &mut ids)),
            _ => None,
        };
        let class = read_link(&at("subsystem"), &mut class).parts(b'/').last().unwrap_or_default();
        if !is_meant(device, &Facts { path, class, usb }) {
            return Ok(());
        }
        let events = read_text(&at("uevent"), &mut events);
        let name = events.each_line().find_map(|line| line.strip_prefix("DEVNAME=")).unwrap_or_default();
        // It does not exist yet, or no more.
        let Ok(found) = stat(&sys_path(format_args!("/dev/{name}"))) else { return Ok(()) };
        if FileType::from_raw_mode(found.st_mode) != kind {
            return Ok(());
        }
        let name = String::try_from(name).map_err(|_| Errno::NAMETOOLONG)?;
        let order = place.map_or(0, |place| place.order);
        add(nodes, Node { line, number: 0, name, kind, device: found.st_rdev, inode: found.st_ino, order })
    })
}

/// Returns the ids of a USB device. The serial number is only read if it is needed, because reading it waits for other
/// users of the device.
fn usb_id<'b>(place: &UsbPlace<'_>, with_serial: bool, buffers: &'b mut [[u8; 128]; 3]) -> UsbId<'b> {
    let [vendor, product, serial] = buffers;
    let read = |name, buffer| read_text(&sys_path(format_args!("/sys/devices{}/{name}", place.path)), buffer);
    let vendor = read("idVendor", vendor);
    UsbId { vendor, product: read("idProduct", product), serial: if with_serial { read("serial", serial) } else { "" } }
}
