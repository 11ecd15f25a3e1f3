//! What a workload shares, may do and may use: the part of the model that is about its confinement.

use super::capability::Capabilities;
use super::device::Device;
use super::limits;
use super::span::Span;
use crate::seccomp::Seccomp;
use heapless::Vec;

/// What separates a workload from everything else. The default is everything that the kernel has.
#[derive(Debug, PartialEq, Eq)]
pub struct Isolation<'a> {
    /// `share`: the namespaces that it does not have for itself, by their clone flags.
    pub shared: u64,
    /// `share net=NAME`: the workload whose network namespace it uses, by its index.
    pub net_of: Option<u8>,
    /// Whether another workload names this one in `share net=NAME`, or it names another one.
    pub is_net_shared: bool,
    /// `ids`: the first of its 65,536 user and group ids, as the host counts them.
    pub first_id: u32,
    /// Whether an `ids` line says so.
    pub has_own_ids: bool,
    /// `capability`
    pub capabilities: Capabilities,
    /// `seccomp`
    pub seccomp: Seccomp,
    /// `landlock`: whether access to files follows the plan's mounts a second time.
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
    /// `privileged`: what is otherwise refused because it opens a way out is allowed.
    pub is_privileged: bool,
}

/// What may be written over a root filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay<'a> {
    /// Nothing: it is read-only.
    None,
    /// A layer in memory, gone when the workload ends.
    Memory,
    /// A layer in this folder of the board, which stays.
    Folder(&'a str),
}

/// `root ... verity=DIGEST`: how the blocks of an image are verified as they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verity<'a> {
    /// The root hash of the image's tree (SHA-256, no salt): 64 hexadecimal digits; or [`Self::PLACEHOLDER`].
    pub digest: &'a str,
    /// What follows a block that does not match.
    pub on_corruption: OnCorruption,
}

impl Verity<'_> {
    /// Stands for the digest until the image builder, which makes the image, fills it in.
    pub const PLACEHOLDER: &'static str = "image";
}

/// `root ... corrupt=`: what follows a block of a verified image that does not match its hash. Reading it fails in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorruption {
    /// The workload runs on; `hilum status` says `corrupt`.
    Report,
    /// The workload is stopped, and has failed.
    Stop,
    /// The board reboots.
    Reboot,
}

/// The TCP ports of `tcp`, and no others (Landlock, from kernel 6.7 on).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// Ports that it may bind.
    pub bind: Vec<u16, { limits::PORTS }>,
    /// Ports that it may connect to.
    pub connect: Vec<u16, { limits::PORTS }>,
}

/// One `mount`: a folder or file of the board inside of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The path on the board.
    pub source: &'a str,
    /// The path inside, which has to be there.
    pub target: &'a str,
    /// Whether it may be written.
    pub is_writable: bool,
    /// Whether programs below it may be executed.
    pub is_executable: bool,
}

/// One `volume`: a folder of the board that is the workload's to write, and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume<'a> {
    /// The folder with the folders of all volumes, from the line `volumes` of the board.
    pub folder: &'a str,
    /// Its own folder there. Workloads that name the same one share it.
    pub name: &'a str,
    /// The path inside, which has to be there.
    pub target: &'a str,
}

impl<'a> Volume<'a> {
    /// How it is attached.
    pub fn bind(&self) -> Bind<'a> {
        Bind { source: self.folder, target: self.target, is_writable: true, is_executable: false }
    }
}

/// What a workload may use (cgroups(7), version 2). `u64::MAX` stands for no limit, none for what no line sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resources<'a> {
    /// `memory`: bytes.
    pub memory: Option<u64>,
    /// `memory ... high=`: bytes from where on it is slowed down.
    pub memory_high: Option<u64>,
    /// `memory ... min=`: bytes that are kept for it.
    pub memory_min: Option<u64>,
    /// `memory ... swap=`: bytes of swap.
    pub swap: Option<u64>,
    /// `pids`: processes and threads.
    pub pids: Option<u64>,
    /// `cpu`: percent of one processor.
    pub cpu_percent: Option<u32>,
    /// `cpu ... weight=`: its share when processors are short; 100 is usual.
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
    /// Bytes read and written each second, reads and writes each second, in the order of [`IoLimit::NAMES`].
    pub limits: [Option<u64>; 4],
}

impl IoLimit<'_> {
    /// The names of io.max.
    pub const NAMES: [&'static str; 4] = ["rbps", "wbps", "riops", "wiops"];
}

/// Processes and threads of a workload without a `pids` line.
pub const DEFAULT_PIDS: u64 = 512;
/// Percent of the board's memory that a workload without a `memory` line may use: a program that eats memory ends
/// inside of its own group, before the kernel looks for a victim among all.
pub const DEFAULT_MEMORY_PERCENT: u64 = 75;
/// Bytes of each folder in memory that a workload gets.
pub const DEFAULT_TMP_BYTES: u64 = 16 << 20;
