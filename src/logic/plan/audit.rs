//! `hilum audit`: what a workload may do beyond the default, one line each, with the consequence.
//!
//! It reads the same fields as the plan. `default_workload_has_nothing_to_audit` and its twin keep them in step: an
//! option that loosens the sandbox without a line here fails a test.

use crate::config::{Attachment, Config, Overlay, Right, Workload};
use crate::namespaces::Namespaces;
use crate::seccomp::Profile;
use crate::text;
use crate::text::Text;
use core::fmt;

/// Reports each loosening of `workload`, which is one of `config`'s.
pub fn audit(workload: &Workload<'_>, config: &Config<'_>, mut tell: impl FnMut(fmt::Arguments<'_>)) {
    let tell = &mut tell;
    rights(workload, config, tell);
    files(workload, config, tell);
    network(workload, config, tell);
    board(workload, tell);
    shares(workload, config, tell);
}

/// Shared namespaces, and rights towards the kernel.
fn rights(workload: &Workload<'_>, config: &Config<'_>, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
    let isolation = &workload.isolation;
    for (name, flag) in Namespaces::NAMES.iter().filter(|(_, flag)| isolation.shared & flag != 0) {
        let other = isolation.net_of.filter(|_| *flag == Namespaces::NET);
        match other.and_then(|index| config.workloads.get(usize::from(index))) {
            Some(other) => tell(format_args!("share net={0}: the network of workload \"{0}\"", other.name)),
            None => tell(format_args!("share {name}: {}", meaning(name))),
        }
    }
    for name in isolation.capabilities.names() {
        tell(format_args!("capability {name}: see capabilities(7)"));
    }
    match isolation.seccomp.profile {
        Profile::Off => tell(format_args!("seccomp off: all system calls allowed")),
        _ => {
            for (_, call) in isolation.seccomp.changes.iter().filter(|(is_allowed, _)| *is_allowed) {
                tell(format_args!("seccomp +{}: allowed with any arguments", call.name()));
            }
        }
    }
    if !isolation.has_landlock {
        tell(format_args!("landlock off: only mounts and modes protect files"));
    }
}

/// Access to files and devices of the board, and writable files.
fn files(workload: &Workload<'_>, config: &Config<'_>, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
    let isolation = &workload.isolation;
    for device in config.pools.of(isolation.devices) {
        let access = match (device.read, device.write) {
            (true, true) => "rw",
            (true, false) => "r",
            _ => "w",
        };
        tell(format_args!("device {device} {access}: device of the host"));
    }
    for bind in config.pools.of(isolation.mounts) {
        let (write, execute) =
            (if bind.is_writable { "rw" } else { "ro" }, if bind.is_executable { ",exec" } else { "" });
        tell(format_args!("mount {} {} {write}{execute}: files of the host", bind.source, bind.target));
    }
    for volume in config.pools.of(isolation.volumes) {
        let (name, target) = (volume.name, volume.target);
        tell(format_args!("volume {name} {target}: persistent"));
    }
    match workload.overlay {
        Overlay::None => {}
        Overlay::Memory => tell(format_args!("root ... overlay: its root is writable and executable")),
        Overlay::Folder(path) => {
            tell(format_args!("root ... overlay={path}: its root is writable and persistent"));
        }
    }
}

/// Network access in both directions.
fn network(workload: &Workload<'_>, config: &Config<'_>, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
    for link in config.pools.of(workload.network.links) {
        let (word, name) = (link.attachment.word(), link.attachment.name());
        match link.attachment {
            Attachment::Bridge(_) if !link.may_spoof => {}
            Attachment::Bridge(_) => tell(format_args!("link veth {name} spoof: may send from any address")),
            Attachment::Physical(_) => tell(format_args!("link move {name}: takes the host's link")),
            _ => tell(format_args!("link {word} {name}: attached to the host's network, bypassing its packet rules")),
        }
    }
    for publish in config.pools.of(workload.network.publish) {
        tell(format_args!("publish {publish}: reachable from any network of the host"));
    }
    for peer in workload.network.talk.iter().filter_map(|peer| config.workloads.get(peer)) {
        tell(format_args!("talk {}: may connect to all its ports", peer.name));
    }
    if workload.network.talks_to_board {
        tell(format_args!("talk board: may connect to all ports of the host"));
    }
}

/// Visibility of the board, and power over it.
fn board(workload: &Workload<'_>, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
    let isolation = &workload.isolation;
    if isolation.has_sys {
        tell(format_args!("sys: sees the hardware"));
    }
    if isolation.tmp_is_executable {
        tell(format_args!("tmp ... exec: may execute files in /tmp"));
    }
    let control = workload.supervision.control;
    if control != Right::None {
        let more = match control {
            Right::Operate => text!(", starts and stops them"),
            Right::Update => text!(", hands in updates"),
            Right::All => text!(", runs programs in them, reboots: full control of the host"),
            _ => text!(""),
        };
        tell(format_args!("control {}: reads state and output of all workloads{more}", control.name()));
    }
    if isolation.is_privileged {
        tell(format_args!("privileged: may be given full control of the host"));
    }
}

/// Resources that it shares with other workloads, and may take from them.
fn shares(workload: &Workload<'_>, config: &Config<'_>, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
    let first = workload.isolation.first_id;
    let is_other = |other: &&Workload<'_>| other.name != workload.name && other.isolation.first_id == first;
    if let Some(other) = config.workloads.iter().find(is_other) {
        tell(format_args!("ids {first}: shared with workload \"{}\"", other.name));
    }
    for (name, amount) in [("memory", workload.resources.memory), ("pids", workload.resources.pids)] {
        if amount == Some(u64::MAX) {
            tell(format_args!("{name} max: unlimited"));
        }
    }
    if workload.identity.oom_score_adj < 0 {
        let score = workload.identity.oom_score_adj;
        tell(format_args!("oom_score_adj {score}: killed later than others when memory runs out"));
    }
    if workload.identity.nice < 0 {
        tell(format_args!("nice {}: scheduled before others", workload.identity.nice));
    }
    if let Some((1 | 2, priority)) = workload.identity.scheduler {
        tell(format_args!("scheduler fifo or rr {priority}: may starve everything else"));
    }
}

/// Returns the consequence of sharing a namespace.
fn meaning(name: &str) -> Text {
    match name {
        "pid" => text!("sees all processes of the host"),
        "uts" => text!("uses the host's hostname"),
        "ipc" => text!("reaches the host's System V IPC and POSIX queues"),
        "net" => text!("uses the host's network and abstract sockets"),
        "cgroup" => text!("sees its cgroup path on the host"),
        "user" => text!("its root is the host's root"),
        "time" => text!("sees the host's clocks"),
        _ => text!(""),
    }
}
