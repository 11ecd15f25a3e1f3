//! The process of one link: it runs the DHCP client, listens to routers and sends pings. It can only read and write its
//! sockets.
//!
//! Because it processes untrusted input from the network, it runs in namespaces of its own (except the network
//! namespace), with an empty folder as root, as user "nobody", without capabilities, and with a filter that allows nine
//! system calls. It reports results to PID 1, which validates them. It exits when PID 1 closes its socket.

use crate::os::clock::{boottime_us, monotonic_ms};
use crate::os::helper::{self, Kept, Role};
use crate::os::privileges::drop_bounding_set;
use crate::os::wait::timespec_from_ms;
use core::net::{IpAddr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use hilum::Architecture;
use hilum::config::{Capabilities, Mac};
use hilum::dhcp::{Client, FRAME_BYTES, HostName, LEASE_BYTES, Lease, LeaseEvent};
use hilum::echo::{ECHO_BYTES, Echo};
use hilum::namespaces::Namespaces;
use hilum::router::{Listener, NAMES_BYTES, Names, QUESTION_BYTES, SOLICITATION_BYTES};
use hilum::seccomp::{Instruction, assemble_only};
use hilum_sys::exit;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, ipproto, recv, send, sendto, socket_with,
    socketpair,
};
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// The message that the lease is lost.
const LOST: &[u8] = b"lost";
/// Debian's user "nobody"; no workload has this id, because theirs begin above.
const NOBODY: u32 = 65_534;

/// Packets to UDP port 68 over IPv4, unfragmented (bpf(4), as printed by tcpdump -ddd: ether proto, ip proto, no
/// fragment, port).
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

/// Router advertisements over IPv6: next header ICMPv6, hop limit 255, type 134 (RFC 4861 6.1.2).
const ADVERTISEMENTS: [[u8; 8]; 8] = [
    instruction(0x30, 0, 0, 20),
    instruction(0x15, 0, 5, 58),
    instruction(0x30, 0, 0, 21),
    instruction(0x15, 0, 3, 255),
    instruction(0x30, 0, 0, 54),
    instruction(0x15, 0, 1, 134),
    instruction(0x06, 0, 0, 0xffff),
    instruction(0x06, 0, 0, 0),
];
/// EtherTypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// The multicast group of DHCPv6 servers and relay agents, and the ports of both sides (RFC 8415 7).
const SERVERS_6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const SERVER_PORT_6: u16 = 547;
const CLIENT_PORT_6: u16 = 546;
/// The message about the state of the probe.
const SILENT: &[u8] = b"silent";
const ANSWERED: &[u8] = b"answered";

/// The namespaces of a process that reads what the network sends.
pub(super) const NAMESPACES: u64 =
    Namespaces::MNT | Namespaces::PID | Namespaces::IPC | Namespaces::UTS | Namespaces::CGROUP;

const fn instruction(code: u16, jump_true: u8, jump_false: u8, value: u32) -> [u8; 8] {
    Instruction { code, jump_true, jump_false, value }.bytes()
}

/// A message from a client.
pub(super) enum ClientEvent {
    /// A lease that was granted or offered, and must be validated.
    Given(Lease),
    /// The lease must no longer be used.
    Lost,
    /// Names from routers and DHCPv6 servers.
    Names(Names),
    /// Whether the probe gets no answer.
    Silent(bool),
    /// A malformed message.
    Nothing,
    /// The client has exited.
    Ended,
}

/// The configuration of a client.
pub(super) struct Task<'a> {
    /// Its link's index.
    pub(super) index: u32,
    /// Its link's MAC address. Without one, DHCP and router advertisements are not used.
    pub(super) mac: Option<Mac>,
    /// Whether it uses DHCP.
    pub(super) has_dhcp: bool,
    /// Whether it uses router advertisements.
    pub(super) has_slaac: bool,
    /// The address to ping.
    pub(super) probe: Option<IpAddr>,
    /// The host name to send; empty for the board's.
    pub(super) host_name: &'a str,
    /// Whether another link has the same MAC address (ipvlan).
    pub(super) shares_mac: bool,
}

/// A running client.
pub(super) struct Running {
    pub(super) socket: OwnedFd,
}

