//! linux.resources -> files of a control group of version 2 and their values, without a system call.
//!
//! The specification has the values of version 1. They are converted as crun and runc do it (crun(1), "CGROUP V2"); what version 2
//! does not have is refused.

use crate::config::{Texts, model};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

model!(
    /// Limits of a container.
    Resources {
        /// Devices that may be used, of which the last rule counts.
        devices: Vec<DeviceRule>,
        /// Memory
        memory: Option<Memory>,
        /// Processors
        cpu: Option<Cpu>,
        /// Processes
        pids: Option<Pids>,
        /// Disks
        #[serde(rename = "blockIO")]
        block_io: Option<BlockIo>,
        /// Pages of other sizes.
        hugepage_limits: Vec<Hugepages>,
        /// Classes of packets, of version 1.
        network: Option<Network>,
        /// RDMA, by device.
        rdma: BTreeMap<String, Rdma>,
        /// Files and their values.
        unified: Texts,
    }
);
model!(
    /// A rule for devices.
    DeviceRule {
        /// Whether they may be used.
        allow: bool,
        /// c, b or a for both.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// The major number; -1 or none for all.
        major: Option<i64>,
        /// The minor number; -1 or none for all.
        minor: Option<i64>,
        /// Letters of r, w and m; none for all.
        access: Option<String>,
    }
);
model!(
    /// Memory, in bytes.
    Memory {
        /// The limit; -1 for none.
        limit: Option<i64>,
        /// What is reclaimed last.
        reservation: Option<i64>,
        /// The limit of memory and swap together.
        swap: Option<i64>,
        /// Of version 1.
        swappiness: Option<u64>,
        /// Of version 1.
        #[serde(rename = "disableOOMKiller")]
        disable_oom_killer: Option<bool>,
        /// Whether an update below what is in use is refused.
        check_before_update: Option<bool>,
    }
);
model!(
    /// Processors.
    Cpu {
        /// The weight of version 1, from 2 to 262144.
        shares: Option<u64>,
        /// Microseconds in a period; -1 for no limit.
        quota: Option<i64>,
        /// Microseconds that may be saved for later.
        burst: Option<u64>,
        /// Microseconds
        period: Option<u64>,
        /// Of version 1.
        realtime_runtime: Option<i64>,
        /// Of version 1.
        realtime_period: Option<u64>,
        /// Processors, as `0-3,7`.
        cpus: Option<String>,
        /// Nodes of memory.
        mems: Option<String>,
        /// 1 for SCHED_IDLE.
        idle: Option<i64>,
    }
);
model!(
    /// Processes
    Pids {
        /// The limit; -1 for none.
        limit: Option<i64>,
    }
);
model!(
    /// Disks
    BlockIo {
        /// The weight, from 10 to 1000.
        weight: Option<u16>,
        /// Of version 1.
        leaf_weight: Option<u16>,
        /// Weights of devices.
        weight_device: Vec<DeviceWeight>,
        /// Bytes a second.
        throttle_read_bps_device: Vec<Throttle>,
        /// Bytes a second.
        throttle_write_bps_device: Vec<Throttle>,
        /// Operations a second.
        #[serde(rename = "throttleReadIOPSDevice")]
        throttle_read_iops_device: Vec<Throttle>,
        /// Operations a second.
        #[serde(rename = "throttleWriteIOPSDevice")]
        throttle_write_iops_device: Vec<Throttle>,
    }
);
model!(
    /// A device's weight.
    DeviceWeight {
        /// Its major number.
        major: i64,
        /// Its minor number.
        minor: i64,
        /// The weight, from 10 to 1000.
        weight: Option<u16>,
        /// Of version 1.
        leaf_weight: Option<u16>,
    }
);
model!(
    /// A device's limit.
    Throttle {
        /// Its major number.
        major: i64,
        /// Its minor number.
        minor: i64,
        /// A second.
        rate: u64,
    }
);
model!(
    /// Pages of one size.
    Hugepages {
        /// 2MB
        page_size: String,
        /// Bytes
        limit: u64,
    }
);
model!(
    /// Classes of packets, of version 1.
    Network {
        /// Of version 1.
        #[serde(rename = "classID")]
        class_id: Option<u32>,
        /// Of version 1.
        priorities: Vec<serde_json::Value>,
    }
);
model!(
    /// RDMA
    Rdma {
        /// Handles
        hca_handles: Option<u32>,
        /// Objects
        hca_objects: Option<u32>,
    }
);

/// A file of a control group and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The file's name.
    pub file: String,
    /// Its text.
    pub value: String,
}

