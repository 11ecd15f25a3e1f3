use super::*;
use proptest::prelude::*;

const PARTITION: &[u8] = b"add@/devices/pci0000:00/usb1/1-1/host0/target0:0:0/0:0:0:0/block/sda/sda1\0ACTION=add\0\
DEVPATH=/devices/pci0000:00/usb1/1-1/host0/target0:0:0/0:0:0:0/block/sda/sda1\0SUBSYSTEM=block\0MAJOR=8\0MINOR=1\0\
DEVNAME=sda1\0DEVTYPE=partition\0DISKSEQ=3\0PARTN=1\0SEQNUM=1234\0";

#[test]
fn disk_and_its_numbers_are_read() {
    let event = Uevent::read(PARTITION).expect("the kernel's");
    assert_eq!(event.action, Action::Add);
    assert!(event.path.ends_with("/block/sda/sda1"));
    assert!(event.is_of("block") && !event.is_of("bloc") && !event.is_of("blocks"));
    assert_eq!(event.device(), Some((8, 1)));
    assert_eq!((event.value("DEVNAME"), event.value("DEVTYPE")), (Some("sda1"), Some("partition")));
    // The suffix of another key is not a key.
    assert_eq!((event.value("NAME"), event.value("DEV")), (None, None));
}

#[test]
fn device_without_a_node_has_its_modalias() {
    let message = b"bind@/devices/usb1/1-1/1-1:1.0\0ACTION=bind\0SUBSYSTEM=usb\0DEVTYPE=usb_interface\0\
PRODUCT=67b/2303/300\0MODALIAS=usb:v067Bp2303d0300dc00dsc00dp00icFFisc00ip00in00\0";
    let event = Uevent::read(message).expect("the kernel's");
    assert_eq!((event.action, event.device()), (Action::Other, None));
    assert_eq!(event.value("PRODUCT"), Some("67b/2303/300"));
    assert!(event.value("MODALIAS").is_some_and(|alias| alias.starts_with("usb:v067B")));
}

#[test]
fn only_the_property_that_is_not_utf_8_is_skipped() {
    let event = Uevent::read(b"remove@/devices/x\0NAME=\"\xfc\"\0SUBSYSTEM=input\0").expect("the kernel's");
    assert_eq!((event.action, event.value("NAME")), (Action::Remove, None));
    assert!(event.is_of("input"));
}

#[test]
fn messages_of_other_senders_are_ignored() {
    // systemd-udevd uses another prefix (libudev, src/libsystemd/sd-device/device-monitor.c).
    for message in [&b"libudev\0\xfe\xed\xca\xfeACTION=add\0"[..], b"", b"\0", b"add@/devices/x", b"add@relative\0"] {
        assert_eq!(Uevent::read(message), None);
    }
}

proptest! {
    #[test]
    fn nothing_panics(message: Vec<u8>, key in "[A-Z=]{0,4}") {
        if let Some(event) = Uevent::read(&message) {
            let _ = (event.value(&key), event.device(), event.is_of("block"));
        }
    }
}

#[test]
fn medium_that_comes_or_goes_is_an_event_of_its_disk() {
    let message =
        b"change@/devices/virtual/block/sda\0ACTION=change\0SUBSYSTEM=block\0DISK_MEDIA_CHANGE=1\0MAJOR=8\0MINOR=0\0";
    assert!(Uevent::read(message).expect("the kernel's").is_of_medium());
    assert!(!Uevent::read(PARTITION).expect("the kernel's").is_of_medium());
}
