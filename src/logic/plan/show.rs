//! Steps in words: for `hilum explain`, and for the line that reports a failed step.

use super::{CONTROL, NOTIFY, Phase, Plan, Scope, Step, Value, last_id};
use crate::config::{Attachment, IoLimit, Ip, OnCorruption, Overlay, RESOURCES, User};
use crate::namespaces::Namespaces;
use crate::seccomp::Profile;
use crate::split::Split;
use crate::text;
use crate::text::{Line, Text, Word, words};
use core::ffi::CStr;
use core::fmt::{self, Display as _};

/// Returns the text of a C string of this project, which is always ASCII.
fn text(string: &CStr) -> &str {
    string.to_str().unwrap_or_default()
}

impl Step<'_> {
    /// Returns the verb, such as `mount`.
    pub fn verb(&self) -> Word {
        words!(match self,
            Self::Limit(_) => "limit",
            Self::DeviceControl => "attach device filter",
            Self::DenyGroups => "deny setgroups",
            Self::Ids(_) => "map ids",
            Self::OomScore(_) => "set oom_score_adj",
            Self::ResourceLimit(_) => "limit",
            Self::Priority(_) => "set priorities",
            Self::OpenRoot(..) => "open root",
            Self::Overlay(_) => "mount overlay",
            Self::CreateMount(_) => "make",
            Self::OpenMount(_) => "open",
            Self::OpenVolume(_) => "open volume",
            Self::Devices(_) => "create devices",
            Self::Connect(..) => "connect link",
            Self::Rules(_) => "filter packets",
            Self::SendFds => "send descriptors",
            Self::ReceiveFds => "receive descriptors",
            Self::BecomeNsRoot => "become root of its user namespace",
            Self::Session => "start a session",
            Self::Keyring => "start a session keyring",
            Self::Output => "redirect standard streams",
            Self::Hostname(_) => "set host name",
            Self::Loopback => "bring up link",
            Self::Link(..) => "configure link",
            Self::Hosts => "write",
            Self::Setting(_) | Self::Share(_) => "set",
            Self::PrivateMounts => "make mounts private",
            Self::Root { .. } => "attach root",
            Self::Mount(_) => "mount",
            Self::ReadOnly(_) => "make read-only",
            Self::Mask(_) => "mask",
            Self::Attach(_) | Self::Dev => "attach",
            Self::Bind(_) => "attach",
            Self::Pivot => "pivot root",
            Self::Notify | Self::Control(_) => "make",
            Self::Directory(_) => "enter directory",
            Self::Personality(_) => "set personality",
            Self::DropBoundingSet(_) => "drop capability bounding set",
            Self::NoNewPrivileges => "set no_new_privs",
            Self::Landlock(..) => "landlock",
            Self::User { .. } => "become user",
            Self::Capabilities(_) => "drop capabilities",
            Self::Umask(_) => "set umask",
            Self::Descriptors { .. } => "close descriptors",
            Self::Reaper => "fork, stay as reaper",
            Self::Signals => "reset signals",
            Self::Seccomp(..) => "install seccomp filter",
            Self::Execute(_) => "exec",
        )
    }

    /// Returns a hint for a step that failed with this errno, if the kernel's own description would mislead.
    pub fn hint(&self, errno: u16) -> Option<Line> {
        let (kind, special) = match self {
            Self::Limit(limit) => ("limit", limit.controller()),
            Self::OpenRoot(_, Some(_)) => ("root", "verity"),
            Self::OpenRoot(..) => ("root", ""),
            Self::OpenMount(_) => ("mount", ""),
            Self::OpenVolume(_) => ("volume", ""),
            Self::Overlay(_) => ("overlay", ""),
            Self::Connect(link, _) => match link.attachment {
                Attachment::Macvlan(_) => ("link", "macvlan"),
                Attachment::Ipvlan(_) => ("link", "ipvlan"),
                _ => ("link", "veth"),
            },
            Self::Rules(_) => ("rules", ""),
            Self::Directory(_) => ("directory", ""),
            Self::Devices(_) => ("devices", ""),
            Self::Mount(mount) if mount.filesystem == super::FileSystem::Proc => ("inside", "proc"),
            Self::Mount(_) | Self::Attach(_) | Self::Dev => ("inside", ""),
            Self::Bind(_) => ("bind", ""),
            Self::Pivot => ("pivot", ""),
            Self::Landlock(..) => ("landlock", ""),
            Self::Execute(_) => ("execute", ""),
            _ => return None,
        };
        let line = HINTS.line(&mut |line| {
            let words = line.cut(b' ').and_then(|(kinds, rest)| Some((kinds, rest.cut(b' ')?.0)));
            words.is_some_and(|(kinds, errnos)| {
                kinds.parts(b',').any(|known| known == kind || known == special)
                    && errnos.parts(b',').any(|known| crate::number::number(known) == Some(errno))
            })
        })?;
        Line::try_from(line.cut(b' ')?.1.cut(b' ')?.1).ok()
    }
}

