//! Groups made by systemd: a transient scope (org.freedesktop.systemd1(5), `StartTransientUnit`) with the container's first process.

mod bus;

use super::resources::Setting;
use super::{Group, own_path};
use crate::error::{Error, Result};
use bus::{Bus, Writer};
use rustix::process::Pid;

const MANAGER: [&str; 3] =
    ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];

/// A slice and the name of a scope in it, from a `linux.cgroupsPath` of the form `slice:prefix:name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The slice.
    pub slice: String,
    /// The scope, or a slice.
    pub name: String,
}

/// Returns the unit of a container.
///
/// # Errors
/// The path has another form.
pub fn unit(wanted: Option<&str>, id: &str) -> Result<Unit> {
    let wanted = wanted.filter(|path| !path.is_empty());
    let default = format!(":hilum:{id}");
    let mut parts = wanted.unwrap_or(&default).split(':');
    let (Some(slice), Some(prefix), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Error(format!(
            "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {:?} instead",
            wanted.unwrap_or_default()
        )));
    };
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte));
    if name.is_empty() || ![slice, prefix, name].into_iter().all(is_plain) {
        return Err(Error(format!("cgroupsPath {:?} is no name of a unit", wanted.unwrap_or_default())));
    }
    let name = match (name.ends_with(".slice"), prefix) {
        (true, _) => name.to_owned(),
        (false, "") => format!("{name}.scope"),
        (false, prefix) => format!("{prefix}-{name}.scope"),
    };
    Ok(Unit { slice: if slice.is_empty() { "system.slice".into() } else { slice.to_owned() }, name })
}

/// A property's value.
enum Value<'a> {
    Text(&'a str),
    Flag(bool),
    Number(u64),
    Pids(&'a [u32]),
}

/// Returns the limits that systemd has as properties of a unit, so that it writes the same values when it writes them.
fn properties(settings: &[Setting]) -> Vec<(&'static str, u64)> {
    let number = |text: &str| if text == "max" { Some(u64::MAX) } else { text.parse().ok() };
    let mut found = Vec::new();
    for Setting { file, value } in settings {
        let name = match file.as_str() {
            "memory.max" => "MemoryMax",
            "memory.low" => "MemoryLow",
            "memory.high" => "MemoryHigh",
            "memory.swap.max" => "MemorySwapMax",
            "pids.max" => "TasksMax",
            "cpu.weight" => "CPUWeight",
            "cpu.max" => {
                let (quota, period) = value.split_once(' ').unwrap_or((value, "100000"));
                if let (Ok(quota), Ok(period)) = (quota.parse::<u64>(), period.parse::<u64>()) {
                    // Rounded up to what systemd keeps: 1% of a processor.
                    let second = (quota * 1_000_000).div_ceil(period.max(1)).next_multiple_of(10_000);
                    found.extend([("CPUQuotaPerSecUSec", second), ("CPUQuotaPeriodUSec", period)]);
                }
                continue;
            }
            _ => continue,
        };
        found.extend(number(value).map(|value| (name, value)));
    }
    found
}

fn put(writer: &mut Writer, properties: &[(&str, Value<'_>)]) {
    writer.array(8, |writer| {
        for (name, value) in properties {
            writer.align(8);
            writer.text(name);
            match value {
                Value::Text(text) => {
                    writer.signature("s");
                    writer.text(text);
                }
                Value::Flag(is_set) => {
                    writer.signature("b");
                    writer.number((*is_set).into());
                }
                Value::Number(number) => {
                    writer.signature("t");
                    writer.long(*number);
                }
                Value::Pids(pids) => {
                    writer.signature("au");
                    writer.array(4, |writer| pids.iter().for_each(|pid| writer.number(*pid)));
                }
            }
        }
    });
}

/// Starts a unit with a process, and returns its group.
///
/// # Errors
/// There is no bus, or systemd refuses.
pub fn start(unit: &Unit, id: &str, pid: Pid, settings: &[Setting]) -> Result<Group> {
    let mut bus = Bus::connect()?;
    let pids = [pid.as_raw_nonzero().get().unsigned_abs()];
    let description = format!("hilum-oci container {id}");
    let mut wanted = vec![("Description", Value::Text(&description)), ("Delegate", Value::Flag(true))];
    if unit.name.ends_with(".slice") {
        return Err(Error(format!("cgroupsPath with the slice {} as container is not done by hilum-oci", unit.name)));
    }
    wanted.extend([
        ("Slice", Value::Text(&unit.slice)),
        ("PIDs", Value::Pids(&pids)),
        ("DefaultDependencies", Value::Flag(false)),
        ("MemoryAccounting", Value::Flag(true)),
        ("CPUAccounting", Value::Flag(true)),
        ("IOAccounting", Value::Flag(true)),
        ("TasksAccounting", Value::Flag(true)),
    ]);
    wanted.extend(properties(settings).into_iter().map(|(name, value)| (name, Value::Number(value))));
    bus.run_job(MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", |writer| {
        writer.text(&unit.name);
        writer.text("replace");
        put(writer, &wanted);
        writer.array(8, |_| {});
    })?;
    let path = own_path(pid.as_raw_nonzero().get()).ok_or_else(|| Error("the new process has ended".into()))?;
    if !path.ends_with(&format!("/{}", unit.name)) {
        return Err(Error(format!("systemd has started {}, but its process is in the cgroup {path}", unit.name)));
    }
    Ok(Group { path, unit: Some(unit.name.clone()) })
}

/// Changes the limits of a unit.
///
/// # Errors
/// There is no bus, or systemd refuses.
pub fn change(unit: &str, settings: &[Setting]) -> Result<()> {
    let wanted: Vec<_> = properties(settings).into_iter().map(|(name, value)| (name, Value::Number(value))).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    Bus::connect()?
        .call(MANAGER, "SetUnitProperties", "sba(sv)", |writer| {
            writer.text(unit);
            writer.number(1);
            put(writer, &wanted);
        })
        .map(drop)
}

/// Stops a unit, and forgets that it failed. One that does not exist any more is what is wanted.
pub fn stop(unit: &str) {
    let Ok(mut bus) = Bus::connect() else { return };
    let _ = bus.run_job(MANAGER, "StopUnit", "ss", |writer| {
        writer.text(unit);
        writer.text("replace");
    });
    let _ = bus.call(MANAGER, "ResetFailedUnit", "s", |writer| writer.text(unit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroups_path_names_a_slice_and_a_scope() {
        let named = |path| unit(Some(path), "one").map(|unit| (unit.slice, unit.name)).ok();
        let text = |slice: &str, name: &str| Some((slice.to_owned(), name.to_owned()));
        assert_eq!(named("machine.slice:libpod:abc"), text("machine.slice", "libpod-abc.scope"));
        assert_eq!(named(":cri-containerd:abc"), text("system.slice", "cri-containerd-abc.scope"));
        assert_eq!(named(""), text("system.slice", "hilum-one.scope"));
        for wrong in ["/a/b", "a:b", "a:b:c:d", "a:b:", "a:b:c/d"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn limits_become_properties_of_the_unit() {
        let set = |file: &str, value: &str| Setting { file: file.into(), value: value.into() };
        let found = properties(&[
            set("memory.max", "max"),
            set("pids.max", "5"),
            set("cpu.max", "50500 100000"),
            set("io.max", "x"),
        ]);
        let wanted = [
            ("MemoryMax", u64::MAX),
            ("TasksMax", 5),
            ("CPUQuotaPerSecUSec", 510_000),
            ("CPUQuotaPeriodUSec", 100_000),
        ];
        assert_eq!(found, wanted);
    }
}
