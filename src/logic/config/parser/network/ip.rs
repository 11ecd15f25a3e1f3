//! Reads IP addresses as the standard library does, whose parser is twice as large: 1 KB.

use super::super::values::number;
use crate::number::number_of_radix;
use crate::split::Split;
use core::net::IpAddr;

/// The number of 16-bit groups of an IPv6 address.
const GROUPS: usize = 8;

/// Parses an address of either family. An IPv4 address has four decimal numbers without leading zeros (RFC 6943 3.1.1);
/// an IPv6 address may have `::` for one or more groups of zeros, and an IPv4 address at its end (RFC 4291 2.2).
#[inline(never)]
pub(super) fn address(text: &str) -> Option<IpAddr> {
    if let Some(address) = ipv4(text) {
        return Some(address.into());
    }
    let (mut groups, mut behind) = ([0; GROUPS], [0; GROUPS]);
    match text.as_bytes().windows(2).position(|two| two == b"::") {
        None => (read(text, &mut groups)? == GROUPS).then_some(())?,
        Some(at) => {
            let (before, after) = (text.get(..at)?, text.get(at + 2..)?);
            // An IPv4 address is only at the end.
            before.place_of(b'.').is_none().then_some(())?;
            let (first, last) = (read(before, &mut groups)?, read(after, &mut behind)?);
            (first + last < GROUPS).then_some(())?;
            groups[GROUPS - last..].copy_from_slice(&behind[..last]);
        }
    }
    Some(groups.into())
}

/// Parses `A.B.C.D`.
fn ipv4(text: &str) -> Option<[u8; 4]> {
    let mut address = [0; 4];
    let mut parts = text.parts(b'.');
    for place in &mut address {
        // Others read a number with a leading zero as octal.
        let part = parts.next().filter(|part| part.len() == 1 || !part.starts_with('0'))?;
        *place = number(part)?.try_into().ok()?;
    }
    parts.next().is_none().then_some(address)
}

/// Reads groups between colons, and returns how many they are.
fn read(text: &str, groups: &mut [u16; GROUPS]) -> Option<usize> {
    let mut count = 0;
    let mut parts = text.parts(b':').filter(|_| !text.is_empty());
    while let Some(part) = parts.next() {
        if let Some([a, b, c, d]) = ipv4(part) {
            groups.get_mut(count..count + 2)?.copy_from_slice(&[[a, b], [c, d]].map(u16::from_be_bytes));
            return parts.next().is_none().then_some(count + 2);
        }
        *groups.get_mut(count)? = number_of_radix(part, 16).filter(|_| part.len() <= 4)?;
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests;
