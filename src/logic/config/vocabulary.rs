//! Every key that a configuration may hold: one table for the parser, the errors and the documentation's test.

use crate::suggest;

/// The two kinds of section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `[system]`
    System,
    /// `[workload NAME]`
    Workload,
}

impl Section {
    /// Its name as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Workload => "workload",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::System => Self::Workload,
            Self::Workload => Self::System,
        }
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Hostname,
    Console,
    Idle,
    Module,
    Watchdog,
    Control,
    Boots,
    SystemLog,
    SystemMount,
    Volumes,
    Sysctl,
    Link,
    Bridge,
    Masquerade,
    Route,
    Nameserver,
    WorkloadLink,
    Publish,
    Talk,
    Resolv,
    Ready,
    Health,
    Critical,
    Safe,
    AtStop,
    Reaper,
    Log,
    Root,
    Exec,
    Env,
    Directory,
    WorkloadHostname,
    User,
    Needs,
    After,
    Restart,
    Stop,
    Share,
    Ids,
    Capability,
    Seccomp,
    Landlock,
    Tcp,
    Device,
    Mount,
    Volume,
    Sys,
    Tmp,
    Privileged,
    Memory,
    Pids,
    Cpu,
    Cpuset,
    Io,
    Groups,
    Umask,
    Rlimit,
    OomScoreAdj,
    Nice,
    Scheduler,
    Ioprio,
    Personality,
}

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Where it stands.
    pub section: Section,
    /// How it is written.
    pub name: &'static str,
    /// Whether it may stand more than once in its section.
    pub repeats: bool,
    pub(super) meaning: Meaning,
}

const fn system(name: &'static str, meaning: Meaning) -> Key {
    Key { section: Section::System, name, repeats: false, meaning }
}

const fn workload(name: &'static str, meaning: Meaning) -> Key {
    Key { section: Section::Workload, name, repeats: false, meaning }
}

const fn repeated(name: &'static str, meaning: Meaning) -> Key {
    Key { section: Section::Workload, name, repeats: true, meaning }
}

/// The keys, those of `[system]` first.
pub const VOCABULARY: &[Key] = &[
    system("hostname", Meaning::Hostname),
    system("console", Meaning::Console),
    system("idle", Meaning::Idle),
    Key { section: Section::System, name: "module", repeats: true, meaning: Meaning::Module },
    Key { section: Section::System, name: "sysctl", repeats: true, meaning: Meaning::Sysctl },
    Key { section: Section::System, name: "mount", repeats: true, meaning: Meaning::SystemMount },
    system("volumes", Meaning::Volumes),
    Key { section: Section::System, name: "link", repeats: true, meaning: Meaning::Link },
    Key { section: Section::System, name: "bridge", repeats: true, meaning: Meaning::Bridge },
    Key { section: Section::System, name: "masquerade", repeats: true, meaning: Meaning::Masquerade },
    system("nameserver", Meaning::Nameserver),
    Key { section: Section::System, name: "route", repeats: true, meaning: Meaning::Route },
    system("watchdog", Meaning::Watchdog),
    system("control", Meaning::Control),
    system("boots", Meaning::Boots),
    Key { section: Section::System, name: "log", repeats: true, meaning: Meaning::SystemLog },
    workload("root", Meaning::Root),
    workload("exec", Meaning::Exec),
    repeated("env", Meaning::Env),
    workload("directory", Meaning::Directory),
    workload("hostname", Meaning::WorkloadHostname),
    workload("user", Meaning::User),
    repeated("needs", Meaning::Needs),
    repeated("after", Meaning::After),
    workload("restart", Meaning::Restart),
    workload("stop", Meaning::Stop),
    repeated("share", Meaning::Share),
    repeated("capability", Meaning::Capability),
    workload("seccomp", Meaning::Seccomp),
    workload("landlock", Meaning::Landlock),
    workload("tcp", Meaning::Tcp),
    workload("ids", Meaning::Ids),
    workload("sys", Meaning::Sys),
    workload("tmp", Meaning::Tmp),
    repeated("device", Meaning::Device),
    repeated("mount", Meaning::Mount),
    repeated("volume", Meaning::Volume),
    repeated("link", Meaning::WorkloadLink),
    repeated("publish", Meaning::Publish),
    repeated("talk", Meaning::Talk),
    workload("resolv", Meaning::Resolv),
    workload("memory", Meaning::Memory),
    workload("pids", Meaning::Pids),
    workload("cpu", Meaning::Cpu),
    workload("cpuset", Meaning::Cpuset),
    repeated("io", Meaning::Io),
    workload("groups", Meaning::Groups),
    workload("umask", Meaning::Umask),
    repeated("rlimit", Meaning::Rlimit),
    workload("oom_score_adj", Meaning::OomScoreAdj),
    workload("nice", Meaning::Nice),
    workload("scheduler", Meaning::Scheduler),
    workload("ioprio", Meaning::Ioprio),
    workload("personality", Meaning::Personality),
    workload("ready", Meaning::Ready),
    workload("health", Meaning::Health),
    workload("critical", Meaning::Critical),
    workload("safe", Meaning::Safe),
    workload("at-stop", Meaning::AtStop),
    workload("reaper", Meaning::Reaper),
    workload("log", Meaning::Log),
    workload("privileged", Meaning::Privileged),
];

/// The key with this name in this section.
pub(super) fn find(section: Section, name: &str) -> Option<(usize, &'static Key)> {
    VOCABULARY.iter().enumerate().find(|(_, key)| key.section == section && key.name == name)
}

/// Whether a section has a key of this name.
pub(super) fn is_key(section: Section, name: &str) -> bool {
    find(section, name).is_some()
}

/// The key of this section that differs from `name` by at most two letters; the nearest of several.
pub(super) fn nearest(section: Section, name: &str) -> Option<&'static str> {
    suggest::nearest(VOCABULARY.iter().filter(|key| key.section == section).map(|key| key.name), name)
}
