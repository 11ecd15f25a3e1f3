//! The addresses by which workloads reach each other.

use super::address::Prefix;
use super::network::{Attachment, Network, WorkloadLink};
use super::pools::Pools;
use core::net::IpAddr;

impl<'a> Network<'a> {
    /// Every address of its links.
    pub fn addresses<'l>(&self, pools: &'l Pools<'a>) -> impl Iterator<Item = Prefix> + use<'l, 'a> {
        pools.of(self.links).iter().flat_map(|link| link.addresses.iter().copied())
    }

    /// The addresses by which it reaches a workload that it may talk to, each with the number of its own link that they are
    /// reached by: those behind a bridge that both are connected to, or all of them, by the first link, where there is none.
    pub fn peer_addresses<'l>(
        &self,
        peer: &Network<'a>,
        pools: &'l Pools<'a>,
    ) -> impl Iterator<Item = (u8, Prefix)> + use<'l, 'a> {
        let links = pools.of(self.links);
        let same = move |link: &WorkloadLink<'_>| {
            (0..).zip(links).find(|(_, own)| own.attachment == link.attachment).map(|(number, _)| number)
        };
        let first = self.bridged(pools).next().map_or(0, |(number, ..)| number);
        let has_same = peer.bridged(pools).any(|(_, link, _)| same(link).is_some());
        peer.bridged(pools).filter_map(move |(_, link, prefix)| match same(link) {
            Some(number) => Some((number, prefix)),
            None => (!has_same).then_some((first, prefix)),
        })
    }

    /// Returns the address of this family that published ports lead to: the first one behind a bridge with a gateway. From one
    /// without, nobody outside would be answered, and would wait instead of trying the other family. Returns the bridge's name,
    /// the address, and the board's address there, which is the only gateway.
    #[inline(never)]
    pub fn published_address(&self, pools: &Pools<'a>, is_ipv4: bool) -> Option<(&'a str, IpAddr, IpAddr)> {
        let is_same = |address: &IpAddr| address.is_ipv4() == is_ipv4;
        self.bridged(pools).filter(|(.., prefix)| is_same(&prefix.address)).find_map(|(_, link, prefix)| {
            let gateway = link.gateways.iter().copied().find(is_same)?;
            Some((link.attachment.name(), prefix.address, gateway))
        })
    }

    /// Every address of its links to bridges, each with its link and that one's number.
    pub fn bridged<'l>(
        &self,
        pools: &'l Pools<'a>,
    ) -> impl Iterator<Item = (u8, &'l WorkloadLink<'a>, Prefix)> + use<'l, 'a> {
        let bridged =
            (0..).zip(pools.of(self.links)).filter(|(_, link)| matches!(link.attachment, Attachment::Bridge(_)));
        bridged.flat_map(|(number, link)| link.addresses.iter().map(move |prefix| (number, link, *prefix)))
    }
}
