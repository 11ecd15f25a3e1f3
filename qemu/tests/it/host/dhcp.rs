//! DHCP with a real server, a silent one, and a malicious one.

use crate::support::wire::{DHCP, Peer, children, inside, net, start, until, within};
use crate::support::{Host, SOON};
use hilum_qemu::Namespace;
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};
use std::net::{Ipv4Addr, UdpSocket};

/// systemd-networkd: does the same in its own process, which runs as systemd-network and has CAP_NET_ADMIN; it starts the client
/// anew when the carrier returns.
#[test]
fn dhcp_lease_is_acquired_renewed_and_reacquired() {
    let host = host_or_return!();
    let namespace = start(&host, DHCP);
    let console = &namespace.console;
    // A board without a carrier reports that, and everything else continues.
    console.expect("workload \"a\": started", SOON).expect("it does not wait");
    console.expect("link eth0: not found", SOON).expect("that is told");
    let mut peer = Peer::new(&namespace);
    console.expect("link eth0: carrier up", SOON).expect("a link that appears later is set up");
    let log = peer.serve(host.scratch.path());
    let line = "link eth0: 192.168.9.50/24 via 192.168.9.1 from 192.168.9.1 for 120 s";
    console.expect(line, SOON).expect("it gets an address");
    let text = net(&namespace);
    assert!(text.contains("address 192.168.9.50/24 on eth0"), "{text}");
    assert!(text.contains("route default via 192.168.9.1 dev eth0"), "{text}");
    let given = Peer::count(&log, "DHCPACK");
    until("a renewal", || Peer::count(&log, "DHCPACK") > given);
    // The cable is unplugged and plugged in again: it starts over.
    let found = Peer::count(&log, "DHCPDISCOVER");
    peer.ip(&["link", "set", "srv", "down"]);
    console.expect("link eth0: carrier lost", SOON).expect("that is told");
    peer.ip(&["link", "set", "srv", "up"]);
    until("the carrier", || console.text().matches("link eth0: carrier up").count() == 2);
    until("another question", || Peer::count(&log, "DHCPDISCOVER") > found);
    // The client is a sandboxed process: user nobody, no capability, nine system calls.
    let (_, status) = client(&namespace);
    for line in ["Uid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    // It has no console, and the OOM killer may kill it like any other process.
    let (pid, _) = client(&namespace);
    for number in 0..3 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("a descriptor");
        assert_eq!(target.to_string_lossy(), "/dev/null", "{number}");
    }
    assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("its score").trim(), "0");
    // A killed client is restarted.
    let found = Peer::count(&log, "DHCPDISCOVER");
    let (pid, _) = client(&namespace);
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    console.expect("link eth0: its DHCP client exited; restarting it", SOON).expect("that is told");
    until("another client's question", || Peer::count(&log, "DHCPDISCOVER") > found);
}

/// Returns the host's PID of the DHCP client, and its status: the only child of PID 1 that runs as nobody, once it is
/// confined and the previous one has exited.
fn client(namespace: &Namespace) -> (u32, String) {
    let status = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is_client = |(_, status): &(u32, String)| status.contains("Uid:\t65534") && !status.contains("State:\tZ");
    let mut clients = Vec::new();
    until("one client that is confined", || {
        clients = children(namespace).into_iter().map(|pid| (pid, status(pid))).filter(is_client).collect();
        // The system call filter is the last restriction that it applies.
        clients.len() == 1 && clients[0].1.contains("Seccomp:\t2")
    });
    clients.remove(0)
}

