//! Single words of lines about networks: names, addresses, ports.

use super::super::super::address::{Mac, Prefix};
use super::super::super::limits;
use super::super::super::network::Publish;
use super::super::values;
use super::ip::address as address_of;
use crate::number::number_of_radix;
use crate::split::Split;
use core::net::IpAddr;

/// Returns a link's name (dev_valid_name in net/core/dev.c), without characters that are special in a terminal or a
/// path.
pub(super) fn link_name(text: &str) -> Option<&str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=limits::LINK_BYTES).contains(&text.len()) && text.bytes().all(letter);
    let is_option = text.bytes().next().is_some_and(|first| b".-".contains(&first));
    (fits && !is_option && text != "lo" && text != "all" && text != "default").then_some(text)
}

/// Returns a host address with its prefix length; refuses the network address and the broadcast address.
#[inline(never)]
pub(super) fn prefix(text: &str) -> Option<Prefix> {
    let (address, length) = text.cut(b'/')?;
    let (address, length) = (ip(address)?, values::number(length)?);
    let prefix = Prefix { address, length: u8::try_from(length).ok()? };
    let bits = Prefix::host(address).length;
    let is_whole =
        prefix.length + 1 < bits && (address == prefix.first() || address.is_ipv4() && address == prefix.last());
    ((1..=bits).contains(&prefix.length) && !is_whole).then_some(prefix)
}

/// Returns the address of a single host.
#[inline(never)]
pub(in super::super) fn ip(text: &str) -> Option<IpAddr> {
    let address = address_of(text)?;
    let is_hosts = !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
    is_hosts.then_some(address)
}

/// Returns a network, by its first address; `default` means all addresses.
pub(super) fn network(text: &str) -> Option<Prefix> {
    let (address, length) = text.cut(b'/')?;
    let address = address_of(address)?;
    let prefix = Prefix { address, length: u8::try_from(values::number(length)?).ok()? };
    (prefix.length <= Prefix::host(address).length && prefix.first() == address).then_some(prefix)
}

pub(super) fn mac(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.parts(b':');
    for place in &mut mac {
        *place = parts.next().filter(|part| part.len() == 2).and_then(|part| number_of_radix(part, 16))?;
    }
    // The lowest bit of the first byte marks a multicast address.
    (parts.next().is_none() && mac[0] & 1 == 0 && mac != [0; 6]).then_some(Mac(mac))
}

/// Returns an MTU: at least the minimum of IPv4 (RFC 791), at most the maximum of a link.
pub(super) fn mtu(text: &str) -> Option<u32> {
    values::number(text).filter(|mtu| (68..=65_535).contains(mtu))
}

pub(super) fn port(text: &str) -> Option<u16> {
    values::number(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

/// Returns the first and the last port of a range; a single port is both.
fn ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.cut(b'-').unwrap_or((text, text));
    Some((port(first)?, port(last)?)).filter(|(first, last)| first <= last)
}

/// `[ADDRESS:]PORT[-PORT]:PORT[-PORT]/tcp|udp`. A range must be the same on both sides, because a rule without a port
/// makes the kernel keep the original one.
pub(super) fn publish(text: &str) -> Option<Publish> {
    let (text, protocol) = text.cut_last(b'/')?;
    let is_udp = "tcp udp".place_of_word(protocol)? == 1;
    let (rest, to) = text.cut_last(b':')?;
    let (address, from) = match rest.cut_last(b':') {
        Some((address, from)) => {
            let inner = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
            let address = ip(inner.unwrap_or(address))?;
            (Some(address).filter(|address| address.is_ipv6() == inner.is_some()), from)
        }
        None => (None, rest),
    };
    // An address that does not parse must not turn into "all addresses".
    (address.is_some() == rest.place_of(b':').is_some()).then_some(())?;
    let ((port, last), (to, last_to)) = (ports(from)?, ports(to)?);
    let is_range = port < last || to < last_to;
    (!is_range || (port, last) == (to, last_to)).then_some(Publish { address, port, last, to, is_udp })
}

/// Returns the name of a setting: parts of letters, digits, `-` and `_`, separated by dots or slashes (sysctl(8)).
pub(super) fn sysctl(text: &str) -> Option<&str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let part = |part: &str| !part.is_empty() && part.bytes().all(letter);
    (text.len() <= limits::PATH_BYTES / 2 && text.parts(b'.').all(|text| text.parts(b'/').all(part))).then_some(text)
}
