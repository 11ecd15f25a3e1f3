//! Devices that are unplugged and plugged in again with another number. QEMU's serial adapter identifies as an FT232
//! (0403:6001), and the kernel is Debian's for real machines, whose drivers are modules. The image has the modules that
//! the lines need, and loads none of them at boot.

use crate::support::real::RealBoard;
use crate::support::{BOOT, Booted, USUAL, fetched, has_line, without_prompt};
use hilum_qemu::Architecture;
use std::time::Duration;

on_both!(
    replugged_adapter_with_another_number_restarts_its_workload,
    adapter_present_at_boot_is_found_by_port_path_and_folder,
    device_line_added_by_reload_follows_plug_events,
);

/// The timeout for a large kernel to detect a device.
pub(super) const SLOW: Duration = Duration::from_secs(240);

/// Boots a board with USB support, with additional QEMU arguments.
fn boot(arch: Architecture, sections: &str, words: &[String]) -> Booted {
    boot_with(arch, sections, words, "")
}

/// Does the same with these lines in [system].
pub(super) fn boot_with(arch: Architecture, sections: &str, words: &[String], system: &str) -> Booted {
    let config = format!("hilum 1\n[system]\nconsole prompt\n{system}{sections}");
    let busybox = fetched(arch, USUAL, "busybox");
    let mut more = vec!["-device".to_owned(), "qemu-xhci,id=usb".to_owned()];
    more.extend_from_slice(words);
    RealBoard::build(arch, &config, &["xhci_pci"], ("busybox", &busybox)).boot(&more)
}

pub(super) fn section(name: &str, device: &str, script: &str) -> String {
    format!(
        "[workload {name}]\nroot /images/busybox\nexec /bin/busybox sh -c \"b=/bin/busybox; {script}\"\nstop KILL\n{device}\n"
    )
}

/// Waits until the console has shown a text this many times.
pub(super) fn wait_for(booted: &Booted, what: &str, times: usize) {
    let until = std::time::Instant::now() + SLOW;
    while booted.vm.console.text().matches(what).count() < times {
        assert!(std::time::Instant::now() < until, "{what}\n{}", booted.vm.console.tail());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// udev: a rule with `SYMLINK+=` and `TAG+="systemd"` creates the name, and `BindsTo=dev-ttyMETER.device` stops the
/// service and starts it again; drivers are loaded by `kmod load $env{MODALIAS}`.
fn replugged_adapter_with_another_number_restarts_its_workload(arch: Architecture) {
    let heard = tempfile::tempdir().expect("a scratch folder");
    let files = ["meter", "other", "third"].map(|name| heard.path().join(name));
    let words: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let name = file.file_name().expect("a name").to_string_lossy();
            ["-chardev".to_owned(), format!("file,id={name},path={}", file.display())]
        })
        .collect();
    // A single counted restart would shut the board down.
    let script = |name: &str| {
        format!("echo has $($b stat -c %t:%T /dev/tty{name}); echo hello > /dev/tty{name}; exec $b cat /dev/tty{name}")
    };
    let limit = "restart always limit=1/1h else=poweroff";
    let sections = [("meter", "A1"), ("other", "B2"), ("third", "C3")].map(|(name, serial)| {
        section(name, &format!("device usb=0403:6001:{serial} as /dev/tty{name}\n{limit}"), &script(name))
    });
    let mut booted = boot(arch, &sections.concat(), &words);
    let waits = "workload \"meter\": waits for device usb=0403:6001:A1";
    booted.vm.console.expect(waits, SLOW).expect("it is not there yet");
    booted.vm.console.expect("hilum> ", BOOT).expect("the boot does not wait for it");
    booted.vm.type_text("status meter\r").expect("the console");
    wait_for(&booted, "waits for device usb=0403:6001:A1", 2);
    let plug = |booted: &Booted, name: &str, serial: &str, numbers: &str| {
        booted.vm.plug_usb_serial(name, name, serial).expect("it is plugged");
        booted.vm.console.expect(&format!("{name} | has {numbers}"), SLOW).expect("its workload has it");
    };
    let gone =
        |booted: &Booted, times: usize| wait_for(booted, "workload \"meter\": device usb=0403:6001:A1 removed", times);
    // The first one is ttyUSB0, 188:0.
    plug(&booted, "meter", "A1", "bc:0");
    booted.vm.unplug("meter").expect("it is pulled");
    gone(&booted, 1);
    plug(&booted, "other", "B2", "bc:0");
    plug(&booted, "meter", "A1", "bc:1");
    booted.vm.unplug("meter").expect("it is pulled");
    gone(&booted, 2);
    plug(&booted, "third", "C3", "bc:1");
    plug(&booted, "meter", "A1", "bc:2");
    booted.vm.type_text("poweroff\r").expect("the console");
    let console = without_prompt(&booted.vm.wait(BOOT).expect("it powers off"));
    assert!(!console.contains("gave up after"), "{console}");
    // It wrote to its own adapter.
    for file in &files {
        assert!(
            std::fs::read_to_string(file).expect("the adapter's other end").contains("hello"),
            "{}",
            file.display()
        );
    }
}

