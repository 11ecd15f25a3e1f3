//! Workloads with links of their own on the host's external network: macvlan, ipvlan, and a card that is moved.

use super::network::boot;
use crate::support::BOOT;
use hilum::config::Mac;
use hilum_qemu::Architecture;
use std::time::Instant;

on_both_long!(aarch64: links_of_the_boards_own_wire, workloads_on_the_boards_wire_get_leases_and_name_servers);

/// A board whose workloads are on its external network.
const WIRE: &str = r#"hilum 1
[system]
console prompt
module virtio_pci
module virtio_net
link lan0 mac=52:54:00:00:00:01 10.0.2.15/24 fd02::15/64 via 10.0.2.2 via fd02::2 mtu=1400
route 10.9.0.0/16 via 10.0.2.9
route fd09::/32 via fd02::9
link lan1 path=DEVICES/pci0000:00/0000:00:05.0 up
link gone dhcp
[workload vlan]
root /images/busybox
exec /bin/busybox sh -c ". /t; $b nc -w 60 10.0.2.2 1; $b ip link show eth0; echo done"
link macvlan lan0 10.0.2.50/24 via 10.0.2.2
restart never
# A macvlan and an ipvlan cannot have the same parent at one time (EBUSY).
ready exit
[workload shared]
root /images/busybox
exec /bin/busybox sh -c ". /t; $b nc -w 60 10.0.2.2 1; echo done; $b sleep 10000"
link ipvlan lan0 10.0.2.51/24 via 10.0.2.2
restart never
needs vlan
[workload given]
root /images/busybox
exec /bin/busybox sh -c ". /t; $b ip link show lan1; $b nc -w 60 10.0.3.2 1; echo done; exit 1"
link move lan1 10.0.3.15/24 via 10.0.3.2
restart on-failure delay=1s limit=1/60s
"#;

/// Two cards: workloads with their own MAC addresses share the first one; the second one moves into a workload and
/// returns.
///
/// systemd-nspawn: `MACVLAN=` and `Interface=` of systemd.nspawn(5); an interface returns to the host when the container ends.
fn links_of_the_boards_own_wire(arch: Architecture) {
    let devices = match arch {
        Architecture::X86_64 => "/sys/devices",
        Architecture::Aarch64 => "/sys/devices/platform/4010000000.pcie",
    };
    let card = |number: u32| {
        let words = [
            "-netdev".to_owned(),
            format!("user,id=net{number},net=10.0.{}.0/24", number + 1),
            "-device".to_owned(),
            format!("virtio-net-pci,netdev=net{number},mac=52:54:00:00:00:0{number},addr={},romfile=", number + 3),
        ];
        words.to_vec()
    };
    let cards = [card(1), card(2)].concat();
    let mut booted = boot(arch, crate::support::USUAL, &WIRE.replace("DEVICES", devices), &cards, &[]);
    let console = &booted.vm.console;
    console.expect("workload \"given\": gave up after 1 restart", BOOT).expect("it fails twice");
    console.expect("link gone: not found", BOOT).expect("that is told");
    console.expect("shared | done", BOOT).expect("it is there");
    // The moved link is back once its namespace is gone.
    let until = Instant::now() + BOOT;
    let mut net = super::network::net(&mut booted.vm);
    while !net.contains("\nlink lan1 ") {
        assert!(Instant::now() < until, "lan1 did not come back\n{net}");
        net = super::network::net(&mut booted.vm);
    }
    for line in [
        "link lan0            up         mtu 1400   52:54:00:00:00:01",
        "address 10.0.2.15/24 on lan0",
        "address fd02::15/64 on lan0",
        "route default via 10.0.2.2 dev lan0",
        "route default via fd02::2 dev lan0",
        "route 10.9.0.0/16 via 10.0.2.9 dev lan0",
        "route fd09::/32 via fd02::9 dev lan0",
    ] {
        assert!(net.contains(&format!("\n{line}")), "no line {line:?} in\n{net}");
    }
    let text = crate::support::without_prompt(&booted.vm.console.text());
    let reached = |name: &str, address: &str| {
        let line = format!("{name} | nc: can't connect to remote host ({address}): Connection refused");
        text.lines().filter(|found| *found == line).count()
    };
    assert_eq!((reached("vlan", "10.0.2.2"), reached("shared", "10.0.2.2")), (1, 1), "{text}");
    assert!(text.contains("vlan | 2: eth0@") || text.contains("vlan | 3: eth0@"), "{text}");
    // It returns to the board with its name, and moves again.
    assert_eq!(reached("given", "10.0.3.2"), 2, "{text}");
    let mac = Mac::of(&["52:54:00:00:00:01", "vlan"], 0);
    assert!(text.contains(&format!("vlan |     link/ether {mac}")), "{mac} in {text}");
    assert!(!text.contains("link lan1: removed"), "{text}");
}

/// A board whose workloads ask for their own addresses.
const LEASED: &str = r#"hilum 1
[system]
module virtio_pci
module virtio_net
link lan0 mac=52:54:00:00:00:01 10.0.2.200/24
nameserver 9.9.9.9
[workload vlan]
root /images/busybox
exec /bin/busybox sh -c ". /t; until $b grep -q 10.0.2.3 /etc/resolv.conf; do $b usleep 100000; done; $b nc -w 60 10.0.2.2 1; $b ip addr show eth0; echo names $($b cat /etc/resolv.conf); echo done"
link macvlan lan0 dhcp
resolv
restart never
ready exit
[workload shared]
root /images/busybox
exec /bin/busybox sh -c ". /t; until $b grep -q 10.0.2.3 /etc/resolv.conf; do $b usleep 100000; done; $b nc -w 60 10.0.2.2 1; $b ip route; echo done; $b sleep 10000"
link ipvlan lan0 dhcp
resolv
restart never
needs vlan
[workload other]
root /images/busybox
exec /bin/busybox sh -c "echo names $(/bin/busybox cat /etc/resolv.conf)"
resolv
restart never
needs shared
"#;

/// systemd-networkd in a container does the same, where the image has one.
fn workloads_on_the_boards_wire_get_leases_and_name_servers(arch: Architecture) {
    let card = "-netdev user,id=net -device virtio-net-pci,netdev=net,mac=52:54:00:00:00:01,romfile=";
    let cards: Vec<String> = card.split(' ').map(str::to_owned).collect();
    let booted = boot(arch, crate::support::USUAL, LEASED, &cards, &[]);
    let console = &booted.vm.console;
    for line in [
        "link vlan.0: 10.0.2.15/24 via 10.0.2.2 from 10.0.2.2 for 86400 s",
        "vlan | nc: can't connect to remote host (10.0.2.2): Connection refused",
        "vlan |     inet 10.0.2.15/24",
        "vlan | names nameserver 9.9.9.9 nameserver 10.0.2.3",
        "link shared.0: 10.0.2.16/24 via 10.0.2.2 from 10.0.2.2 for 86400 s",
        "shared | nc: can't connect to remote host (10.0.2.2): Connection refused",
        "shared | default via 10.0.2.2 dev eth0",
        "other | names nameserver 9.9.9.9\n",
    ] {
        console.expect(line, BOOT).expect("it is there");
    }
}