/// systemd-networkd: sets addresses without a carrier only with `ConfigureWithoutCarrier=yes`, and asks for a lease without end
/// (`MaxAttempts=infinity`); systemd-networkd-wait-online delays what is ordered after network-online.target, up to 120 s.
#[test]
fn silent_server_and_missing_carrier_are_reported_and_block_nothing() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\nlink eth0 dhcp\nlink eth1 192.168.8.2/24\nlink eth2 dhcp\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = start(&host, config);
    let _peer = Peer::new(&namespace);
    // The other end of the pair stays down: a card without a cable.
    let made = inside(&namespace, &["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "far"]);
    assert_eq!(made, "");
    namespace.console.expect("workload \"a\": started", SOON).expect("it does not wait");
    for line in [
        "link eth0: no DHCP server has answered; still asking",
        "link eth1: no carrier; check the cable",
        "link eth2: not found",
    ] {
        namespace.console.expect(line, 2 * SOON).expect("that is told");
    }
    // It is configured nevertheless, and ready for a carrier.
    assert!(net(&namespace).contains("address 192.168.8.2/24 on eth1"), "{}", net(&namespace));
    assert!(!inside(&namespace, &["ip", "link", "set", "far", "up"]).contains("rror"));
    namespace.console.expect("link eth1: carrier up", SOON).expect("that is told");
}

/// A test server at the peer's end; it receives and sends broadcasts.
struct Liar {
    socket: UdpSocket,
    /// The client's MAC address, from its requests.
    client: EthernetAddress,
    id: u32,
}

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 1);
const GOOD: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 77);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 66);
/// Renewing after 10 seconds, the minimum that this client accepts, and rebinding after 15.
const TIMES: [DhcpOption<'static>; 2] =
    [DhcpOption { kind: 58, data: &[0, 0, 0, 10] }, DhcpOption { kind: 59, data: &[0, 0, 0, 15] }];

impl Liar {
    fn new(peer: &Peer) -> Self {
        peer.ip(&["route", "add", "255.255.255.255", "dev", "srv"]);
        let socket = within(peer.pid(), || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67)).expect("a socket"));
        socket.set_broadcast(true).expect("SO_BROADCAST");
        socket.set_read_timeout(Some(2 * SOON)).expect("a deadline");
        Self { socket, client: EthernetAddress([0; 6]), id: 0 }
    }

    /// Waits for a request. Returns its type, and the requested address.
    #[track_caller]
    fn hear(&mut self) -> (DhcpMessageType, Option<Ipv4Addr>) {
        let mut bytes = [0; 1500];
        // A socket with a timeout is interrupted by a stop and the continuation of the process (signal(7)).
        let length = loop {
            match self.socket.recv(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                length => break length.unwrap_or_else(|error| panic!("the client does not ask: {error}")),
            }
        };
        let packet = DhcpPacket::new_checked(&bytes[..length]).expect("a message");
        let message = DhcpRepr::parse(&packet).expect("a whole one");
        (self.client, self.id) = (message.client_hardware_address, message.transaction_id);
        (message.message_type, message.requested_ip)
    }

    /// Waits for a request that follows a reply. One from before the reply does not count.
    #[track_caller]
    fn hear_after(&mut self, before: DhcpMessageType) -> (DhcpMessageType, Option<Ipv4Addr>) {
        loop {
            let heard = self.hear();
            if heard.0 != before {
                return heard;
            }
        }
    }

    /// Waits for the client to renew its lease.
    #[track_caller]
    fn hear_renewal(&mut self) {
        // A request that accepts an offer contains the requested address.
        while self.hear() != (DhcpMessageType::Request, None) {}
    }

    /// Returns a valid reply.
    fn answer(&self, message_type: DhcpMessageType, address: Ipv4Addr) -> DhcpRepr<'static> {
        DhcpRepr {
            message_type,
            transaction_id: self.id,
            secs: 0,
            client_hardware_address: self.client,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: address,
            server_ip: SERVER,
            router: Some(SERVER),
            subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: true,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(SERVER),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: Some(60),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &TIMES,
        }
    }

    fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, (Ipv4Addr::BROADCAST, 68)).expect("sent");
    }

    fn say(&self, message: &DhcpRepr<'_>) {
        self.send(&written(message));
    }
}

fn written(message: &DhcpRepr<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).expect("room");
    bytes
}

/// Returns invalid replies of one type: for another client, truncated, or with an impossible address.
fn lies(server: &Liar, kind: DhcpMessageType) -> Vec<Vec<u8>> {
    let good = server.answer(kind, GOOD);
    let mut lies: Vec<Vec<u8>> = [
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(192, 168, 9, 0),
        Ipv4Addr::new(192, 168, 9, 255),
    ]
    .map(|address| written(&server.answer(kind, address)))
    .into();
    let other = EthernetAddress([2, 0, 0, 0, 0, 99]);
    lies.push(written(&DhcpRepr { transaction_id: server.id ^ 1, ..good.clone() }));
    lies.push(written(&DhcpRepr { client_hardware_address: other, ..good.clone() }));
    lies.push(written(&DhcpRepr { server_identifier: None, ..good.clone() }));
    lies.push(written(&DhcpRepr { lease_duration: Some(0), ..good.clone() }));
    let whole = written(&good);
    lies.extend([1, 44, 236, 239, 241].map(|length| whole[..length].to_vec()));
    // A request instead of a reply, another cookie, a MAC address of sixteen bytes, an option that ends outside.
    for (place, byte) in [(0, 1), (236, 0), (2, 16), (241, 255)] {
        let mut bytes = whole.clone();
        bytes[place] = byte;
        lies.push(bytes);
    }
    lies.push(vec![0xff; 1400]);
    lies
}

