//! A configuration as plain data: the parser writes it, all other code only reads it.
//!
//! Text is borrowed from the bytes of the file. An empty [`Config`] is all zero bytes, so the board's table is in
//! `.bss` and uses only the pages that the workloads of the file fill.

use super::capability::{Capabilities, OVER_NETWORKS, SETGID};
use super::identity::{Identity, User, Variable};
use super::isolation::{DEFAULT_TMP_BYTES, Isolation, Overlay, Resources, Verity};
use super::lexer::Lines;
use super::limits;
use super::network::{Attachment, Network, Sysctl, SystemNetwork};
use super::pools::Pools;
use super::restart::{Restart, Stop};
use super::signal::Signal;
use super::slot_map::Slots;
use super::source::Source;
use super::span::Span;
use super::supervision::{Boots, Control, LogFile, Supervision, SystemMount, Time, Update, Watchdog};
use super::workload_set::WorkloadSet;
use crate::namespaces::Namespaces;
use crate::seccomp::Seccomp;
use heapless::Vec;

/// A whole configuration. The fields that every file fills come first, so that they share few pages of memory.
#[derive(Debug)]
// And often used ones: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub struct Config<'a> {
    /// The slot of each workload's state.
    pub slots: Slots,
    /// The lines that it was read from.
    pub(super) lines: Lines<'a>,
    /// The first id of the next range that was not in use since the boot.
    pub(super) next_ids: u32,
    /// The `[system]` section, or its defaults.
    pub system: System<'a>,
    /// The workloads in the order of the file. Other code refers to a workload by its index here, or by its slot.
    pub workloads: Vec<Workload<'a>, { limits::WORKLOADS }>,
    /// The lists of items of which a workload may have several.
    pub pools: Pools<'a>,
}

impl<'a> Config<'a> {
    /// Returns the index of the workload with this name.
    #[inline(never)]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.workloads.iter().position(|workload| workload.name == name)
    }

    /// Returns the workload at a place of the file. A call is smaller than an index, which is checked and multiplied.
    ///
    /// # Panics
    /// There is no such workload.
    #[inline(never)]
    pub fn workload(&self, index: usize) -> &Workload<'a> {
        &self.workloads[index]
    }

    /// Returns the `mount` of the board that contains `path`, or `None` if it is in the initramfs.
    pub fn mount_of(&self, path: &str) -> Option<&SystemMount<'a>> {
        self.system.mounts.get(self.mount_index(path)?)
    }

    /// Returns the index of the `mount` line that contains `path`.
    pub fn mount_index(&self, path: &str) -> Option<usize> {
        self.system.mounts.iter().rposition(|mount| mount.holds(path))
    }

    /// Returns a bit for each `mount` line of the board that contains a path of the workload.
    pub fn disks_of(&self, workload: &Workload<'_>) -> u8 {
        let isolation = &workload.isolation;
        let overlay = if let Overlay::Folder(path) = workload.overlay { Some(path) } else { None };
        let binds = self.pools.of(isolation.mounts).iter().map(|bind| bind.source);
        let volumes = self.pools.of(isolation.volumes).iter().map(|volume| volume.folder);
        let paths = [Some(workload.root), overlay].into_iter().flatten().chain(binds).chain(volumes);
        let bit = |path| self.mount_index(path).map_or(0, |index| 1 << index);
        if self.system.mounts.is_empty() { 0 } else { paths.fold(0, |disks, path| disks | bit(path)) }
    }
}

impl Config<'_> {
    /// Returns whether a workload uses parts of the board that may come and go: a device, or a disk.
    pub fn uses_parts(&self, workload: &Workload<'_>) -> bool {
        workload.uses_devices() || self.disks_of(workload) != 0
    }

    /// Resets it to [`Self::EMPTY`] without writing to memory that was never used.
    pub fn clear(&mut self) {
        self.system = System::EMPTY;
        self.workloads.clear();
        self.pools.clear();
        self.lines = Lines::NONE;
        self.next_ids = 0;
        self.slots = Slots::NONE;
    }

    /// A configuration without workloads and with all defaults.
    pub const EMPTY: Self = Self {
        lines: Lines::NONE,
        system: System::EMPTY,
        workloads: Vec::new(),
        pools: Pools::EMPTY,
        next_ids: 0,
        slots: Slots::NONE,
    };
}

