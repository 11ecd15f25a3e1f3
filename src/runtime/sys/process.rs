//! Creating, replacing and ending processes: clone3, execve, exit.

use crate::call::call;
use core::ffi::{CStr, c_char};
use linux_raw_sys::general::{
    __NR_clone3, __NR_close_range, __NR_dup3, __NR_execve, __NR_exit_group, __NR_kill, __NR_ppoll, __NR_setfsgid,
    __NR_setfsuid, CLONE_INTO_CGROUP, CLONE_PIDFD, SIGCHLD, SIGKILL, clone_args,
};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;

/// The side of a clone that the caller is on.
pub enum Cloned {
    /// The new process: a copy of the caller with one thread and its own memory.
    Child,
    /// The caller.
    Parent {
        /// The PID in the caller's namespace; it is not reused until the process is reaped.
        pid: Pid,
        /// A pidfd, close-on-exec: signals sent through it cannot reach another process.
        pidfd: OwnedFd,
    },
}

/// Starts a process in the new namespaces of `namespaces` (CLONE_NEW* flags of clone3(2)), as a
/// copy-on-write copy of the caller.
///
/// With `cgroup`, an open folder of a version 2 hierarchy, the child starts in that cgroup and never runs outside of
/// its limits.
///
/// # Errors
/// Those of clone3(2): after EAGAIN and ENOMEM a later attempt may succeed; EINVAL means a namespace that the kernel
/// lacks, EPERM a missing privilege, EACCES or EOPNOTSUPP a cgroup that accepts no process.
pub fn clone(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    let mut pidfd: i32 = -1;
    // All fields are part of the ABI (include/uapi/linux/sched.h, clone_args version 2): zero means "not used".
    let mut args = clone_args {
        flags: namespaces | u64::from(CLONE_PIDFD),
        pidfd: &raw mut pidfd as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(SIGCHLD),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    let address = &raw const args;
    // SAFETY: without CLONE_VM the child gets a copy of this memory and stack, as after fork(2): both continue with
    // memory of their own, and this program has no other thread that could hold a lock in the copy.
    let pid = unsafe { call(__NR_clone3, [address as usize, size_of::<clone_args>(), 0, 0, 0, 0]) }?;
    let Some(pid) = Pid::from_raw(pid as i32) else {
        return Ok(Cloned::Child);
    };
    // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor here before it returned to the parent.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent { pid, pidfd })
}

/// Sets the user and group for file access (setfsuid(2), setfsgid(2)). Changing from user 0 removes file capabilities
/// from the effective set, but not from the permitted set.
pub fn set_file_ids(id: u32) {
    for number in [__NR_setfsgid, __NR_setfsuid] {
        // SAFETY: the calls take a number, and affect only this process. They return the previous id, and no error.
        let _ = unsafe { call(number, [id as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Replaces this process by the program at `path` (execve(2)). Returns only on failure.
///
/// `argv` and `envp` must end with a `None`; otherwise EINVAL is returned.
pub fn execute(path: &CStr, argv: &[Option<&CStr>], envp: &[Option<&CStr>]) -> Errno {
    execute_with(path, argv, envp, &mut [core::ptr::null(); 160])
}

/// [`execute`] with room for the vectors: one pointer for each entry, and their `None`s. EINVAL if there are fewer.
pub fn execute_with(
    path: &CStr,
    argv: &[Option<&CStr>],
    envp: &[Option<&CStr>],
    pointers: &mut [*const c_char],
) -> Errno {
    // The kernel reads thin pointers; `&CStr` is a fat one.
    let total = argv.len() + envp.len();
    let ended = |list: &[Option<&CStr>]| matches!(list.last(), Some(None));
    if total > pointers.len() || !ended(argv) || !ended(envp) {
        return Errno::INVAL;
    }
    for (pointer, string) in pointers.iter_mut().zip(argv.iter().chain(envp)) {
        *pointer = string.map_or(core::ptr::null(), CStr::as_ptr);
    }
    let arguments = pointers.as_ptr();
    let environment = arguments.wrapping_add(argv.len());
    // SAFETY: both vectors are in `pointers`, contain C strings that live as long as the borrowed slices, and end with
    // a null, as checked above.
    let answer =
        unsafe { call(__NR_execve, [path.as_ptr() as usize, arguments as usize, environment as usize, 0, 0, 0]) };
    match answer {
        Err(errno) => errno,
        Ok(_) => Errno::INVAL,
    }
}

/// Closes all descriptors from `first` to `last`, inclusive (close_range(2)).
///
/// # Errors
/// ENOSYS on a kernel before 5.9; EINVAL if `first` is above `last`.
pub fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: the call takes only numbers. Closing descriptors of an `OwnedFd` cannot break memory safety; it is called
    // before anything is opened, and by a child that does not use its copies afterwards.
    unsafe { call(__NR_close_range, [first as usize, last as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Closes all descriptors except 0, 1, 2 and those in `kept`, in any order.
///
/// # Errors
/// ENOSYS on a kernel before 5.9.
pub fn close_all_but(kept: &[u32]) -> Result<(), Errno> {
    let mut from = 3;
    // There are a few.
    while let Some(&kept) = kept.iter().filter(|kept| **kept >= from).min() {
        if kept > from {
            close_range(from, kept - 1)?;
        }
        from = kept + 1;
    }
    close_range(from, u32::MAX)
}

/// Sends SIGKILL to all processes of this PID namespace except its first one and the caller (kill(2), pid -1).
pub fn kill_everything() {
    signal_everything(SIGKILL);
}

/// Sends a signal to all processes of this PID namespace except its first one and the caller (kill(2), pid -1).
pub fn signal_everything(number: u32) {
    // SAFETY: the call takes only numbers. It is no error if there is no process.
    let _ = unsafe { call(__NR_kill, [usize::MAX, number as usize, 0, 0, 0, 0]) };
}

/// Ends the process with `status` (exit_group(2)).
pub fn exit(status: i32) -> ! {
    // SAFETY: the call takes only a number and does not return.
    let _ = unsafe { call(__NR_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    hang_forever()
}

/// Sleeps for ever, if even the exit failed.
pub fn hang_forever() -> ! {
    loop {
        // ppoll without descriptors and timeout: the same as pause(2), which not all architectures have. SAFETY: no
        // descriptor, timeout or mask is read, because the pointers are null.
        let _ = unsafe { call(__NR_ppoll, [0; 6]) };
    }
}

/// Duplicates `descriptor` to `number`, for a program that is executed (dup3(2)).
///
/// # Errors
/// EBADF for a number above the limit of open files.
pub fn place_descriptor(descriptor: BorrowedFd<'_>, number: u32) -> Result<(), Errno> {
    let from = descriptor.as_raw_fd() as usize;
    // SAFETY: closing `number` cannot break memory safety; it is called by a child that does not use its copies
    // afterwards.
    unsafe { call(__NR_dup3, [from, number as usize, 0, 0, 0, 0]) }.map(|_| ())
}
