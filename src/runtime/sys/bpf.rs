//! The device filters of cgroups (bpf(2)).

use crate::call::call;
use linux_raw_sys::general::__NR_bpf;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// Commands, types and attach points of bpf(2) (include/uapi/linux/bpf.h).
const BPF_PROG_LOAD: usize = 5;
const BPF_PROG_ATTACH: usize = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;

/// The first fields of `union bpf_attr` for BPF_PROG_LOAD.
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The first fields of `union bpf_attr` for BPF_PROG_ATTACH.
#[repr(C)]
struct ProgramAttach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Loads a BPF program that decides which devices may be used. `program` consists of `struct bpf_insn`s.
///
/// # Errors
/// EINVAL without CONFIG_CGROUP_BPF or if the verifier refuses it, EPERM without CAP_BPF.
pub fn load_device_filter(program: &[[u8; 8]]) -> Result<OwnedFd, Errno> {
    let load = ProgramLoad {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    let address = &raw const load;
    // SAFETY: the kernel reads the structure of the size that is passed, and behind it `count` instructions of eight
    // bytes and a C string, which all outlive the call.
    let loaded = unsafe { call(__NR_bpf, [BPF_PROG_LOAD, address as usize, size_of::<ProgramLoad>(), 0, 0, 0]) }?;
    // SAFETY: the call returned a new descriptor that nobody else owns; it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(loaded as i32) })
}

/// Attaches a loaded program to an open cgroup, for the lifetime of the cgroup.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN, EBADF for another kind of descriptor.
pub fn attach_device_filter(group: BorrowedFd<'_>, filter: BorrowedFd<'_>) -> Result<(), Errno> {
    let attach = ProgramAttach {
        target: group.as_raw_fd().unsigned_abs(),
        program: filter.as_raw_fd().unsigned_abs(),
        kind: BPF_CGROUP_DEVICE,
        flags: 0,
    };
    let address = &raw const attach;
    // SAFETY: the kernel reads the structure of the size that is passed.
    unsafe { call(__NR_bpf, [BPF_PROG_ATTACH, address as usize, size_of::<ProgramAttach>(), 0, 0, 0]) }.map(|_| ())
}

/// BPF_F_ALLOW_MULTI and BPF_F_REPLACE, and further commands.
#[cfg(feature = "hosted")]
mod replacing {
    use super::{BPF_CGROUP_DEVICE, BPF_PROG_ATTACH, ProgramAttach, call};
    use linux_raw_sys::general::__NR_bpf;
    use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    use rustix::io::Errno;

    const BPF_F_ALLOW_MULTI: u32 = 2;
    const BPF_F_REPLACE: u32 = 4;
    const BPF_PROG_GET_FD_BY_ID: usize = 13;
    const BPF_PROG_QUERY: usize = 16;

    /// The fields of `union bpf_attr` for BPF_PROG_QUERY.
    #[repr(C)]
    struct ProgramQuery {
        target: u32,
        kind: u32,
        flags: u32,
        attach_flags: u32,
        ids: u64,
        count: u32,
        padding: u32,
    }

    /// [`ProgramAttach`] with the program that is replaced.
    #[repr(C)]
    struct ProgramReplace {
        attach: ProgramAttach,
        replaced: u32,
    }

    /// Attaches a loaded program to an open cgroup beside those of the groups above and below it, in place of the only one that it has.
    ///
    /// # Errors
    /// As [`super::attach_device_filter`]; E2BIG if the group has several programs.
    pub fn replace_device_filter(group: BorrowedFd<'_>, filter: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut id = 0_u32;
        let target = group.as_raw_fd().unsigned_abs();
        let ids = &raw mut id as u64;
        let mut query =
            ProgramQuery { target, kind: BPF_CGROUP_DEVICE, flags: 0, attach_flags: 0, ids, count: 1, padding: 0 };
        let address = &raw mut query;
        // SAFETY: the kernel writes the structure of the size that is passed, and one number, for which there is room.
        let queried = unsafe { call(__NR_bpf, [BPF_PROG_QUERY, address as usize, size_of::<ProgramQuery>(), 0, 0, 0]) };
        match queried {
            Err(Errno::NOSPC) => return Err(Errno::TOOBIG),
            queried => queried?,
        };
        let old = if query.count == 0 { None } else { Some(by_id(id)?) };
        let replace = if old.is_some() { BPF_F_REPLACE } else { 0 };
        let attach = ProgramReplace {
            attach: ProgramAttach {
                target,
                program: filter.as_raw_fd().unsigned_abs(),
                kind: BPF_CGROUP_DEVICE,
                flags: BPF_F_ALLOW_MULTI | replace,
            },
            replaced: old.as_ref().map_or(0, |old| old.as_raw_fd().unsigned_abs()),
        };
        let address = &raw const attach;
        // SAFETY: the kernel reads the structure of the size that is passed.
        unsafe { call(__NR_bpf, [BPF_PROG_ATTACH, address as usize, size_of::<ProgramReplace>(), 0, 0, 0]) }.map(|_| ())
    }

    /// Opens a loaded program by its number.
    fn by_id(id: u32) -> Result<OwnedFd, Errno> {
        let attributes = [id, 0, 0];
        let address = &raw const attributes;
        // SAFETY: the kernel reads the structure of the size that is passed: the number, the next one and flags.
        let opened = unsafe { call(__NR_bpf, [BPF_PROG_GET_FD_BY_ID, address as usize, 12, 0, 0, 0]) }?;
        // SAFETY: the call returned a new descriptor that nobody else owns; it is close-on-exec.
        Ok(unsafe { OwnedFd::from_raw_fd(opened as i32) })
    }
}
#[cfg(feature = "hosted")]
pub use replacing::replace_device_filter;
