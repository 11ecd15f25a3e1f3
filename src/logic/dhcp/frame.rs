//! DHCP messages as whole frames (RFC 2131, RFC 2132): Ethernet, IPv4, UDP. Without an address the client cannot use
//! the kernel's IP stack, so it writes all headers itself. Received frames are parsed by smoltcp.

use super::lease::{Lease, LeaseRoute, NAME_SERVERS};
use crate::config::{Mac, limits::HOSTNAME_BYTES};
use crate::domains;
use crate::echo::sum;
use core::net::Ipv4Addr;
use smoltcp::wire::{DhcpPacket, EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};

/// Bytes of the longest frame that the client sends.
pub const FRAME_BYTES: usize = 464;

/// Minimum bytes of a message that every server and relay agent accepts (RFC 1542 2.1).
const SHORTEST: usize = 300;
/// Maximum bytes of the options 119 and 121. A longer option is split (RFC 3396).
const LONG_OPTION: usize = 512;

/// The offsets of the message and its options in a sent frame.
const MESSAGE: usize = 14 + 20 + 8;
const OPTIONS: usize = MESSAGE + 240;
/// The magic cookie before the options (RFC 2131 3).
const COOKIE: u32 = 0x6382_5363;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// A message of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) is_discover: bool,
    /// The transaction id.
    pub(super) id: u32,
    /// Seconds since the transaction began.
    pub(super) seconds: u16,
    /// The client's current address.
    pub(super) own: Option<Ipv4Addr>,
    /// The requested address.
    pub(super) wanted: Option<Ipv4Addr>,
    /// The server whose offer is accepted.
    pub(super) server: Option<Ipv4Addr>,
    /// The server to send it to, and its MAC address; `None` to broadcast.
    pub(super) to: Option<(Ipv4Addr, Mac)>,
}

/// Writes the frame of a client with the MAC address `mac`, which other clients may have as well. Returns its length.
pub(super) fn write(
    (mac, shares_mac): (Mac, bool),
    host_name: &str,
    request: &Request,
    frame: &mut [u8; FRAME_BYTES],
) -> Option<usize> {
    /// The parameter request list: mask, classless routes (before the router, as RFC 3442 requires), router, name
    /// servers, domain, MTU, time servers, search domains.
    const WANTED: [u8; 8] = [1, 121, 3, 6, 15, 26, 42, 119];
    /// The payload of one frame of 1,500 bytes, so that the server need not omit options (RFC 2132 9.10).
    const LARGEST: [u8; 2] = 1_472_u16.to_be_bytes();
    let address = |address: Option<Ipv4Addr>| address.unwrap_or(Ipv4Addr::UNSPECIFIED).octets();
    let own = address(request.own);
    let (to, to_mac) = request.to.unwrap_or((Ipv4Addr::BROADCAST, Mac([0xff; 6])));
    let (to, wanted, server) = (to.octets(), address(request.wanted), address(request.server));
    // DHCPDISCOVER or DHCPREQUEST (RFC 2132 9.6).
    let kind = [if request.is_discover { 1 } else { 3 }];
    // The MAC address; or else an identifier of no hardware (RFC 2132 9.14).
    let mut id = [0; 7 + HOSTNAME_BYTES];
    id[0] = u8::from(!shares_mac);
    id[1..7].copy_from_slice(&mac.0);
    let name = if shares_mac { host_name.as_bytes() } else { &[] };
    id.get_mut(7..7 + name.len())?.copy_from_slice(name);
    let options: [(u8, &[u8]); 7] = [
        (53, &kind),
        (61, &id[..7 + name.len()]),
        (50, request.wanted.map_or(&[], |_| &wanted)),
        (54, request.server.map_or(&[], |_| &server)),
        (57, &LARGEST),
        (55, &WANTED),
        (12, host_name.as_bytes()),
    ];
    frame.fill(0);
    let mut end = OPTIONS;
    for (kind, data) in options.into_iter().filter(|(_, data)| !data.is_empty()) {
        let place = frame.get_mut(end..end + 2 + data.len())?;
        (place[0], place[1]) = (kind, data.len() as u8);
        place[2..].copy_from_slice(data);
        end += 2 + data.len();
    }
    *frame.get_mut(end)? = 255;
    let length = (end + 1).max(MESSAGE + SHORTEST);
    let (packet, datagram) = ((length - 14) as u16, (length - 34) as u16);
    // The parts and their offsets: Ethernet, IPv4, UDP, message.
    let mut put = |at: usize, part: &[u8]| frame[at..at + part.len()].copy_from_slice(part);
    put(0, &to_mac.0);
    put(6, &mac.0);
    put(12, &[8, 0, 0x45, 0]);
    put(16, &packet.to_be_bytes());
    put(22, &[64, 17]);
    put(26, &own);
    put(30, &to);
    put(34, &[0, CLIENT_PORT as u8, 0, SERVER_PORT as u8]);
    put(38, &datagram.to_be_bytes());
    put(MESSAGE, &[1, 1, 6]);
    put(MESSAGE + 4, &request.id.to_be_bytes());
    put(MESSAGE + 8, &request.seconds.to_be_bytes());
    // "Answer by broadcast" (RFC 2131 2).
    put(MESSAGE + 10, &[if shares_mac { 0x80 } else { 0 }]);
    put(MESSAGE + 12, &own);
    put(MESSAGE + 28, &mac.0);
    put(OPTIONS - 4, &COOKIE.to_be_bytes());
    let header = sum(&[&frame[14..34]]).to_be_bytes();
    frame[24..26].copy_from_slice(&header);
    let whole = sum(&[&frame[26..34], &[0, 17], &datagram.to_be_bytes(), &frame[34..length]]);
    // A checksum of 0 would mean "no checksum" (RFC 768).
    frame[40..42].copy_from_slice(&if whole == 0 { u16::MAX } else { whole }.to_be_bytes());
    Some(length)
}

