//! What comes back from a workload's set-up: a record of the step that failed, or nothing but the end of file, which
//! means that the program was executed (the pipe is close-on-exec).

use hilum::errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// The index of a step in the workload's plan, and what the kernel said.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    /// Both sides make the same plan from the same workload, so the index names the step and its subject.
    pub(crate) step: usize,
    pub(crate) errno: errno::Errno,
}

/// What reading the report pipe gave.
pub(crate) enum Outcome {
    /// Nothing yet.
    Pending,
    /// The program was executed.
    Executed,
    /// A step failed, and the process is about to end.
    Failed(Report),
}

impl Report {
    /// Sends it; the process ends after it, so there is nobody to tell if that fails.
    pub(super) fn send(self, pipe: BorrowedFd<'_>) {
        let errno = self.errno.0.to_ne_bytes();
        // A step that fails has an index below 255, the size of the largest plan being far less.
        let record = [u8::try_from(self.step).unwrap_or(u8::MAX), errno[0], errno[1]];
        let _ = rustix::io::write(pipe, &record);
    }
}

/// Reads the pipe without waiting.
pub(super) fn receive(pipe: &OwnedFd) -> Outcome {
    let mut record = [0; 3];
    loop {
        return match rustix::io::read(pipe.as_fd(), &mut record) {
            // A record is smaller than PIPE_BUF, so it comes whole (pipe(7)).
            Ok(3) => {
                let errno = errno::Errno(u16::from_ne_bytes([record[1], record[2]]));
                Outcome::Failed(Report { step: record[0].into(), errno })
            }
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Outcome::Pending,
            _ => Outcome::Executed,
        };
    }
}