/// The settings of the board.
#[derive(Debug)]
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub struct System<'a> {
    /// The line of its `[system]` section; 0 if there is none.
    pub line: u32,
    /// `log kmsg`: whether lines go to the kernel's log as well.
    pub has_kmsg: bool,
    /// `idle`
    pub idle: Idle,
    /// `update`
    pub update: Option<Update>,
    /// `time`
    pub time: Time<'a>,
    /// `control`
    pub control: Control<'a>,
    /// `hostname`; `None` keeps the kernel's. `%m` and `%s` stand for what [`hostname`](super::hostname) says.
    pub hostname: Option<&'a str>,
    /// `site`: a file with lines that replace those of `[system]`.
    pub site: Option<&'a str>,
    /// The line of the section `[site]`; 0 if there is none.
    pub site_line: u32,
    /// `volumes`: the folder with the folders of `volume` lines.
    pub volumes: Option<&'a str>,
    /// `watchdog`
    pub watchdog: Option<Watchdog<'a>>,
    /// `boots`
    pub boots: Option<Boots<'a>>,
    /// `log FILE`
    pub log_file: Option<LogFile<'a>>,
    /// `console`
    pub console: Console<'a>,
    /// `swap`
    pub swap: Option<Swap<'a>>,
    /// `module`, in the order in which they are loaded.
    pub modules: Vec<Module<'a>, { limits::MODULES }>,
    /// `mount`, in the order in which they are mounted.
    pub mounts: Vec<SystemMount<'a>, { limits::SYSTEM_MOUNTS }>,
    /// `link`, `bridge`, `masquerade`, `route`
    pub network: SystemNetwork<'a>,
    /// `sysctl`, in the order in which they are written to the kernel.
    pub sysctls: Vec<Sysctl<'a>, { limits::SYSCTLS }>,
}

impl System<'_> {
    /// Returns whether modules are loaded before everything else: the boot counter and the watchdog need them.
    pub fn modules_come_first(&self) -> bool {
        self.watchdog.is_some() || self.boots.is_some() || self.site.is_some()
    }

    /// Returns whether the board's disks are mounted before everything else: the boot counter or the file of the site is
    /// on one of them, and decides which workloads start, or how the network is set up.
    pub fn disks_come_first(&self) -> bool {
        let holds = |path: &str| self.mounts.iter().any(|mount| mount.holds(path));
        self.boots.is_some_and(|boots| holds(boots.path)) || self.site.is_some_and(holds)
    }

    /// All defaults.
    const EMPTY: Self = Self {
        line: 0,
        hostname: None,
        site: None,
        site_line: 0,
        console: Console { device: None, mode: ConsoleMode::Log },
        idle: Idle::Stay,
        modules: Vec::new(),
        watchdog: None,
        control: Control::Default,
        boots: None,
        update: None,
        time: Time::NONE,
        log_file: None,
        has_kmsg: false,
        mounts: Vec::new(),
        volumes: None,
        swap: None,
        network: SystemNetwork::EMPTY,
        sysctls: Vec::new(),
    };
}

/// Swap on a compressed block device in memory (zram).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap<'a> {
    /// Its size before compression, in bytes or in percent of the memory; the other one is 0. (With a flag, `None` would not
    /// be all zero bytes, and the tables would not lie in `.bss`.)
    pub size: u64,
    /// See `size`.
    pub percent: u64,
    /// The compression algorithm, by the kernel's name.
    pub algorithm: &'a str,
}

impl Swap<'_> {
    /// Returns its size in bytes on a board with this much memory: whole pages of up to 64 KiB.
    pub const fn bytes(&self, memory: u64) -> u64 {
        (memory / 100 * self.percent + self.size) & !0xffff
    }
}

/// A kernel module to load at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module<'a> {
    /// Its name; the file is /lib/modules/NAME.ko.
    pub name: &'a str,
    /// Its parameters, as finit_module(2) takes them.
    pub parameters: &'a str,
}

/// The destination of event lines and workload lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Console<'a> {
    /// A terminal below /dev, such as `ttyS0`; `None` is the kernel's console, /dev/console.
    pub device: Option<&'a str>,
    /// What the console shows.
    pub mode: ConsoleMode,
}

/// What the console shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleMode {
    /// Event lines and the lines of workloads.
    Log,
    /// The same, and a prompt that accepts commands.
    Prompt,
    /// Only errors after the banner.
    Off,
}

/// What the board does when every workload has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// The board stays up.
    Stay,
    /// The board powers off.
    Poweroff,
    /// The board reboots.
    Reboot,
}

