//! Readiness and health checks. They run in a helper, which exits with status 0 for success, because a check may hang
//! and PID 1 must not wait.

use super::exec::Target;
use crate::os::clock::monotonic_ms;
use crate::os::deadline::with_timeout;
use crate::os::wait::poll_fd;
use crate::workload::child::streams::Streams;
use hilum::config::Check;
use rustix::event::PollFlags;
use rustix::fd::AsFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};
use rustix::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

/// Performs a check, for at most `within_ms` milliseconds.
pub(crate) fn is_good(target: &Target<'_>, check: &Check<'_>, within_ms: u64) -> bool {
    let until_ms = monotonic_ms() + within_ms;
    match check {
        Check::Tcp(port) => {
            let flag = hilum::namespaces::Namespaces::NET;
            crate::os::namespaces::enter(target.pidfd, flag).is_ok() && accepts(*port, until_ms)
        }
        // A disk may hang, so this is done in another process.
        Check::File(path) => with_timeout(within_ms, &mut || has_file(target.pid, path)).is_ok(),
        Check::Exec(words) => {
            target.run(target.config.pools.of(*words), "", Streams::None, None, Some(until_ms)).0 == 0
        }
        // The workload reports by itself.
        Check::Notify => true,
    }
}

/// Returns whether the port accepts connections on a loopback address of either family.
fn accepts(port: u16, until_ms: u64) -> bool {
    let four = || {
        let socket = stream(AddressFamily::INET)?;
        let started = connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        finish(socket.as_fd(), started, until_ms)
    };
    let six = || {
        let socket = stream(AddressFamily::INET6)?;
        let started = connect(&socket, &SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0));
        finish(socket.as_fd(), started, until_ms)
    };
    four().or_else(|_| six()).is_ok()
}

fn stream(family: AddressFamily) -> Result<rustix::fd::OwnedFd, Errno> {
    socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, Some(ipproto::TCP))
}

fn finish(socket: rustix::fd::BorrowedFd<'_>, started: Result<(), Errno>, until_ms: u64) -> Result<(), Errno> {
    match started {
        Err(Errno::INPROGRESS) => {}
        result => return result,
    }
    match poll_fd(socket, PollFlags::OUT, until_ms.saturating_sub(monotonic_ms())) {
        Ok(true) => sockopt::socket_error(socket)?,
        _ => Err(Errno::TIMEDOUT),
    }
}

/// Looks for the file as the workload's first process sees it. That process is not reaped, so its PID is not reused.
fn has_file(pid: rustix::process::Pid, path: &str) -> Result<u32, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = super::set_up::process_file(pid, "root", flags | OFlags::DIRECTORY)?;
    crate::os::path::open_in_root(root.as_fd(), path, flags).map(|_| 0)
}
