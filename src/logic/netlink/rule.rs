//! A rule of nf_tables: expressions that work on registers. The first one that does not match ends the rule.
//!
//! Numbers are in network byte order, except those that are compared with values that the kernel keeps in host byte
//! order.

use super::kernel::*;
use super::writer::Writer;
use crate::config::Prefix;
use core::net::{IpAddr, Ipv6Addr};

/// The verdict of a rule, or the policy of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Drop the packet.
    Drop,
    /// Accept the packet.
    Accept,
}

impl Verdict {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Drop => NF_DROP,
            Self::Accept => NF_ACCEPT,
        }
    }
}

/// Builds a rule. The methods add expressions in the order in which they are evaluated.
#[derive(Debug)]
pub(super) struct Rule<'w, 'b> {
    pub(super) writer: &'w mut Writer<'b>,
}

impl Rule<'_, '_> {
    /// Adds an expression: its name and attributes.
    fn expression(&mut self, name: &str, body: impl FnOnce(&mut Writer<'_>)) -> &mut Self {
        let outer = self.writer.open();
        self.writer.text(1, name);
        let inner = self.writer.open();
        body(self.writer);
        self.writer.close(inner, 2);
        self.writer.close(outer, 1);
        self
    }

    /// Compares register 1 with `value`.
    fn compare(&mut self, is_equal: bool, value: &[u8]) -> &mut Self {
        self.compare_by(if is_equal { NFT_CMP_EQ } else { NFT_CMP_NEQ }, value)
    }

    /// Compares register 1 with `value` by an operator of the kernel.
    #[inline(never)]
    fn compare_by(&mut self, operator: u32, value: &[u8]) -> &mut Self {
        self.expression("cmp", |writer| {
            writer.network_number(1, NFT_REG_1);
            writer.network_number(2, operator);
            writer.nest(3, |writer| writer.attribute(1, value));
        })
    }

    /// Loads metadata of the packet by key.
    #[inline(never)]
    fn load(&mut self, name: &str, destination: u16, key: u16, value: u32) -> &mut Self {
        self.expression(name, |writer| {
            writer.network_number(destination, NFT_REG_1);
            writer.network_number(key, value);
        })
    }

    fn meta(&mut self, key: u32) -> &mut Self {
        self.load("meta", 1, 2, key)
    }

    /// Loads bytes of the link, network or transport header (0, 1, 2).
    #[inline(never)]
    fn payload(&mut self, base: u32, offset: u32, length: u32) -> &mut Self {
        self.expression("payload", |writer| {
            for (kind, value) in [(1, NFT_REG_1), (2, base), (3, offset), (4, length)] {
                writer.network_number(kind, value);
            }
        })
    }

    /// Applies `mask` to register 1.
    #[inline(never)]
    fn mask(&mut self, mask: &[u8]) -> &mut Self {
        self.expression("bitwise", |writer| {
            writer.network_number(1, NFT_REG_1);
            writer.network_number(2, NFT_REG_1);
            writer.network_number(3, mask.len() as u32);
            writer.nest(4, |writer| writer.attribute(1, mask));
            writer.nest(5, |writer| writer.attribute(1, &[0; 16][..mask.len()]));
        })
    }

    #[inline(never)]
    fn device(&mut self, key: u32, name: &str) -> &mut Self {
        let mut value = [0; 16];
        // A link's name has at most 15 bytes.
        let length = name.len().min(value.len() - 1);
        value[..length].copy_from_slice(&name.as_bytes()[..length]);
        self.meta(key).compare(true, &value)
    }

    /// Matches packets that arrive on this link.
    pub(super) fn incoming(&mut self, link: &str) -> &mut Self {
        self.device(NFT_META_IIFNAME, link)
    }

    /// Matches packets that leave by this link.
    pub(super) fn outgoing(&mut self, link: &str) -> &mut Self {
        self.device(NFT_META_OIFNAME, link)
    }

    /// Matches packets of connections that were allowed before.
    #[inline(never)]
    pub(super) fn established(&mut self) -> &mut Self {
        /// NF_CT_STATE_BIT of IP_CT_ESTABLISHED and of IP_CT_RELATED
        const STATES: u32 = 2 | 4;
        self.load("ct", 1, 2, NFT_CT_STATE).mask(&STATES.to_ne_bytes()).compare(false, &[0; 4])
    }

    /// Matches packets whose destination was changed by NAT.
    #[inline(never)]
    pub(super) fn redirected(&mut self) -> &mut Self {
        /// IPS_DST_NAT
        const DESTINATION: u32 = 32;
        self.load("ct", 1, 2, NFT_CT_STATUS).mask(&DESTINATION.to_ne_bytes()).compare(false, &[0; 4])
    }

    /// Matches packets with this mark.
    #[inline(never)]
    pub(super) fn marked(&mut self, mark: u32) -> &mut Self {
        self.meta(NFT_META_MARK).compare(true, &mark.to_ne_bytes())
    }

    /// Sets the mark.
    #[inline(never)]
    pub(super) fn mark_as(&mut self, mark: u32) -> &mut Self {
        self.immediate(NFT_REG_1, &mark.to_ne_bytes());
        self.expression("meta", |writer| {
            writer.network_number(2, NFT_META_MARK);
            writer.network_number(3, NFT_REG_1);
        })
    }

    /// Matches packets of this address's family, in tables of frames and of packets.
    pub(super) fn family_of(&mut self, address: IpAddr) -> &mut Self {
        self.family(true, address.is_ipv4())
    }

    /// Matches packets of this family, or of the other one.
    #[inline(never)]
    pub(super) fn family(&mut self, is_equal: bool, is_ipv4: bool) -> &mut Self {
        let kind: u16 = if is_ipv4 { 0x0800 } else { 0x86dd };
        self.meta(NFT_META_PROTOCOL).compare(is_equal, &kind.to_be_bytes())
    }

    /// Matches frames that do not come from this MAC address.
    #[inline(never)]
    pub(super) fn not_sender(&mut self, mac: [u8; 6]) -> &mut Self {
        self.payload(NFT_PAYLOAD_LL_HEADER, 6, 6).compare(false, &mac)
    }

    /// Matches packets that do not come from this address; the family must be matched before.
    pub(super) fn not_source(&mut self, address: IpAddr) -> &mut Self {
        self.address(Prefix::host(address), 12, 8, false)
    }

    /// Matches packets from this network; the family must be matched before.
    pub(super) fn source(&mut self, network: Prefix) -> &mut Self {
        self.address(network, 12, 8, true)
    }

    /// Matches packets to this network; the family must be matched before.
    pub(super) fn destination(&mut self, network: Prefix) -> &mut Self {
        self.address(network, 16, 24, true)
    }

    /// If `address` is IPv6, matches packets whose destination is not ::1.
    pub(super) fn not_loopback_6(&mut self, address: IpAddr) -> &mut Self {
        match address {
            IpAddr::V4(_) => self,
            IpAddr::V6(_) => self.address(Prefix::host(IpAddr::V6(Ipv6Addr::LOCALHOST)), 16, 24, false),
        }
    }

    #[inline(never)]
    fn address(&mut self, network: Prefix, offset_4: u32, offset_6: u32, is_equal: bool) -> &mut Self {
        match (network.address, network.first(), network.mask()) {
            (IpAddr::V4(_), IpAddr::V4(first), IpAddr::V4(mask)) => {
                self.payload(NFT_PAYLOAD_NETWORK_HEADER, offset_4, 4);
                if network.length < 32 {
                    self.mask(&mask.octets());
                }
                self.compare(is_equal, &first.octets())
            }
            (_, IpAddr::V6(first), IpAddr::V6(mask)) => {
                self.payload(NFT_PAYLOAD_NETWORK_HEADER, offset_6, 16);
                if network.length < 128 {
                    self.mask(&mask.octets());
                }
                self.compare(is_equal, &first.octets())
            }
            _ => self,
        }
    }

    /// Matches packets to an address of the board.
    #[inline(never)]
    pub(super) fn at_board(&mut self) -> &mut Self {
        /// NFTA_FIB_F_DADDR, NFT_FIB_RESULT_ADDRTYPE, RTN_LOCAL
        const DESTINATION: u32 = 2;
        const TYPE: u32 = 3;
        self.expression("fib", |writer| {
            for (kind, value) in [(1, NFT_REG_1), (2, TYPE), (3, DESTINATION)] {
                writer.network_number(kind, value);
            }
        })
        .compare(true, &RTN_LOCAL.to_ne_bytes())
    }

    /// Matches packets of this transport protocol (IPPROTO_TCP, ...).
    #[inline(never)]
    pub(super) fn protocol(&mut self, number: u8) -> &mut Self {
        self.meta(NFT_META_L4PROTO).compare(true, &[number])
    }

    /// Matches packets to one of these ports; the protocol must be matched before.
    #[inline(never)]
    pub(super) fn ports(&mut self, first: u16, last: u16) -> &mut Self {
        self.payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
        if first == last {
            return self.compare(true, &first.to_be_bytes());
        }
        self.compare_by(NFT_CMP_GTE, &first.to_be_bytes()).compare_by(NFT_CMP_LTE, &last.to_be_bytes())
    }

    /// Matches echo requests; ICMP or ICMPv6 must be matched before.
    #[inline(never)]
    pub(super) fn echo_request(&mut self, number: u8) -> &mut Self {
        self.payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1).compare(true, &[number])
    }

