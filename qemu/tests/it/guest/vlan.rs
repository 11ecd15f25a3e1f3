//! VLANs of the board's links, observed on the network.

use crate::support::{BOOT, Booted, image};
use hilum_qemu::Architecture;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

on_both_long!(aarch64: vlan_of_a_link_is_tagged_on_the_wire);

const CONFIG: &str = "hilum 1
[system]
module virtio_pci
module virtio_net
link wan mac=52:54:00:12:34:56 192.168.9.2/24
link lan10 vlan wan 10 10.10.0.2/24
";

/// Returns an ARP request (RFC 826) for 10.10.0.2, with a tag (IEEE 802.1Q).
fn request(vlan: u16) -> Vec<u8> {
    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 9];
    let ends = [&OWN[..], &[10, 10, 0, 1], &[0; 6], &[10, 10, 0, 2]].concat();
    let tag = [0x81, 0, (vlan >> 8) as u8, vlan as u8];
    let mut frame = [&[0xff; 6][..], &OWN, &tag, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &ends].concat();
    frame.resize(64, 0);
    frame
}

/// The network is a socket of this test, to which QEMU sends frames. systemd-networkd creates such a link from a
/// .netdev file and a line VLAN= of its parent; ifupdown from the name eth0.10.
fn vlan_of_a_link_is_tagged_on_the_wire(arch: Architecture) {
    let wire = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    wire.connect(("127.0.0.1", port)).expect("an address");
    wire.set_read_timeout(Some(Duration::from_millis(200))).expect("a deadline");
    let own = wire.local_addr().expect("a port").port();
    let cards = [
        "-netdev",
        &format!("socket,id=net,udp=127.0.0.1:{own},localaddr=127.0.0.1:{port}"),
        "-device",
        "pcie-root-port,id=plug",
        "-device",
        "virtio-net-pci,netdev=net,id=card,bus=plug,mac=52:54:00:12:34:56,romfile=",
    ];
    let mut image = image(arch, CONFIG);
    crate::support::needed_modules(arch, crate::support::USUAL, &mut image, CONFIG);
    let booted = crate::support::boot_with(arch, crate::support::USUAL, &image, "", None, &cards);
    asks(&wire, &booted);
    // It disappears and returns with its parent.
    booted.vm.unplug("card").expect("the card");
    let until = Instant::now() + BOOT;
    let is_told = |name: &str| booted.vm.console.text().contains(&format!("link {name}: removed"));
    while !(is_told("wan") && is_told("lan10")) {
        assert!(Instant::now() < until, "both links go\n{}", booted.vm.console.tail());
        std::thread::sleep(Duration::from_millis(100));
    }
    while booted.vm.plug_card("card", "52:54:00:12:34:56", "plug").is_err() {
        assert!(Instant::now() < until, "the machine keeps the card");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Discard frames from before.
    wire.set_nonblocking(true).expect("a socket");
    while wire.recv(&mut [0; 2048]).is_ok() {}
    wire.set_nonblocking(false).expect("a socket");
    asks(&wire, &booted);
}

/// Sends requests in the VLAN until one is answered.
fn asks(wire: &UdpSocket, booted: &Booted) {
    let until = Instant::now() + BOOT;
    let mut frame = [0; 2048];
    // Another VLAN is tried first: a reply to that request would come first.
    loop {
        assert!(Instant::now() < until, "nobody answers\n{}", booted.vm.console.tail());
        // QEMU does not listen yet.
        let _ = wire.send(&request(11)).and_then(|_| wire.send(&request(10)));
        let Ok(length) = wire.recv(&mut frame) else { continue };
        let [.., 0x81, 0, high, low, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2] = frame[..length.min(26)] else { continue };
        assert_eq!(u16::from_be_bytes([high, low]) & 0xfff, 10, "the VLAN of the answer");
        assert_eq!(frame[26..36], [0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 10, 0, 2], "who has it");
        break;
    }
}
