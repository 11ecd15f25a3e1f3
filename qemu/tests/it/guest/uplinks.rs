//! Boards with several network cards, in machines: what the host's tests of uplinks cannot show, such as
//! /run/resolv.conf and cards whose names the kernel has swapped.

use super::network::boot;
use crate::support::BOOT;
use hilum_qemu::Architecture;

on_both_long!(
    aarch64:
    name_servers_follow_the_carrier_of_their_uplink,
    network_of_ipv6_alone_serves_a_workload_with_resolv
);

const CONFIG: &str = r#"hilum 1
[system]
module virtio_pci
module virtio_net
# The kernel names them the other way round.
link eth1 mac=52:54:00:00:00:01 dhcp
link eth0 mac=52:54:00:00:00:02 dhcp
[workload a]
root /images/busybox
exec /bin/busybox sh -c 'b=/bin/busybox; old=; while :; do new=$($b tr "\n" " " < /etc/resolv.conf); [ "$new" = "$old" ] || echo "names: $new."; old=$new; $b usleep 100000; done'
resolv
"#;

/// systemd-networkd with systemd-resolved: name servers belong to a link, and are removed with its carrier.
fn name_servers_follow_the_carrier_of_their_uplink(arch: Architecture) {
    let card = |number: u32| {
        let words = [
            "-netdev".to_owned(),
            format!("user,id=net{number},net=10.0.{}.0/24", number + 1),
            "-device".to_owned(),
            format!(
                "virtio-net-pci,netdev=net{number},id=card{number},mac=52:54:00:00:00:0{number},addr={},romfile=",
                number + 3
            ),
        ];
        words.to_vec()
    };
    let booted = boot(arch, crate::support::USUAL, CONFIG, &[card(1), card(2)].concat(), &[]);
    let console = &booted.vm.console;
    let both = "a | names: nameserver 10.0.2.3 nameserver 10.0.3.3 .";
    console.expect(both, BOOT).expect("those of both, in the order of the lines");
    // Either lease may come first.
    for line in ["link eth1: 10.0.2.15/24 via 10.0.2.2", "link eth0: 10.0.3.15/24 via 10.0.3.2"] {
        assert!(console.text().contains(line), "the cards have each other's names\n{}", console.text());
    }
    booted.vm.set_cable("card1", false).expect("the card");
    console.expect("a | names: nameserver 10.0.3.3 .", BOOT).expect("those of the other one");
    booted.vm.set_cable("card1", true).expect("the card");
    let again = || console.text().matches(both).count() >= 2;
    let until = std::time::Instant::now() + BOOT;
    while !again() {
        assert!(std::time::Instant::now() < until, "they do not return\n{}", console.tail());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    booted.vm.set_cable("card2", false).expect("the card");
    console.expect("a | names: nameserver 10.0.2.3 .", BOOT).expect("those of the first one");
    assert!(!console.text().contains("EEXIST"), "{}", console.text());
}

/// An IPv6-only network.
const IPV6: &str = r#"hilum 1
[system]
module virtio_pci
module virtio_net
link eth0 slaac
[workload a]
root /images/busybox
exec /bin/busybox sh -c 'b=/bin/busybox; until $b grep -q fd55 /etc/resolv.conf; do $b usleep 100000; done; echo "names: $($b tr "\n" " " < /etc/resolv.conf)."'
resolv
restart never
"#;

/// Returns a router advertisement as a frame: name servers fd55::53 and the link-local fe80::53, and the domain
/// corp.test (RFC 8106).
fn advertisement() -> Vec<u8> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().expect("an address").octets();
    let mut body = [&[134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 25, 5, 0, 0, 0, 0, 14, 16][..]].concat();
    body.extend_from_slice(&address("fd55::53"));
    body.extend_from_slice(&address("fe80::53"));
    body.extend_from_slice(&[31, 3, 0, 0, 0, 0, 14, 16]);
    body.extend_from_slice(b"\x04corp\x04test\x00\x00\x00\x00\x00\x00");
    let ends = [address("fe80::1"), address("ff02::1")].concat();
    let length = u8::try_from(body.len()).expect("it is short");
    let words = [&ends[..], &[0, 0, 0, length, 0, 0, 0, 58], &body].concat();
    let sum: u32 = words.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let outer = [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0, 0, 0, length, 58, 255];
    [&outer[..], &ends, &body].concat()
}

/// systemd-networkd: an address, the router and the name servers of its advertisements.
fn network_of_ipv6_alone_serves_a_workload_with_resolv(arch: Architecture) {
    // Each datagram is a frame of the card's network.
    let router = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let own = router.local_addr().expect("its address").port();
    let card = crate::support::free_port();
    let words = format!(
        "-netdev socket,id=net,udp=127.0.0.1:{own},localaddr=127.0.0.1:{card} -device virtio-net-pci,netdev=net,romfile="
    );
    let cards: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let booted = boot(arch, crate::support::USUAL, IPV6, &cards, &[]);
    let console = &booted.vm.console;
    let wanted = "a | names: nameserver fd55::53 nameserver fe80::53%eth0 search corp.test .";
    let until = std::time::Instant::now() + BOOT;
    while !console.text().contains(wanted) {
        assert!(std::time::Instant::now() < until, "no names\n{}", console.tail());
        // QEMU may not be ready yet, or the card may be down.
        let _ = router.send_to(&advertisement(), ("127.0.0.1", card));
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(!console.text().contains("no DHCP server"), "{}", console.text());
}
