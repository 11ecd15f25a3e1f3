//! Runs the client against a minimal server, and against random input.

use super::frame::{self, Request};
use super::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// The message in a frame of the client.
struct Asked {
    kind: DhcpMessageType,
    id: u32,
    own: Ipv4Addr,
    wanted: Option<Ipv4Addr>,
    to: Ipv4Addr,
}

fn asked(bytes: &[u8]) -> Asked {
    let outer = EthernetFrame::new_checked(bytes).expect("a frame");
    assert_eq!(outer.src_addr(), EthernetAddress(MAC.0));
    let packet = Ipv4Packet::new_checked(outer.payload()).expect("a packet");
    assert!(packet.verify_checksum());
    let datagram = UdpPacket::new_checked(packet.payload()).expect("a datagram");
    assert!(datagram.verify_checksum(&packet.src_addr().into(), &packet.dst_addr().into()));
    assert_eq!((datagram.src_port(), datagram.dst_port()), (68, 67));
    let message = DhcpPacket::new_checked(datagram.payload()).expect("a message");
    let message = DhcpRepr::parse(&message).expect("a message");
    Asked {
        kind: message.message_type,
        id: message.transaction_id,
        own: message.client_ip,
        wanted: message.requested_ip,
        to: packet.dst_addr(),
    }
}

/// Returns a server's reply as a frame.
fn answer(kind: DhcpMessageType, id: u32, seconds: u32, more: &[DhcpOption<'_>]) -> Vec<u8> {
    let message = DhcpRepr {
        message_type: kind,
        transaction_id: id,
        secs: 0,
        client_hardware_address: EthernetAddress(MAC.0),
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: ADDRESS,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(SERVER),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: Some(seconds),
        renew_duration: None,
        rebind_duration: None,
        additional_options: more,
    };
    let udp = UdpRepr { src_port: 67, dst_port: 68 };
    let ip = Ipv4Repr {
        src_addr: SERVER,
        dst_addr: ADDRESS,
        next_header: IpProtocol::Udp,
        payload_len: 8 + message.buffer_len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; 14 + 20 + 8 + message.buffer_len()];
    let mut outer = EthernetFrame::new_unchecked(&mut bytes);
    EthernetRepr {
        src_addr: EthernetAddress(SERVER_MAC.0),
        dst_addr: EthernetAddress(MAC.0),
        ethertype: EthernetProtocol::Ipv4,
    }
    .emit(&mut outer);
    let mut packet = Ipv4Packet::new_unchecked(outer.payload_mut());
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    let sums = ChecksumCapabilities::default();
    udp.emit(
        &mut datagram,
        &SERVER.into(),
        &ADDRESS.into(),
        message.buffer_len(),
        |payload| {
            message.emit(&mut DhcpPacket::new_unchecked(payload)).expect("it fits");
        },
        &sums,
    );
    bytes
}

/// Returns the client's next request, and when it is due.
fn next(client: &mut Client, frame: &mut [u8; FRAME_BYTES]) -> (u64, LeaseEvent, Option<Asked>) {
    let now = client.deadline();
    let (news, length) = client.turn(now, frame);
    (now, news, (length > 0).then(|| asked(&frame[..length])))
}

fn bound(seconds: u32) -> (Client, u64, LeaseEvent) {
    let mut frame = [0; FRAME_BYTES];
    let mut client = Client::new(MAC, false, name("board"), 7, 1_000);
    let (_, _, discover) = next(&mut client, &mut frame);
    let discover = discover.expect("it asks");
    assert_eq!((discover.kind, discover.to), (DhcpMessageType::Discover, Ipv4Addr::BROADCAST));
    // Two routers: the first one counts.
    let routers = [10, 0, 2, 2, 10, 0, 2, 3];
    let more = [DhcpOption { kind: 3, data: &routers }, DhcpOption { kind: 6, data: &[10, 0, 2, 3, 1, 1, 1, 1] }];
    assert_eq!(client.receive(1_010, &answer(DhcpMessageType::Offer, discover.id, seconds, &more)), LeaseEvent::None);
    let (now, _, request) = next(&mut client, &mut frame);
    let request = request.expect("it takes the offer");
    assert_eq!((request.kind, request.wanted), (DhcpMessageType::Request, Some(ADDRESS)));
    assert_eq!(request.id, discover.id);
    assert_eq!(now, 1_010, "it takes an offer at once");
    let news = client.receive(1_020, &answer(DhcpMessageType::Ack, request.id, seconds, &more));
    (client, 1_020, news)
}

#[test]
fn lease_is_requested_and_accepted() {
    let (client, now, news) = bound(3_600);
    let LeaseEvent::Given(lease) = news else { panic!("{news:?}") };
    assert_eq!(lease.prefix().to_string(), "10.0.2.15/24");
    assert_eq!((lease.default_router(), lease.server, lease.seconds), (Some(SERVER), SERVER, 3_600));
    assert_eq!(lease.name_servers, [Ipv4Addr::new(10, 0, 2, 3), Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::UNSPECIFIED]);
    assert_eq!(client.deadline(), now + 1_800_000, "it is renewed after half of its time");
    assert_eq!(Lease::read(&lease.bytes()), lease);
}

#[test]
fn requests_to_silent_server_back_off() {
    let (mut client, mut frame) = (Client::new(MAC, false, name("board"), 7, 0), [0; FRAME_BYTES]);
    let mut before = 0;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let (now, news, asked) = next(&mut client, &mut frame);
        assert!(asked.is_some() && news == LeaseEvent::None);
        pauses.push((now - before) / 1_000);
        before = now;
    }
    assert_eq!(pauses.iter().map(|s| s.next_power_of_two().min(64)).max(), Some(64), "{pauses:?}");
    assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1] + 1), "{pauses:?}");
}

