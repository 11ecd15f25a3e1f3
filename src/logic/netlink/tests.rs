//! Messages in the layout of the kernel's headers, malformed replies, and the number of messages for a workload.

use super::answer::attribute;
use super::*;
use crate::config::{Config, Mac, Prefix, parse};
use crate::errno::Errno;
use core::net::IpAddr;

pub(super) const CONFIG: &str = "hilum 1\n[system]\nlink eth0 up\nbridge br0 10.77.0.1/24 fd77::1/64\nmasquerade br0 eth0\n\
    [workload web]\nroot /r\nexec /b\nlink veth br0 10.77.0.2/24 via 10.77.0.1\npublish 8080:80/tcp\n\
    [workload db]\nroot /r\nexec /b\nlink veth br0 10.77.0.3/24 via 10.77.0.1\ntalk web board\n";

pub(super) fn config(text: &str) -> Config<'_> {
    let mut config = Config::EMPTY;
    parse(text.as_bytes(), &mut config).unwrap_or_else(|error| panic!("{error}"));
    config
}

/// Returns the messages that `write` writes: type, flags, body.
pub(super) fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<(u16, u16, Vec<u8>)> {
    let mut buffer = vec![0; 64 * 1024];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    let (mut bytes, _) = writer.finish().expect("it fits");
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_ne_bytes(bytes[..4].try_into().expect("four")) as usize;
        let half = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        messages.push((half(4), half(6), bytes[16..length].to_vec()));
        bytes = &bytes[length.next_multiple_of(4)..];
    }
    messages
}

fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').expect("a prefix");
    Prefix { address: address.parse().expect("an address"), length: length.parse().expect("a number") }
}