/// An isolated program that is started and supervised.
#[derive(Debug)]
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub struct Workload<'a> {
    /// Its name: unique, lower-case letters, digits and `-`, starting with a letter.
    pub name: &'a str,
    /// `root`: the absolute path of the folder, image file or block device of its root filesystem, or its `LABEL=`,
    /// `UUID=` or `PARTUUID=` ([`super::Source`]).
    pub root: &'a str,
    /// The line of its `[workload NAME]`, from 1, for messages about the whole section.
    pub line: u32,
    /// `exec`: the absolute path of the program in the root filesystem, and its arguments.
    pub exec: Span<&'a str>,
    /// `env`: its whole environment. A default PATH is added if no line sets it.
    pub env: Span<Variable<'a>>,
    /// `needs`: the workloads that must be ready before this one starts.
    pub needs: WorkloadSet,
    /// `after`: the workloads that this one starts after, even if they failed.
    pub after: WorkloadSet,
    /// `stop`
    pub stop: Stop,
    /// What its network namespace contains besides the loopback interface.
    pub network: Network<'a>,
    /// Its readiness and health checks, and the reaction to failures.
    pub supervision: Supervision<'a>,
    /// `restart`
    pub restart: Restart,
    /// `root ... overlay`: the writable layer over it.
    pub overlay: Overlay<'a>,
    /// `root ... verity=`: how its blocks are verified; `None` if they are not.
    pub verity: Option<Verity<'a>>,
    /// `directory`: its working directory in the root filesystem.
    pub directory: &'a str,
    /// `hostname`: in its own UTS namespace; the workload's name by default.
    pub hostname: &'a str,
    /// The identity of the program.
    pub identity: Identity,
    /// Its isolation.
    pub isolation: Isolation<'a>,
    /// Its resource limits.
    pub resources: Resources<'a>,
}

impl<'a> Workload<'a> {
    /// Returns the block device that its root filesystem is on; `None` if that is a folder or an image file.
    pub fn root_device(&self) -> Option<Source<'a>> {
        Source::of(self.root).filter(|source| !matches!(source, Source::Path(path) if !path.starts_with("/dev/")))
    }

    /// Returns whether it has a `device` line, or a root filesystem on a device.
    pub fn uses_devices(&self) -> bool {
        !self.isolation.devices.is_empty() || self.root_device().is_some()
    }
}

impl Workload<'_> {
    /// Returns whether its programs may change their supplementary groups.
    pub fn may_set_groups(&self) -> bool {
        !self.identity.groups.is_empty() || self.isolation.capabilities.contains(SETGID)
    }

    /// Returns whether its network namespace is kept for its next run. Such a namespace belongs to the user namespace of an
    /// earlier run. So it must not need capabilities over it, with which it could also have changed it; nor a /sys of its
    /// own, which only the owner can mount. A link of the board may disappear, and those to a bridge do not.
    pub fn keeps_network(&self, pools: &Pools<'_>) -> bool {
        let isolation = &self.isolation;
        isolation.shared & Namespaces::NET == 0
            && !isolation.is_net_shared
            && !isolation.has_sys
            && isolation.capabilities.0 & OVER_NETWORKS.0 == 0
            && pools.of(self.network.links).iter().all(|link| matches!(link.attachment, Attachment::Bridge(_)))
    }
}

impl<'a> Workload<'a> {
    /// Returns a workload with this name, on line `line`, and with all defaults.
    pub fn new(name: &'a str, line: u32, first_id: u32) -> Self {
        Self {
            name,
            line,
            root: "",
            exec: Span::NONE,
            env: Span::NONE,
            directory: "/",
            hostname: name,
            overlay: Overlay::None,
            verity: None,
            identity: Identity {
                user: User { uid: 0, gid: 0 },
                groups: Vec::new(),
                umask: 0o022,
                rlimits: Span::NONE,
                oom_score_adj: 0,
                nice: 0,
                scheduler: None,
                ioprio: None,
                personality: None,
            },
            isolation: Isolation {
                shared: 0,
                net_of: None,
                is_net_shared: false,
                first_id,
                has_own_ids: false,
                capabilities: Capabilities::NONE,
                seccomp: Seccomp::DEFAULT,
                has_landlock: true,
                tcp: None,
                devices: Span::NONE,
                mounts: Span::NONE,
                volumes: Span::NONE,
                has_sys: false,
                tmp_bytes: DEFAULT_TMP_BYTES,
                tmp_is_executable: false,
                is_privileged: false,
            },
            resources: Resources::default(),
            needs: WorkloadSet::EMPTY,
            after: WorkloadSet::EMPTY,
            restart: Restart::DEFAULT,
            stop: Stop { signal: Signal(15), grace_ms: 5_000 },
            supervision: Supervision::DEFAULT,
            network: Network::EMPTY,
        }
    }
}
