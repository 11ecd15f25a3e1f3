//! The hardware watchdog and the count of bad boots, in machines.

use crate::support::{BOOT, Booted, USUAL, boot_with, has_in_order, has_line, image, modules};
use hilum_qemu::Architecture;
use std::path::Path;

/// Returns a board with these modules, these lines of `[system]`, and these sections.
fn board(arch: Architecture, release: &str, names: &[&str], system: &str, sections: &str, more: &[&str]) -> Booted {
    let mut made = image(arch, "");
    let loads = modules(arch, release, &mut made, names);
    made.file("etc/hilum.conf", 0o644, format!("hilum 1\n[system]\n{loads}{system}\n{sections}"));
    boot_with(arch, release, &made, "", None, more)
}

/// A critical workload that is down for longer than allowed.
const SICK: &str =
    "[workload a]\nroot /images/probe\nexec /bin/probe exit 1\ncritical within=1s\nrestart always delay=1h max=1h\n";

fn bites(mut booted: Booted) {
    let console = booted.vm.wait(BOOT).expect("the watchdog ends it");
    has_in_order(&console, &["hilum: workload \"a\": exited with status 1", "hilum: watchdog: no longer fed"]);
    assert!(!console.contains("hilum: reboot") && !console.contains("hilum: power off"), "{console}");
}

on_both!(board_without_its_critical_workload_is_reset, missing_watchdog_is_reported_and_the_board_runs);
on_both_long!(
    aarch64:
    watchdog_does_not_reset_a_busy_board,
    bad_boots_lead_to_safe_mode_and_a_good_boot_ends_it,
    critical_workload_without_its_disk_does_not_reset_the_board_until_the_disk_was_there,
    disks_are_unmounted_at_shutdown
);

fn board_without_its_critical_workload_is_reset(arch: Architecture) {
    bites(board(arch, USUAL, &["watchdog", "softdog"], "watchdog /dev/watchdog0 2s", SICK, &[]));
}

/// The device that QEMU emulates for x86; among the tested kernels only the newest has its driver.
#[test]
fn board_without_its_critical_workload_is_reset_by_hardware() {
    let system = "watchdog /dev/watchdog0 2s";
    bites(board(Architecture::X86_64, "trixie", &["watchdog", "i6300esb"], system, SICK, &["-device", "i6300esb"]));
}

fn watchdog_does_not_reset_a_busy_board(arch: Architecture) {
    let system = "watchdog /dev/watchdog0 2s";
    let sections = "[workload a]\nroot /images/probe\nexec /bin/probe on-term\ncritical within=1s\n\
        [workload busy]\nroot /images/probe\nexec /bin/probe spin\nstop KILL\n\
        [workload flood]\nroot /images/probe\nexec /bin/probe flood 100000000\nlog quiet\nstop KILL\n\
        [workload mute]\nroot /images/probe\nexec /bin/probe flood-descriptor 3\nready fd 3 within=10m\nstop KILL\n\
        [workload end]\nroot /images/probe\nexec /bin/probe do sleep:4000 exit:1\n\
        restart always delay=1ms max=1ms limit=1/60s else=poweroff\n";
    let console =
        board(arch, USUAL, &["watchdog", "softdog"], system, sections, &[]).vm.wait(BOOT).expect("it powers off");
    has_in_order(
        &console,
        &["hilum: workload \"end\": restart 1", "hilum: workload \"end\": gave up", "hilum: power off"],
    );
    assert!(!console.contains("no longer fed"), "{console}");
}

fn missing_watchdog_is_reported_and_the_board_runs(arch: Architecture) {
    let sections = "[workload a]\nroot /images/probe\nexec /bin/probe exit 0\nrestart never\n";
    let system = "idle poweroff\nwatchdog /dev/watchdog9 5s";
    let console = board(arch, USUAL, &[], system, sections, &[]).vm.wait(BOOT).expect("it powers off");
    has_line(
        &console,
        "hilum: watchdog /dev/watchdog9: ENOENT (no such file or directory); running without a watchdog",
    );
    has_line(&console, "hilum: workload \"a\": exited with status 0");
}

const DISK: [&str; 6] =
    ["virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"];

fn count(disk: &Path) -> String {
    let bytes = std::fs::read(disk).expect("the disk");
    String::from_utf8_lossy(&bytes[..bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0)]).into_owned()
}

