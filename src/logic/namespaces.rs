//! Linux namespaces by name and flag (namespaces(7)).

/// Namespaces by their clone3(2) flags (include/uapi/linux/sched.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespaces(pub u64);

impl Namespaces {
    /// Each namespace's name in /proc/PID/ns, and its flag.
    pub const NAMES: [(&'static str, u64); 8] = [
        ("pid", 0x2000_0000),
        ("mnt", 0x0002_0000),
        ("uts", 0x0400_0000),
        ("ipc", 0x0800_0000),
        ("net", 0x4000_0000),
        ("cgroup", 0x0200_0000),
        ("user", 0x1000_0000),
        ("time", 0x0000_0080),
    ];

    /// All namespaces: the default of a workload.
    pub const ALL: Self = Self(0x7e02_0080);

    /// Returns the flag of a namespace by its name; 0 if there is none.
    pub fn flag(name: &str) -> u64 {
        Self::NAMES.iter().find(|(known, _)| *known == name).map_or(0, |(_, flag)| *flag)
    }

    /// Returns whether the set contains the namespace with this name.
    pub fn has(self, name: &str) -> bool {
        self.0 & Self::flag(name) != 0
    }
}
