//! What a config.json asks for and this program does not do: refused with one line, never ignored.

use crate::config::{Process, Spec};
use crate::error::{Error, Result};
use serde_json::Value;

/// Returns whether a part of the file asks for something.
fn asks(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Object(map)) => map.values().any(|value| asks(Some(value))),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    }
}

fn refuse(is_asked: bool, what: &str) -> Result<()> {
    if is_asked { Err(Error(format!("{what} is not done by hilum-oci"))) } else { Ok(()) }
}

/// Checks a whole file.
///
/// # Errors
/// The first part that is missing, wrong or not done.
pub fn check(spec: &Spec) -> Result<()> {
    if !spec.oci_version.starts_with("1.") {
        return Err(Error(format!("unsupported version of the specification: {:?}", spec.oci_version)));
    }
    refuse(asks(spec.vm.as_ref()), "vm")?;
    let mapped = spec.mounts.iter().any(|mount| !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty());
    refuse(mapped, "an idmapped mount")?;
    let Some(linux) = &spec.linux else { return Err("config.json has no linux section".into()) };
    for (value, what) in [
        (&linux.net_devices, "linux.netDevices"),
        (&linux.intel_rdt, "linux.intelRdt"),
        (&linux.memory_policy, "linux.memoryPolicy"),
        (&linux.time_offsets, "linux.timeOffsets"),
    ] {
        refuse(asks(value.as_ref()), what)?;
    }
    refuse(linux.mount_label.as_ref().is_some_and(|label| !label.is_empty()), "linux.mountLabel")?;
    if let Some(personality) = &linux.personality {
        refuse(!personality.flags.is_empty(), "a flag of linux.personality")?;
    }
    for namespace in &linux.namespaces {
        if crate::names::namespace(&namespace.kind).is_none() {
            return Err(Error(format!("unknown namespace type {:?}", namespace.kind)));
        }
        let is_joined = namespace.path.as_ref().is_some_and(|path| !path.is_empty());
        let is_deep = matches!(namespace.kind.as_str(), "user" | "mount" | "time");
        refuse(is_joined && is_deep, &format!("a {} namespace by path", namespace.kind))?;
    }
    if !linux.namespaces.iter().any(|namespace| namespace.kind == "mount") {
        return Err("a container without a mount namespace is not done by hilum-oci".into());
    }
    spec.process.as_ref().map_or(Ok(()), check_process)
}

/// Checks a program, of config.json or of `exec --process`.
///
/// # Errors
/// As [`check`].
pub fn check_process(process: &Process) -> Result<()> {
    if process.args.is_empty() {
        return Err("args must not be empty".into());
    }
    if !process.cwd.starts_with('/') {
        return Err("Cwd must be an absolute path".into());
    }
    let texts = process.args.iter().chain(&process.env).chain([&process.cwd]);
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err("a text of process contains NUL".into());
    }
    refuse(asks(process.scheduler.as_ref()), "process.scheduler")?;
    refuse(asks(process.exec_cpu_affinity.as_ref()), "process.execCPUAffinity")?;
    for limit in &process.rlimits {
        if crate::names::rlimit(&limit.kind).is_none() {
            return Err(Error(format!("unknown rlimit {:?}", limit.kind)));
        }
        if limit.soft > limit.hard {
            return Err(Error(format!("{}: the soft limit is above the hard one", limit.kind)));
        }
    }
    if let Some(priority) = &process.io_priority
        && (io_class(&priority.class).is_none() || priority.priority > 7)
    {
        return Err(Error(format!("invalid ioPriority {:?} {}", priority.class, priority.priority)));
    }
    Ok(())
}

/// Returns the number of a class of I/O (ioprio_set(2)).
pub fn io_class(name: &str) -> Option<u16> {
    ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]
        .iter()
        .position(|known| *known == name)
        .map(|n| n as u16 + 1)
}