#[test]
fn lease_is_renewed_then_rebound_then_lost() {
    let (mut client, _, _) = bound(3_600);
    let mut frame = [0; FRAME_BYTES];
    let (now, _, renewal) = next(&mut client, &mut frame);
    let renewal = renewal.expect("it asks");
    assert_eq!((renewal.to, renewal.own, renewal.wanted), (SERVER, ADDRESS, None));
    assert!(matches!(client.receive(now, &answer(DhcpMessageType::Ack, renewal.id, 3_600, &[])), LeaseEvent::Given(_)));
    // The server stops answering.
    let (mut to_server, mut to_all, mut ended) = (0, 0, 0);
    let begin = now;
    for _ in 0..200 {
        let (now, news, asked) = next(&mut client, &mut frame);
        if news == LeaseEvent::Lost {
            ended = now;
            break;
        }
        match asked {
            Some(asked) if asked.to == SERVER => to_server += 1,
            Some(_) => to_all += 1,
            None => {}
        }
    }
    assert_eq!(ended, begin + 3_600_000);
    assert!((2..60).contains(&to_server) && (2..60).contains(&to_all), "{to_server} {to_all}");
}

#[test]
fn nak_ends_lease_without_a_request_storm() {
    let (mut client, _, _) = bound(3_600);
    let mut frame = [0; FRAME_BYTES];
    let (now, _, renewal) = next(&mut client, &mut frame);
    let refusal = answer(DhcpMessageType::Nak, renewal.expect("it asks").id, 0, &[]);
    assert_eq!(client.receive(now, &refusal), LeaseEvent::Lost);
    assert!(client.deadline() >= now + 1_000, "it does not ask again at once");
}

fn name(text: &str) -> HostName {
    HostName::try_from(text).expect("it fits")
}

/// Returns a single route of option 121.
fn by(to: [u8; 4], length: u8, gateway: [u8; 4]) -> [LeaseRoute; ROUTES] {
    let mut routes = [LeaseRoute::NONE; ROUTES];
    routes[0] = LeaseRoute { to: to.into(), length, gateway: gateway.into() };
    routes
}

/// Returns a default route.
fn router(gateway: Ipv4Addr) -> [LeaseRoute; ROUTES] {
    by([0; 4], 0, gateway.octets())
}

