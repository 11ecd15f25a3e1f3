//! Irreversible restrictions of a process: system calls (seccomp(2)), files (landlock(7)), keys (keyctl(2)).

use crate::call::call;
use core::ffi::CStr;
use linux_raw_sys::general::{
    __NR_keyctl, __NR_landlock_add_rule, __NR_landlock_create_ruleset, __NR_landlock_restrict_self, __NR_personality,
    __NR_seccomp,
};
use linux_raw_sys::landlock::{
    LANDLOCK_CREATE_RULESET_VERSION, landlock_net_port_attr, landlock_path_beneath_attr, landlock_rule_type,
    landlock_ruleset_attr,
};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// KEYCTL_JOIN_SESSION_KEYRING (include/uapi/linux/keyctl.h).
const JOIN_SESSION_KEYRING: usize = 1;
/// SECCOMP_SET_MODE_FILTER (include/uapi/linux/seccomp.h).
const SET_MODE_FILTER: usize = 1;

/// `struct sock_fprog` (include/uapi/linux/filter.h).
#[repr(C)]
struct FilterProgram {
    length: u16,
    instructions: *const [u8; 8],
}

/// Installs a seccomp filter for this process and its children: a BPF program of `struct sock_filter`s.
///
/// # Errors
/// EINVAL if the kernel refuses the program, EACCES without no_new_privs and without CAP_SYS_ADMIN.
pub fn filter_system_calls(program: &[[u8; 8]]) -> Result<(), Errno> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let program = FilterProgram { length, instructions: program.as_ptr() };
    let address = &raw const program;
    // SAFETY: the kernel copies `length` instructions of eight bytes from the borrowed slice, and checks each.
    unsafe { call(__NR_seccomp, [SET_MODE_FILTER, 0, address as usize, 0, 0, 0]) }.map(|_| ())
}

/// Returns the ABI version of Landlock; 0 if the kernel does not have it or it is disabled.
pub fn landlock_abi() -> u32 {
    let flags = LANDLOCK_CREATE_RULESET_VERSION as usize;
    // SAFETY: with this flag the kernel reads no memory and only returns a number.
    let abi = unsafe { call(__NR_landlock_create_ruleset, [0, 0, flags, 0, 0, 0]) };
    abi.map_or(0, |abi| abi as u32)
}

/// A Landlock ruleset under construction.
pub struct LandlockRules(OwnedFd);

impl LandlockRules {
    /// Creates a ruleset that denies the given rights unless a rule allows them. A kernel with an older ABI only reads
    /// the fields that it knows, so the others must be 0.
    ///
    /// # Errors
    /// EINVAL for a right that the kernel does not know, EOPNOTSUPP without Landlock.
    pub fn new(files: u64, tcp: u64, scoped: u64) -> Result<Self, Errno> {
        let attributes = landlock_ruleset_attr { handled_access_fs: files, handled_access_net: tcp, scoped };
        let address = &raw const attributes;
        let size = match (tcp, scoped) {
            (0, 0) => size_of::<u64>(),
            (_, 0) => 2 * size_of::<u64>(),
            _ => size_of::<landlock_ruleset_attr>(),
        };
        // SAFETY: the kernel reads `size` bytes of the structure, which has at least as many.
        let descriptor = unsafe { call(__NR_landlock_create_ruleset, [address as usize, size, 0, 0, 0, 0]) }?;
        // SAFETY: the call returned a new descriptor that nobody else owns; it is close-on-exec.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor as i32) }))
    }

    /// Allows `rights` for an open file or folder, and everything below it.
    ///
    /// # Errors
    /// EINVAL for rights outside of the ruleset's, or a folder's rights for a file.
    pub fn allow_path(&self, path: BorrowedFd<'_>, rights: u64) -> Result<(), Errno> {
        let rule = landlock_path_beneath_attr { allowed_access: rights, parent_fd: path.as_raw_fd() };
        self.add(landlock_rule_type::LANDLOCK_RULE_PATH_BENEATH, (&raw const rule).cast())
    }

    /// Allows `rights` for a TCP port.
    ///
    /// # Errors
    /// EINVAL for rights outside of the ruleset's.
    pub fn allow_port(&self, port: u16, rights: u64) -> Result<(), Errno> {
        let rule = landlock_net_port_attr { allowed_access: rights, port: port.into() };
        self.add(landlock_rule_type::LANDLOCK_RULE_NET_PORT, (&raw const rule).cast())
    }

    fn add(&self, kind: landlock_rule_type, rule: *const u8) -> Result<(), Errno> {
        let descriptor = self.0.as_raw_fd() as usize;
        // SAFETY: the two callers above pass the structure of their type of rule, and it outlives the call.
        unsafe { call(__NR_landlock_add_rule, [descriptor, kind as usize, rule as usize, 0, 0, 0]) }.map(|_| ())
    }

    /// Enforces the ruleset for this process and its children permanently.
    ///
    /// # Errors
    /// EPERM without no_new_privs and without CAP_SYS_ADMIN, E2BIG for more than 16 nested rulesets.
    pub fn restrict(self) -> Result<(), Errno> {
        // SAFETY: the call takes a descriptor and a number.
        unsafe { call(__NR_landlock_restrict_self, [self.0.as_raw_fd() as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
    }
}

/// Creates a new, empty session keyring for this process (keyctl(2)), so that it does not inherit its parent's keys.
///
/// # Errors
/// ENOSYS without CONFIG_KEYS, EDQUOT above the user's quota.
pub fn own_keyring(name: &CStr) -> Result<(), Errno> {
    // SAFETY: the kernel reads a C string that outlives the call.
    unsafe { call(__NR_keyctl, [JOIN_SESSION_KEYRING, name.as_ptr() as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Sets this process's persona (personality(2)).
///
/// # Errors
/// EINVAL if the kernel does not support it.
pub fn set_personality(persona: u32) -> Result<(), Errno> {
    // SAFETY: the call takes a number; the personas of the configuration change neither addresses nor memory.
    unsafe { call(__NR_personality, [persona as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}
