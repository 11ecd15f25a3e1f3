//! Devices with several nodes: sound, input with raw HID, video. QEMU's tablet identifies as 0627:0001 and has an event node, a mouse
//! and a raw HID node; its sound adapter as 46f4:0002, with a control node and a stream. vivid is the kernel's own test camera
//! (Documentation/admin-guide/media/vivid.rst).
//!
//! What others do: udev makes links such as /dev/input/by-id and /dev/snd/by-id by rules, one for each node, and loads modules by
//! the modalias of each uevent, those of input devices included; a container manager passes the nodes that exist at the start.

use super::devices::{SLOW, boot_with, section, wait_for};
use crate::support::{BOOT, Booted, without_prompt};
use hilum_qemu::Architecture;

on_both_long!(
    aarch64:
    replugged_device_has_all_nodes_of_its_class_under_their_new_numbers,
    folder_of_sound_nodes_is_followed_and_camera_is_found_by_path_and_class
);

/// What QEMU is told of a device.
type Kind = &'static [(&'static str, &'static str)];

const TABLET: Kind = &[("driver", "usb-tablet")];
const SOUND: Kind = &[("driver", "usb-audio"), ("audiodev", "none")];

/// Plugs in a device with this serial number.
fn plug(booted: &Booted, serial: &str, kind: Kind) {
    booted.vm.plug_usb(serial, kind).expect("it is plugged in");
}

/// A shell command that prints names on one line.
fn has(paths: &str) -> String {
    format!("echo has $($b ls {paths}); exec $b sleep 100000")
}

fn replugged_device_has_all_nodes_of_its_class_under_their_new_numbers(arch: Architecture) {
    // One counted restart would end the board.
    let limit = "restart always limit=1/1h else=poweroff";
    let tablet = "device usb=0627:0001:T1 class=input as /dev/input/tablet\ndevice usb=0627:0001:T1 class=hidraw as /dev/input/raw";
    let sections = [
        section("tablet", &format!("{tablet}\n{limit}"), &has("/dev/input")),
        section("sound", &format!("device usb=46f4:0002:S1 class=sound\n{limit}"), &has("/dev/snd")),
        section("t2", "device usb=0627:0001:T2 class=input", "exec $b sleep 100000"),
        section("s2", "device usb=46f4:0002:S2 class=sound", "exec $b sleep 100000"),
    ];
    let words = ["-audiodev", "none,id=none"].map(str::to_owned);
    let mut booted = boot_with(arch, &sections.concat(), &words, "");
    let waits = "workload \"tablet\": waits for device usb=0627:0001:T1";
    booted.vm.console.expect(waits, SLOW).expect("it is not there yet");
    plug(&booted, "T1", TABLET);
    plug(&booted, "S1", SOUND);
    booted.vm.console.expect("tablet | has raw tablet tablet1\n", SLOW).expect("its three nodes");
    booted.vm.console.expect("sound | has controlC0 pcmC0D0p\n", SLOW).expect("its two nodes");
    // Others of the same kind take the numbers.
    for (id, name, other, kind) in [("T1", "tablet", "T2", TABLET), ("S1", "sound", "S2", SOUND)] {
        booted.vm.unplug(id).expect("it is unplugged");
        wait_for(&booted, &format!("workload \"{name}\": device usb="), 1);
        plug(&booted, other, kind);
        // The kernel numbers the devices of two ports in the order of the ports.
        wait_for(&booted, &format!("workload \"{}\": started", other.to_lowercase()), 1);
        plug(&booted, id, kind);
    }
    booted.vm.console.expect("sound | has controlC1 pcmC1D0p\n", SLOW).expect("the same device with other numbers");
    wait_for(&booted, "tablet | has raw tablet tablet1", 2);
    booted.vm.type_text("poweroff\r").expect("the console");
    let console = without_prompt(&booted.vm.wait(BOOT).expect("it powers off"));
    assert!(!console.contains("gave up after") && !console.contains(": restart "), "{console}");
}

fn folder_of_sound_nodes_is_followed_and_camera_is_found_by_path_and_class(arch: Architecture) {
    let sections = [
        section("sound", "device /dev/snd", &has("/dev/snd")),
        section("first", "device /dev/video0", &has("/dev/video*")),
        section(
            "camera",
            "device path=/sys/devices/platform/vivid.0 class=video4linux as /dev/camera",
            &has("/dev/camera*"),
        ),
        // It asks for the driver that the folder above has nothing to say of.
        section("driver", "device usb=46f4:0002 class=sound", "exec $b sleep 100000"),
    ];
    let words = ["-audiodev", "none,id=none"].map(str::to_owned);
    // A camera and an output.
    let mut booted = boot_with(arch, &sections.concat(), &words, "module vivid 'node_types=0x101'\n");
    booted.vm.console.expect("camera | has /dev/camera /dev/camera1\n", SLOW).expect("both nodes");
    booted.vm.console.expect("first | has /dev/video0\n", SLOW).expect("one node");
    booted.vm.console.expect("workload \"sound\": waits for device /dev/snd", SLOW).expect("no sound yet");
    plug(&booted, "S1", SOUND);
    booted.vm.console.expect("sound | has controlC0 pcmC0D0p", SLOW).expect("its nodes");
    plug(&booted, "S2", SOUND);
    booted.vm.console.expect("sound | has controlC0 controlC1 pcmC0D0p pcmC1D0p", SLOW).expect("those of both");
    booted.vm.unplug("S1").expect("it is unplugged");
    booted.vm.console.expect("sound | has controlC1 pcmC1D0p", SLOW).expect("those that are left");
    booted.vm.type_text("poweroff\r").expect("the console");
    let console = without_prompt(&booted.vm.wait(BOOT).expect("it powers off"));
    assert!(!console.contains(": restart "), "{console}");
}
