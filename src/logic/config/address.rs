//! MAC addresses, and IP addresses with their networks: arithmetic on them, wherever they come from.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Returns the fixed address for these names: locally administered, for one station (IEEE 802 8.4).
    pub fn of(names: &[&str], number: u8) -> Self {
        let [_, _, a, b, c, d, e, f] = hash(names, number).to_be_bytes();
        Self([(a & 0xfc) | 2, b, c, d, e, f])
    }
}

/// FNV-1a, because the result must never change; there is no other requirement.
pub(super) fn hash(names: &[&str], number: u8) -> u64 {
    let bytes = names.iter().flat_map(|name| name.bytes().chain([0])).chain([number]);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// An address and its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// The prefix length in bits: up to 32 for IPv4, up to 128 for IPv6.
    pub length: u8,
}

impl Prefix {
    /// Returns the prefix that contains only this address.
    pub const fn host(address: IpAddr) -> Self {
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Returns the prefix of all addresses in the family of `address`.
    pub const fn everywhere(address: IpAddr) -> Self {
        let address = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { address, length: 0 }
    }

    /// Returns the network mask.
    pub const fn mask(self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => {
                IpAddr::V4(Ipv4Addr::from_bits(((u32::MAX as u64) << 32_u32.saturating_sub(self.length as u32)) as u32))
            }
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(mask_6(self.length))),
        }
    }

    /// Returns the first address of the network.
    pub const fn first(self) -> IpAddr {
        match (self.address, self.mask()) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => {
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask.to_bits()))
            }
            (IpAddr::V6(address), IpAddr::V6(mask)) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask.to_bits()))
            }
            (address, _) => address,
        }
    }

    /// Returns the last address of the network: the broadcast address in IPv4.
    pub const fn last(self) -> IpAddr {
        match (self.address, self.mask()) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => {
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() | !mask.to_bits()))
            }
            (IpAddr::V6(address), IpAddr::V6(mask)) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() | !mask.to_bits()))
            }
            (address, _) => address,
        }
    }

    /// Returns whether the address is in this network.
    #[inline(never)]
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && Self { address, length: self.length }.first() == self.first()
    }

    /// Returns whether the two networks have an address in common.
    #[inline(never)]
    pub fn overlaps(self, other: Self) -> bool {
        let (wide, narrow) = if self.length <= other.length { (self, other) } else { (other, self) };
        wide.contains(narrow.address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", Ip(self.address), self.length)
    }
}

/// An address for printing, in the form of RFC 5952. It is the standard library's, whose code has a buffer for padding in
/// two sizes: 1 KB more.
pub struct Ip(pub IpAddr);

impl fmt::Display for Ip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (is_mapped, [a, b, c, d]) = match self.0 {
            IpAddr::V4(address) => (false, address.octets()),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => (true, address.octets()),
                None => return write_groups(&address.segments(), formatter),
            },
        };
        write!(formatter, "{}{a}.{b}.{c}.{d}", if is_mapped { "::ffff:" } else { "" })
    }
}

/// Writes `::` for the first of the longest sequences of zeros, if it has more than one.
fn write_groups(groups: &[u16; 8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mut start, mut length, mut zeros) = (groups.len(), 1, 0);
    for (at, group) in groups.iter().enumerate() {
        zeros = if *group == 0 { zeros + 1 } else { 0 };
        if zeros > length {
            (start, length) = (at + 1 - zeros, zeros);
        }
    }
    for (at, group) in groups.iter().enumerate() {
        if at == start {
            formatter.write_str("::")?;
        }
        if at < start || at >= start + length {
            let colon = if at == 0 || at == start + length { "" } else { ":" };
            write!(formatter, "{colon}{group:x}")?;
        }
    }
    Ok(())
}

/// Returns the mask of an IPv6 network.
const fn mask_6(length: u8) -> u128 {
    match u128::MAX.checked_shl(128_u32.saturating_sub(length as u32)) {
        Some(mask) => mask,
        None => 0,
    }
}
