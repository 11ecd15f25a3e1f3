//! The kernel's connection table, by ctnetlink (include/uapi/linux/netfilter/nfnetlink_conntrack.h): selects the
//! entries to delete when a workload starts or exits.
//!
//! The kernel applies NAT rules only to the first packet of a connection, and remembers the result
//! (net/netfilter/nf_nat_core.c). Each datagram renews the entry. A sender that does not pause would therefore never
//! see a new rule, and keep using a removed one.
//! Kernels differ in the filters that they support for deletion (CTA_FILTER, ctnetlink_flush_conntrack in
//! net/netfilter/nf_conntrack_netlink.c). Therefore all entries are listed, and each is deleted by its tuple.

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

/// Requests a list of all connections; they are returned as [`Connection`].
pub fn list_connections(writer: &mut Writer<'_>) {
    writer.silent(CTNETLINK | IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, |writer| header(writer, 0, 0));
}

/// An entry of the connection table.
#[derive(Debug, Clone, Copy)]
pub struct Connection<'a> {
    family: u8,
    id: &'a [u8],
    /// The tuple of the original direction, as the kernel encoded it.
    forth: &'a [u8],
    /// The tuple of the reply direction.
    back: &'a [u8],
}

/// Returns a part of a tuple: CTA_IP_V4_SRC and so on of CTA_TUPLE_IP, or CTA_PROTO_NUM and so on of CTA_TUPLE_PROTO.
/// Empty if it is missing.
fn part(tuple: &[u8], outer: u16, inner: u16) -> &[u8] {
    attribute(tuple, outer).and_then(|nested| attribute(nested, inner)).unwrap_or_default()
}

/// Returns the source (1) or destination (2) address and port of a tuple, in network byte order.
#[inline(never)]
fn end(tuple: &[u8], which: u16) -> [&[u8]; 2] {
    // The IPv6 attributes have the next two numbers.
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
    /// Parses a message of this type.
    pub fn read(kind: u16, body: &'a [u8]) -> Option<Self> {
        (kind == CTNETLINK | IPCTNL_MSG_CT_NEW).then_some(())?;
        let rest = body.get(4..)?;
        let [forth, back, id] = [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID].map(|kind| attribute(rest, kind));
        Some(Self { family: body[0], id: id?, forth: forth?, back: back? })
    }

    /// Returns whether a link address of the workload on a bridge is an end of the connection. Such entries are deleted
    /// after the workload exits.
    pub fn is_of<'c>(&self, network: &Network<'c>, pools: &Pools<'c>) -> bool {
        // For a published port, only the source of the reply direction is the workload's address.
        let ends = [self.forth, self.back].map(|tuple| end(tuple, FROM)[0]);
        network.bridged(pools).any(|(.., own)| ends.iter().any(|bytes| is_same(bytes, own.address)))
    }

    /// Returns whether it is a flow of datagrams to one of these ports of the board that was not redirected. Such
    /// entries are deleted when the port is published. Open TCP connections stay as they are.
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

    /// Requests its deletion. The kernel answers ENOENT if the entry is gone or was replaced.
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
