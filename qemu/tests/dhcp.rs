//! DHCP on a wire: a real server, a silent one, and one that lies.

mod support;

use hilum_qemu::Namespace;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;
use support::SOON;
use support::wire::{Peer, net, start, until};

#[test]
fn dhcp_lease_is_taken_renewed_and_asked_for_again() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\nlink eth0 dhcp\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = start(&host, config);
    let console = &namespace.console;
    // A board without a cable: it says so, and everything else goes on.
    console.expect("workload \"a\": started", SOON).expect("it does not wait");
    console.expect("link eth0: is not there", SOON).expect("that is told");
    let mut peer = Peer::new(&namespace);
    console.expect("link eth0: has a carrier", SOON).expect("a link that appears later is set up");
    let log = peer.serve(host.scratch.path());
    let line = "link eth0: 192.168.9.50/24 via 192.168.9.1 from 192.168.9.1 for 120 s";
    console.expect(line, SOON).expect("it gets an address");
    let text = net(&namespace);
    assert!(text.contains("address 192.168.9.50/24 on eth0"), "{text}");
    assert!(text.contains("route default via 192.168.9.1 over eth0"), "{text}");
    let given = Peer::count(&log, "DHCPACK");
    until("a renewal", || Peer::count(&log, "DHCPACK") > given);
    // The cable is pulled and put in again: it asks anew.
    let found = Peer::count(&log, "DHCPDISCOVER");
    for state in ["down", "up"] {
        assert!(peer.command("ip").args(["link", "set", "srv", state]).status().expect("ip").success());
        // The kernel tells of carriers once a second (linkwatch).
        std::thread::sleep(Duration::from_millis(2_500));
    }
    console.expect("link eth0: lost its carrier", SOON).expect("that is told");
    until("another question", || Peer::count(&log, "DHCPDISCOVER") > found);
    // The client is a process that can do nothing: nobody, no capability, nine system calls.
    let status = client_status(&namespace);
    for line in ["Uid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"), "{status}");
    // And one that is killed is made again.
    let pid = client_pid(&namespace).expect("it runs");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    console.expect("link eth0: its DHCP client ended; another one starts", SOON).expect("that is told");
    let found = Peer::count(&log, "DHCPDISCOVER");
    until("another client's question", || Peer::count(&log, "DHCPDISCOVER") > found);
}

/// The host's pid of the DHCP client: the child of PID 1 that runs as nobody.
fn client_pid(namespace: &Namespace) -> Option<i32> {
    let one = namespace.process_one().expect("it runs").as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{one}/task/{one}/children")).expect("its children");
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("Uid:\t65534")
    })
}

fn client_status(namespace: &Namespace) -> String {
    let mut found = None;
    until("a client", || {
        found = client_pid(namespace);
        found.is_some()
    });
    std::fs::read_to_string(format!("/proc/{}/status", found.expect("a pid"))).expect("its status")
}

#[test]
fn silent_server_is_told_and_blocks_nothing() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\nlink eth0 dhcp\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = start(&host, config);
    let _peer = Peer::new(&namespace);
    namespace.console.expect("workload \"a\": started", SOON).expect("it does not wait");
    let line = "link eth0: no DHCP server has answered yet; it is asked on";
    namespace.console.expect(line, SOON).expect("that is told");
}

/// A server of our own at the peer's end, which is asked by broadcast and answers so.
struct Liar {
    socket: UdpSocket,
    /// The client's MAC address, as its questions have it.
    client: EthernetAddress,
    id: u32,
}

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 1);
const GOOD: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 77);