fn bad_boots_lead_to_safe_mode_and_a_good_boot_ends_it(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = scratch.path().join("disk");
    std::fs::write(&disk, vec![0; 1 << 20]).expect("the disk");
    let drive = format!("file={},format=raw,if=none,id=disk,cache=writethrough", disk.display());
    let more = ["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"];
    let system = "boots /dev/vda limit=2 after=1s";
    let bad = "[workload bad]\nroot /images/probe\nexec /bin/probe exit 1\n\
        restart always delay=1ms max=1ms limit=1/60s else=reboot\n\
        [workload rescue]\nroot /images/probe\nexec /bin/probe do say:rescued stay\nsafe\n";
    for expected in ["hilum boots 1", "hilum boots 2"] {
        let console = board(arch, USUAL, &DISK, system, bad, &more).vm.wait(BOOT).expect("it reboots");
        has_in_order(&console, &["hilum: workload \"bad\": gave up", "hilum: reboot"]);
        assert_eq!(count(&disk), expected, "{console}");
    }
    let safe = board(arch, USUAL, &DISK, system, bad, &more);
    let console = safe.vm.console.expect("rescue | rescued", BOOT).expect("what is safe starts");
    has_line(&console, "hilum: 2 failed boots in a row");
    has_line(&console, "hilum: safe mode: starting only workloads marked safe");
    assert!(!console.contains("\"bad\": started"), "{console}");
    // All workloads are healthy for a second: this boot is good.
    let until = std::time::Instant::now() + BOOT;
    while count(&disk) != "hilum boots 0" {
        assert!(std::time::Instant::now() < until, "{}\n{}", count(&disk), safe.vm.console.tail());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// systemd: a unit that waits for a device has not failed, so nothing counts it; nothing resets a board without it.
fn critical_workload_without_its_disk_does_not_reset_the_board_until_the_disk_was_there(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = scratch.path().join("disk");
    std::fs::write(&disk, vec![0; 1 << 20]).expect("the disk");
    let root = super::storage::ext4(&scratch.path().join("root"), "root");
    super::storage::put_root(arch, &root, "");
    let drive = format!("file={},format=raw,if=none,id=disk,cache=writethrough", disk.display());
    let more = ["-device", "pcie-root-port,id=plug", "-drive", &drive, "-device", "virtio-blk-pci,drive=disk"];
    let system = "watchdog /dev/watchdog0 2s\nboots /dev/vda limit=2 after=8s";
    let section = "[workload away]\nroot LABEL=root\nexec /bin/probe do stay\ncritical within=1s\nstop TERM 100ms\n";
    let modules: Vec<&str> =
        DISK.into_iter().chain(["watchdog", "softdog", "mbcache", "crc16", "jbd2", "crc32c_generic", "ext4"]).collect();
    let mut booted = board(arch, USUAL, &modules, system, section, &more);
    booted.vm.console.expect("workload \"away\": waits for device LABEL=root", BOOT).expect("that is told");
    // Long after the watchdog would have bitten, this is a good boot.
    let until = std::time::Instant::now() + BOOT;
    while count(&disk) != "hilum boots 0" {
        assert!(std::time::Instant::now() < until, "{}\n{}", count(&disk), booted.vm.console.tail());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    booted.vm.plug_disk(&root, "plug").expect("a disk");
    let console = booted.vm.console.expect("workload \"away\": started", BOOT).expect("it starts");
    assert!(!console.contains("no longer fed"), "{console}");
    booted.vm.pull_disk("plug", BOOT).expect("it is pulled");
    let console = booted.vm.wait(BOOT).expect("the watchdog ends it");
    has_in_order(&console, &["hilum: workload \"away\": device LABEL=root removed", "hilum: watchdog: no longer fed"]);
}

/// Returns whether an ext4 filesystem was not unmounted.
fn needs_recovery(disk: &Path) -> bool {
    let output = std::process::Command::new("dumpe2fs").arg("-h").arg(disk).output().expect("dumpe2fs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Filesystem features:"), "{text}");
    text.contains("needs_recovery")
}

fn disks_are_unmounted_at_shutdown(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = scratch.path().join("disk");
    let path = disk.to_str().expect("UTF-8");
    let made = std::process::Command::new("mke2fs").args(["-q", "-t", "ext4", path, "8M"]).status().expect("mke2fs");
    assert!(made.success());
    let drive = format!("file={path},format=raw,if=none,id=disk,cache=writethrough");
    let more = ["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"];
    let system = "mount /dev/vda /data ext4\nmount /dev/none /nowhere ext4";
    let write = "root /images/probe\nexec /bin/probe do make:/tmp/kept stay\nshare user\nmount /data /tmp rw\n";
    // Power is cut while it is mounted: this shows that the check can fail.
    let cut = board(arch, USUAL, &DISK, system, &format!("[workload a]\n{write}"), &more);
    let console = cut.vm.console.expect("a | ready", BOOT).expect("it writes");
    has_line(&console, "a | did make:/tmp/kept 0");
    // It does not wait for the other one.
    assert!(!console.contains("hilum: mount /nowhere: not mounted"), "{console}");
    drop(cut);
    assert!(needs_recovery(&disk));
    let system = "mount /dev/vda /data ext4";
    let limit = "restart always delay=1ms max=1ms limit=1/60s else=poweroff";
    let end = format!(
        "[workload a]\n{write}[workload end]\nroot /images/probe\nexec /bin/probe do sleep:500 exit:1\nneeds a\n{limit}\n"
    );
    let console = board(arch, USUAL, &DISK, system, &end, &more).vm.wait(BOOT).expect("it powers off");
    has_in_order(&console, &["a | got TERM", "hilum: power off"]);
    assert!(!console.contains("unmount"), "{console}");
    assert!(!needs_recovery(&disk), "{console}");
}