fn limit(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn refuse(is_asked: bool, what: &str) -> Result<()> {
    if is_asked { Err(Error(format!("{what} is of cgroup version 1, and is not done by hilum-oci"))) } else { Ok(()) }
}

/// Returns the weight of cpu.weight, from 1 to 10000, for shares from 2 to 262144.
pub fn cpu_weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// Returns the weight of io.weight, from 1 to 10000, for one from 10 to 1000.
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight.clamp(10, 1000)) - 10) * 9999 / 990
}

/// Returns the files to write, in order.
///
/// # Errors
/// Values that contradict each other, and what only version 1 has.
pub fn settings(resources: &Resources) -> Result<Vec<Setting>> {
    let mut found = Vec::new();
    let mut set = |file: &str, value: String| found.push(Setting { file: file.to_owned(), value });
    if let Some(memory) = &resources.memory {
        set_memory(memory, &mut set)?;
    }
    if let Some(cpu) = &resources.cpu {
        set_cpu(cpu, &mut set)?;
    }
    // 0 means that nothing was asked for, as to runc.
    if let Some(pids) = resources.pids.as_ref().and_then(|pids| pids.limit).filter(|limit| *limit != 0) {
        set("pids.max", limit(pids));
    }
    if let Some(io) = &resources.block_io {
        set_io(io, &mut set)?;
    }
    for pages in &resources.hugepage_limits {
        if pages.page_size.is_empty() || !pages.page_size.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error(format!("hugepageLimits: invalid size {:?}", pages.page_size)));
        }
        set(&format!("hugetlb.{}.max", pages.page_size), pages.limit.to_string());
    }
    if let Some(network) = &resources.network {
        refuse(network.class_id.is_some_and(|id| id != 0), "linux.resources.network.classID")?;
        refuse(!network.priorities.is_empty(), "linux.resources.network.priorities")?;
    }
    for (device, wanted) in &resources.rdma {
        let part = |name: &str, value: Option<u32>| value.map_or(String::new(), |value| format!(" {name}={value}"));
        let handles = part("hca_handle", wanted.hca_handles);
        set("rdma.max", format!("{device}{handles}{}", part("hca_object", wanted.hca_objects)));
    }
    for (file, value) in &resources.unified {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !file.contains('.') || file.starts_with('.') || !file.bytes().all(is_plain) {
            return Err(Error(format!("linux.resources.unified: invalid name {file:?}")));
        }
        // The engine moves and stops processes by these.
        if file.starts_with("cgroup.") {
            return Err(Error(format!("linux.resources.unified: {file} is not done by hilum-oci")));
        }
        set(file, value.clone());
    }
    Ok(found)
}

fn set_memory(memory: &Memory, set: &mut impl FnMut(&str, String)) -> Result<()> {
    refuse(memory.swappiness.is_some(), "linux.resources.memory.swappiness")?;
    refuse(memory.disable_oom_killer == Some(true), "linux.resources.memory.disableOOMKiller")?;
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    let most = given(memory.limit);
    let swap = match (given(memory.swap), most) {
        (Some(swap), _) if swap < 0 => Some("max".to_owned()),
        (Some(swap), Some(most)) if most >= 0 && swap >= most => Some((swap - most).to_string()),
        (Some(_), _) => return Err("memory+swap limit should be >= memory limit".into()),
        (None, Some(most)) if most < 0 => Some("max".to_owned()),
        (None, _) => None,
    };
    if let Some(swap) = swap {
        set("memory.swap.max", swap);
    }
    if let Some(most) = most {
        set("memory.max", limit(most));
    }
    if let Some(low) = given(memory.reservation) {
        set("memory.low", limit(low));
    }
    Ok(())
}

fn set_cpu(cpu: &Cpu, set: &mut impl FnMut(&str, String)) -> Result<()> {
    refuse(cpu.realtime_runtime.is_some_and(|value| value != 0), "linux.resources.cpu.realtimeRuntime")?;
    refuse(cpu.realtime_period.is_some_and(|value| value != 0), "linux.resources.cpu.realtimePeriod")?;
    if let Some(idle) = cpu.idle {
        set("cpu.idle", idle.to_string());
    }
    // A group of SCHED_IDLE has no weight.
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0 && cpu.idle != Some(1)) {
        set("cpu.weight", cpu_weight(shares).to_string());
    }
    let period = cpu.period.filter(|period| *period != 0);
    let quota = cpu.quota.filter(|quota| *quota != 0);
    if quota.is_some() || period.is_some() {
        set("cpu.max", format!("{} {}", quota.map_or("max".to_owned(), limit), period.unwrap_or(100_000)));
    }
    if let Some(burst) = cpu.burst {
        set("cpu.max.burst", burst.to_string());
    }
    for (file, list) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            set(file, list.clone());
        }
    }
    Ok(())
}

