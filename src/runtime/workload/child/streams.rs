//! The standard descriptors of a program that joins a workload.
//!
//! Pipes or a terminal are created inside of the workload, and the client gets the other ends. No outside descriptor is
//! passed inside: a terminal could be typed into and read (CVE-2017-5226), and a folder would be a way out
//! (CVE-2024-21626). When the client is gone, processes that it left behind hold only useless ends.

use crate::workload::handover::{self, FdList};
use crate::workload::report::Joining;
use hilum::config::Workload;
use hilum::wire::Reply;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Uid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

/// The standard input, output and error of a program that joins.
#[derive(Clone, Copy)]
pub(crate) enum Streams {
    /// No input; output is discarded.
    None,
    /// Pipes, or a terminal with this many rows and columns.
    Made {
        /// The size of the terminal; `None` for pipes.
        terminal: Option<(u16, u16)>,
        /// Whether standard error has a separate pipe.
        is_split: bool,
    },
}

/// Creates the standard descriptors, and sends their other ends over the connection.
pub(crate) fn connect(
    workload: &Workload<'_>,
    streams: Streams,
    connection: Option<BorrowedFd<'_>>,
) -> Result<(), (Joining, Errno)> {
    let pipes = |errno| (Joining::Pipes, errno);
    let mut opened = FdList::new();
    let (input, output, error) = match streams {
        Streams::None => {
            let null = || crate::os::path::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
            (null().map_err(pipes)?, null().map_err(pipes)?, None)
        }
        Streams::Made { terminal, is_split } => {
            let (input, output) = match terminal {
                Some((rows, columns)) => {
                    let (outer, inner) =
                        terminal_of(workload, rows, columns).map_err(|errno| (Joining::Terminal, errno))?;
                    // There is room for three.
                    let _ = opened.push(outer);
                    (rustix::io::fcntl_dupfd_cloexec(&inner, 3).map_err(pipes)?, inner)
                }
                None => {
                    let (input, outer_input) = pipe_of(workload).map_err(pipes)?;
                    let (outer_output, output) = pipe_of(workload).map_err(pipes)?;
                    let _ = opened.push(outer_input);
                    let _ = opened.push(outer_output);
                    (input, output)
                }
            };
            let error = match is_split {
                true => {
                    let (outer_error, error) = pipe_of(workload).map_err(pipes)?;
                    let _ = opened.push(outer_error);
                    Some(error)
                }
                false => None,
            };
            (input, output, error)
        }
    };
    if let Some(connection) = connection {
        let message = Reply::Streams.message().map_err(|_| pipes(Errno::MSGSIZE))?;
        handover::send(connection, &message, &opened).map_err(pipes)?;
    }
    rustix::stdio::dup2_stdin(&input).map_err(pipes)?;
    rustix::stdio::dup2_stdout(&output).map_err(pipes)?;
    rustix::stdio::dup2_stderr(error.as_ref().unwrap_or(&output)).map_err(pipes)
}

fn owner(workload: &Workload<'_>) -> (Option<Uid>, Option<Gid>) {
    let user = workload.identity.user;
    (Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))
}

/// Creates a pipe, read end first. It belongs to the workload's user, because programs may open /dev/stdout by name,
/// which checks the pipe's permissions.
fn pipe_of(workload: &Workload<'_>) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let (user, group) = owner(workload);
    rustix::fs::fchown(&writer, user, group)?;
    Ok((reader, writer))
}

/// Creates a terminal of the workload's own devpts, which becomes the session's controlling terminal: the client's
/// side, and the program's.
///
/// Both sides are opened by descriptor only (CVE-2025-52565): the first one from the devpts mount, whose type is
/// checked, the second one from the first.
fn terminal_of(workload: &Workload<'_>, rows: u16, columns: u16) -> Result<(OwnedFd, OwnedFd), Errno> {
    const DEVPTS: u64 = 0x1cd1;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = openat2(rustix::fs::CWD, c"/dev/pts/ptmx", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    if rustix::fs::fstatfs(&master)?.f_type as u64 & 0xffff_ffff != DEVPTS {
        return Err(Errno::NODEV);
    }
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&slave, size)?;
    let (user, group) = owner(workload);
    rustix::fs::fchown(&slave, user, group)?;
    rustix::process::ioctl_tiocsctty(&slave)?;
    Ok((master, slave))
}
