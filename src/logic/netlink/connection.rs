//! The kernel's table of connections, by ctnetlink (include/uapi/linux/netfilter/nfnetlink_conntrack.h): which of them are
//! forgotten when a workload comes or goes.
//!
//! The kernel looks at rules that change addresses for a connection's first packet alone, and remembers what they said for
//! every further one (net/netfilter/nf_nat_core.c). Each datagram renews that memory, so a sender that goes
//! on would never meet a rule that is newer than its first datagram, and would follow one that is gone.
//! Which filters a kernel takes for deleting differs (CTA_FILTER, ctnetlink_flush_conntrack in
//! net/netfilter/nf_conntrack_netlink.c): all are listed, and each one is deleted by what the kernel calls it.

use super::answer::attribute;
use super::filter::header;
use super::kernel::*;
use super::writer::Writer;
use crate::config::{Network, Pools, Publish};
use core::net::IpAddr;

/// IPPROTO_UDP
const UDP: u8 = 17;
/// CTA_IP_V4_SRC, and CTA_IP_V4_DST
const FROM: u16 = 1;
const TO: u16 = 2;

/// Asks for every connection; they come as [`Connection`].
pub fn list_connections(writer: &mut Writer<'_>) {
    writer.silent(CTNETLINK | IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, |writer| header(writer, 0, 0));
}

/// A connection, or what the kernel takes for one: packets between two ports.
#[derive(Debug, Clone, Copy)]
pub struct Connection<'a> {
    family: u8,
    id: &'a [u8],
    /// As the kernel wrote it, to name it again: the packets of who began.
    forth: &'a [u8],
    /// The packets that answer.
    back: &'a [u8],
}

/// Returns a part of a tuple: CTA_IP_V4_SRC and so on of CTA_TUPLE_IP, or CTA_PROTO_NUM and so on of CTA_TUPLE_PROTO. Empty where there
/// is none.
fn part(tuple: &[u8], outer: u16, inner: u16) -> &[u8] {
    attribute(tuple, outer).and_then(|nested| attribute(nested, inner)).unwrap_or_default()
}

/// Returns the address and the port that a tuple's packets come from (1), or go to (2), as they lie in a packet.
#[inline(never)]
fn end(tuple: &[u8], which: u16) -> [&[u8]; 2] {
    // Those of IPv6 have the next two numbers.
    let address = part(tuple, 1, which);
    [if address.is_empty() { part(tuple, 1, which + 2) } else { address }, part(tuple, 2, which + 1)]
}

fn is_same(bytes: &[u8], address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => *bytes == address.octets(),
        IpAddr::V6(address) => *bytes == address.octets(),
    }
}

impl<'a> Connection<'a> {
    /// Reads a message of this kind.
    pub fn read(kind: u16, body: &'a [u8]) -> Option<Self> {
        (kind == CTNETLINK | IPCTNL_MSG_CT_NEW).then_some(())?;
        let rest = body.get(4..)?;
        let [forth, back, id] = [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID].map(|kind| attribute(rest, kind));
        Some(Self { family: body[0], id: id?, forth: forth?, back: back? })
    }

    /// Whether it began at an address of a workload's links to bridges, or ends at one: what is forgotten when the workload
    /// has ended.
    pub fn is_of<'c>(&self, network: &Network<'c>, pools: &Pools<'c>) -> bool {
        // Where a published port was asked for, the answers' sender alone is the workload.
        let ends = [self.forth, self.back].map(|tuple| end(tuple, FROM)[0]);
        network.bridged(pools).any(|(.., own)| ends.iter().any(|bytes| is_same(bytes, own.address)))
    }

    /// Whether its datagrams go to one of these ports of the board and to nobody that a rule has named: what is forgotten
    /// when the ports begin to lead to a workload. A connection of TCP that is open goes on where it began.
    pub fn misses(&self, published: &[Publish]) -> bool {
        let to @ [address, port] = end(self.forth, TO);
        let Some(port) = port.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)) else { return false };
        let is_unchanged = to == end(self.back, FROM) && end(self.forth, FROM) == end(self.back, TO);
        let is_to = |publish: &Publish| {
            publish.is_udp
                && (publish.port..=publish.last).contains(&port)
                && publish.address.is_none_or(|own| is_same(address, own))
        };
        is_unchanged && *part(self.forth, 2, 1) == [UDP] && published.iter().any(is_to)
    }

    /// Asks to delete it. The kernel answers ENOENT where it is gone, or another one has its place.
    pub fn delete(&self, writer: &mut Writer<'_>) {
        writer.message(CTNETLINK | IPCTNL_MSG_CT_DELETE, 0, |writer| {
            header(writer, self.family, 0);
            writer.attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, self.forth);
            writer.attribute(CTA_ID, self.id);
        });
    }
}

#[cfg(test)]
mod tests;