/// A container manager creates the node that exists at the moment, or none; udev's by-path links identify a port.
fn adapter_present_at_boot_is_found_by_port_path_and_folder(arch: Architecture) {
    let port = match arch {
        Architecture::X86_64 => "pci0000:00/0000:00:02.0",
        Architecture::Aarch64 => "platform/4010000000.pcie/pci0000:00/0000:00:01.0",
    };
    let list = "$b find /dev -name \\\"*USB*\\\" -o -path \\\"*/usb/*/*\\\"";
    let script = list.replace("\\\"", "'") + "; exec $b sleep 1000";
    let sections = [
        section("port", &format!("device path=/sys/devices/{port} class=tty as /dev/meter/USB"), &script),
        section("path", "device /dev/ttyUSB0 r", &script),
        section("raw", "device usb=0403:6001 class=usb", &script),
        section("folder", "device /dev/bus/usb r", &script),
        section("never", "device usb=dead:beef", &script),
        // The shutdown does not wait for a device.
        section("last", "device usb=dead:beef\nat-stop", &script),
    ];
    let words = ["-chardev", "null,id=c", "-device", "usb-serial,chardev=c,always-plugged=on"].map(str::to_owned);
    let mut booted = boot(arch, &sections.concat(), &words);
    for line in
        ["port | /dev/meter/USB", "path | /dev/ttyUSB0", "raw | /dev/bus/usb/001/002", "folder | /dev/bus/usb/001/002"]
    {
        booted.vm.console.expect(line, SLOW).expect("its device");
    }
    booted.vm.console.expect("workload \"never\": waits for device usb=dead:beef", BOOT).expect("that is told");
    booted.vm.type_text("start never -w\r").expect("the console");
    booted
        .vm
        .console
        .expect("workload \"never\" waits for a device, a disk or the time", BOOT)
        .expect("who asks is told");
    booted.vm.type_text("poweroff\r").expect("the console");
    let console = without_prompt(&booted.vm.wait(BOOT).expect("it powers off"));
    has_line(&console, "folder | /dev/bus/usb/002/001");
    assert!(!console.contains("raw | /dev/bus/usb/001/001") && !console.contains(": restart "), "{console}");
}

/// systemd: `daemon-reload` reads the units, and the device units already exist; here no events were received before.
fn device_line_added_by_reload_follows_plug_events(arch: Architecture) {
    let late = section("late", "device usb=0403:6001 class=usb", "$b ls /dev/bus/usb/001; exec $b sleep 1000");
    let line = late.replace('\n', "\\n").replace('"', "\\042").replace('$', "\\044");
    let edit = format!("$b printf '{line}' >> /etc/hilum.conf; echo edited; exec $b sleep 1000");
    let sections = section("edit", "mount /etc /etc rw\nshare user", &edit);
    let mut booted = boot(arch, &sections, &["-chardev".to_owned(), "null,id=c".to_owned()]);
    booted.vm.console.expect("edit | edited", SLOW).expect("the file has one more section");
    booted.vm.console.expect("hilum> ", BOOT).expect("the prompt");
    booted.vm.type_text("reload\r").expect("the console");
    booted.vm.console.expect("workload \"late\": waits for device usb=0403:6001", SLOW).expect("it is not there yet");
    booted.vm.plug_usb_serial("late", "c", "A1").expect("it is plugged");
    booted.vm.console.expect("late | 002", SLOW).expect("its workload has it");
    booted.vm.type_text("poweroff\r").expect("the console");
    booted.vm.wait(BOOT).expect("it powers off");
}
