//! Encodes and decodes router advertisements as whole frames (RFC 4861 4.2), and DHCPv6 messages (RFC 8415 8).

use crate::config::Mac;
use core::net::Ipv6Addr;

/// Bytes of a request to DHCPv6 servers.
pub const QUESTION_BYTES: usize = 40;
/// Bytes of a router solicitation including headers.
pub const SOLICITATION_BYTES: usize = 14 + 40 + 8;

/// Options of a router advertisement (RFC 8106 5).
pub(super) const NAME_SERVERS: u8 = 25;
pub(super) const DOMAINS: u8 = 31;

/// The contents of a router advertisement.
pub(super) struct Advertisement<'a> {
    /// The router's address.
    pub(super) router: Ipv6Addr,
    /// Seconds for which it is a default router; 0 if it is none.
    pub(super) lifetime_s: u16,
    /// Whether DHCPv6 servers have more information, or all of it.
    pub(super) has_server: bool,
    pub(super) options: &'a [u8],
}

/// Parses an Ethernet frame. Returns `None` if it is not a router advertisement from the link itself (RFC 4861 6.1.2):
/// its hop limit is 255, and its source is a link-local address.
///
/// The checksum is not verified, because the kernel may deliver a frame before the checksum is filled in.
pub(super) fn read_advertisement(frame: &[u8]) -> Option<Advertisement<'_>> {
    let packet = frame.get(12..)?.strip_prefix(&[0x86, 0xdd])?;
    let (header, rest) = packet.split_first_chunk::<40>()?;
    let body = rest.get(..usize::from(u16::from_be_bytes([header[4], header[5]])))?;
    let router = Ipv6Addr::from(*header[8..].first_chunk::<16>()?);
    let (fixed, options) = body.split_first_chunk::<16>()?;
    let is_advertisement = header[0] >> 4 == 6 && header[6] == 58 && header[7] == 255 && fixed[..2] == [134, 0];
    (is_advertisement && router.is_unicast_link_local()).then_some(Advertisement {
        router,
        lifetime_s: u16::from_be_bytes([fixed[6], fixed[7]]),
        has_server: fixed[5] & 0xc0 != 0,
        options,
    })
}

/// Returns a router solicitation (RFC 4861 4.1) from the unspecified address to all routers, so that its checksum is
/// constant. The reply goes to all nodes.
pub(super) fn solicitation(mac: Mac) -> [u8; SOLICITATION_BYTES] {
    let mut frame = [0; SOLICITATION_BYTES];
    let parts: [(usize, &[u8]); 5] = [
        (0, &[0x33, 0x33, 0, 0, 0, 2]),
        (6, &mac.0),
        // IPv6 with eight bytes of ICMPv6 and a hop limit of 255; its source is `::`.
        (12, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255]),
        (38, &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]),
        (54, &[133, 0, 0x7b, 0xb8]),
    ];
    for (at, part) in parts {
        frame[at..at + part.len()].copy_from_slice(part);
    }
    frame
}

/// Takes the first option of a router advertisement: its type, and the bytes after its length.
pub(super) fn next_option<'a>(options: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [kind, length, ..] = **options else { return None };
    // An option of length 0 invalidates the whole message.
    let (option, rest) = options.split_at_checked(usize::from(length) * 8).filter(|_| length > 0)?;
    *options = rest;
    Some((kind, &option[2..]))
}

/// Splits an option into its lifetime in seconds and the bytes after it.
pub(super) fn lifetime(option: &[u8]) -> Option<(u32, &[u8])> {
    let rest = option.get(2..)?;
    Some((seconds(rest)?, &rest[4..]))
}

/// Reads seconds from the first four bytes.
pub(super) fn seconds(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Parses a reply to the request with this number, and returns its options. `None` if it is malformed or for another
/// client.
pub(super) fn read_reply(mac: Mac, id: u32, datagram: &[u8]) -> Option<&[u8]> {
    const REPLY: u32 = 7 << 24;
    let (head, options) = datagram.split_first_chunk::<4>()?;
    (u32::from_be_bytes(*head) == REPLY | id).then_some(())?;
    let (mut rest, mut has_server) = (options, false);
    while let Some((kind, data)) = next_option_6(&mut rest) {
        match kind {
            1 if data != duid(mac) => return None,
            2 => has_server = true,
            // A status other than success.
            13 if data.get(..2) != Some(&[0, 0]) => return None,
            _ => {}
        }
    }
    has_server.then_some(options)
}

/// Takes the first DHCPv6 option: its code and its data.
pub(super) fn next_option_6<'a>(options: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let ([a, b, c, d], rest) = options.split_first_chunk::<4>()?;
    let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*c, *d])))?;
    *options = rest;
    Some((u16::from_be_bytes([*a, *b]), data))
}

/// Returns the client's DUID, made of the link's MAC address (RFC 8415 11.4).
fn duid(mac: Mac) -> [u8; 10] {
    let [a, b, c, d, e, f] = mac.0;
    [0, 3, 0, 1, a, b, c, d, e, f]
}

/// Writes an information request (RFC 8415 18.2.6) for name servers, domains and their refresh time, with the elapsed
/// time. Returns its length.
pub(super) fn write_question(mac: Mac, id: u32, waited_ms: u64, question: &mut [u8; QUESTION_BYTES]) -> usize {
    const INFORMATION_REQUEST: u32 = 11 << 24;
    let hundredths = u16::try_from(waited_ms / 10).unwrap_or(u16::MAX);
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        question[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&(INFORMATION_REQUEST | id).to_be_bytes());
    put(&[0, 1, 0, 10]);
    put(&duid(mac));
    put(&[0, 8, 0, 2]);
    put(&hundredths.to_be_bytes());
    put(&[0, 6, 0, 6, 0, 23, 0, 24, 0, 32]);
    at
}
