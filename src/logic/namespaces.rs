//! Linux namespaces by name and flag (namespaces(7)).

/// Namespaces by their clone3(2) flags (include/uapi/linux/sched.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespaces(pub u64);

impl Namespaces {
    /// The flag of PID namespaces.
    pub const PID: u64 = 0x2000_0000;
    /// The flag of mount namespaces.
    pub const MNT: u64 = 0x0002_0000;
    /// The flag of UTS namespaces.
    pub const UTS: u64 = 0x0400_0000;
    /// The flag of IPC namespaces.
    pub const IPC: u64 = 0x0800_0000;
    /// The flag of network namespaces.
    pub const NET: u64 = 0x4000_0000;
    /// The flag of cgroup namespaces.
    pub const CGROUP: u64 = 0x0200_0000;
    /// The flag of user namespaces.
    pub const USER: u64 = 0x1000_0000;
    /// The flag of time namespaces.
    pub const TIME: u64 = 0x0000_0080;

    /// Each namespace's name in /proc/PID/ns, and its flag.
    pub const NAMES: [(&'static str, u64); 8] = [
        ("pid", Self::PID),
        ("mnt", Self::MNT),
        ("uts", Self::UTS),
        ("ipc", Self::IPC),
        ("net", Self::NET),
        ("cgroup", Self::CGROUP),
        ("user", Self::USER),
        ("time", Self::TIME),
    ];

    /// All namespaces: the default of a workload.
    pub const ALL: Self = Self(0x7e02_0080);

    /// Returns whether the set contains the namespace with this flag.
    pub const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
}
