//! Helper processes: copies of PID 1 that do one thing and exit.
//!
//! PID 1 never blocks. Work that may hang (on a disk, a server, a driver, a person) is done by a helper, whose exit PID
//! 1 handles. All helpers are created here, which closes unneeded descriptors. A descriptor that a helper keeps would
//! stay in PID 1's epoll set after PID 1 has closed it, and the loop would never sleep (epoll(7), question 6).

use super::path::open;
use core::ffi::CStr;
use heapless::Vec;
use hilum_sys::{Cloned, exit};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, setpriority_process};

/// Maximum descriptors that a helper keeps besides standard input, output and error.
const MAX_KEPT: usize = 8;

/// The attributes of a helper.
pub(crate) struct Role {
    /// Its name in the process table, at most 15 bytes (PR_SET_NAME, prctl(2)).
    pub(crate) name: &'static CStr,
    /// New namespaces for it, as flags of clone3(2).
    pub(crate) namespaces: u64,
    /// Its nice value (nice(2)).
    pub(crate) nice: i32,
    /// Whether the OOM killer may kill it (`oom_score_adj` 0 instead of PID 1's, proc_pid_oom_score_adj(5)).
    pub(crate) is_killable: bool,
    /// Whether its standard input, output and error are /dev/null instead of the console.
    pub(crate) is_detached: bool,
}

impl Role {
    /// Returns the attributes of a helper that PID 1 depends on, with the console as output.
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self { name, namespaces: 0, nice: 0, is_killable: false, is_detached: false }
    }

    /// Returns the attributes of a long-running helper, which is like any other process.
    pub(crate) const fn lasting(name: &'static CStr) -> Self {
        Self { is_killable: true, is_detached: true, ..Self::new(name) }
    }
}

/// A running helper.
pub(crate) struct Helper {
    /// It is not reused until the helper is reaped.
    pub(crate) pid: Pid,
    /// It becomes readable when the helper exits (pidfd_open(2)).
    pub(crate) pidfd: OwnedFd,
}

/// The descriptors that a helper keeps besides standard input, output and error.
pub(crate) struct Kept(Vec<u32, MAX_KEPT>);

impl Kept {
    /// Keeps those that are present, at most [`MAX_KEPT`]; the others are closed.
    pub(crate) fn of(fds: &[Option<BorrowedFd<'_>>]) -> Self {
        let mut kept = Self::none();
        for fd in fds.iter().flatten() {
            let _ = kept.0.push(fd.as_raw_fd().unsigned_abs());
        }
        kept
    }

    /// Keeps none.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }
}

/// Creates a helper that does `work` and exits with the status that it returns. It has the descriptors of `keep`, and
/// standard input, output and error; all others are closed before `work` begins.
///
/// # Errors
/// Those of clone3(2).
pub(crate) fn spawn(role: &Role, keep: Kept, work: &mut dyn FnMut() -> i32) -> Result<Helper, Errno> {
    #[cfg(test)]
    if true {
        return super::fake::spawn_helper(role.name);
    }
    match hilum_sys::clone(role.namespaces, None)? {
        Cloned::Parent { pid, pidfd } => Ok(Helper { pid, pidfd }),
        Cloned::Child => {
            // A kernel without close_range(2), before 5.9, keeps them all.
            let _ = hilum_sys::close_all_but(&keep.0);
            let _ = rustix::thread::set_name(role.name);
            if role.nice != 0 {
                let _ = setpriority_process(None, role.nice);
            }
            if role.is_killable {
                make_killable();
            }
            if role.is_detached && detach().is_err() {
                // Its output would go to the console.
                exit(1)
            }
            exit(work())
        }
    }
}

/// Allows the OOM killer to kill this process: its work can be repeated, unlike PID 1's.
fn make_killable() {
    if let Ok(score) = open("/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::io::write(&score, b"0");
    }
}

fn detach() -> Result<(), Errno> {
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}
