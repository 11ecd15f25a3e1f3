//! The table of all configuration keys, for the parser, for errors and for the test of the documentation.

use crate::suggest;

/// The kinds of section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `[system]`
    System,
    /// `[workload NAME]`
    Workload,
}

impl Section {
    /// Returns the name as it is written.
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

/// Identifies a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyId {
    Hostname,
    Console,
    Idle,
    Module,
    Watchdog,
    Control,
    Boots,
    Update,
    Time,
    Site,
    SystemLog,
    SystemMount,
    Volumes,
    Swap,
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
    Rights,
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
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The section that it belongs to.
    pub section: Section,
    /// Its name.
    pub name: &'static str,
    /// Whether it may appear more than once in its section.
    pub repeats: bool,
    pub(super) id: KeyId,
}

const fn system(name: &'static str, id: KeyId) -> Key {
    Key { section: Section::System, name, repeats: false, id }
}

const fn workload(name: &'static str, id: KeyId) -> Key {
    Key { section: Section::Workload, name, repeats: false, id }
}

const fn repeated(name: &'static str, id: KeyId) -> Key {
    Key { section: Section::Workload, name, repeats: true, id }
}

/// All keys; those of `[system]` come first. The board's program has what is made of this table below: a string instead of a pointer
/// and a length for each name, 1 KB less.
pub const KEYS: &[Key] = &[
    system("hostname", KeyId::Hostname),
    system("console", KeyId::Console),
    system("idle", KeyId::Idle),
    Key { section: Section::System, name: "module", repeats: true, id: KeyId::Module },
    Key { section: Section::System, name: "sysctl", repeats: true, id: KeyId::Sysctl },
    Key { section: Section::System, name: "mount", repeats: true, id: KeyId::SystemMount },
    system("volumes", KeyId::Volumes),
    system("swap", KeyId::Swap),
    Key { section: Section::System, name: "link", repeats: true, id: KeyId::Link },
    Key { section: Section::System, name: "bridge", repeats: true, id: KeyId::Bridge },
    Key { section: Section::System, name: "masquerade", repeats: true, id: KeyId::Masquerade },
    system("nameserver", KeyId::Nameserver),
    Key { section: Section::System, name: "route", repeats: true, id: KeyId::Route },
    system("watchdog", KeyId::Watchdog),
    system("control", KeyId::Control),
    system("boots", KeyId::Boots),
    system("update", KeyId::Update),
    system("time", KeyId::Time),
    system("site", KeyId::Site),
    Key { section: Section::System, name: "log", repeats: true, id: KeyId::SystemLog },
    workload("root", KeyId::Root),
    workload("exec", KeyId::Exec),
    repeated("env", KeyId::Env),
    workload("directory", KeyId::Directory),
    workload("hostname", KeyId::WorkloadHostname),
    workload("user", KeyId::User),
    repeated("needs", KeyId::Needs),
    repeated("after", KeyId::After),
    workload("restart", KeyId::Restart),
    workload("stop", KeyId::Stop),
    repeated("share", KeyId::Share),
    repeated("capability", KeyId::Capability),
    workload("seccomp", KeyId::Seccomp),
    workload("landlock", KeyId::Landlock),
    workload("tcp", KeyId::Tcp),
    workload("ids", KeyId::Ids),
    workload("sys", KeyId::Sys),
    workload("tmp", KeyId::Tmp),
    repeated("device", KeyId::Device),
    repeated("mount", KeyId::Mount),
    repeated("volume", KeyId::Volume),
    repeated("link", KeyId::WorkloadLink),
    repeated("publish", KeyId::Publish),
    repeated("talk", KeyId::Talk),
    workload("resolv", KeyId::Resolv),
    workload("memory", KeyId::Memory),
    workload("pids", KeyId::Pids),
    workload("cpu", KeyId::Cpu),
    workload("cpuset", KeyId::Cpuset),
    repeated("io", KeyId::Io),
    workload("groups", KeyId::Groups),
    workload("umask", KeyId::Umask),
    repeated("rlimit", KeyId::Rlimit),
    workload("oom_score_adj", KeyId::OomScoreAdj),
    workload("nice", KeyId::Nice),
    workload("scheduler", KeyId::Scheduler),
    workload("ioprio", KeyId::Ioprio),
    workload("personality", KeyId::Personality),
    workload("ready", KeyId::Ready),
    workload("health", KeyId::Health),
    workload("critical", KeyId::Critical),
    workload("safe", KeyId::Safe),
    workload("at-stop", KeyId::AtStop),
    workload("reaper", KeyId::Reaper),
    workload("control", KeyId::Rights),
    workload("log", KeyId::Log),
    workload("privileged", KeyId::Privileged),
];

