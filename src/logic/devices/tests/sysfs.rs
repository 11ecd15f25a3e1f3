use crate::config::{Device, DeviceSource, UsbId};
use crate::devices::{Facts, UsbPlace, is_meant, usb_place};

const CONTROLLER: &str = "/pci0000:00/0000:00:04.0/usb1";

fn place(path: &str) -> Option<(String, u64)> {
    usb_place(path).map(|UsbPlace { path, order }| (path.to_owned(), order))
}

#[test]
fn usb_device_is_found_in_path_of_its_node() {
    let path = |rest: &str| format!("{CONTROLLER}/{rest}");
    let device = |rest: &str| place(&path(rest)).map(|(path, _)| path);
    assert_eq!(device("1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0"), Some(path("1-1")));
    // Behind a hub: the last device counts, not the hub.
    assert_eq!(device("1-1/1-1.2/1-1.2:1.3/sound/card1/pcmC1D0p"), Some(path("1-1/1-1.2")));
    assert_eq!(device("1-1/1-1.2/1-1.2:1.0/0003:046D:C52B.0001/hidraw/hidraw0"), Some(path("1-1/1-1.2")));
    // The raw node belongs to the device itself.
    assert_eq!(device("1-1/1-1.2"), Some(path("1-1/1-1.2")));
    for none in
        ["", "/", "/virtual/mem/null", "/pci0000:00/0000:00:1f.2/ata1/block/sda", "/platform/i2c-1/1-0050/x", "/x:1.0"]
    {
        assert_eq!(place(none), None, "{none}");
    }
}

#[test]
fn nodes_are_sorted_by_port_and_interface() {
    let names =
        ["1-1:1.0", "1-1:1.2", "1-1:1.10", "1-1.1:1.0", "1-1.2:1.0", "1-2:1.0", "1-10:1.0", "2-1:1.0", "10-1:1.0"];
    let orders: Vec<u64> = names.iter().map(|name| place(name).expect("an interface").1).collect();
    assert!(orders.is_sorted_by(|one, other| one < other), "{orders:?}");
    assert_eq!(place("1-1.1.1.1.1.1.1.1:1.0"), None, "more than seven");
    assert_eq!(place("1-99999999999999999999:1.0"), None);
}

fn line(source: DeviceSource<'static>, class: &'static str) -> Device<'static> {
    Device { source, class, name: "", read: true, write: true }
}

#[test]
fn line_selects_all_nodes_of_its_device() {
    let id = |serial| UsbId { vendor: "0403", product: "60aF", serial };
    let usb = |serial| DeviceSource::Usb(id(serial));
    let path = "/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0";
    let tty = Facts { path, class: "tty", usb: Some(UsbId { product: "60af", ..id("A1") }) };
    let raw = Facts { path: "/pci0000:00/0000:00:04.0/usb1/1-1", class: "usb", ..tty };
    for (device, is_tty, is_raw) in [
        (line(usb(""), ""), true, false),
        (line(usb("A1"), ""), true, false),
        (line(usb("A2"), ""), false, false),
        (line(usb(""), "tty"), true, false),
        (line(usb(""), "hidraw"), false, false),
        (line(usb(""), "usb"), false, true),
        (line(DeviceSource::Port("/sys/devices/pci0000:00/0000:00:04.0/usb1/1-1"), ""), true, false),
        (line(DeviceSource::Port("pci0000:00/0000:00:04.0/usb1/1-1/"), "usb"), false, true),
        // Another port whose name has the same prefix.
        (line(DeviceSource::Port("pci0000:00/0000:00:04.0/usb1/1"), ""), false, false),
        (line(DeviceSource::Path("/dev/ttyUSB0"), ""), false, false),
    ] {
        assert_eq!((is_meant(&device, &tty), is_meant(&device, &raw)), (is_tty, is_raw), "{device}");
    }
    let other = UsbId { product: "6015", ..id("A1") };
    assert!(!is_meant(&line(usb(""), ""), &Facts { usb: Some(other), ..tty }));
    assert!(!is_meant(&line(usb(""), ""), &Facts { usb: None, ..tty }));
}