/// Returns the lease that results from an offer with these options.
fn given(more: &[DhcpOption<'_>]) -> Lease {
    let bytes = answer(DhcpMessageType::Ack, 7, 60, more);
    frame::read(MAC, &bytes).expect("an answer").lease
}

#[test]
fn routes_of_option_121_override_the_router() {
    // A route to a router that is on the link but outside of its network, and the default route by it; bits after a
    // prefix are ignored.
    let routes = [32, 172, 16, 0, 1, 0, 0, 0, 0, 0, 172, 16, 0, 1, 12, 10, 31, 10, 0, 2, 3];
    let router = DhcpOption { kind: 3, data: &[10, 0, 2, 2] };
    let lease = given(&[router, DhcpOption { kind: 121, data: &routes }]);
    let shown: Vec<String> =
        lease.all_routes().map(|route| format!("{} {:?}", route.prefix(), route.router())).collect();
    assert_eq!(shown, ["172.16.0.1/32 None", "0.0.0.0/0 Some(172.16.0.1)", "10.16.0.0/12 Some(10.0.2.3)"]);
    assert_eq!(lease.default_router(), Some(Ipv4Addr::new(172, 16, 0, 1)));
    assert!(lease.is_sane() && Lease::read(&lease.bytes()) == lease, "it goes over whole");
    // Split into two parts (RFC 3396).
    let (first, second) = routes.split_at(7);
    let pieces = [DhcpOption { kind: 121, data: first }, router, DhcpOption { kind: 121, data: second }];
    assert_eq!(given(&pieces), lease);
    // A malformed option is ignored.
    for bad in [&routes[..20], &[33, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[0, 10, 0, 2]] {
        let lease = given(&[router, DhcpOption { kind: 121, data: bad }]);
        assert_eq!(lease.default_router(), Some(SERVER), "{bad:?}");
    }
    // Option 121 without a default route results in none.
    let only = given(&[router, DhcpOption { kind: 121, data: &[16, 10, 9, 10, 0, 2, 3] }]);
    assert_eq!((only.default_router(), only.all_routes().count()), (None, 1));
}

#[test]
fn further_options_are_read_and_survive_encoding() {
    let more = [
        DhcpOption { kind: 15, data: b"lan.test\0" },
        DhcpOption { kind: 26, data: &[5, 120] },
        DhcpOption { kind: 42, data: &[10, 0, 2, 4, 127, 0, 0, 1, 255, 255, 255, 255] },
        DhcpOption { kind: 119, data: b"\x03eng\x04corp\x04test\x00\x02hr\xc0\x04" },
    ];
    let lease = given(&more);
    assert_eq!((lease.mtu, lease.search.text()), (1_400, "eng.corp.test hr.corp.test lan.test"));
    assert_eq!(lease.time_servers[0], Ipv4Addr::new(10, 0, 2, 4));
    assert_eq!(lease.time_servers[2], Ipv4Addr::UNSPECIFIED, "nobody has that address");
    assert_eq!(Lease::read(&lease.bytes()), lease);
    assert_eq!(given(&[DhcpOption { kind: 26, data: &[0, 67] }]).mtu, 0, "no link has so little");
    assert_eq!(given(&[DhcpOption { kind: 15, data: b"two words\nnameserver 6.6.6.6" }]).search.text(), "");
}

#[test]
fn request_has_host_name_and_minimum_length() {
    let request = Client::new(MAC, false, name("board-7"), 7, 0).request(0);
    for host_name in ["board-7", ""] {
        let mut bytes = [0; FRAME_BYTES];
        let length = frame::write((MAC, false), host_name, &request, &mut bytes).expect("it fits");
        assert_eq!(length, 14 + 20 + 8 + 300, "RFC 1542 2.1");
        let message = DhcpPacket::new_checked(&bytes[14 + 20 + 8..length]).expect("a message");
        let option = |kind| message.options().find(|option| option.kind == kind).map(|option| option.data.to_vec());
        assert_eq!(option(12), Some(host_name.as_bytes().to_vec()).filter(|name| !name.is_empty()));
        assert_eq!(option(55), Some(vec![1, 121, 3, 6, 15, 26, 42, 119]));
    }
}

#[test]
fn unusable_lease_is_refused() {
    let good =
        Lease { address: ADDRESS, length: 24, routes: router(SERVER), server: SERVER, seconds: 60, ..Lease::NOTHING };
    assert!(good.is_sane());
    assert_eq!(Lease::read(&good.bytes()), good);
    for bad in [
        Lease { address: Ipv4Addr::new(127, 0, 0, 1), length: 8, ..good },
        Lease { address: Ipv4Addr::new(127, 0, 0, 1), routes: Lease::NOTHING.routes, ..good },
        Lease { address: Ipv4Addr::new(0, 0, 0, 1), routes: Lease::NOTHING.routes, ..good },
        Lease { address: Ipv4Addr::new(224, 0, 0, 1), routes: Lease::NOTHING.routes, ..good },
        Lease { address: Ipv4Addr::new(240, 0, 0, 1), routes: Lease::NOTHING.routes, ..good },
        Lease { address: Ipv4Addr::new(10, 0, 2, 255), ..good },
        Lease { address: Ipv4Addr::new(10, 0, 2, 0), ..good },
        Lease { address: Ipv4Addr::BROADCAST, length: 32, ..good },
        Lease { length: 0, ..good },
        Lease { length: 33, ..good },
        Lease { routes: router(Ipv4Addr::LOCALHOST), ..good },
        Lease { routes: by([10, 0, 0, 0], 33, [10, 0, 2, 2]), ..good },
        Lease { routes: by([127, 0, 0, 0], 9, [10, 0, 2, 2]), ..good },
        Lease { routes: by([224, 0, 0, 0], 4, [0, 0, 0, 0]), ..good },
        Lease { routes: by([10, 9, 0, 0], 16, [255, 255, 255, 255]), ..good },
        Lease { seconds: 0, ..good },
    ] {
        assert!(!bad.is_sane(), "{bad:?}");
        assert_eq!(Lease::read(&bad.bytes()), bad, "it goes over as it is");
    }
}

#[test]
fn refused_reply_is_reported_once_per_request() {
    let (mut client, mut frame) = (Client::new(MAC, false, name("board"), 7, 0), [0; FRAME_BYTES]);
    let (_, _, discover) = next(&mut client, &mut frame);
    // A lease time of 0 seconds.
    let bad = |id| answer(DhcpMessageType::Offer, id, 0, &[]);
    let id = discover.expect("it asks").id;
    let LeaseEvent::Refused(lease) = client.receive(5, &bad(id)) else { panic!("not refused") };
    assert_eq!(lease.fault(), Some(crate::text!("its duration is 0 s")));
    assert_eq!(client.receive(6, &bad(id)), LeaseEvent::None, "a flood of them is told once");
    let (_, _, discover) = next(&mut client, &mut frame);
    assert!(matches!(
        client.receive(client.deadline() - 1, &bad(discover.expect("it asks again").id)),
        LeaseEvent::Refused(_)
    ));
}

#[test]
fn replies_to_other_clients_are_ignored() {
    let (mut client, mut frame) = (Client::new(MAC, false, name("board"), 7, 0), [0; FRAME_BYTES]);
    let (_, _, discover) = next(&mut client, &mut frame);
    let id = discover.expect("it asks").id;
    let offer = answer(DhcpMessageType::Offer, id, 60, &[]);
    let mut other = offer.clone();
    // The last byte of chaddr, in the message after three headers.
    other[14 + 20 + 8 + 33] ^= 1;
    let later = client.deadline();
    client.receive(5, &other);
    client.receive(5, &answer(DhcpMessageType::Offer, id ^ 1, 60, &[]));
    client.receive(5, &answer(DhcpMessageType::Ack, id, 60, &[]));
    assert_eq!(client.deadline(), later, "nothing has changed");
    client.receive(5, &offer);
    assert_eq!(client.deadline(), 5);
}

proptest::proptest! {
    #[test]
    fn any_frame_is_accepted_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        let _ = frame::read(MAC, &bytes);
        if let Some(bytes) = bytes.first_chunk() {
            let _ = Lease::read(bytes).fault();
        }
    }

    #[test]
    fn damaged_reply_never_panics(at in 0_usize..290, value in 0_u8..=255, cut in 0_usize..300) {
        let (mut client, mut frame) = (Client::new(MAC, false, name("board"), 7, 0), [0; FRAME_BYTES]);
        let (_, _, discover) = next(&mut client, &mut frame);
        let mut bytes = answer(DhcpMessageType::Offer, discover.expect("it asks").id, 60, &[]);
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(bytes.len().saturating_sub(cut % 40));
        client.receive(5, &bytes);
    }
}

/// Two clients with one MAC address: an ipvlan and its parent (RFC 2131 2, RFC 2132 9.14).
#[test]
fn client_that_shares_its_mac_address_is_told_apart_and_answered_by_broadcast() {
    let request = Client::new(MAC, true, name("meter"), 7, 0).request(0);
    for (shares_mac, flag, id) in [(false, 0, vec![1]), (true, 0x80, vec![0])] {
        let mut bytes = [0; FRAME_BYTES];
        let length = frame::write((MAC, shares_mac), "meter", &request, &mut bytes).expect("it fits");
        let message = DhcpPacket::new_checked(&bytes[14 + 20 + 8..length]).expect("a message");
        let found = message.options().find(|option| option.kind == 61).expect("an identifier");
        let name: &[u8] = if shares_mac { b"meter" } else { b"" };
        assert_eq!(found.data, [&id[..], &MAC.0, name].concat());
        assert_eq!(bytes[14 + 20 + 8 + 10], flag);
    }
}

#[test]
fn every_request_fits_its_frame() {
    let some = Some(Ipv4Addr::BROADCAST);
    let request = Request {
        is_discover: false,
        id: 1,
        seconds: 1,
        own: some,
        wanted: some,
        server: some,
        to: Some((SERVER, MAC)),
    };
    let longest = "n".repeat(64);
    assert!(
        frame::write((MAC, true), &longest, &request, &mut [0; FRAME_BYTES])
            .is_some_and(|length| length >= 14 + 20 + 8 + 240)
    );
}