/// systemd-networkd: ignores replies without the fields that RFC 2131 requires, and logs them at the debug level.
#[test]
fn malformed_dhcp_replies_are_ignored() {
    let host = host_or_return!();
    let (namespace, _peer, mut server) = board(&host);
    let console = &namespace.console;

    // None of these offers is accepted: it broadcasts again.
    assert_eq!(server.hear().0, DhcpMessageType::Discover);
    let offers = lies(&server, DhcpMessageType::Offer);
    offers.iter().for_each(|bytes| server.send(bytes));
    server.say(&server.answer(DhcpMessageType::Ack, GOOD));
    assert_eq!(server.hear(), (DhcpMessageType::Discover, None), "one of the {} lies was believed", offers.len());

    // An offer is accepted; the acknowledgement then has another address, another server, or is invalid.
    server.say(&server.answer(DhcpMessageType::Offer, GOOD));
    assert_eq!(server.hear_after(DhcpMessageType::Discover), (DhcpMessageType::Request, Some(GOOD)));
    server.say(&server.answer(DhcpMessageType::Ack, OTHER));
    server.say(&DhcpRepr { server_identifier: Some(OTHER), ..server.answer(DhcpMessageType::Ack, GOOD) });
    server.say(&DhcpRepr { server_identifier: Some(OTHER), ..server.answer(DhcpMessageType::Nak, GOOD) });
    lies(&server, DhcpMessageType::Ack).iter().for_each(|bytes| server.send(bytes));
    assert_eq!(server.hear(), (DhcpMessageType::Request, Some(GOOD)), "it asks again for what it was offered");
    assert!(!console.text().contains("192.168.9.1 for "), "{}", console.text());
    let line = "link eth0: 0.0.0.0/24 from 192.168.9.1 refused: not a host address; correct the DHCP server";
    console.expect(line, SOON).expect("the first of them is told");
    let told = console.text().matches(" refused: ").count();
    assert_eq!(told, 1, "what no link can have is told, and not each time: {}", console.text());

    // A NAK: it starts over, and accepts a valid offer.
    server.say(&server.answer(DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED));
    assert_eq!(server.hear_after(DhcpMessageType::Request), (DhcpMessageType::Discover, None));
    server.say(&server.answer(DhcpMessageType::Offer, GOOD));
    assert_eq!(server.hear_after(DhcpMessageType::Discover), (DhcpMessageType::Request, Some(GOOD)));
    server.say(&server.answer(DhcpMessageType::Ack, GOOD));
    let line = "link eth0: 192.168.9.77/24 via 192.168.9.1 from 192.168.9.1 for 60 s";
    console.expect(line, SOON).expect("the good answer");
    assert!(net(&namespace).contains("address 192.168.9.77/24 on eth0"), "{}", net(&namespace));

    // It renews, and the server refuses: the address is removed.
    server.hear_renewal();
    lies(&server, DhcpMessageType::Ack).iter().for_each(|bytes| server.send(bytes));
    server.say(&server.answer(DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED));
    console.expect("link eth0: the lease of 192.168.9.77/24 expired", SOON).expect("that is told");
    assert!(!net(&namespace).contains("192.168.9.77"), "{}", net(&namespace));
    assert_eq!(server.hear_after(DhcpMessageType::Request).0, DhcpMessageType::Discover, "it goes on asking");
    // None of this had any other effect.
    assert_eq!(console.text().matches("link eth0: its DHCP client ended").count(), 0, "{}", console.text());
}

/// Returns a board with DHCP, and its server.
fn board(host: &Host) -> (Namespace, Peer, Liar) {
    let namespace = start(host, DHCP);
    let peer = Peer::new(&namespace);
    let server = Liar::new(&peer);
    (namespace, peer, server)
}

/// Grants a client the good address, for this many seconds.
fn give(server: &mut Liar, seconds: u32) {
    assert_eq!(server.hear().0, DhcpMessageType::Discover);
    server.say(&server.answer(DhcpMessageType::Offer, GOOD));
    assert_eq!(server.hear_after(DhcpMessageType::Discover), (DhcpMessageType::Request, Some(GOOD)));
    server.say(&DhcpRepr { lease_duration: Some(seconds), ..server.answer(DhcpMessageType::Ack, GOOD) });
}

