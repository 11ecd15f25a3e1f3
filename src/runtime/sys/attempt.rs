//! Trying system calls: test programs need to find out what is allowed, without any effect.

use crate::call::call;
use crate::process::{Cloned, exit};
use linux_raw_sys::general::{
    __NR_clone, __NR_ioctl, __NR_ioprio_get, __NR_sched_getparam, __NR_sched_getscheduler, __NR_setns, __NR_unshare,
    CLONE_NEWNS, CLONE_PIDFD, SIGCHLD,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};

/// The result of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It did not fail.
    Done,
    /// It failed.
    Failed(u8),
    /// The process was killed by this signal.
    Killed(i32),
    /// It did not return in time.
    Waited,
}

/// Forks by the older clone(2), as C libraries do if a filter refuses clone3(2).
///
/// # Errors
/// EAGAIN at the limit of processes.
pub fn fork() -> Result<Cloned, Errno> {
    let mut pidfd: i32 = -1;
    let address = &raw mut pidfd;
    // SAFETY: without CLONE_VM and with no stack of its own the child gets a copy of this memory and stack, as after
    // fork(2). On both architectures the third argument is where the kernel stores the descriptor of the child.
    let pid = unsafe { call(__NR_clone, [(CLONE_PIDFD | SIGCHLD) as usize, 0, address as usize, 0, 0, 0]) }?;
    let Some(pid) = Pid::from_raw(pid as i32) else {
        return Ok(Cloned::Child);
    };
    // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor here before it returned to the parent.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent { pid, pidfd })
}

/// Tries system call `number` in a process of its own with arguments that have no effect in any call: -1 each. The
/// timeout is 200 ms.
///
/// # Errors
/// The process could not be created.
pub fn attempt(number: u32) -> Result<Attempt, Errno> {
    const DEADLINE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let Cloned::Parent { pid, pidfd } = fork()? else {
        // A call that ends in a fault kills the process.
        crate::signal::reset_signals();
        // SAFETY: the call only affects a process that has a copy of the memory and exits right after it; the kernel
        // refuses -1 as a pointer.
        let result = unsafe { call(number, [usize::MAX; 6]) };
        exit(result.map_or_else(|errno| errno.raw_os_error() & 0xff, |_| 0))
    };
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&DEADLINE));
    if ended != Ok(1) {
        pidfd_send_signal(&pidfd, Signal::KILL)?;
    }
    let status = waitpid(Some(pid), WaitOptions::empty())?.map(|(_, status)| status);
    Ok(match status.and_then(|status| status.exit_status()) {
        _ if ended != Ok(1) => Attempt::Waited,
        Some(0) => Attempt::Done,
        Some(errno) => Attempt::Failed(errno as u8),
        None => Attempt::Killed(status.and_then(|status| status.terminating_signal()).unwrap_or(0)),
    })
}

/// Tries ioctl(2) with a `request` of 64 bits on a descriptor, without an argument.
///
/// # Errors
/// Those of the kernel.
pub fn attempt_ioctl(descriptor: BorrowedFd<'_>, request: usize) -> Result<(), Errno> {
    let arguments = [descriptor.as_raw_fd() as usize, request, 0, 0, 0, 0];
    // SAFETY: the argument is a null pointer, which no request can read or write.
    unsafe { call(__NR_ioctl, arguments) }.map(|_| ())
}

/// Moves this process into the mount namespace behind an open descriptor (setns(2)).
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN and CAP_SYS_CHROOT.
pub fn enter_mount_namespace(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    let flag = CLONE_NEWNS as usize;
    // SAFETY: the call takes only numbers, and changes the meaning of paths, not memory or descriptors.
    unsafe { call(__NR_setns, [namespace.as_raw_fd() as usize, flag, 0, 0, 0, 0]) }.map(|_| ())
}

/// Creates namespaces (CLONE_NEW* flags of unshare(2)) for this process.
///
/// # Errors
/// EPERM if that is not allowed.
pub fn unshare(namespaces: u32) -> Result<(), Errno> {
    // SAFETY: the namespace flags change neither memory nor descriptors.
    unsafe { call(__NR_unshare, [namespaces as usize, 0, 0, 0, 0, 0]) }.map(|_| ())
}

/// Returns this process's scheduling policy and priority (sched_getscheduler(2), sched_getparam(2)).
pub fn scheduler() -> (usize, i32) {
    let mut priority = 0_i32;
    let address = &raw mut priority;
    // SAFETY: the call takes a pid, 0 for this process.
    let policy = unsafe { call(__NR_sched_getscheduler, [0; 6]) };
    // SAFETY: the kernel writes one int, all of `struct sched_param`.
    let _ = unsafe { call(__NR_sched_getparam, [0, address as usize, 0, 0, 0, 0]) };
    (policy.unwrap_or(usize::MAX), priority)
}

/// Returns this process's I/O class and level (ioprio_get(2)).
pub fn io_priority() -> usize {
    const IOPRIO_WHO_PROCESS: usize = 1;
    // SAFETY: the call takes numbers, 0 for this process.
    unsafe { call(__NR_ioprio_get, [IOPRIO_WHO_PROCESS, 0, 0, 0, 0, 0]) }.unwrap_or(usize::MAX)
}
