//! Probes network features of the kernel by using them in a throw-away network namespace.

use super::connections::forget;
use super::{exchange, filter_socket, index_of, request, route_socket};
use crate::os::path::open;
use hilum::config::Mac;
use hilum::netlink::{Inner, Make, Writer, make_bridge, make_link, try_rules};
use hilum::text;
use hilum::text::Text;
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The features, and how to enable each.
pub(crate) const PROBES: [(Text, Text); 7] = [
    (text!("bridges (bridge)"), text!("module bridge, or CONFIG_BRIDGE")),
    (text!("veth pairs (link veth)"), text!("module veth, or CONFIG_VETH")),
    (text!("macvlan (link macvlan)"), text!("module macvlan, or CONFIG_MACVLAN")),
    (text!("ipvlan (link ipvlan)"), text!("module ipvlan, or CONFIG_IPVLAN")),
    (
        text!("packet rules (nf_tables)"),
        text!("modules nf_tables, nft_ct and nft_counter, or CONFIG_NF_TABLES, CONFIG_NFT_CT"),
    ),
    (
        text!("published ports and masquerading"),
        text!(
            "modules nft_chain_nat, nft_nat, nft_masq and nft_fib_inet, or CONFIG_NFT_NAT, CONFIG_NFT_MASQ, CONFIG_NFT_FIB_INET"
        ),
    ),
    (
        text!("connections that rules concern (ctnetlink)"),
        text!("module nf_conntrack_netlink, or CONFIG_NF_CT_NETLINK"),
    ),
];

/// Returns whether the kernel supports the feature with this index. This changes the current network namespace.
pub(crate) fn supports(which: usize) -> bool {
    attempt(which).is_ok()
}

fn attempt(which: usize) -> Result<(), Errno> {
    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    let socket = route_socket()?;
    let namespace = open("/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let make = |make: Make<'_>, name: &str| {
        let inner = Inner { name, mac: Some(MAC), mtu: 0, namespace: namespace.as_raw_fd().unsigned_abs() };
        exchange(&socket, &mut |writer| make_link(writer, make, &inner))
    };
    // Without a bridge: the index is 0.
    let pair = || make(Make::Veth { bridge: 0, port: "parent" }, "other");
    match which {
        0 => exchange(&socket, &mut |writer| make_bridge(writer, "bridge", MAC)),
        1 => pair(),
        2 | 3 => {
            pair()?;
            let parent = index_of(&socket, "parent")?;
            make(if which == 2 { Make::Macvlan { parent } } else { Make::Ipvlan { parent } }, "child")
        }
        6 => forget(&|_| false),
        _ => {
            let mut buffer = [0; 4096];
            let mut writer = Writer::new(&mut buffer);
            try_rules(&mut writer, which > 4);
            request(&filter_socket()?, &writer)
        }
    }
}
