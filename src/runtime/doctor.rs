//! `hilum doctor`, and `hilum.doctor` on the kernel command line: reports which features of the plans this kernel
//! supports, and how to enable the others.
//!
//! Each check uses the feature itself if that has no side effects, otherwise the kernel's own report. The list follows
//! the steps of a plan: each step that is skipped on a kernel without support has a line here.

use crate::os::files::{read_number, read_text};
use crate::os::helper::{self, Kept, Role};
use crate::os::path::access;
use crate::os::sysctl;
use core::fmt;
use hilum::namespaces::Namespaces;
use hilum::settings;
use hilum::text;
use hilum::text::Text;
use hilum::time::EARLIEST_S;
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::{WaitOptions, waitpid};

/// The cgroup controllers that lines need, and the kernel option of each.
const CONTROLLERS: [(&str, Text); 5] = [
    ("memory", text!("cgroup_enable=memory and no cgroup_disable=memory on the kernel command line; CONFIG_MEMCG")),
    ("pids", text!("CONFIG_CGROUP_PIDS, and no cgroup_disable=pids")),
    ("cpu", text!("CONFIG_CFS_BANDWIDTH, and no cgroup_disable=cpu")),
    ("cpuset", text!("CONFIG_CPUSETS, and no cgroup_disable=cpuset")),
    ("io", text!("CONFIG_BLK_CGROUP and CONFIG_BLK_DEV_THROTTLING")),
];

/// Prints the line of a check: whether it passed, what it was in two parts, and how to enable it.
type Tell<'t> = dyn FnMut(bool, &str, &dyn fmt::Display, &dyn fmt::Display) + 't;

/// Prints one line for each check. Returns whether all passed.
pub(crate) fn doctor(say: &mut dyn FnMut(fmt::Arguments<'_>)) -> bool {
    let mut has_all = true;
    let mut tell = |is_there: bool, what: &str, name: &dyn fmt::Display, otherwise: &dyn fmt::Display| {
        has_all &= is_there;
        match is_there {
            true => say(format_args!("yes {what}{name}")),
            false => say(format_args!("NO  {what}{name}: {otherwise}")),
        }
    };
    for (name, _) in Namespaces::NAMES {
        let mut path = heapless::String::<32>::new();
        // The names are short.
        let _ = path.push_str("/proc/self/ns/").and_then(|()| path.push_str(name));
        tell(access(path.as_str(), Access::EXISTS).is_ok(), "namespace ", &name, &namespace_mend(name));
    }
    let mut text = [0; 256];
    let count = read_number("/proc/sys/user/max_user_namespaces");
    tell(count != Some(0), "new user namespaces", &"", &text!("sysctl user.max_user_namespaces above 0"));
    let controllers = read_text("/sys/fs/cgroup/cgroup.controllers", &mut text);
    for (name, mend) in CONTROLLERS {
        let is_there = controllers.split_ascii_whitespace().any(|known| known == name);
        tell(is_there, "cgroup controller ", &name, &mend);
    }
    tell(has_call_seccomp(), "seccomp filters", &"", &text!("CONFIG_SECCOMP_FILTER"));
    let abi = hilum_sys::landlock_abi();
    let mend = text!("kernel 5.19, CONFIG_SECURITY_LANDLOCK, and landlock in lsm= on the kernel command line");
    tell(abi >= 2, "Landlock for files", &"", &mend);
    tell(abi >= 4, "Landlock for TCP ports (tcp)", &"", &text!("kernel 6.7"));
    tell(abi >= 6, "Landlock for signals and abstract sockets", &"", &text!("kernel 6.12"));
    let is_new = |call: Result<(), Errno>| !matches!(call, Err(Errno::NOSYS));
    let bad = hilum_sys::restrict_mount(rustix::fs::CWD, u32::MAX);
    tell(is_new(bad), "idmapped mounts", &"", &text!("kernel 5.12; without it files keep the host's owners"));
    // The initial ramfs and its bind mounts support no idmapped mounts on any kernel (init/do_mounts.c,
    // rootfs_fs_type).
    let is_initramfs = crate::os::root::is_in_memory() == Ok(true);
    let mend = text!("pack roots as erofs or ext4 images; files in folders keep the host's owners");
    tell(!is_initramfs, "idmapped mounts of folders in /", &"", &mend);
    tell(access("/dev/loop-control", Access::EXISTS).is_ok(), "image files (loop devices)", &"", &"module loop");
    let mut filesystems = [0; 4096];
    let known = read_text("/proc/filesystems", &mut filesystems);
    for name in ["squashfs", "erofs", "ext4", "overlay"] {
        let is_there = known.split_ascii_whitespace().any(|word| word == name);
        tell(
            is_there,
            "filesystem ",
            &name,
            &text!("its module, or CONFIG_SQUASHFS, CONFIG_EROFS_FS, CONFIG_EXT4_FS, CONFIG_OVERLAY_FS"),
        );
    }
    let time = if hilum_sys::is_clock_synchronised() { "clock, synchronised" } else { "clock, not synchronised" };
    let is_plausible = crate::os::clock::realtime_us() / 1_000_000 >= EARLIEST_S;
    tell(is_plausible, time, &"", &text!("it is before 2026: no battery, and no time server; write: time dhcp"));
    // Links and rules are probed in a network namespace that is deleted with a child process.
    for (which, (name, mend)) in crate::net::PROBES.iter().enumerate() {
        let is_there = in_helper(&mut || crate::net::supports(which));
        tell(is_there, "network ", name, mend);
    }
    check_settings(&mut tell);
    has_all
}

/// Checks the kernel's settings.
fn check_settings(tell: &mut Tell<'_>) {
    settings::each(&mut |_, setting| {
        let mut text = [0; 16];
        let present = sysctl::get(setting.name, &mut text);
        // A kernel without br_netfilter does not need these settings.
        if present == Err(Errno::NOENT) && setting.is_of_bridges() {
            return;
        }
        let is_good = present.is_ok_and(|text| setting.is_good(text));
        let value = present.ok().and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("not in this kernel");
        let mut line = heapless::String::<96>::new();
        let fits = [setting.name, " is ", value].iter().all(|part| line.push_str(part).is_ok());
        let name = if fits { line.as_str() } else { setting.name };
        tell(is_good, "setting ", &name, &format_args!("{} {}", setting.value(), setting.why));
    });
}

/// Returns how to enable this kind of namespace.
fn namespace_mend(name: &str) -> Text {
    match name {
        "user" => text!("CONFIG_USER_NS; without it write: share user"),
        "time" => text!("CONFIG_TIME_NS; without it write: share time"),
        "cgroup" => text!("CONFIG_CGROUPS"),
        _ => text!("CONFIG_NAMESPACES"),
    }
}

/// Runs a check with side effects in a helper with its own network namespace.
fn in_helper(ask: &mut dyn FnMut() -> bool) -> bool {
    let role = Role { namespaces: Namespaces::NET, ..Role::new(c"hilum-doctor") };
    helper::spawn(&role, Kept::none(), &mut || i32::from(!ask())).is_ok_and(|helper| {
        let exited = waitpid(Some(helper.pid), WaitOptions::empty());
        exited.is_ok_and(|exited| exited.and_then(|(_, status)| status.exit_status()) == Some(0))
    })
}

/// Returns whether the kernel supports seccomp filters.
fn has_call_seccomp() -> bool {
    access("/proc/sys/kernel/seccomp/actions_avail", Access::EXISTS).is_ok()
}