impl Running {
    /// Returns the next message, or `None` if there is none.
    pub(super) fn recv(&self) -> Option<ClientEvent> {
        let mut bytes = [0; LEASE_BYTES];
        let length = match recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Ok((_, length)) => length,
            Err(Errno::AGAIN) => return None,
            Err(Errno::INTR) => return Some(ClientEvent::Nothing),
            Err(_) => 0,
        };
        // Each type of message has a different length; any other length is malformed.
        Some(match (length, bytes.first_chunk()) {
            (0, _) => ClientEvent::Ended,
            (LEASE_BYTES, _) => ClientEvent::Given(Lease::read(&bytes)),
            (NAMES_BYTES, Some(names)) => ClientEvent::Names(Names::read(names)),
            _ => match bytes.get(..length) {
                Some(LOST) => ClientEvent::Lost,
                Some(SILENT) => ClientEvent::Silent(true),
                Some(ANSWERED) => ClientEvent::Silent(false),
                _ => ClientEvent::Nothing,
            },
        })
    }
}

/// Starts a client. `root` is an empty folder.
///
/// # Errors
/// Those of the kernel.
pub(super) fn start(task: &Task<'_>, root: &str) -> Result<Running, Errno> {
    let (socket, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let role = Role { namespaces: NAMESPACES, ..Role::lasting(c"hilum-link") };
    let mut work = || {
        let (name, sockets) = (host_name(task.host_name), open_sockets(task));
        match sockets.and_then(|sockets| confine(root).map(|()| sockets)) {
            Ok(sockets) => run(task, name, &sockets, &other),
            Err(errno) => errno.raw_os_error().clamp(1, 127),
        }
    };
    // It is reaped as an orphan; the closed socket shows that it has exited.
    helper::spawn(&role, Kept::of(&[Some(other.as_fd())]), &mut work)?;
    Ok(Running { socket })
}

/// The sockets of a client, in the order of [`run`]: DHCP frames, router advertisements, DHCPv6 datagrams, pings.
type Sockets = [Option<OwnedFd>; 4];

fn open_sockets(task: &Task<'_>) -> Result<Sockets, Errno> {
    let Task { index, mac, has_dhcp, has_slaac, probe, .. } = *task;
    let has = |word: bool| word && mac.is_some();
    let bound = |family, kind, protocol| {
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, protocol)?;
        hilum_sys::bind_to_link(socket.as_fd(), index).map(|()| socket)
    };
    let dhcp = has(has_dhcp).then(|| hilum_sys::packet_socket(index, IPV4, &FILTER)).transpose()?;
    let routers = has(has_slaac).then(|| hilum_sys::packet_socket(index, IPV6, &ADVERTISEMENTS)).transpose()?;
    // A kernel without IPv6 has neither these sockets nor such routers.
    let servers = has(has_slaac).then(|| {
        let socket = bound(AddressFamily::INET6, SocketType::DGRAM, None)?;
        bind(&socket, &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, CLIENT_PORT_6, 0, 0)).map(|()| socket)
    });
    let pings = probe.map(|address| match address {
        IpAddr::V4(_) => bound(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)),
        IpAddr::V6(_) => bound(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)),
    });
    Ok([dhcp, routers, servers.and_then(Result::ok), pings.transpose()?])
}

/// Drops all privileges; only the sockets stay usable.
pub(super) fn confine(root: &str) -> Result<(), Errno> {
    let _ = rustix::process::setsid();
    crate::os::path::chroot(root)?;
    rustix::process::chdir(c"/")?;
    drop_bounding_set(Capabilities::NONE)?;
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(Gid::from_raw(NOBODY), Gid::from_raw(NOBODY), Gid::from_raw(NOBODY))?;
    rustix::thread::set_thread_res_uid(Uid::from_raw(NOBODY), Uid::from_raw(NOBODY), Uid::from_raw(NOBODY))?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    rustix::thread::set_no_new_privs(true)?;
    hilum_sys::filter_system_calls(&assemble_only(Architecture::OWN))
}

/// The state of a client.
struct State<'a> {
    task: &'a Task<'a>,
    sockets: &'a Sockets,
    other: &'a OwnedFd,
    client: Client,
    listener: Listener,
    echo: Echo,
}

/// Runs the client; never returns.
fn run(task: &Task<'_>, host_name: HostName, sockets: &Sockets, other: &OwnedFd) -> ! {
    let mac = task.mac.unwrap_or(Mac([0; 6]));
    let chance = boottime_us() as u32 ^ u32::from_ne_bytes([mac.0[2], mac.0[3], mac.0[4], mac.0[5]]);
    let (now, is_ipv4) = (monotonic_ms(), task.probe.is_none_or(|address| address.is_ipv4()));
    let mut state = State {
        task,
        sockets,
        other,
        client: Client::new(mac, task.shares_mac, host_name, chance, now),
        listener: Listener::new(mac, chance, now),
        echo: Echo::new(is_ipv4, boottime_us() ^ u64::from(chance), now),
    };
    let mut buffer = [0; 1600];
    loop {
        let left = state.turn().saturating_sub(monotonic_ms());
        let mut waits = [other; 5].map(|socket| PollFd::new(socket, PollFlags::IN));
        for (wait, socket) in waits[1..].iter_mut().zip(sockets) {
            if let Some(socket) = socket {
                *wait = PollFd::new(socket, PollFlags::IN);
            }
        }
        let _ = poll(&mut waits, Some(&timespec_from_ms(left)));
        let ready = waits.map(|wait| !wait.revents().is_empty());
        if ready[0] {
            exit(0)
        }
        for (which, socket) in sockets.iter().enumerate().filter(|(which, _)| ready[1 + which]) {
            let Some(socket) = socket else { continue };
            if let Ok((length, _)) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                state.receive_frame(which, &buffer[..length.min(buffer.len())]);
            }
        }
    }
}