/// systemd-networkd: the same, by T1 and T2 of RFC 2131.
#[test]
fn lease_is_rebound_by_another_server() {
    let host = host_or_return!();
    let (namespace, peer, mut server) = board(&host);
    peer.ip(&["addr", "add", "192.168.9.66/24", "dev", "srv"]);
    give(&mut server, 60);
    server.hear_renewal();
    // All requests of one exchange have the same transaction id; the broadcast has another one.
    let renewing = server.id;
    while server.id == renewing {
        server.say(&DhcpRepr { server_identifier: Some(OTHER), ..server.answer(DhcpMessageType::Ack, GOOD) });
        server.hear_renewal();
    }
    let from_other = "link eth0: 192.168.9.77/24 via 192.168.9.1 from 192.168.9.66 for 60 s";
    let console = &namespace.console;
    assert!(!console.text().contains(from_other), "while its own server is asked, nobody else is believed");
    server.say(&DhcpRepr { server_identifier: Some(OTHER), ..server.answer(DhcpMessageType::Ack, GOOD) });
    console.expect(from_other, SOON).expect("now anybody is");
    assert!(!console.text().contains(" expired"), "the address was kept\n{}", console.text());
    server.hear_renewal();
}

/// systemd-networkd: the same; with `KeepConfiguration=dhcp` the address stays.
#[test]
fn unrenewed_lease_expires_on_time() {
    let host = host_or_return!();
    let (namespace, _peer, mut server) = board(&host);
    give(&mut server, 25);
    let console = &namespace.console;
    console.expect("from 192.168.9.1 for 25 s", SOON).expect("it is taken");
    console.expect("link eth0: the lease of 192.168.9.77/24 expired", 3 * SOON).expect("that is told");
    let text = net(&namespace);
    assert!(!text.contains("192.168.9.77") && !text.contains("route default"), "{text}");
    assert_eq!(server.hear_after(DhcpMessageType::Request).0, DhcpMessageType::Discover, "it asks anew");
}

/// systemd-networkd: applies the new address, and removes the previous one.
#[test]
fn renewal_with_another_subnet_replaces_address_and_routes() {
    let host = host_or_return!();
    let (namespace, _peer, mut server) = board(&host);
    // A late reply is valid: all requests of one exchange have the same transaction id.
    assert_eq!(server.hear().0, DhcpMessageType::Discover);
    assert_eq!(server.hear().0, DhcpMessageType::Discover);
    give(&mut server, 60);
    let console = &namespace.console;
    console.expect("link eth0: 192.168.9.77/24 via 192.168.9.1 from 192.168.9.1 for 60 s", SOON).expect("it is taken");
    server.hear_renewal();
    let router = Some(Ipv4Addr::new(192, 168, 33, 1));
    let other = Ipv4Addr::new(192, 168, 33, 5);
    server.say(&DhcpRepr { router, ..server.answer(DhcpMessageType::Ack, other) });
    console.expect("link eth0: 192.168.33.5/24 via 192.168.33.1 from 192.168.9.1 for 60 s", SOON).expect("so is this");
    let text = inside(&namespace, &["ip", "address", "show", "eth0"]) + &inside(&namespace, &["ip", "route"]);
    assert!(text.contains("192.168.33.5/24") && text.contains("default via 192.168.33.1 dev eth0"), "{text}");
    assert!(!text.contains("192.168.9."), "{text}");
}

/// systemd-networkd: drops the lease with the carrier, and reports it.
#[test]
fn lease_that_expires_without_carrier_is_reported_and_removed() {
    let host = host_or_return!();
    let (namespace, peer, mut server) = board(&host);
    give(&mut server, 25);
    let console = &namespace.console;
    console.expect("from 192.168.9.1 for 25 s", SOON).expect("it is taken");
    peer.ip(&["link", "set", "srv", "down"]);
    console.expect("link eth0: the lease of 192.168.9.77/24 expired", 3 * SOON).expect("that is told");
    assert!(!net(&namespace).contains("192.168.9.77"), "{}", net(&namespace));
}

#[test]
fn link_without_a_mac_address_does_not_keep_pid_1_busy() {
    let host = host_or_return!();
    // A modem's link or a tunnel has none; this one has a carrier while its file is open (linux/if_tun.h).
    let holder = r#"$r = pack("a16Sx22", "t0", 0x1001); open(F, "+<", "/dev/net/tun") && ioctl(F, 0x400454ca, $r) or die; sleep 600"#;
    let script = format!("perl -e '{holder}' & exec \"$@\"");
    let config = "hilum 1\n[system]\nlink t0 dhcp\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = host.start_wrapped(config, &["unshare", "--net", "sh", "-c", &script, "sh"]);
    namespace.console.expect("a | ready", SOON).expect("it starts");
    until("a carrier", || inside(&namespace, &["ip", "link", "show", "t0"]).contains("LOWER_UP"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
    let before = crate::support::processor_ticks(init);
    std::thread::sleep(std::time::Duration::from_secs(1));
    // A spinning loop uses a hundred of them.
    let after = crate::support::processor_ticks(init);
    assert!(after < before + 10, "{before} {after}");
}