fn answer(kind: u16, sequence: u32, error: i32) -> [u8; 36] {
    let mut bytes = [0; 36];
    bytes[0..4].copy_from_slice(&36_u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    bytes[16..20].copy_from_slice(&error.to_ne_bytes());
    bytes
}

#[test]
fn link_request_has_the_layout_of_rtnetlink() {
    let [(kind, flags, body)] = &written(|writer| set_link(writer, 7, 1400))[..] else { panic!("one message") };
    assert_eq!((*kind, *flags), (16, 5), "RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK");
    assert_eq!(body[4..8], 7_u32.to_ne_bytes());
    assert_eq!(body[8..16], [1_u32.to_ne_bytes(), 1_u32.to_ne_bytes()].concat()[..], "IFF_UP, and its mask");
    assert_eq!(attribute(&body[16..], 4), Some(&1400_u32.to_ne_bytes()[..]), "IFLA_MTU");
}

#[test]
fn veth_request_has_its_peer_nested_three_deep() {
    let inner = Inner { name: "eth0", mac: Some(Mac([2, 0, 0, 0, 0, 1])), mtu: 0, namespace: 9 };
    let messages = written(|writer| make_link(writer, Make::Veth { bridge: 3, port: "web.0" }, &inner));
    let rest = &messages[0].2[16..];
    assert_eq!(messages[0].1, 0x605, "NLM_F_CREATE and NLM_F_EXCL");
    assert_eq!(attribute(rest, 3), Some(&b"web.0\0"[..]));
    assert_eq!(attribute(rest, 10), Some(&3_u32.to_ne_bytes()[..]));
    let info = attribute(rest, 18).expect("IFLA_LINKINFO");
    assert_eq!(attribute(info, 1), Some(&b"veth\0"[..]));
    let peer = attribute(attribute(info, 2).expect("IFLA_INFO_DATA"), 1).expect("VETH_INFO_PEER");
    assert_eq!(attribute(&peer[16..], 3), Some(&b"eth0\0"[..]));
    assert_eq!(attribute(&peer[16..], 28), Some(&9_u32.to_ne_bytes()[..]), "IFLA_NET_NS_FD");
}

#[test]
fn address_and_route_have_the_layout_of_rtnetlink() {
    let messages = written(|writer| {
        add_address(writer, 7, prefix("10.0.0.2/24"), Neighbours::Nobody, 60);
        add_route(writer, 7, prefix("0.0.0.0/0"), Some(IpAddr::from([10, 0, 0, 1])), 100);
    });
    let address = &messages[0].2;
    assert_eq!(address[..8], [2, 24, 0, 0, 7, 0, 0, 0]);
    assert_eq!(attribute(&address[8..], 4), Some(&[10, 0, 0, 255][..]), "IFA_BROADCAST");
    assert_eq!(attribute(&address[8..], 8), Some(&0x202_u32.to_ne_bytes()[..]), "NODAD and NOPREFIXROUTE");
    let route = &messages[1].2;
    assert_eq!(route[..8], [2, 0, 0, 0, 254, 4, 0, 1]);
    assert_eq!(attribute(&route[12..], 5), Some(&[10, 0, 0, 1][..]));
    assert_eq!(attribute(&route[12..], 1), None, "everywhere has no destination");
}

#[test]
fn number_of_messages_for_a_workload_is_fixed() {
    let config = config(CONFIG);
    let web = &config.workloads[0];
    let link = &config.pools.of(web.network.links)[0];
    // Parent side: the pair; its port, without addresses and isolated; the neighbour behind it. Inside: no automatic
    // addresses, up, one address, the board as a neighbour, and routes to the board, to its network and to everything
    // else.
    assert_eq!(written(|writer| inner_link(writer, &config, link, 2, true)).len(), 7);
    // Two new tables (3 messages each), a chain with four rules, two chains with one rule, one with two, and the batch
    // around them.
    assert_eq!(
        written(|writer| workload_rules(writer, &config, web)).len(),
        2 + 2 * 3 + (1 + 4) + 2 * (1 + 1) + (1 + 2)
    );
    assert_eq!(written(|writer| remove_workload_rules(writer, "web")).len(), 2 + 2 * 2);
}

#[test]
fn port_is_published_in_families_with_a_return_path() {
    let count = |link: &str| {
        let text = CONFIG.replace("link veth br0 10.77.0.2/24 via 10.77.0.1", link);
        let config = config(&text);
        let messages = written(|writer| workload_rules(writer, &config, &config.workloads[0]));
        let rules = messages.iter().filter(|(kind, ..)| *kind == (10 << 8) | 6);
        rules.filter(|(_, _, body)| attribute(&body[4..], 2) == Some(b"publish\0")).count()
    };
    let both = "link veth br0 10.77.0.2/24 fd77::2/64 via 10.77.0.1";
    assert_eq!(count(both), 1, "fd77::2 has no gateway");
    assert_eq!(count(&format!("{both} via fd77::1")), 2);
    assert_eq!(
        count(&format!("{both}\nlink veth br0 10.77.0.4/24 via 10.77.0.1")),
        1,
        "the first one's port is enough"
    );
}

#[test]
fn rules_are_in_a_batch_and_name_their_table() {
    let config = config(CONFIG);
    for messages in [
        written(|writer| board_rules(writer, &config, false)),
        written(|writer| workload_rules(writer, &config, &config.workloads[1])),
    ] {
        let (first, last) = (messages.first().expect("one"), messages.last().expect("one"));
        assert_eq!((first.0, last.0), (16, 17));
        for (kind, flags, body) in &messages[1..messages.len() - 1] {
            assert_eq!(kind >> 8, 10, "NFNL_SUBSYS_NFTABLES");
            assert_eq!(flags & 5, 5, "each is answered");
            assert!(attribute(&body[4..], 1).is_some_and(|name| name.starts_with(b"hilum")));
        }
    }
}

#[test]
fn rules_consist_of_valid_attributes() {
    let config = config(CONFIG);
    let mut messages = written(|writer| board_rules(writer, &config, false));
    for workload in &config.workloads {
        messages.extend(written(|writer| workload_rules(writer, &config, workload)));
    }
    messages.extend(written(|writer| try_rules(writer, true)));
    // They follow a struct nfgenmsg.
    assert!(messages.iter().all(|(_, _, body)| are_attributes(&body[4..])));
}

#[test]
fn board_forwards_only_traffic_of_workloads() {
    let policies = |is_router| {
        let config = config(CONFIG);
        let messages = written(|writer| board_rules(writer, &config, is_router));
        let chains = messages.iter().filter(|(kind, ..)| *kind == (10 << 8) | 3);
        let forward =
            chains.map(|(_, _, body)| body[4..].to_vec()).find(|body| attribute(body, 3) == Some(b"forward\0"));
        attribute(&forward.expect("the chain"), 5).map(<[u8]>::to_vec)
    };
    assert_eq!(policies(false), Some(vec![0, 0, 0, 0]), "NF_DROP");
    assert_eq!(policies(true), Some(vec![0, 0, 0, 1]), "NF_ACCEPT");
}

#[test]
fn largest_configuration_fits_its_buffers() {
    let mut text = "hilum 1\n[system]\nlink eth0 up\n".to_owned();
    for bridge in 0..4 {
        text += &format!("bridge br{bridge} 10.{bridge}.0.1/16 fd{bridge}0::1/64\nmasquerade br{bridge} eth0\n");
    }
    for index in 0..32 {
        text += &format!("[workload {}{index}]\nroot /r\nexec /b\n", "w".repeat(30));
        for link in 0..4 {
            text += &format!(
                "link veth br{link} 10.{link}.1.{}/16 fd{link}0::1:{index:x}/64 via 10.{link}.0.1\n",
                index + 1
            );
        }
        for port in 0..8 {
            text += &format!("publish {}:80/tcp\n", 1000 + 8 * index + port);
        }
        text += "talk";
        (0..32).filter(|other| *other != index).for_each(|other| text += &format!(" {}{other}", "w".repeat(30)));
        text += "\n";
    }
    let config = config(&text);
    let mut board = vec![0; 32 * 1024];
    let mut writer = Writer::new(&mut board);
    board_rules(&mut writer, &config, false);
    assert!(writer.finish().is_some(), "the board's rules");
    for workload in &config.workloads {
        let mut exchange = vec![0; 4096];
        let mut writer = Writer::new(&mut exchange);
        bridge_neighbours(&mut writer, workload, &config.pools, &config.system.network.bridges[0], 3);
        assert!(writer.finish().is_some(), "a workload's neighbours");
        let mut writer = Writer::new(&mut exchange);
        inner_link(&mut writer, &config, &config.pools.of(workload.network.links)[0], 3, true);
        assert!(writer.finish().is_some(), "a workload's link");
        let mut rules = vec![0; 1024 * 1024];
        let mut writer = Writer::new(&mut rules);
        workload_rules(&mut writer, &config, workload);
        let (bytes, _) = writer.finish().expect("room");
        assert!(bytes.len() <= WORKLOAD_RULES_BYTES, "{}", bytes.len());
    }
}

#[test]
fn too_long_attribute_is_never_sent() {
    // CVE-2021-43784: a length of more than 16 bits was read as a shorter one.
    let (mut buffer, long) = (vec![0; 256 * 1024], vec![0; 70_000]);
    let mut writer = Writer::new(&mut buffer);
    writer.message(16, 0, |writer| writer.attribute(1, &long));
    assert_eq!(writer.finish(), None);
    let mut writer = Writer::new(&mut buffer);
    writer.message(16, 0, |writer| writer.nest(1, |writer| (0..9000).for_each(|_| writer.number(1, 0))));
    assert_eq!(writer.finish(), None);
    let mut small = [0; 20];
    let mut writer = Writer::new(&mut small);
    set_link(&mut writer, 1, 0);
    assert_eq!(writer.finish(), None);
}

#[test]
fn acknowledgements_are_counted_and_refusals_reported() {
    let mut done = 0;
    let both = [answer(2, 1, 0), answer(2, 2, 0)].concat();
    assert_eq!(acknowledge(&both, 2, &mut done), Ok(()));
    assert_eq!(done, 2);
    let refused = acknowledge(&answer(2, 2, -17), 2, &mut 1);
    assert_eq!(refused, Err((2, Refusal::Kernel(Errno(17)))));
}

#[test]
fn malformed_replies_are_refused() {
    for (bytes, what) in [
        (answer(2, 8, 0), "the number of no request"),
        (answer(3, 1, 0), "the end of a list"),
        (answer(2, 1, 5), "no negated errno"),
        (answer(2, 1, i32::MIN), "no errno"),
    ] {
        assert!(matches!(acknowledge(&bytes, 2, &mut 0), Err((_, Refusal::Malformed))), "{what}");
    }
    for length in 1..20 {
        let cut = &answer(2, 1, 0)[..length];
        assert!(matches!(acknowledge(cut, 2, &mut 0), Err((_, Refusal::Malformed))), "{length}");
    }
}

/// Such an event comes before the link's own when a radio is associated: without the address, no DHCP client would be started.
#[test]
fn event_of_a_radio_is_no_entry_of_a_link() {
    // struct ifinfomsg: index 3, IFF_UP and IFF_LOWER_UP; IFLA_IFNAME.
    let mut body = [&[0; 4][..], &3_u32.to_ne_bytes(), &0x1_0001_u32.to_ne_bytes(), &[0; 4]].concat();
    let add = |body: &mut std::vec::Vec<u8>, kind: u16, value: &[u8]| {
        body.extend([&(4 + value.len() as u16).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat());
        body.resize(body.len().next_multiple_of(4), 0);
    };
    add(&mut body, 3, b"wlan0\0");
    let mut event = body.clone();
    // IFLA_WIRELESS: a struct iw_event.
    add(&mut event, 11, &[0; 24]);
    assert_eq!(LinkEntry::read(16, &event), None);
    // IFLA_ADDRESS and IFLA_MTU.
    add(&mut body, 1, &[2, 0, 0, 0, 0, 1]);
    add(&mut body, 4, &1500_u32.to_ne_bytes());
    let entry = LinkEntry::read(16, &body).expect("a link");
    assert_eq!((entry.name, entry.index, entry.has_carrier, entry.mtu), ("wlan0", 3, true, 1500));
    assert_eq!(entry.mac, Some(Mac([2, 0, 0, 0, 0, 1])));
}

/// Checks that `bytes` consists of attributes, including nested ones.
fn are_attributes(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let half = |at: usize| bytes.get(at..at + 2).map(|half| u16::from_ne_bytes([half[0], half[1]]));
        let (Some(length), Some(kind)) = (half(0).map(usize::from), half(2)) else { return false };
        let Some(value) = bytes.get(4..length) else { return false };
        // NLA_F_NESTED; only VETH_INFO_PEER begins with an ifinfomsg.
        if kind & 0x8000 != 0 && !are_attributes(value) && !value.get(16..).is_some_and(are_attributes) {
            return false;
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

proptest::proptest! {
    #[test]
    fn every_request_consists_of_valid_messages_and_attributes(
        name in "[a-z]{1,15}", bits in proptest::prelude::any::<u128>(), is_4 in proptest::prelude::any::<bool>(),
        (index, mtu, lifetime) in proptest::prelude::any::<(u32, u32, u32)>(), mac in proptest::prelude::any::<[u8; 6]>(),
    ) {
        let address = if is_4 { IpAddr::from((bits as u32).to_be_bytes()) } else { IpAddr::from(bits.to_be_bytes()) };
        let prefix = Prefix { address, length: (bits % if is_4 { 33 } else { 129 }) as u8 };
        let inner = Inner { name: &name, mac: Some(Mac(mac)), mtu, namespace: index };
        let messages = written(|writer| {
            make_link(writer, Make::Veth { bridge: index, port: &name }, &inner);
            make_link(writer, Make::Macvlan { parent: index }, &inner);
            make_link(writer, Make::Ipvlan { parent: index }, &inner);
            make_bridge(writer, &name, Mac(mac));
            isolate_port(writer, &name, is_4);
            set_link(writer, index, mtu);
            stop_addresses(writer, index);
            rename_link(writer, index, &name);
            move_link(writer, index, &inner);
            delete_link(writer, &name);
            add_forwarding(writer, index, Mac(mac));
            add_address(writer, index, prefix, Neighbours::OnLink, lifetime);
            delete_address(writer, index, prefix);
            add_route(writer, index, prefix, Some(address), mtu);
            delete_route(writer, index, prefix, None, mtu);
        });
        for (kind, _, body) in &messages {
            // struct ifinfomsg, ifaddrmsg, rtmsg or ndmsg before the attributes.
            let fixed = match kind { 16..=19 => 16, 20..=23 => 8, _ => 12 };
            proptest::prop_assert!(are_attributes(&body[fixed..]), "{kind}: {body:?}");
        }
        proptest::prop_assert_eq!(messages.len(), 15);
    }

    #[test]
    fn any_reply_is_accepted_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for message in Messages::of(&bytes).take(64) {
            if let Ok(Message::Entry(kind, body)) = message {
                for kind in [kind, 16, 20, 24, (10 << 8) | 6] {
                    let _ = (LinkEntry::read(kind, body), AddressEntry::read(kind, body));
                    let _ = (RouteEntry::read(kind, body), RuleEntry::read(kind, body));
                }
            }
        }
        let _ = acknowledge(&bytes, 7, &mut 0);
    }

    #[test]
    fn any_entry_is_accepted_or_refused(kind in 16_u16..32, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = (LinkEntry::read(kind, &bytes), AddressEntry::read(kind, &bytes), RouteEntry::read(kind, &bytes));
        let _ = RuleEntry::read((10 << 8) | 6, &bytes);
    }
}

#[test]
fn range_of_ports_keeps_each_port() {
    let text = CONFIG.replace("publish 8080:80/tcp", "publish 5000-5010:5000-5010/udp");
    let config = config(&text);
    let messages = written(|writer| workload_rules(writer, &config, &config.workloads[0]));
    let bodies: Vec<&[u8]> = messages.iter().map(|(.., body)| &body[..]).collect();
    let rule = bodies.iter().find(|body| attribute(&body[4..], 2) == Some(b"publish\0") && body.len() > 200);
    let expressions = attribute(&rule.expect("the rule")[4..], 4).expect("expressions");
    let of = |name: &[u8]| -> Vec<&[u8]> {
        let all = super::answer::attributes(expressions).map(|(_, expression)| expression);
        let named = all.filter(|expression| attribute(expression, 1) == Some(name));
        named.map(|expression| attribute(expression, 2).unwrap_or_default()).collect()
    };
    let compared: Vec<_> = of(b"cmp\0").iter().map(|data| attribute(data, 2).expect("an operator")[3]).collect();
    assert_eq!(compared[compared.len() - 2..], [5, 3], "NFT_CMP_GTE, NFT_CMP_LTE");
    assert_eq!(attribute(of(b"nat\0")[0], 5), None, "NFTA_NAT_REG_PROTO_MIN");
}
