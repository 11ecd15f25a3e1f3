//! Boards with several network cards, in machines: what the host's tests of uplinks cannot show, the names in
//! /run/resolv.conf and cards whose names the kernel has swapped.

use super::network::boot;
use crate::support::BOOT;
use hilum_qemu::Architecture;

on_both!(name_servers_go_and_return_with_the_cable_of_their_uplink);

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

/// systemd-networkd with systemd-resolved: name servers belong to a link, and go with its carrier.
fn name_servers_go_and_return_with_the_cable_of_their_uplink(arch: Architecture) {
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
    console.expect("link eth1: 10.0.2.15/24 via 10.0.2.2", BOOT).expect("the first card has the second name");
    console.expect("link eth0: 10.0.3.15/24 via 10.0.3.2", BOOT).expect("and the second one the first");
    let both = "a | names: nameserver 10.0.2.3 nameserver 10.0.3.3 .";
    console.expect(both, BOOT).expect("those of both, in the order of the lines");
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
