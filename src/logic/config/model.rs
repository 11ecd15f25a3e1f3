//! What a configuration says, as plain data: the parser fills it, everything else only reads it.
//!
//! Text is borrowed from the bytes of the file. An empty [`Config`] is all zero bytes, so that the board's copy lies
//! in `.bss` and costs only the pages that the file's own workloads fill.

use super::capability::{Capabilities, SETGID};
use super::identity::{Identity, User, Variable};
use super::isolation::{DEFAULT_TMP_BYTES, Isolation, Overlay, Resources, Verity};
use super::lexer::Lines;
use super::limits;
use super::network::{Network, Sysctl, SystemNetwork};
use super::pools::Pools;
use super::restart::{Restart, Stop};
use super::signal::Signal;
use super::slot_map::Slots;
use super::span::Span;
use super::supervision::{Boots, Control, LogFile, Supervision, SystemMount, Watchdog};
use super::workload_set::WorkloadSet;
use crate::seccomp::Seccomp;
use heapless::Vec;

/// A whole configuration. What every file fills comes first, in few pages of memory.
#[derive(Debug)]
#[repr(C)]
pub struct Config<'a> {
    /// The lines that it was read from.
    pub(super) lines: Lines<'a>,
    /// The `[system]` section, or its defaults.
    pub system: System<'a>,
    /// The workloads in the order of the file; a workload is known elsewhere by its index here, or by its slot.
    pub workloads: Vec<Workload<'a>, { limits::WORKLOADS }>,
    /// What workloads have several of.
    pub pools: Pools<'a>,
    /// Where the next range of ids begins that nobody has had since the boot.
    pub(super) next_ids: u32,
    /// Where the state of each workload is kept.
    pub slots: Slots,
}

impl<'a> Config<'a> {
    /// Returns the board's own filesystem that a path lies in. `None` for the initramfs.
    pub fn mount_of(&self, path: &str) -> Option<&SystemMount<'a>> {
        self.system.mounts.get(self.mount_index(path)?)
    }

    /// Where the `mount` line of a path stands among the others.
    pub fn mount_index(&self, path: &str) -> Option<usize> {
        self.system.mounts.iter().rposition(|mount| mount.holds(path))
    }

    /// Returns the board's own filesystems that a workload has a path in: a bit for each `mount` line.
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
    /// Makes it like [`Self::EMPTY`], without touching what it had room for.
    pub fn clear(&mut self) {
        self.system = System::EMPTY;
        self.workloads.clear();
        self.pools.clear();
        self.lines = Lines::NONE;
        self.next_ids = 0;
        self.slots = Slots::NONE;
    }

    /// A configuration without workloads, all defaults.
    pub const EMPTY: Self = Self {
        lines: Lines::NONE,
        system: System::EMPTY,
        workloads: Vec::new(),
        pools: Pools::EMPTY,
        next_ids: 0,
        slots: Slots::NONE,
    };
}

/// The board as a whole.
#[derive(Debug)]
pub struct System<'a> {
    /// The line of its `[system]`; 0 where there is none.
    pub line: u32,
    /// `hostname`; none means that the kernel's stays.
    pub hostname: Option<&'a str>,
    /// `console`
    pub console: Console<'a>,
    /// `idle`
    pub idle: Idle,
    /// `module`, in the order in which they are loaded.
    pub modules: Vec<Module<'a>, { limits::MODULES }>,
    /// `watchdog`
    pub watchdog: Option<Watchdog<'a>>,
    /// `control`
    pub control: Control<'a>,
    /// `boots`
    pub boots: Option<Boots<'a>>,
    /// `log FILE`
    pub log_file: Option<LogFile<'a>>,
    /// `log kmsg`: whether lines go to the kernel's log as well.
    pub has_kmsg: bool,
    /// `mount`, in the order in which they are mounted.
    pub mounts: Vec<SystemMount<'a>, { limits::SYSTEM_MOUNTS }>,
    /// `volumes`: the folder with the folders of `volume` lines.
    pub volumes: Option<&'a str>,
    /// `link`, `bridge`, `masquerade`, `route`
    pub network: SystemNetwork<'a>,
    /// `sysctl`, in the order in which they are written.
    pub sysctls: Vec<Sysctl<'a>, { limits::SYSCTLS }>,
}

