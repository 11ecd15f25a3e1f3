//! The confinement of a workload: what it shares, may do and may use.

use super::capability::Capabilities;
use super::device::Device;
use super::limits;
use super::span::Span;
use crate::seccomp::Seccomp;
use heapless::Vec;

/// The isolation of a workload. By default it is isolated by everything that the kernel supports.
#[derive(Debug, PartialEq, Eq)]
pub struct Isolation<'a> {
    /// `share`: the namespaces that it shares with the host, as clone flags.
    pub shared: u64,
    /// `share net=NAME`: the index of the workload whose network namespace it uses.
    pub net_of: Option<u8>,
    /// Whether it shares its network namespace with another workload, as the one that names or the one that is named.
    pub is_net_shared: bool,
    /// `ids`: the first of its 65,536 user and group ids, as seen from the host.
    pub first_id: u32,
    /// Whether the range comes from an `ids` line.
    pub has_own_ids: bool,
    /// `capability`
    pub capabilities: Capabilities,
    /// `seccomp`
    pub seccomp: Seccomp,
    /// `landlock`: whether Landlock also restricts file access to the plan's mounts.
    pub has_landlock: bool,
    /// `tcp`
    pub tcp: Option<Tcp>,
    /// `device`
    pub devices: Span<Device<'a>>,
    /// `mount`
    pub mounts: Span<Bind<'a>>,
    /// `volume`
    pub volumes: Span<Volume<'a>>,
    /// `sys`: whether it sees /sys, read-only.
    pub has_sys: bool,
    /// `tmp`: bytes of its /tmp.
    pub tmp_bytes: u64,
    /// `tmp ... exec`: whether programs in its /tmp may be executed.
    pub tmp_is_executable: bool,
    /// `privileged`: whether options that open a way out of the sandbox are accepted.
    pub is_privileged: bool,
}

/// The writable layer over a root filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay<'a> {
    /// No layer: the root filesystem is read-only.
    None,
    /// A layer in memory, which is lost when the workload exits.
    Memory,
    /// A layer in this folder of the board, which is kept.
    Folder(&'a str),
}

/// `root ... verity=DIGEST`: how the blocks of an image are verified as they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verity<'a> {
    /// The root hash of the image's tree (SHA-256, no salt): 64 hexadecimal digits, or [`Self::PLACEHOLDER`].
    pub digest: &'a str,
    /// What happens when a block does not match.
    pub on_corruption: OnCorruption,
}

impl Verity<'_> {
    /// Stands for the digest until the image builder, which makes the image, fills it in.
    pub const PLACEHOLDER: &'static str = "image";
}

/// `root ... corrupt=`: what happens when a block of a verified image does not match its hash. The read fails in any
/// case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorruption {
    /// The workload keeps running; `hilum status` reports it as `corrupt`.
    Report,
    /// The workload is stopped and counts as failed.
    Stop,
    /// The board reboots.
    Reboot,
}

/// `tcp`: the only TCP ports that the workload may use (Landlock, kernel 6.7 or later).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// Ports that it may bind.
    pub bind: Vec<u16, { limits::PORTS }>,
    /// Ports that it may connect to.
    pub connect: Vec<u16, { limits::PORTS }>,
}

/// One `mount`: a folder or file of the board that is visible inside of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The path on the board.
    pub source: &'a str,
    /// The path inside of the workload, which must exist.
    pub target: &'a str,
    /// Whether it is writable.
    pub is_writable: bool,
    /// Whether programs below it may be executed.
    pub is_executable: bool,
}

/// One `volume`: a folder of the board that the workload may write to, and that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume<'a> {
    /// The parent folder of all volumes, from the board's `volumes` line.
    pub folder: &'a str,
    /// The volume's own folder there. Workloads that name the same volume share it.
    pub name: &'a str,
    /// The path inside of the workload, which must exist.
    pub target: &'a str,
}

impl<'a> Volume<'a> {
    /// Returns the bind mount that attaches it.
    pub fn bind(&self) -> Bind<'a> {
        Bind { source: self.folder, target: self.target, is_writable: true, is_executable: false }
    }
}

/// The resource limits of a workload (cgroups(7), version 2). `u64::MAX` means no limit; `None` means that no line sets
/// it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resources<'a> {
    /// `memory`: bytes.
    pub memory: Option<u64>,
    /// `memory ... high=`: bytes above which it is throttled.
    pub memory_high: Option<u64>,
    /// `memory ... min=`: bytes that are reserved for it.
    pub memory_min: Option<u64>,
    /// `memory ... swap=`: bytes of swap.
    pub swap: Option<u64>,
    /// `pids`: the maximum number of processes and threads.
    pub pids: Option<u64>,
    /// `cpu`: percent of one processor.
    pub cpu_percent: Option<u32>,
    /// `cpu ... weight=`: its share under contention; the kernel's default is 100.
    pub cpu_weight: Option<u32>,
    /// `cpuset`: the processors that it may use.
    pub cpuset: Option<&'a str>,
    /// `io`
    pub io: Span<IoLimit<'a>>,
}

/// One `io`: limits for a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoLimit<'a> {
    /// The device's path on the board.
    pub device: &'a str,
    /// Bytes read and written per second, read and write operations per second, in the order of [`IoLimit::NAMES`].
    pub limits: [Option<u64>; 4],
}

impl IoLimit<'_> {
    /// The keys of io.max.
    pub const NAMES: &'static str = "rbps wbps riops wiops";
}

/// The `pids` limit of a workload without a `pids` line.
pub const DEFAULT_PIDS: u64 = 512;
/// The memory limit of a workload without a `memory` line, in percent of the board's memory. A program that leaks
/// memory is then killed in its own cgroup, before the kernel looks for a victim on the whole system.
pub const DEFAULT_MEMORY_PERCENT: u64 = 75;
/// The size in bytes of each tmpfs that a workload gets.
pub const DEFAULT_TMP_BYTES: u64 = 16 << 20;
