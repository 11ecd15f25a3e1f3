//! The addresses at which workloads reach each other.

use super::address::Prefix;
use super::network::{Attachment, Network, WorkloadLink};
use super::pools::Pools;
use core::net::IpAddr;

impl<'a> Network<'a> {
    /// Iterates over all addresses of its links.
    pub fn addresses<'l>(&self, pools: &'l Pools<'a>) -> impl Iterator<Item = Prefix> + use<'l, 'a> {
        pools.of(self.links).iter().flat_map(|link| link.addresses.iter().copied())
    }

    /// Iterates over the addresses of a workload that it may talk to, each with the number of its own link to use.
    /// These are the addresses on bridges that both are connected to. If there is no such bridge, these are all
    /// addresses, by the first link.
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

    /// Returns the target of published ports for this family: the bridge's name, the workload's first address on a
    /// bridge with a gateway, and the board's address there, which is the only gateway. From a workload without a
    /// gateway, replies would not reach other networks, and clients would wait instead of trying the other family.
    #[inline(never)]
    pub fn published_address(&self, pools: &Pools<'a>, is_ipv4: bool) -> Option<(&'a str, IpAddr, IpAddr)> {
        let is_same = |address: &IpAddr| address.is_ipv4() == is_ipv4;
        self.bridged(pools).filter(|(.., prefix)| is_same(&prefix.address)).find_map(|(_, link, prefix)| {
            let gateway = link.gateways.iter().copied().find(is_same)?;
            Some((link.attachment.name(), prefix.address, gateway))
        })
    }

    /// Iterates over the addresses of its links to bridges, each with its link and the link's number.
    pub fn bridged<'l>(
        &self,
        pools: &'l Pools<'a>,
    ) -> impl Iterator<Item = (u8, &'l WorkloadLink<'a>, Prefix)> + use<'l, 'a> {
        let bridged =
            (0..).zip(pools.of(self.links)).filter(|(_, link)| matches!(link.attachment, Attachment::Bridge(_)));
        bridged.flat_map(|(number, link)| link.addresses.iter().map(move |prefix| (number, link, *prefix)))
    }
}