/// Steps, error numbers of include/uapi/asm-generic/errno.h, and the hint; the first line that fits counts. As a single
/// string the table needs no pointers and lengths, and no code for each line.
const HINTS: Text = text!(
    "\
memory 2,95 no memory cgroup controller; add cgroup_enable=memory to the kernel command line and remove cgroup_disable=memory
cpu 2,95 no cpu cgroup controller (CONFIG_CFS_BANDWIDTH)
cpuset 2,95 no cpuset cgroup controller (CONFIG_CPUSETS)
pids 2,95 no pids cgroup controller (CONFIG_CGROUP_PIDS)
limit 2,95 no io cgroup controller (CONFIG_BLK_DEV_THROTTLING), or no such device
root,mount,volume,overlay 40 symbolic links are not followed on the host; write the target's path
root,mount,volume,overlay 15 its filesystem is not mounted
verity 5 its disk cannot be read
verity 74 the image is not the one that the line's digest is of
verity 126 the image builder writes a digest in the place of verity=image
verity 95 the kernel has no device mapper; its modules are dm-mod and dm-verity
verity 7 the image has no hash tree behind its filesystem, or it is cut
verity 21 a folder has no hash tree; verity is for images
root 2 no such root filesystem; correct the root line, or add it to the image
root 76 more than one disk has that name
root 22 neither a folder nor a squashfs, erofs or ext4 image
root 19 the kernel lacks the image's filesystem, or its module is not loaded
root 6 no loop device; load module loop
macvlan 95 the kernel lacks macvlan, or its module is not loaded
ipvlan 95 the kernel lacks ipvlan, or its module is not loaded
veth 95 the kernel lacks veth, or its module is not loaded
link 16 macvlan and ipvlan links cannot share a parent
link 19 the host has no such link or bridge (yet)
rules 2,95,93,22 the kernel lacks a part of nf_tables, or a module is not loaded: nf_tables, nft_chain_nat, nft_nat, nft_masq, nft_ct, nft_fib_inet
overlay 19 the kernel lacks overlay, or its module is not loaded
overlay 30 the overlay's folder is not writable; see the kernel log
overlay 2 the overlay's folder does not exist; create it
mount 2 no such path on the host; correct the mount line, or create it
volume 2 the volumes folder does not exist; create it, or mount its disk
directory 2 no such folder in the root filesystem; correct the directory line, or create it
devices 2 the host has no such device; is its module loaded?
devices 19 no device node
devices 17 two devices with one name; choose another one with as
devices 7 more than 32 nodes; choose with class=
inside 2 the root filesystem needs an empty folder there
bind 2 the root filesystem needs a folder or file there
inside,bind 40 the root filesystem has a symbolic link where a folder is needed
proc 1 parts of the outer container's /proc are masked
pivot 22 the root is the initial ramfs
landlock 95 tcp needs the Landlock of kernel 6.7
execute 2 no such program in the root filesystem; write its path inside of it
execute 79 its interpreter or dynamic loader is not in the root filesystem; add it
execute 8 wrong architecture, or not a program; a script begins with #!
execute 13 not executable for its user; set mode 755 on it and its folders"
);

impl fmt::Display for Step<'_> {
    /// Writes the verb and its object: `mount /proc`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, subject) = match self {
            Self::Hostname(subject)
            | Self::OpenRoot(subject, _)
            | Self::Directory(subject)
            | Self::Execute(subject) => (" ", *subject),
            Self::Limit(limit) => (" ", limit.file),
            Self::ResourceLimit(limit) => (" ", RESOURCES.parts(b' ').nth(limit.resource.into()).unwrap_or_default()),
            Self::Overlay(Overlay::Folder(path)) => (" ", *path),
            Self::OpenMount(bind) => (" ", bind.source),
            Self::OpenVolume(volume) => (" ", volume.name),
            Self::Bind(bind) => (" ", bind.target),
            Self::Devices([]) => (" ", "/dev"),
            Self::Devices([device, ..]) => return write!(formatter, "{} {}", self.verb(), device.source),
            Self::Loopback => (" ", "lo"),
            Self::Notify => (" ", NOTIFY),
            Self::Control(_) => (" ", CONTROL),
            Self::Connect(link, number) | Self::Link(link, number) => (" ", link.inner_name(*number)),
            Self::Hosts => (" ", "/etc/hosts"),
            Self::Setting(setting) | Self::Share(setting) => (" ", text(setting.path)),
            Self::Mount(mount) | Self::Attach(mount) => (" /", text(mount.target)),
            Self::CreateMount(mount) => (" ", text(mount.filesystem.name())),
            Self::ReadOnly(path) => (" /", text(path)),
            Self::Mask(mask) => (" /", text(mask.path)),
            Self::Dev => (" ", "/dev"),
            Self::Root { .. } => (" ", "/"),
            Self::Ids(first) => return write!(formatter, "{} {first} to {}", self.verb(), last_id(*first)),
            Self::User { user, .. } => return write!(formatter, "{} {}:{}", self.verb(), user.uid, user.gid),
            _ => ("", ""),
        };
        write!(formatter, "{}{before}{subject}", self.verb())
    }
}