impl Liar {
    fn new(peer: &Peer) -> Self {
        let way = ["route", "add", "255.255.255.255", "dev", "srv"];
        assert!(peer.command("ip").args(way).status().expect("ip").success());
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", peer.pid())).expect("its network");
        // A thread of its own: the one that enters a network stays in it.
        let bind = move || {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(namespace.as_fd(), kind).expect("setns");
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67)).expect("a socket");
            socket.set_broadcast(true).expect("SO_BROADCAST");
            socket.set_read_timeout(Some(SOON)).expect("a deadline");
            socket
        };
        let socket = std::thread::spawn(bind).join().expect("a socket");
        Self { socket, client: EthernetAddress([0; 6]), id: 0 }
    }

    /// Waits for a question; gives its kind, and the address that it wants.
    #[track_caller]
    fn hear(&mut self) -> (DhcpMessageType, Option<Ipv4Addr>) {
        let mut bytes = [0; 1500];
        let Ok(length) = self.socket.recv(&mut bytes) else { panic!("the client does not ask") };
        let packet = DhcpPacket::new_checked(&bytes[..length]).expect("a message");
        let message = DhcpRepr::parse(&packet).expect("a whole one");
        (self.client, self.id) = (message.client_hardware_address, message.transaction_id);
        (message.message_type, message.requested_ip)
    }

    /// An answer as it should be.
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
            lease_duration: Some(20),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
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

/// Answers of one kind that nobody should believe: of somebody else, cut short, or with an address that none can have.
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
    // A question instead of an answer, another cookie, a MAC address of sixteen bytes, an option that ends outside.
    for (place, byte) in [(0, 1), (236, 0), (2, 16), (241, 255)] {
        let mut bytes = whole.clone();
        bytes[place] = byte;
        lies.push(bytes);
    }
    lies.push(vec![0xff; 1400]);
    lies
}

#[test]
fn server_that_lies_is_not_believed() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\nlink eth0 dhcp\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = start(&host, config);
    let peer = Peer::new(&namespace);
    let mut server = Liar::new(&peer);
    let console = &namespace.console;

    // None of these offers is taken: it asks everybody again.
    assert_eq!(server.hear().0, DhcpMessageType::Discover);
    let offers = lies(&server, DhcpMessageType::Offer);
    offers.iter().for_each(|bytes| server.send(bytes));
    server.say(&server.answer(DhcpMessageType::Ack, GOOD));
    assert_eq!(server.hear(), (DhcpMessageType::Discover, None), "one of the {} lies was believed", offers.len());

    // An offer is taken; what is given then is another address, another server's, or one of the lies.
    server.say(&server.answer(DhcpMessageType::Offer, GOOD));
    assert_eq!(server.hear(), (DhcpMessageType::Request, Some(GOOD)));
    let other = Ipv4Addr::new(192, 168, 9, 66);
    server.say(&server.answer(DhcpMessageType::Ack, other));
    server.say(&DhcpRepr { server_identifier: Some(other), ..server.answer(DhcpMessageType::Ack, GOOD) });
    server.say(&DhcpRepr { server_identifier: Some(other), ..server.answer(DhcpMessageType::Nak, GOOD) });
    lies(&server, DhcpMessageType::Ack).iter().for_each(|bytes| server.send(bytes));
    assert_eq!(server.hear(), (DhcpMessageType::Request, Some(GOOD)), "it asks again for what it was offered");
    assert!(!console.text().contains("from 192.168.9.1"), "{}", console.text());

    // Refused: it begins anew, and takes what is right.
    server.say(&server.answer(DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED));
    assert_eq!(server.hear(), (DhcpMessageType::Discover, None));
    server.say(&server.answer(DhcpMessageType::Offer, GOOD));
    assert_eq!(server.hear(), (DhcpMessageType::Request, Some(GOOD)));
    server.say(&server.answer(DhcpMessageType::Ack, GOOD));
    let line = "link eth0: 192.168.9.77/24 via 192.168.9.1 from 192.168.9.1 for 20 s";
    console.expect(line, SOON).expect("the good answer");
    assert!(net(&namespace).contains("address 192.168.9.77/24 on eth0"), "{}", net(&namespace));

    // It renews, and the server has changed its mind: the address is given back.
    assert_eq!(server.hear().0, DhcpMessageType::Request);
    lies(&server, DhcpMessageType::Ack).iter().for_each(|bytes| server.send(bytes));
    server.say(&server.answer(DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED));
    console.expect("link eth0: the lease of 192.168.9.77/24 is over", SOON).expect("that is told");
    assert!(!net(&namespace).contains("192.168.9.77"), "{}", net(&namespace));
    assert_eq!(server.hear().0, DhcpMessageType::Discover, "it goes on asking");
    // And nothing of this was seen by anybody else.
    assert_eq!(console.text().matches("link eth0: its DHCP client ended").count(), 0, "{}", console.text());
}