/// A message of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerMessage {
    pub(super) kind: MessageKind,
    pub(super) id: u32,
    /// The offered or granted lease.
    pub(super) lease: Lease,
    /// Milliseconds until the lease must be renewed, and until it must be rebound, if the server specifies them.
    pub(super) renew_ms: Option<u64>,
    pub(super) rebind_ms: Option<u64>,
    /// The source MAC address of the frame.
    pub(super) from: Mac,
}

/// The type of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKind {
    Offer,
    Given,
    Refused,
}

/// Parses a frame. Returns `None` if it is not a reply to the client with this MAC address.
pub(super) fn read(mac: Mac, frame: &[u8]) -> Option<ServerMessage> {
    let outer = EthernetFrame::new_checked(frame).ok().filter(|frame| frame.ethertype() == EthernetProtocol::Ipv4)?;
    let packet = Ipv4Packet::new_checked(outer.payload()).ok()?;
    // The kernel may deliver a frame before the UDP checksum is filled in; the IPv4 header's checksum is always valid.
    let is_udp = packet.next_header() == IpProtocol::Udp && packet.verify_checksum();
    if !is_udp || packet.more_frags() || packet.frag_offset() != 0 {
        return None;
    }
    let datagram =
        UdpPacket::new_checked(packet.payload()).ok().filter(|datagram| datagram.dst_port() == CLIENT_PORT)?;
    if datagram.src_port() != SERVER_PORT {
        return None;
    }
    let message = DhcpPacket::new_checked(datagram.payload()).ok()?;
    // A BOOTREPLY.
    let is_ours = message.client_hardware_address() == EthernetAddress(mac.0) && message.magic_number() == COOKIE;
    if !is_ours || message.hardware_len() != 6 || datagram.payload().first() != Some(&2) {
        return None;
    }
    let (mut lease, kind, renew, rebind) = read_options(&message);
    if lease.length == 0 {
        // Without a mask, the prefix length is that of the address class (RFC 2132 3.3).
        lease.length = match lease.address.octets()[0] {
            ..=127 => 8,
            128..=191 => 16,
            _ => 24,
        };
    }
    let ms = |seconds: u32| u64::from(seconds) * 1_000;
    Some(ServerMessage {
        kind: kind?,
        id: message.transaction_id(),
        lease,
        renew_ms: renew.map(ms),
        rebind_ms: rebind.map(ms),
        from: Mac(outer.src_addr().0),
    })
}