impl State<'_> {
    /// Handles deadlines: sends what is due, and reports changes. Returns the next deadline. What cannot be sent while
    /// a link is down or has no address is sent again later.
    fn turn(&mut self) -> u64 {
        let (now, mut at) = (monotonic_ms(), u64::MAX);
        let [dhcp, routers, servers, pings] = self.sockets;
        if let Some(dhcp) = dhcp {
            let mut frame = [0; FRAME_BYTES];
            let (news, length) = self.client.turn(now, &mut frame);
            report(self.other, news);
            if length > 0 {
                let _ = send(dhcp, &frame[..length], SendFlags::DONTWAIT);
            }
            at = self.client.deadline();
        }
        if let Some(routers) = routers {
            let (mut question, mut solicitation) = ([0; QUESTION_BYTES], [0; SOLICITATION_BYTES]);
            if self.listener.solicit(now, &mut solicitation) > 0 {
                let _ = send(routers, &solicitation, SendFlags::DONTWAIT);
            }
            let length = self.listener.turn(now, &mut question);
            if let Some(servers) = servers.as_ref().filter(|_| length > 0) {
                let to = SocketAddrV6::new(SERVERS_6, SERVER_PORT_6, 0, self.task.index);
                let _ = sendto(servers, &question[..length], SendFlags::DONTWAIT, &to);
            }
            if let Some(names) = self.listener.news(now) {
                tell(self.other, &names.bytes());
            }
            at = at.min(self.listener.deadline().unwrap_or(u64::MAX));
        }
        if let (Some(pings), Some(address)) = (pings, self.task.probe) {
            let mut request = [0; ECHO_BYTES];
            let (is_sent, has_changed) = self.echo.turn(now, &mut request);
            if has_changed {
                self.report_echo();
            }
            if is_sent {
                self.send_ping(pings, address, &request);
            }
            at = at.min(self.echo.deadline());
        }
        at
    }

    /// Handles input from the socket at this place.
    fn receive_frame(&mut self, which: usize, bytes: &[u8]) {
        let now = monotonic_ms();
        match which {
            0 => report(self.other, self.client.receive(now, bytes)),
            1 => self.listener.receive_frame(now, bytes),
            2 => self.listener.answer(now, bytes),
            _ => {
                if self.echo.receive(bytes) {
                    self.report_echo();
                }
            }
        }
    }

    fn send_ping(&self, pings: &OwnedFd, address: IpAddr, request: &[u8]) {
        let _ = match address {
            IpAddr::V4(address) => sendto(pings, request, SendFlags::DONTWAIT, &SocketAddrV4::new(address, 0)),
            IpAddr::V6(address) => {
                let scope = if address.is_unicast_link_local() { self.task.index } else { 0 };
                sendto(pings, request, SendFlags::DONTWAIT, &SocketAddrV6::new(address, 0, 0, scope))
            }
        };
    }

    /// Reports the state of the probe, and solicits routers so that the kernel adds their routes again with another
    /// metric.
    fn report_echo(&mut self) {
        tell(self.other, if self.echo.is_silent() { SILENT } else { ANSWERED });
        self.listener.ask_routers(monotonic_ms());
    }
}

/// Returns `name`, or else the host name, for the DHCP server; empty if that is unset (`(none)`) or a common default.
fn host_name(name: &str) -> HostName {
    let names = rustix::system::uname();
    let name = if name.is_empty() { names.nodename().to_str().unwrap_or_default() } else { name };
    let is_own = name != "localhost" && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    HostName::try_from(if is_own { name } else { "" }).unwrap_or_default()
}

fn report(other: &OwnedFd, news: LeaseEvent) {
    match news {
        LeaseEvent::None => {}
        LeaseEvent::Given(lease) | LeaseEvent::Refused(lease) => tell(other, &lease.bytes()),
        LeaseEvent::Lost => tell(other, LOST),
    }
}

/// If PID 1 does not read this message, a later one repeats it.
fn tell(other: &OwnedFd, bytes: &[u8]) {
    let _ = send(other, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}
