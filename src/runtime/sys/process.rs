//! Making, replacing and ending processes: clone3, execve, exit.

use crate::call::call;
use core::ffi::{CStr, c_char};
use linux_raw_sys::general::{
    __NR_clone3, __NR_close_range, __NR_dup3, __NR_execve, __NR_exit_group, __NR_kill, __NR_ppoll, __NR_setfsgid,
    __NR_setfsuid, CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP, CLONE_PIDFD, SIGCHLD, SIGKILL, clone_args,
};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;

/// Which side of a clone the caller is on.
pub enum Cloned {
    /// The new process: a copy of the caller with one thread and its own memory.
    Child,
    /// The caller.
    Parent {
        /// The new process's pid in the caller's namespace; it stays taken until the process is reaped.
        pid: Pid,
        /// A descriptor of the new process, close-on-exec: signals sent through it cannot reach a stranger.
        pidfd: OwnedFd,
    },
}

/// Starts a process in the new namespaces of `namespaces` (CLONE_NEW* flags of clone3(2)) with handlers reset, as a
/// copy-on-write copy of the caller.
///
/// With `cgroup`, an open folder of a version 2 hierarchy, the child starts inside that group: there is no moment in
/// which it runs outside of its limits.
///
/// # Errors
/// What clone3(2) says: EAGAIN and ENOMEM are worth a later try, EINVAL names a namespace that the kernel lacks,
/// EPERM a missing privilege, EACCES or EOPNOTSUPP a group that takes no process.
pub fn clone(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    let mut pidfd: i32 = -1;
    // Every field counts in the kernel's ABI (include/uapi/linux/sched.h, clone_args version 2): zero is "not used".
    let mut args = clone_args {
        flags: namespaces | u64::from(CLONE_PIDFD) | CLONE_CLEAR_SIGHAND,
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
    // SAFETY: without CLONE_VM the child gets a copy of this memory and stack, as after fork(2): both sides go on from
    // here with memory of their own, and this program has no thread whose lock could be held in the copy.
    let pid = unsafe { call(__NR_clone3, [address as usize, size_of::<clone_args>(), 0, 0, 0, 0]) }?;
    let Some(pid) = Pid::from_raw(pid as i32) else {
        return Ok(Cloned::Child);
    };
    // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor here before it returned to the parent.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent { pid, pidfd })
}

/// Makes and looks at files as this user and group (setfsuid(2), setfsgid(2)); everything else is done as before. Leaving user 0 takes
/// the rights over files out of the effective set, and they stay permitted.
pub fn set_file_ids(id: u32) {
    for number in [__NR_setfsgid, __NR_setfsuid] {
        // SAFETY: the calls take a number, and change what this process alone is. They give the id from before, and no error.
        let _ = unsafe { call(number, [id as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Replaces this process by the program at `path` (execve(2)). Returns only on failure.
///
/// `argv` and `envp` hold the strings and end with a `None`; one that does not is refused with EINVAL.
pub fn execute(path: &CStr, argv: &[Option<&CStr>], envp: &[Option<&CStr>]) -> Errno {
    // One machine word a pointer: a thin pointer is what the kernel reads, and `&CStr` is a fat one.
    let mut pointers: [*const c_char; 160] = [core::ptr::null(); 160];
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
    // SAFETY: both vectors lie in `pointers`, hold C strings that live as long as the borrowed slices, and end with a
    // null, which was checked above.
    let answer =
        unsafe { call(__NR_execve, [path.as_ptr() as usize, arguments as usize, environment as usize, 0, 0, 0]) };
    match answer {
        Err(errno) => errno,
        Ok(_) => Errno::INVAL,
    }
}

/// Closes every descriptor from `first` to `last`, both included (close_range(2)).
///
/// # Errors
/// ENOSYS on a kernel before 5.9; EINVAL where `first` is above `last`.
pub fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: the call takes numbers alone. Closing descriptors that an `OwnedFd` still names cannot break memory; it
    // is called before anything is opened, and by a child that uses none of its copies afterwards.
    unsafe { call(__NR_close_range, [first as usize, last as usize, 0, 0, 0, 0]) }.map(|_| ())
}

/// Closes every descriptor but 0, 1, 2 and those of `kept`, whose order does not matter.
///
/// # Errors
/// ENOSYS on a kernel before 5.9.
pub fn close_all_but(kept: &mut [u32]) -> Result<(), Errno> {
    kept.sort_unstable();
    let mut from = 3;
    for &kept in kept.iter().filter(|kept| **kept >= 3) {
        if kept > from {
            close_range(from, kept - 1)?;
        }
        from = kept + 1;
    }
    close_range(from, u32::MAX)
}

/// Sends SIGKILL to every process of this PID namespace but its first one and the caller (kill(2), pid -1).
pub fn kill_everything() {
    signal_everything(SIGKILL);
}

/// Sends a signal to every process of this PID namespace but its first one and the caller (kill(2), pid -1).
pub fn signal_everything(number: u32) {
    // SAFETY: the call takes numbers alone. That there is nobody to signal is not an error that matters.
    let _ = unsafe { call(__NR_kill, [usize::MAX, number as usize, 0, 0, 0, 0]) };
}

/// Ends the process with `status` (exit_group(2)).
pub fn exit(status: i32) -> ! {
    // SAFETY: the call takes a number alone and does not return.
    let _ = unsafe { call(__NR_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    hang_forever()
}

/// Sleeps for ever: what is left when even the way out failed.
pub fn hang_forever() -> ! {
    loop {
        // ppoll without descriptors and without a time limit: what pause(2) does where an architecture has it.
        // SAFETY: no descriptor, time limit or mask is read: the pointers are null.
        let _ = unsafe { call(__NR_ppoll, [0; 6]) };
    }
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