fn set_io(io: &BlockIo, set: &mut impl FnMut(&str, String)) -> Result<()> {
    refuse(io.leaf_weight.is_some_and(|weight| weight != 0), "linux.resources.blockIO.leafWeight")?;
    if let Some(weight) = io.weight.filter(|weight| *weight != 0) {
        set("io.weight", format!("default {}", io_weight(weight)));
    }
    for device in &io.weight_device {
        refuse(
            device.leaf_weight.is_some_and(|weight| weight != 0),
            "linux.resources.blockIO.weightDevice.leafWeight",
        )?;
        if let Some(weight) = device.weight {
            set("io.weight", format!("{}:{} {}", device.major, device.minor, io_weight(weight)));
        }
    }
    for (name, list) in [
        ("rbps", &io.throttle_read_bps_device),
        ("wbps", &io.throttle_write_bps_device),
        ("riops", &io.throttle_read_iops_device),
        ("wiops", &io.throttle_write_iops_device),
    ] {
        for device in list {
            set("io.max", format!("{}:{} {name}={}", device.major, device.minor, device.rate));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the files of a text of JSON as lines, or the error.
    fn files(text: &str) -> String {
        let resources = serde_json::from_str(text).expect("JSON");
        match settings(&resources) {
            Ok(found) => found.iter().map(|one| format!("{}={}", one.file, one.value)).collect::<Vec<_>>().join("; "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn limits_of_version_1_become_files_of_version_2() {
        for (text, wanted) in [
            ("{}", ""),
            (
                r#"{"memory":{"limit":100,"swap":150,"reservation":50}}"#,
                "memory.swap.max=50; memory.max=100; memory.low=50",
            ),
            (r#"{"memory":{"limit":100,"swap":100}}"#, "memory.swap.max=0; memory.max=100"),
            (r#"{"memory":{"limit":-1}}"#, "memory.swap.max=max; memory.max=max"),
            (r#"{"memory":{"limit":0,"swap":0}}"#, ""),
            (r#"{"cpu":{"shares":2}}"#, "cpu.weight=1"),
            (r#"{"cpu":{"shares":1024}}"#, "cpu.weight=39"),
            (r#"{"cpu":{"shares":262144}}"#, "cpu.weight=10000"),
            (r#"{"cpu":{"shares":1024,"idle":1}}"#, "cpu.idle=1"),
            (r#"{"cpu":{"quota":50000}}"#, "cpu.max=50000 100000"),
            (r#"{"cpu":{"quota":-1,"period":20000}}"#, "cpu.max=max 20000"),
            (r#"{"cpu":{"burst":7,"cpus":"0-1","mems":""}}"#, "cpu.max.burst=7; cpuset.cpus=0-1"),
            (r#"{"pids":{"limit":-1}}"#, "pids.max=max"),
            (r#"{"pids":{"limit":7}}"#, "pids.max=7"),
            (r#"{"blockIO":{"weight":10}}"#, "io.weight=default 1"),
            (r#"{"blockIO":{"weight":1000}}"#, "io.weight=default 10000"),
            (
                r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":9}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":3}]}}"#,
                "io.max=8:0 rbps=9; io.max=8:0 wiops=3",
            ),
            (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#, "hugetlb.2MB.max=4194304"),
            (r#"{"rdma":{"mlx5_0":{"hcaHandles":3}}}"#, "rdma.max=mlx5_0 hca_handle=3"),
            (r#"{"unified":{"memory.high":"5","memory.oom.group":"1"}}"#, "memory.high=5; memory.oom.group=1"),
        ] {
            assert_eq!(files(text), wanted, "{text}");
        }
    }

    #[test]
    fn limits_that_cannot_be_set_are_refused_and_not_ignored() {
        for (text, wanted) in [
            (r#"{"memory":{"swap":150}}"#, "memory+swap limit"),
            (r#"{"memory":{"limit":100,"swap":50}}"#, "memory+swap limit"),
            (r#"{"memory":{"disableOOMKiller":true}}"#, "disableOOMKiller is of cgroup version 1"),
            (r#"{"cpu":{"realtimeRuntime":5}}"#, "realtimeRuntime"),
            (r#"{"blockIO":{"leafWeight":5}}"#, "leafWeight"),
            (r#"{"network":{"classID":5}}"#, "classID"),
            (r#"{"hugepageLimits":[{"pageSize":"../x","limit":1}]}"#, "invalid size"),
            (r#"{"unified":{"../memory.max":"1"}}"#, "invalid name"),
            (r#"{"unified":{"cgroup.procs":"1"}}"#, "cgroup.procs is not done"),
        ] {
            assert!(files(text).contains(wanted), "{text}: {}", files(text));
        }
    }
}