/// Reads the options: the lease, the message type, and the seconds until renewing and rebinding.
fn read_options(message: &DhcpPacket<&[u8]>) -> (Lease, Option<MessageKind>, Option<u32>, Option<u32>) {
    let address = |data: &[u8]| data.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes));
    let number = |data: &[u8]| data.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes));
    let mut lease = Lease { address: message.your_ip(), ..Lease::NOTHING };
    let (mut kind, mut renew, mut rebind) = (None, None, None);
    for option in message.options() {
        match option.kind {
            1 => {
                let mask = number(option.data).filter(|mask| mask.leading_ones() + mask.trailing_zeros() == 32);
                lease.length = mask.map_or(0, |mask| mask.leading_ones() as u8);
            }
            3 => lease.routes[0] = address(option.data).map_or(LeaseRoute::NONE, LeaseRoute::by),
            6 => read_servers(option.data, &mut lease.name_servers),
            15 => {
                let end = option.data.iter().rposition(|byte| !matches!(byte, b'\0' | b'.')).map_or(0, |at| at + 1);
                lease.search.push(core::str::from_utf8(&option.data[..end]).unwrap_or_default());
            }
            // No link has an MTU of less than 68 bytes (RFC 2132 5.1).
            26 => lease.mtu = option.data.first_chunk().map_or(0, |mtu| u16::from_be_bytes(*mtu)),
            42 => read_servers(option.data, &mut lease.time_servers),
            51 => lease.seconds = number(option.data).unwrap_or(0),
            53 => {
                kind = match option.data {
                    [2] => Some(MessageKind::Offer),
                    [5] => Some(MessageKind::Given),
                    [6] => Some(MessageKind::Refused),
                    _ => None,
                }
            }
            54 => lease.server = address(option.data).unwrap_or(Ipv4Addr::UNSPECIFIED),
            58 => renew = number(option.data),
            59 => rebind = number(option.data),
            _ => {}
        }
    }
    if lease.mtu < 68 {
        lease.mtu = 0;
    }
    read_routes(&whole(message, 121), &mut lease);
    // The list of search domains takes precedence over the single domain.
    let one = core::mem::replace(&mut lease.search, domains::Search::EMPTY);
    domains::read(&whole(message, 119), &mut |domain| lease.search.push(domain));
    one.iter().for_each(|domain| lease.search.push(domain));
    (lease, kind, renew, rebind)
}

/// Returns an option, with its parts concatenated (RFC 3396).
fn whole(message: &DhcpPacket<&[u8]>, kind: u8) -> heapless::Vec<u8, LONG_OPTION> {
    let mut whole = heapless::Vec::new();
    for option in message.options().filter(|option| option.kind == kind) {
        // Data that does not fit is dropped.
        let _ = whole.extend_from_slice(option.data);
    }
    whole
}

/// Parses option 121 (RFC 3442): prefix length, the significant bytes of the address, and a router, repeatedly. A
/// malformed option is ignored as a whole.
fn read_routes(mut bytes: &[u8], lease: &mut Lease) {
    let mut routes = [LeaseRoute::NONE; super::lease::ROUTES];
    let mut places = routes.iter_mut();
    while let [length @ 0..=32, rest @ ..] = bytes {
        let count = usize::from(length.div_ceil(8));
        let Some((to, rest)) = rest.split_at_checked(count) else { return };
        let Some((gateway, rest)) = rest.split_first_chunk::<4>() else { return };
        let mut octets = [0; 4];
        octets[..count].copy_from_slice(to);
        let given = LeaseRoute { to: octets.into(), length: *length, gateway: (*gateway).into() };
        // Bits after the prefix are ignored.
        if let core::net::IpAddr::V4(to) = given.prefix().first()
            && let Some(place) = places.next()
        {
            *place = LeaseRoute { to, ..given };
        }
        bytes = rest;
    }
    if bytes.is_empty() && routes[0] != LeaseRoute::NONE {
        lease.routes = routes;
    }
}

/// Reads addresses into `places`, as many as fit.
fn read_servers(data: &[u8], places: &mut [Ipv4Addr; NAME_SERVERS]) {
    for (place, bytes) in places.iter_mut().zip(data.as_chunks::<4>().0) {
        *place = Some(Ipv4Addr::from(*bytes)).filter(|server| is_server(*server)).unwrap_or(Ipv4Addr::UNSPECIFIED);
    }
}

fn is_server(address: Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast()
}