impl System<'_> {
    /// Whether modules are loaded before anything else: what counts boots, and the watchdog, need them.
    pub fn modules_come_first(&self) -> bool {
        self.watchdog.is_some() || self.boots.is_some()
    }

    /// Whether the board's disks are mounted before anything else: boots are counted on one of them, and the count decides
    /// what is started.
    pub fn disks_come_first(&self) -> bool {
        self.boots.is_some_and(|boots| self.mounts.iter().any(|mount| mount.holds(boots.path)))
    }

    /// All defaults.
    const EMPTY: Self = Self {
        line: 0,
        hostname: None,
        console: Console { device: None, mode: ConsoleMode::Log },
        idle: Idle::Stay,
        modules: Vec::new(),
        watchdog: None,
        control: Control::Default,
        boots: None,
        log_file: None,
        has_kmsg: false,
        mounts: Vec::new(),
        volumes: None,
        network: SystemNetwork::EMPTY,
        sysctls: Vec::new(),
    };
}

/// A kernel module that is loaded at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module<'a> {
    /// Its name: the file is /lib/modules/NAME.ko.
    pub name: &'a str,
    /// Its parameters, as finit_module(2) takes them.
    pub parameters: &'a str,
}

/// Where event lines and workload lines go.
#[derive(Debug, PartialEq, Eq)]
pub struct Console<'a> {
    /// A terminal below /dev, such as `ttyS0`; none is the kernel's own console, /dev/console.
    pub device: Option<&'a str>,
    /// What it is used for.
    pub mode: ConsoleMode,
}

/// What the console is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleMode {
    /// Event lines and the lines of workloads.
    Log,
    /// The same, and a prompt below them that takes commands.
    Prompt,
    /// Nothing after the banner but errors.
    Off,
}

/// What happens when every workload has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// The board stays up.
    Stay,
    /// The board powers off.
    Poweroff,
    /// The board reboots.
    Reboot,
}

/// One isolated program that is started and supervised.
#[derive(Debug)]
pub struct Workload<'a> {
    /// Its name: unique, lower-case letters, digits and `-`, starting with a letter.
    pub name: &'a str,
    /// The line of its `[workload NAME]`, from 1: for messages about the whole section.
    pub line: u32,
    /// `root`: the absolute path of the folder, image file or block device that becomes its root filesystem, or the
    /// `LABEL=`, `UUID=` or `PARTUUID=` of one ([`super::Source`]).
    pub root: &'a str,
    /// `root ... overlay`: what may be written over it.
    pub overlay: Overlay<'a>,
    /// `root ... verity=`: how its blocks are verified; `None` if they are not.
    pub verity: Option<Verity<'a>>,
    /// `exec`: the absolute path of the program inside the root filesystem, and its arguments.
    pub exec: Span<&'a str>,
    /// `env`: its whole environment, but for the default PATH where none is given.
    pub env: Span<Variable<'a>>,
    /// `directory`: its working directory inside the root filesystem.
    pub directory: &'a str,
    /// `hostname`: in its own UTS namespace; the workload's name where none is given.
    pub hostname: &'a str,
    /// Who the program is.
    pub identity: Identity,
    /// What separates it from everything else.
    pub isolation: Isolation<'a>,
    /// What it may use.
    pub resources: Resources<'a>,
    /// `needs`: the workloads that have to be up before this one starts.
    pub needs: WorkloadSet,
    /// `after`: the workloads that this one starts after, whether they came up or not.
    pub after: WorkloadSet,
    /// `restart`
    pub restart: Restart,
    /// `stop`
    pub stop: Stop,
    /// When it is ready and healthy, and what follows if not.
    pub supervision: Supervision<'a>,
    /// What its network has besides the loopback.
    pub network: Network<'a>,
}

impl Workload<'_> {
    /// Whether its programs may change their supplementary groups.
    pub fn may_set_groups(&self) -> bool {
        !self.identity.groups.is_empty() || self.isolation.capabilities.contains(SETGID)
    }
}

impl<'a> Workload<'a> {
    /// Returns a workload with nothing but its name, on line `line`, and everything else at its default.
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
