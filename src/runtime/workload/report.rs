//! What comes back from a workload's set-up: when it reached its program, a record of the step that failed, and the end
//! of file, which means that the program was executed (the pipe is close-on-exec).

use crate::os::turn::RECORDS;
use hilum::errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// The exit status of a workload whose set-up failed, as container engines have it.
pub(crate) const SET_UP_FAILED: u8 = 125;

/// The index of a step in the workload's plan, and what the kernel said.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    /// Both sides make the same plan from the same workload, so the index names the step and its subject.
    pub(crate) step: usize,
    pub(crate) errno: errno::Errno,
}

/// What a program that joins a workload does besides the steps of the plan.
#[derive(Clone, Copy)]
pub(crate) enum Joining {
    /// It enters the namespace of control groups.
    Groups,
    /// It opens a terminal of the workload's.
    Terminal,
    /// It makes its standard descriptors, and sends their other ends.
    Pipes,
}

impl Joining {
    /// The lowest number of a report for one; a step of a plan has an index below.
    const FIRST: usize = 0xf0;
    const ALL: [Self; 3] = [Self::Groups, Self::Terminal, Self::Pipes];

    /// How a report names it.
    pub(crate) const fn step(self) -> usize {
        Self::FIRST + self as usize
    }

    fn of(step: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|joining| joining.step() == step)
    }

    /// What a report names, in words.
    pub(crate) fn text(step: usize) -> &'static str {
        match Self::of(step) {
            Some(Self::Groups) => "enter the cgroup namespace",
            Some(Self::Terminal) => "open terminal /dev/pts/ptmx",
            Some(Self::Pipes) => "create pipes for input and output",
            None => "join",
        }
    }

    /// What helps where the kernel's own words mislead.
    pub(crate) fn hint(step: usize, errno: errno::Errno) -> Option<&'static str> {
        const ENOSPC: u16 = 28;
        match (Self::of(step), errno.0) {
            (Some(Self::Terminal), ENOSPC) => Some("out of pseudo-terminals; use -T to run without one"),
            _ => None,
        }
    }
}

/// What reading the report pipe gave.
pub(crate) enum Outcome {
    /// Nothing yet.
    Pending,
    /// Nothing yet, but there may be more to read.
    More,
    /// The program was executed.
    Executed,
    /// A step failed, and the process is about to end.
    Failed(Report),
}

/// A record: what it is, and eight bytes that depend on it.
type Record = [u8; 9];

/// The mark of a record that holds a time; a step has an index far below.
const TIME: u8 = 0xff;

/// Tells when the program is about to be executed, in microseconds of CLOCK_BOOTTIME. PID 1 would see it only when it
/// gets the processor again.
pub(crate) fn send_time(pipe: BorrowedFd<'_>, now_us: u64) {
    let mut record: Record = [TIME; _];
    record[1..].copy_from_slice(&now_us.to_ne_bytes());
    // A lost time is a figure that is not shown.
    let _ = rustix::io::write(pipe, &record);
}

impl Report {
    /// Sends it; the process ends after it, so there is nobody to tell if that fails.
    pub(crate) fn send(self, pipe: BorrowedFd<'_>) {
        let mut record: Record = [0; _];
        record[0] = self.step as u8;
        record[1..3].copy_from_slice(&self.errno.0.to_ne_bytes());
        let _ = rustix::io::write(pipe, &record);
    }
}

/// Reads the pipe without waiting; a time goes into `executed_us`.
pub(crate) fn receive(pipe: &OwnedFd, executed_us: &mut Option<u64>) -> Outcome {
    let mut record: Record = [0; _];
    for _ in 0..RECORDS {
        match rustix::io::read(pipe.as_fd(), &mut record) {
            // A record is smaller than PIPE_BUF, so it comes whole (pipe(7)).
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
