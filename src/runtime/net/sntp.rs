//! The process that asks a time server once, and exits. It is confined like the process of a link ([`super::client`]), and sets
//! no clock. Before that, it reads and writes the time that a disk keeps, which may take long.
//!
//! A process for each request needs no memory in between, has a new port and a new socket, which follows the routes of that
//! moment, and what it has read is gone afterwards.

use super::client::{NAMESPACES, confine};
use crate::os::clock::{boottime_us, monotonic_ms, realtime_us};
use crate::os::helper::{self, Helper, Kept, Role};
use crate::os::sector;
use crate::os::wait::poll_fd_until;
use core::net::{IpAddr, SocketAddr};
use hilum::boot_count::TIME;
use hilum::time::{PACKET_BYTES, SILENT, Sample, answer, request};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::rand::{GetRandomFlags, getrandom};

/// Milliseconds to wait for the answer.
const PATIENCE_MS: u64 = 1_500;
/// The port of time servers.
const PORT: u16 = 123;
/// A running board keeps the time once an hour.
const HOUR_S: u32 = 3_600;
/// Bytes of what the process writes: the sample, and the time that was kept in microseconds.
pub(crate) const FOUND_BYTES: usize = 16;

/// What a process does.
pub(crate) struct Request<'a> {
    /// The server to ask, if there is one.
    pub(crate) server: Option<IpAddr>,
    /// The floor of the clock.
    pub(crate) floor_us: i64,
    /// Where the time is kept.
    pub(crate) kept: Option<&'a str>,
    /// Whether the clock is right, so that its time is worth keeping.
    pub(crate) is_right: bool,
    /// An empty folder.
    pub(crate) root: &'a str,
}

/// Starts the process. Returns it, and the pipe in which what it found is when it has exited.
///
/// # Errors
/// Those of the kernel.
pub(crate) fn ask(request: &Request<'_>) -> Result<(Helper, OwnedFd), Errno> {
    let (found, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let role = Role { namespaces: NAMESPACES, ..Role::lasting(c"hilum-time") };
    let mut work = || {
        // A disk that cannot be read keeps nothing.
        let kept = request.kept.map_or(0, |path| keep(path, request.is_right.then_some(HOUR_S)).unwrap_or(0));
        let sample = match request.server.map(open) {
            Some(Ok(socket)) => {
                let mut number = [0; 8];
                let drawn = getrandom(&mut number, GetRandomFlags::empty());
                if drawn != Ok(number.len()) || confine(request.root).is_err() {
                    return 1;
                }
                let sample = query(&socket, u64::from_ne_bytes(number), request.floor_us);
                // The end of this process closes it.
                core::mem::forget(socket);
                sample
            }
            // There is no route to it.
            _ => SILENT,
        };
        let mut bytes = [0; FOUND_BYTES];
        bytes[..8].copy_from_slice(&sample.to_ne_bytes());
        bytes[8..].copy_from_slice(&(i64::from(kept) * 1_000_000).to_ne_bytes());
        let _ = rustix::io::write(&writer, &bytes);
        0
    };
    let helper = helper::spawn(&role, Kept::of(&[Some(writer.as_fd())]), &mut work)?;
    Ok((helper, found))
}

/// Returns the time in seconds that is kept, and keeps the clock's instead if that is later by more than so many seconds.
///
/// # Errors
/// Those of the kernel.
pub(crate) fn keep(path: &str, by_s: Option<u32>) -> Result<u32, Errno> {
    let (kept, now) = (sector::read(TIME, path)?, u32::try_from(realtime_us() / 1_000_000).unwrap_or(0));
    if by_s.is_some_and(|by_s| kept.saturating_add(by_s) < now) {
        sector::write(TIME, path, now)?;
    }
    Ok(kept)
}

/// Returns a socket that sends to this server, and receives only from it.
fn open(server: IpAddr) -> Result<OwnedFd, Errno> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    connect(&socket, &SocketAddr::new(server, PORT)).map(|()| socket)
}

/// Asks one server, with this number.
fn query(socket: &OwnedFd, number: u64, floor_us: i64) -> Sample {
    let (sent_at_us, until) = (boottime_us(), monotonic_ms() + PATIENCE_MS);
    if send(socket, &request(number), SendFlags::DONTWAIT).is_err() {
        return SILENT;
    }
    // Datagrams without end do not keep it here.
    while monotonic_ms() < until && poll_fd_until(socket.as_fd(), PollFlags::IN, until) {
        let mut packet = [0; PACKET_BYTES];
        // The host may have said that nobody listens.
        let Ok((length, _)) = recv(socket, &mut packet[..], RecvFlags::DONTWAIT) else { break };
        let received_us = realtime_us();
        // The duration is one of another clock: somebody may have set this one meanwhile.
        let sent_us = received_us.wrapping_sub_unsigned(boottime_us().wrapping_sub(sent_at_us));
        if let Some(sample) = answer(&packet[..length], number, sent_us, received_us, floor_us) {
            return sample;
        }
    }
    SILENT
}
