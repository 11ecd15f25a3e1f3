//! The DHCP client of one link: a process of its own that can do nothing but read and write two sockets.
//!
//! It reads what anybody on the wire sends. So it is a copy of PID 1 in namespaces of its own (but the network's), with
//! an empty folder as its root, as nobody, without capabilities, and with a filter that leaves it nine system calls. It
//! tells PID 1 what it was given, and PID 1 looks at that before it uses it. It ends when PID 1 closes its socket.

use crate::os::clock::{boottime_us, monotonic_ms};
use crate::os::helper::{self, Kept, Role};
use crate::os::privileges::drop_bounding_set;
use crate::os::wait::timespec_from_ms;
use hilum::Architecture;
use hilum::config::{Capabilities, Mac};
use hilum::dhcp::{Client, FRAME_BYTES, HostName, LEASE_BYTES, Lease, LeaseEvent};
use hilum::namespaces::Namespaces;
use hilum::seccomp::{Instruction, assemble_only};
use hilum_sys::exit;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// What says that the address is lost.
const LOST: &[u8] = b"lost";
/// Nobody, as Debian counts; no workload has it, because theirs begin above.
const NOBODY: u32 = 65_534;

/// UDP to port 68 over IPv4, whole (bpf(4), as tcpdump -ddd has it: ether proto, ip proto, no fragment, port).
const FILTER: [[u8; 8]; 11] = [
    instruction(0x28, 0, 0, 12),
    instruction(0x15, 0, 8, 0x0800),
    instruction(0x30, 0, 0, 23),
    instruction(0x15, 0, 6, 17),
    instruction(0x28, 0, 0, 20),
    instruction(0x45, 4, 0, 0x1fff),
    instruction(0xb1, 0, 0, 14),
    instruction(0x48, 0, 0, 16),
    instruction(0x15, 0, 1, 68),
    instruction(0x06, 0, 0, 0xffff),
    instruction(0x06, 0, 0, 0),
];

const fn instruction(code: u16, jump_true: u8, jump_false: u8, value: u32) -> [u8; 8] {
    Instruction { code, jump_true, jump_false, value }.bytes()
}

/// What a client says.
#[expect(clippy::large_enum_variant, reason = "there is no heap for the lease")]
pub(super) enum ClientEvent {
    /// It was given this, or offered it: whether a link can have it is to be looked at.
    Given(Lease),
    /// What it was given is not to be used any more.
    Lost,
    /// Nothing that means anything.
    Nothing,
    /// It has ended.
    Ended,
}

/// A running client.
pub(super) struct Running {
    pub(super) socket: OwnedFd,
}

impl Running {
    /// What it has said since; none for nothing.
    pub(super) fn recv(&self) -> Option<ClientEvent> {
        let mut bytes = [0; LEASE_BYTES];
        match recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Err(Errno::AGAIN) => None,
            // Its whole length: what is longer is no lease.
            Ok((_, LEASE_BYTES)) => Some(ClientEvent::Given(Lease::read(&bytes))),
            Ok((_, count)) if count == LOST.len() && bytes.starts_with(LOST) => Some(ClientEvent::Lost),
            Ok((_, count)) if count > 0 => Some(ClientEvent::Nothing),
            Err(Errno::INTR) => Some(ClientEvent::Nothing),
            _ => Some(ClientEvent::Ended),
        }
    }
}

/// Starts a client for the link with this index and MAC address. `root` is an empty folder.
///
/// # Errors
/// The kernel's.
pub(super) fn start(index: u32, mac: Mac, root: &str) -> Result<Running, Errno> {
    const OWN: [&str; 5] = ["mnt", "pid", "ipc", "uts", "cgroup"];
    let namespaces = OWN.iter().fold(0, |flags, name| flags | Namespaces::flag(name));
    let (socket, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let role = Role { namespaces, ..Role::lasting(c"hilum-dhcp") };
    let mut work = || {
        let name = host_name();
        match confine(index, root) {
            Ok(wire) => run(mac, name, &wire, &other),
            Err(errno) => errno.raw_os_error().clamp(1, 127),
        }
    };
    // It is reaped with the orphans: the end of its socket says that it is gone.
    helper::spawn(&role, Kept::of([Some(other.as_fd())]), &mut work)?;
    Ok(Running { socket })
}

/// Gives up everything but the two sockets.
fn confine(index: u32, root: &str) -> Result<OwnedFd, Errno> {
    let wire = hilum_sys::packet_socket(index, &FILTER)?;
    let _ = rustix::process::setsid();
    rustix::process::chroot(crate::os::path::Path(root))?;
    rustix::process::chdir(c"/")?;
    drop_bounding_set(Capabilities::NONE)?;
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(Gid::from_raw(NOBODY), Gid::from_raw(NOBODY), Gid::from_raw(NOBODY))?;
    rustix::thread::set_thread_res_uid(Uid::from_raw(NOBODY), Uid::from_raw(NOBODY), Uid::from_raw(NOBODY))?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    rustix::thread::set_no_new_privs(true)?;
    hilum_sys::filter_system_calls(&assemble_only(Architecture::OWN))?;
    Ok(wire)
}

/// Asks, and tells; for ever.
fn run(mac: Mac, host_name: HostName, wire: &OwnedFd, other: &OwnedFd) -> ! {
    let chance = boottime_us() as u32 ^ u32::from_ne_bytes([mac.0[2], mac.0[3], mac.0[4], mac.0[5]]);
    let mut client = Client::new(mac, host_name, chance, monotonic_ms());
    let (mut frame, mut heard) = ([0; FRAME_BYTES], [0; 1600]);
    loop {
        let (news, length) = client.turn(monotonic_ms(), &mut frame);
        report(other, news);
        if length > 0 {
            // A link that is down drops it; it is asked again.
            let _ = send(wire, &frame[..length], SendFlags::DONTWAIT);
        }
        let left = client.deadline().saturating_sub(monotonic_ms());
        let mut waits = [PollFd::new(wire, PollFlags::IN), PollFd::new(other, PollFlags::IN)];
        let _ = poll(&mut waits, Some(&timespec_from_ms(left)));
        if !waits[1].revents().is_empty() {
            exit(0)
        }
        if waits[0].revents().is_empty() {
            continue;
        }
        if let Ok((length, _)) = recv(wire, &mut heard[..], RecvFlags::DONTWAIT) {
            report(other, client.receive(monotonic_ms(), &heard[..length.min(heard.len())]));
        }
    }
}

/// The host's name, for the server's lists; none while the kernel has `(none)`, and for one that every host has.
fn host_name() -> HostName {
    let names = rustix::system::uname();
    let name = names.nodename().to_str().unwrap_or_default();
    let is_own = name != "localhost" && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    HostName::try_from(if is_own { name } else { "" }).unwrap_or_default()
}

fn report(other: &OwnedFd, news: LeaseEvent) {
    // PID 1 reads; if it did not, the next lease says the same.
    let _ = match news {
        LeaseEvent::None => return,
        LeaseEvent::Given(lease) | LeaseEvent::Refused(lease) => {
            send(other, &lease.bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
        }
        LeaseEvent::Lost => send(other, LOST, SendFlags::NOSIGNAL | SendFlags::DONTWAIT),
    };
}
