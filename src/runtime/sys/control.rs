//! One process's influence on others and on the kernel: namespaces to enter, scheduling, device filters, modules.

use crate::call::call;
use core::ffi::CStr;
use linux_raw_sys::general::{
    __NR_bpf, __NR_dup3, __NR_finit_module, __NR_getsockopt, __NR_ioctl, __NR_ioprio_set, __NR_sched_setscheduler,
    __NR_setns, __NR_unshare, CLONE_NEWNET,
};
use linux_raw_sys::net::{SO_PEERCRED, SOL_SOCKET};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;

/// Moves this process into a new network namespace (unshare(2)).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, ENOSPC at the limit of namespaces.
pub fn own_network_namespace() -> Result<(), Errno> {
    // SAFETY: the flag concerns sockets that are made later; neither memory nor descriptors change.
    unsafe { call(__NR_unshare, [CLONE_NEWNET as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}

/// Moves this process into an open network namespace (setns(2)).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over both, EINVAL for another kind of namespace.
pub fn enter_network_namespace(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the call takes a descriptor and a number, and concerns sockets that are made later.
    unsafe { call(__NR_setns, [namespace.as_raw_fd() as usize, CLONE_NEWNET as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Moves this process into the namespaces (CLONE_NEW* flags) of the process behind a pidfd, all or none (setns(2)). Its
/// children, and not itself, are in the PID namespace.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over them, ESRCH where the process is gone, EINVAL before kernel 5.8.
pub fn enter_namespaces(process: BorrowedFd<'_>, namespaces: u64) -> Result<(), Errno> {
    // SAFETY: the call takes a descriptor and a number; neither memory nor descriptors change.
    unsafe { call(__NR_setns, [process.as_raw_fd() as usize, namespaces as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Sets a watchdog's timeout in seconds; gives the one that its driver took (WDIOC_SETTIMEOUT of
/// Documentation/watchdog/watchdog-api.rst).
///
/// # Errors
/// ENOTTY where it is no watchdog.
pub fn set_watchdog(device: &OwnedFd, seconds: u32) -> Result<u32, Errno> {
    /// `_IOWR('W', 6, int)` and `_IOR('W', 7, int)`.
    const SET_TIMEOUT: usize = 0xc004_5706;
    const GET_TIMEOUT: usize = 0x8004_5707;
    let mut taken = seconds as i32;
    let address = &raw mut taken;
    let ioctl = |request| {
        // SAFETY: both requests read and write one int through the pointer.
        unsafe { call(__NR_ioctl, [device.as_raw_fd() as usize, request, address as usize, 0, 0, 0]) }
    };
    match ioctl(SET_TIMEOUT) {
        // One that is beyond what the hardware can count to leaves the driver's own.
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL) => ioctl(GET_TIMEOUT)?,
        result => result?,
    };
    Ok(taken.unsigned_abs())
}

/// The user on the other side of a connected path socket (SO_PEERCRED of unix(7)). rustix's own call cannot be used: it
/// has no pid for a peer outside of this PID namespace.
///
/// # Errors
/// ENOPROTOOPT for another kind of socket.
pub fn peer_user(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut credentials = [0_u32; 3];
    let mut length = size_of_val(&credentials) as u32;
    let (address, length_address) = (credentials.as_mut_ptr(), &raw mut length);
    let (level, name) = (SOL_SOCKET as usize, SO_PEERCRED as usize);
    let arguments = [socket.as_raw_fd() as usize, level, name, address as usize, length_address as usize, 0];
    // SAFETY: the kernel writes at most `length` bytes, the size of the buffer: pid, uid and gid, 32 bits each.
    unsafe { call(__NR_getsockopt, arguments) }?;
    Ok(credentials[1])
}

/// Makes `descriptor` available at `number`, for a program that is executed (dup3(2)).
///
/// # Errors
/// EBADF for a number above the limit of open files.
pub fn place_descriptor(descriptor: BorrowedFd<'_>, number: u32) -> Result<(), Errno> {
    let from = descriptor.as_raw_fd() as usize;
    // SAFETY: closing what `number` names cannot break memory; it is called by a child that uses none of its copies
    // afterwards.
    unsafe { call(__NR_dup3, [from, number as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Sets a process's scheduling policy (sched(7)) and its priority, 0 for the policies without one.
///
/// # Errors
/// EPERM without CAP_SYS_NICE, EINVAL for a policy that the kernel does not have.
pub fn set_scheduler(pid: Pid, policy: u8, priority: u8) -> Result<(), Errno> {
    let priority = i32::from(priority);
    let (pid, address) = (pid.as_raw_nonzero().get() as usize, &raw const priority);
    // SAFETY: the kernel reads one int, all of `struct sched_param`.
    unsafe { call(__NR_sched_setscheduler, [pid, policy.into(), address as usize, 0, 0, 0]) }.map(|_| ())
}

/// Sets a process's input and output class and level (ioprio_set(2)).
///
/// # Errors
/// EPERM for the class realtime without CAP_SYS_NICE.
pub fn set_io_priority(pid: Pid, value: u16) -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    let pid = pid.as_raw_nonzero().get() as usize;
    // SAFETY: the call takes numbers alone.
    unsafe { call(__NR_ioprio_set, [IOPRIO_WHO_PROCESS, pid, value.into(), 0, 0, 0]) }.map(|_| ())
}

/// Loads a kernel module from an open file, with parameters as finit_module(2) takes them.
///
/// # Errors
/// EEXIST where it is loaded, ENOEXEC for another kernel's module, ENOENT where it needs another one first.
pub fn load_module(file: BorrowedFd<'_>, parameters: &CStr) -> Result<(), Errno> {
    // SAFETY: the kernel reads a C string that outlives the call, and the file by its descriptor.
    unsafe { call(__NR_finit_module, [file.as_raw_fd() as usize, parameters.as_ptr() as usize, 0, 0, 0, 0]) }
        .map(|_| ())
}

/// Commands, kinds and places of bpf(2) (include/uapi/linux/bpf.h).
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

/// Loads a BPF program that decides which devices may be used. `program` holds `struct bpf_insn`s.
///
/// # Errors
/// EINVAL without CONFIG_CGROUP_BPF or for a program that the verifier refuses, EPERM without CAP_BPF.
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
    // SAFETY: the call gave a new descriptor that nobody else owns; it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(loaded as i32) })
}

/// Has a loaded program decide for the processes of an open control group, as long as the group is there.
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
