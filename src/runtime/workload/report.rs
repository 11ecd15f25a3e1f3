//! The report pipe of a workload's set-up: the time of the program's start, a record of a failed step, or end of file,
//! which means that the program was executed (the pipe is close-on-exec).

use crate::os::turn::RECORDS;
use hilum::errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// The exit status of a workload whose set-up failed, as in container engines.
pub(crate) const SET_UP_FAILED: u8 = 125;

/// The index of a step in the workload's plan, and its errno.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    /// Both sides make the same plan from the same workload, so the index identifies the step and its object.
    pub(crate) step: usize,
    pub(crate) errno: errno::Errno,
}

/// Actions of a program that joins a workload, besides the steps of the plan.
#[derive(Clone, Copy)]
pub(crate) enum Joining {
    /// Enter the cgroup namespace.
    Groups,
    /// Open a terminal of the workload.
    Terminal,
    /// Create its standard descriptors, and send their other ends.
    Pipes,
}

impl Joining {
    /// The lowest number of such an action in a report; indexes of steps are lower.
    const FIRST: usize = 0xf0;
    const ALL: [Self; 3] = [Self::Groups, Self::Terminal, Self::Pipes];

    /// Returns its number in a report.
    pub(crate) const fn step(self) -> usize {
        Self::FIRST + self as usize
    }

    fn of(step: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|joining| joining.step() == step)
    }

    /// Returns the action with this number, in words.
    pub(crate) fn text(step: usize) -> &'static str {
        match Self::of(step) {
            Some(Self::Groups) => "enter the cgroup namespace",
            Some(Self::Terminal) => "open terminal /dev/pts/ptmx",
            Some(Self::Pipes) => "create pipes for input and output",
            None => "join",
        }
    }

    /// Returns a hint, if the kernel's errno is misleading.
    pub(crate) fn hint(step: usize, errno: errno::Errno) -> Option<&'static str> {
        const ENOSPC: u16 = 28;
        match (Self::of(step), errno.0) {
            (Some(Self::Terminal), ENOSPC) => Some("out of pseudo-terminals; use -T to run without one"),
            _ => None,
        }
    }
}

/// The result of reading the report pipe.
pub(crate) enum Outcome {
    /// Nothing yet.
    Pending,
    /// Nothing final yet, but there may be more to read.
    More,
    /// The program was executed.
    Executed,
    /// A step failed, and the process is about to exit.
    Failed(Report),
}

/// A record: its type or step, and eight bytes of data.
type Record = [u8; 9];

/// The type of a record with a time; indexes of steps are lower.
const TIME: u8 = 0xff;

/// Reports the time at which the program is about to be executed, in microseconds of CLOCK_BOOTTIME. PID 1 would notice
/// it only when it is scheduled again.
pub(crate) fn send_time(pipe: BorrowedFd<'_>, now_us: u64) {
    let mut record: Record = [TIME; _];
    record[1..].copy_from_slice(&now_us.to_ne_bytes());
    // If it is lost, only the time is not shown.
    let _ = rustix::io::write(pipe, &record);
}

impl Report {
    /// Sends it. The process exits afterwards, so an error has no recipient.
    pub(crate) fn send(self, pipe: BorrowedFd<'_>) {
        let mut record: Record = [0; _];
        record[0] = self.step as u8;
        record[1..3].copy_from_slice(&self.errno.0.to_ne_bytes());
        let _ = rustix::io::write(pipe, &record);
    }
}

/// Reads the pipe without blocking; stores a time in `executed_us`.
pub(crate) fn receive(pipe: &OwnedFd, executed_us: &mut Option<u64>) -> Outcome {
    let mut record: Record = [0; _];
    for _ in 0..RECORDS {
        match rustix::io::read(pipe.as_fd(), &mut record) {
            // A record is smaller than PIPE_BUF, so it is read as a whole (pipe(7)).
            Ok(9) => {
                let [kind, value @ ..] = record;
                if kind != TIME {
                    let errno = errno::Errno(u16::from_ne_bytes([value[0], value[1]]));
                    return Outcome::Failed(Report { step: kind.into(), errno });
                }
                *executed_us = Some(u64::from_ne_bytes(value));
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Outcome::Pending,
            _ => return Outcome::Executed,
        }
    }
    Outcome::More
}