impl Step<'_> {
    /// Writes the details that `hilum explain` adds after the step.
    #[expect(clippy::too_many_lines, reason = "a table: one kind of step, its words")]
    fn detail(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => {
                write!(formatter, ": {}", limit.value)?;
                formatter.write_str(if limit.is_asked_for { "" } else { ", if supported" })
            }
            Self::DeviceControl => text!(": default devices; no mknod, if supported").fmt(formatter),
            Self::DenyGroups => text!(": in its user namespace").fmt(formatter),
            Self::Ids(_) => text!(" as 0 to 65535").fmt(formatter),
            Self::OomScore(score) => write!(formatter, ": {score}"),
            Self::ResourceLimit(limit) => {
                write!(formatter, ": {} of {}", Value::Number(limit.soft), Value::Number(limit.hard))
            }
            Self::OpenRoot(_, verity) => {
                text!(": idmapped if supported").fmt(formatter)?;
                let Some(verity) = verity else { return Ok(()) };
                write!(formatter, "; each block verified by {}", verity.digest)?;
                formatter.write_str(match verity.on_corruption {
                    OnCorruption::Report => "",
                    OnCorruption::Stop => "; a corrupt block stops it",
                    OnCorruption::Reboot => "; a corrupt block reboots the board",
                })
            }
            Self::Overlay(Overlay::Memory) => text!(": upper layer in memory").fmt(formatter),
            Self::OpenVolume(volume) => write!(formatter, ": the folder of that name in {}", volume.folder),
            Self::OpenMount(_) => text!(": idmapped if supported").fmt(formatter),
            Self::Devices(devices) => {
                text!(": default nodes").fmt(formatter)?;
                devices.iter().try_for_each(|device| write!(formatter, ", {device}"))?;
                (if devices.is_empty() { text!("") } else { text!("; no other devices, if supported") }).fmt(formatter)
            }
            Self::SendFds => text!(": to the new process").fmt(formatter),
            Self::ReceiveFds => text!(": from the host").fmt(formatter),
            Self::Root { is_writable } => {
                (if *is_writable { text!(": nosuid,nodev") } else { text!(": ro,nosuid,nodev") }).fmt(formatter)
            }
            Self::Mount(mount) | Self::Attach(mount) => {
                write!(formatter, ": {} nosuid", text(mount.filesystem.name()))?;
                for (on, word) in [(mount.read_only, ",ro"), (!mount.executable, ",noexec"), (!mount.devices, ",nodev")]
                {
                    formatter.write_str(if on { word } else { "" })?;
                }
                if mount.bytes > 0 {
                    write!(formatter, ",size={}", mount.bytes)?;
                }
                for (name, value) in mount.options {
                    write!(formatter, ",{}={}", text(name), text(value))?;
                }
                if mount.owner != User::ROOT {
                    write!(formatter, ",uid={},gid={}", mount.owner.uid, mount.owner.gid)?;
                }
                (if mount.keeps_folders { text!("; with the folders there") } else { text!("") }).fmt(formatter)
            }
            Self::CreateMount(_) => text!(": of the shared namespace").fmt(formatter),
            Self::Dev => text!(": ro,nosuid,noexec; null zero full random urandom tty ptmx fd std*").fmt(formatter),
            Self::Bind(bind) => {
                formatter.write_str(if bind.is_writable { ": rw" } else { ": ro" })?;
                text!(",nosuid,nodev").fmt(formatter)?;
                formatter.write_str(if bind.is_executable { "" } else { ",noexec" })?;
                write!(formatter, " from {}", bind.source)
            }
            Self::Setting(setting) => write!(formatter, ": {}", setting.value),
            Self::Share(share) => write!(formatter, ": {}, if supported", share.value),
            Self::Connect(link, _) => write!(formatter, ": {} {}", link.attachment.word(), link.attachment.name()),
            Self::Rules(published) => {
                text!(": drop spoofed sources").fmt(formatter)?;
                published.iter().try_for_each(|publish| write!(formatter, "; publish {publish}"))?;
                let is_everywhere = published.iter().any(|publish| publish.address.is_none());
                (if is_everywhere { text!("; not at ::1 of the host") } else { text!("") }).fmt(formatter)
            }
            Self::Link(link, _) => {
                let mut before = if link.has_dhcp { ": dhcp" } else { ":" };
                for prefix in &link.addresses {
                    write!(formatter, "{before} {prefix}")?;
                    before = "";
                }
                if link.addresses.is_empty() && link.has_dhcp {
                    formatter.write_str(before)?;
                }
                link.gateways.iter().try_for_each(|gateway| write!(formatter, " via {}", Ip(*gateway)))
            }
            Self::Hosts => text!(": if the root filesystem has one").fmt(formatter),
            Self::Output => text!(": stdin from /dev/null, stdout and stderr to the log").fmt(formatter),
            Self::DropBoundingSet(capabilities) | Self::Capabilities(capabilities) => {
                formatter.write_str(if capabilities.is_empty() { ": keep none" } else { ": keep" })?;
                capabilities.names().try_for_each(|name| write!(formatter, " {name}"))
            }
            Self::Landlock(tcp, joining) => {
                text!(": files as mounted, if supported").fmt(formatter)?;
                (if tcp.is_some() { text!("; TCP ports as configured") } else { text!("") }).fmt(formatter)?;
                formatter.write_str("; exec")?;
                (if joining.has(Scope::SIGNAL) { text!(" cannot signal it") } else { text!(" can signal it") })
                    .fmt(formatter)?;
                (match joining.has(Scope::ABSTRACT) {
                    true => text!(", cannot reach its abstract sockets"),
                    false => text!(", can reach its abstract sockets"),
                })
                .fmt(formatter)
            }
            Self::User { groups, .. } => {
                (if groups.is_empty() { text!(": no supplementary groups") } else { text!(": groups") })
                    .fmt(formatter)?;
                groups.iter().try_for_each(|group| write!(formatter, " {group}"))
            }
            Self::Umask(mask) => write!(formatter, ": {mask:03o}"),
            Self::Descriptors { ready: 0 } => text!(": except 0, 1 and 2").fmt(formatter),
            Self::Descriptors { ready } => write!(formatter, ": except 0, 1, 2 and {ready}"),
            Self::Notify => formatter.write_str(": a socket"),
            Self::Control(right) => {
                text!(": a socket for control ").fmt(formatter)?;
                formatter.write_str(right.name())
            }
            Self::Seccomp(seccomp, _) => {
                (match seccomp.profile {
                    Profile::Strict => text!(": profile strict"),
                    _ => text!(": profile default"),
                })
                .fmt(formatter)?;
                seccomp.changes.iter().try_for_each(|(is_allowed, call)| {
                    write!(formatter, " {}{}", if *is_allowed { "+" } else { "-" }, call.name())
                })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Value<'_> {
    /// Writes the value as in the cgroup's file, except for shares of the board's memory, and devices.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The period of cpu.max in microseconds; the kernel's default.
        const PERIOD_US: u32 = 100_000;
        match self {
            Self::Number(u64::MAX) => formatter.write_str("max"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::MemoryPercent(percent) => write!(formatter, "{percent}% of RAM"),
            Self::CpuPercent(percent) => {
                write!(formatter, "{} {PERIOD_US}", u64::from(*percent) * u64::from(PERIOD_US / 100))
            }
            Self::Text(text) => formatter.write_str(text),
            Self::Io(io) => {
                formatter.write_str(io.device)?;
                IoLimit::NAMES.parts(b' ').zip(io.limits).try_for_each(|(name, limit)| match limit {
                    Some(limit) => write!(formatter, " {name}={}", Value::Number(limit)),
                    None => Ok(()),
                })
            }
        }
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = Self::NAMES.iter().filter(|(_, flag)| self.0 & flag != 0);
        for (index, (name, _)) in present.enumerate() {
            formatter.write_str(if index > 0 { " " } else { "" })?;
            formatter.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Display for Plan<'_> {
    /// Writes a line for each step, numbered as in failure reports, and one for the clone between them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut phase = Phase::Prepare;
        for (index, step) in self.steps.iter().enumerate() {
            if phase == Phase::Prepare && step.phase() != Phase::Prepare {
                writeln!(formatter, "    clone into new namespaces: {}", self.namespaces)?;
            }
            if phase != Phase::Child && step.phase() == Phase::Child {
                writeln!(formatter, "    continue in the new process")?;
            }
            phase = step.phase();
            write!(formatter, "{:2}  {step}", index + 1)?;
            step.detail(formatter)?;
            formatter.write_str("\n")?;
        }
        Ok(())
    }
}
