//! Disks that come and go while the board runs.
//!
//! What others do: systemd starts a mount unit when udev tells of its device, if the unit is wanted by it, and udisks does for a
//! desktop; mount(8) and a plain init do nothing.

use super::storage::{board, boot, ext4, section};
use crate::support::{BOOT, has_line};
use hilum_qemu::Architecture;

on_both!(disk_that_comes_after_its_wait_is_mounted);

/// systemd: the mount unit has failed by then, and a `.device` that appears starts it again only with `x-systemd.device-timeout`
/// and `BindsTo`.
fn disk_that_comes_after_its_wait_is_mounted(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = ext4(&scratch.path().join("disk"), "late");
    let sections = section("data", "do make:/data/new", "mount /late /data rw\nshare user")
        .replace("restart never", "restart on-failure delay=500ms");
    let mut booted = boot(arch, &board(arch, "mount LABEL=late /late ext4 wait=300ms", &sections), &[]);
    booted.vm.console.expect("mount /late: not mounted", BOOT).expect("it does not wait for longer");
    booted.vm.plug_disk(&disk, "plug").expect("a disk");
    let console = booted.vm.wait(BOOT).expect("it ends by itself");
    has_line(&console, "hilum: mount /late: ext4 on /dev/vda");
    has_line(&console, "data | did make:/data/new 0");
}