/// The number of keys of `[system]`.
const SYSTEM_KEYS: usize = {
    let mut count = 0;
    while matches!(KEYS[count].section, Section::System) {
        count += 1;
    }
    count
};

/// The ids of all keys.
static IDS: [KeyId; KEYS.len()] = {
    let (mut ids, mut index) = ([KeyId::Hostname; KEYS.len()], 0);
    while index < KEYS.len() {
        ids[index] = KEYS[index].id;
        index += 1;
    }
    ids
};

/// A bit for each key that repeats.
const REPEATS: u128 = {
    let (mut bits, mut index) = (0, 0);
    while index < KEYS.len() {
        bits |= (KEYS[index].repeats as u128) << index;
        index += 1;
    }
    bits
};

/// Returns the bytes of the first names together.
const fn bytes_of(count: usize) -> usize {
    let (mut bytes, mut index) = (0, 0);
    while index < count {
        bytes += KEYS[index].name.len();
        index += 1;
    }
    bytes
}

/// The length of each name.
static LENGTHS: [u8; KEYS.len()] = {
    let (mut lengths, mut index) = ([0; KEYS.len()], 0);
    while index < KEYS.len() {
        lengths[index] = KEYS[index].name.len() as u8;
        index += 1;
    }
    lengths
};

static LETTERS: [u8; bytes_of(KEYS.len())] = {
    let (mut letters, mut at, mut index) = ([0; bytes_of(KEYS.len())], 0, 0);
    while index < KEYS.len() {
        let (name, mut letter) = (KEYS[index].name.as_bytes(), 0);
        while letter < name.len() {
            letters[at] = name[letter];
            (at, letter) = (at + 1, letter + 1);
        }
        index += 1;
    }
    letters
};

/// All names, without anything between them.
static NAMES: &str = match core::str::from_utf8(&LETTERS) {
    Ok(names) => names,
    Err(_) => panic!(),
};

/// Returns the names of a section's keys, each with its index.
fn names(section: Section) -> impl Iterator<Item = (usize, &'static str)> {
    let (keys, mut at) = match section {
        Section::System => (0..SYSTEM_KEYS, 0),
        Section::Workload => (SYSTEM_KEYS..KEYS.len(), const { bytes_of(SYSTEM_KEYS) }),
    };
    keys.map(move |index| {
        let start = at;
        at += usize::from(LENGTHS[index]);
        (index, NAMES.get(start..at).unwrap_or_default())
    })
}

/// Returns the key with this name in this section, and its index.
pub(super) fn find(section: Section, name: &str) -> Option<(usize, Key)> {
    let (index, name) = names(section).find(|(_, known)| *known == name)?;
    Some((index, Key { section, name, repeats: REPEATS >> index & 1 != 0, id: IDS[index] }))
}

/// Returns whether a section has a key with this name.
pub(super) fn is_key(section: Section, name: &str) -> bool {
    find(section, name).is_some()
}

/// Returns the key of this section that is most similar to `name`, with at most two edits.
pub(super) fn nearest(section: Section, name: &str) -> Option<&'static str> {
    suggest::nearest(&mut names(section).map(|(_, known)| known), name)
}