    #[inline(never)]
    fn immediate(&mut self, register: u32, value: &[u8]) -> &mut Self {
        self.expression("immediate", |writer| {
            writer.network_number(1, register);
            writer.nest(2, |writer| writer.attribute(1, value));
        })
    }

    /// Changes the destination to this address, and to this port unless it is 0.
    pub(super) fn redirect(&mut self, address: IpAddr, port: u16) {
        self.change(NFT_NAT_DNAT, address, port);
    }

    /// Changes the source to this address.
    pub(super) fn send_from(&mut self, address: IpAddr) {
        self.change(NFT_NAT_SNAT, address, 0);
    }

    /// Changes the destination or source; a port of 0 is left as it is.
    #[inline(never)]
    fn change(&mut self, what: u32, address: IpAddr, port: u16) {
        let family = match address {
            IpAddr::V4(address) => {
                self.immediate(NFT_REG_1, &address.octets());
                NFPROTO_IPV4
            }
            IpAddr::V6(address) => {
                self.immediate(NFT_REG_1, &address.octets());
                NFPROTO_IPV6
            }
        };
        if port > 0 {
            self.immediate(NFT_REG_2, &port.to_be_bytes());
        }
        self.expression("nat", |writer| {
            let attributes = [(1, what), (2, family), (3, NFT_REG_1), (5, NFT_REG_2)];
            for (kind, value) in &attributes[..if port > 0 { 4 } else { 3 }] {
                writer.network_number(*kind, *value);
            }
        });
    }

    /// Changes the source to the address of the outgoing link.
    pub(super) fn masquerade(&mut self) {
        self.expression("masq", |_| {});
    }

    /// Counts packets and bytes.
    #[inline(never)]
    pub(super) fn count(&mut self) -> &mut Self {
        self.expression("counter", |_| {})
    }

    /// Ends the rule with a verdict.
    #[inline(never)]
    pub(super) fn verdict(&mut self, verdict: Verdict) {
        self.expression("immediate", |writer| {
            writer.network_number(1, NFT_REG_VERDICT);
            writer.nest(2, |writer| writer.nest(2, |writer| writer.network_number(1, verdict.number())));
        });
    }
}
