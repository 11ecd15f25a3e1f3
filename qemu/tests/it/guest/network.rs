//! Networks in guests, with real kernels and busybox: which connections work, and which do not.

use crate::support::{BOOT, Booted, built, has_line, image};
use hilum_qemu::{Architecture, Vm};

on_both!(workloads_reach_only_what_their_lines_allow, missing_modules_are_named);

/// Functions for the workloads' scripts. Each prints a line about what was reached within `t` seconds: many if an
/// answer is expected, because a busy machine is slow; few if none is.
const SCRIPT: &str = r#"b=/bin/busybox t=3
ask() { if printf 'GET / HTTP/1.0\r\n\r\n' | $b nc -w $t $2 $3 2>/dev/null | $b grep -q hello; then echo yes $1; else echo no $1; fi; }
ping() { if $b ping -c 1 -W $t "$@" >/dev/null 2>&1; then echo yes ping "$*"; else echo no ping "$*"; fi; }
arp() { if $b arping -q -c 1 -w $t -I eth0 $1 >/dev/null 2>&1; then echo yes arp $1; else echo no arp $1; fi; }
"#;

const BOARD: &str = r#"hilum 1
[system]
console prompt
module virtio_pci
module virtio_net
link eth0 dhcp
bridge br0 10.77.0.1/24 fd77::1/64
bridge br1 10.78.0.1/24
masquerade br0 eth0
nameserver 9.9.9.9
[workload host]
root /images/busybox
exec /bin/busybox httpd -f -p 8181 -h /www
share net
reaper
ready tcp 8181
# The board's wire: there is a lease.
[workload online]
root /images/busybox
exec /bin/busybox sh -c "until /bin/busybox ip route | /bin/busybox grep -q default; do /bin/busybox sleep 1; done"
share net
ready exit
restart never
[workload web]
root /images/busybox
exec /bin/busybox httpd -f -p 80 -h /www
link veth br0 10.77.0.2/24 fd77::2/64 via 10.77.0.1
publish 8080:80/tcp
reaper
ready tcp 80
[workload friend]
root /images/busybox
exec /bin/busybox sh -c ". /t; ask host 10.77.0.1 8181; t=60; ask web 10.77.0.2 80; ask web6 fd77::2 80; ask published 10.77.0.1 8080; ping 10.77.0.1; ping 10.77.0.2; $b cat /etc/hosts /etc/resolv.conf; $b hostname; $b ip addr show eth0; echo done"
link veth br0 10.77.0.3/24 fd77::3/64 via 10.77.0.1
talk web
resolv
needs web host online
capability net_raw
restart never
[workload stranger]
root /images/busybox
exec /bin/busybox sh -c ". /t; ask web 10.77.0.2 80; ask web6 fd77::2 80; ask host 10.77.0.1 8181; ping 10.77.0.2; ping fd77::2; arp 10.77.0.2; arp 10.77.0.1; $b ip -6 addr | $b grep -c fe80; t=60; ask published 10.77.0.1 8080; ping 10.77.0.1; $b nc -w $t 10.0.2.2 1; echo done; $b sleep 10000"
link veth br0 10.77.0.4/24 fd77::4/64 via 10.77.0.1
needs web host online
capability net_raw
seccomp default +socket
restart never
[workload caller]
root /images/busybox
exec /bin/busybox sh -c ". /t; t=60; ask host 10.77.0.1 8181; $b grep -c ' board$' /etc/hosts; echo done"
link veth br0 10.77.0.5/24 via 10.77.0.1
talk board
needs web host
restart never
[workload forger]
root /images/busybox
exec /bin/busybox sh -c ". /t; t=60; ping 10.77.0.1; ping fd77::1; t=3; $b ip addr add 10.77.0.99/24 dev eth0; ping 10.77.0.1 -I 10.77.0.99; $b ip addr add 10.77.0.3/24 dev eth0; ping 10.77.0.1 -I 10.77.0.3; $b ip -6 addr add fe80::9/64 dev eth0; $b sleep 3; ping fd77::1 -I fe80::9; $b ip link set eth0 address 02:00:00:00:00:66; ping 10.77.0.1 -I 10.77.0.6; echo done; $b sleep 10000"
link veth br0 10.77.0.6/24 fd77::6/64 via 10.77.0.1
needs web host
capability net_raw net_admin
seccomp default +socket
restart never
[workload liar]
root /images/busybox
exec /bin/busybox sh -c ". /t; arp 10.77.0.2; ask web 10.77.0.2 80; t=60; arp 10.77.0.1; $b ip addr add 10.77.0.98/24 dev eth0; ping 10.77.0.1 -I 10.77.0.98; $b ip addr add 10.77.0.97/24 dev eth0; $b ip link set eth0 address 02:00:00:00:00:67; ping 10.77.0.1 -I 10.77.0.97; echo done"
link veth br0 10.77.0.7/24 fd77::7/64 via 10.77.0.1 spoof
needs web host
capability net_raw net_admin
seccomp default +socket
restart never
[workload pod]
root /images/busybox
exec /bin/busybox httpd -f -p 80 -h /www
link veth br1 10.78.0.2/24 via 10.78.0.1
reaper
ready tcp 80
[workload member]
root /images/busybox
exec /bin/busybox sh -c ". /t; t=60; ask pod 127.0.0.1 80; t=3; ask web 10.77.0.2 80; $b nc -w $t 10.0.2.2 1; $b ip addr show eth0; echo done"
share net=pod
needs pod web online
restart never
"#;

/// Boots with busybox as the workloads' root filesystem; `cards` are words for QEMU.
pub(super) fn boot(arch: Architecture, release: &str, config: &str, cards: &[String], without: &[&str]) -> Booted {
    let mut image = image(arch, config);
    let busybox = built(&format!("image/{}/busybox", arch.name()));
    image.add_host_folder(&busybox, "images/busybox").expect("busybox");
    image.folder("images/busybox/etc", 0o755);
    for (file, text) in [("etc/hosts", ""), ("etc/resolv.conf", ""), ("t", SCRIPT), ("www/index.html", "hello\n")] {
        image.file(&format!("images/busybox/{file}"), 0o644, text);
    }
    if without.is_empty() {
        crate::support::needed_modules(arch, release, &mut image, config);
    }
    let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
    crate::support::boot_with(arch, release, &image, "hilum.doctor", None, &cards)
}

/// The expected results of each workload.
const REACHED: &[&str] = &[
    "friend | yes web",
    "friend | yes web6",
    "friend | yes published",
    "friend | no host",
    "friend | yes ping 10.77.0.1",
    "friend | yes ping 10.77.0.2",
    "friend | 10.77.0.2 web",
    "friend | fd77::2 web",
    "friend | 10.77.0.3 friend",
    "friend | nameserver 9.9.9.9",
    "friend | nameserver 10.0.2.3",
    "friend | friend",
    "stranger | no web",
    "stranger | no web6",
    "stranger | yes published",
    "stranger | no host",
    "stranger | yes ping 10.77.0.1",
    "stranger | no ping 10.77.0.2",
    "stranger | no ping fd77::2",
    "stranger | no arp 10.77.0.2",
    "stranger | no arp 10.77.0.1",
    "stranger | 0",
    // The outside router refuses at once: it was reached, with the board's address.
    "stranger | nc: can't connect to remote host (10.0.2.2): Connection refused",
    "caller | yes host",
    "caller | 2",
    "forger | yes ping 10.77.0.1",
    "forger | no ping 10.77.0.1 -I 10.77.0.99",
    "forger | no ping 10.77.0.1 -I 10.77.0.3",
    "forger | no ping 10.77.0.1 -I 10.77.0.6",
    "forger | yes ping fd77::1",
    "forger | no ping fd77::1 -I fe80::9",
    "liar | yes arp 10.77.0.1",
    "liar | no arp 10.77.0.2",
    "liar | yes ping 10.77.0.1 -I 10.77.0.98",
    "liar | yes ping 10.77.0.1 -I 10.77.0.97",
    "liar | no web",
    "member | yes pod",
    "member | no web",
];

/// Rules with a counter above zero, and on how many links.
const COUNTED: &[(&str, usize)] = &[
    ("hilum-stranger stranger.0: neither IPv4 nor IPv6", 1),
    ("hilum-forger forger.0: not its own MAC address", 1),
    ("hilum-forger forger.0: not its own address", 2),
    ("hilum forward: refused from br0", 1),
    ("hilum input: refused from br0", 1),
    ("hilum forward: talk behind br0", 1),
    ("hilum input: talk board from br0", 1),
    ("hilum forward: masquerade br0 eth0", 1),
    ("hilum forward: published behind br0", 1),
    ("hilum-web publish: publish 8080:80/tcp", 1),
];

fn check(arch: Architecture, release: &str) {
    let port = crate::support::free_port();
    let cards = hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:8080"));
    let mut booted = boot(arch, release, BOARD, &cards, &[]);
    for name in ["friend", "stranger", "caller", "forger", "liar", "member"] {
        booted.vm.console.expect(&format!("{name} | done"), BOOT).expect("it comes to its end");
    }
    let page = crate::support::page(port, "/");
    assert!(page.contains("hello"), "the published port is reached from outside: {page}");
    let net = net(&mut booted.vm);
    let console = crate::support::without_prompt(&booted.vm.console.text());
    for line in REACHED {
        has_line(&console, line);
    }
    // Without masquerade there is no reply from outside.
    has_line(&console, "member | nc: timed out");
    assert!(console.contains("member |     inet 10.78.0.2/24"), "{console}");
    assert!(!console.contains("hilum: packet rules"), "{console}");
    // Refused packets were refused by these rules, and allowed ones passed by those.
    for (rule, times) in COUNTED {
        let prefix = format!("rule {rule}; ");
        let counted = net.lines().filter_map(|line| line.strip_prefix(&prefix));
        assert_eq!(counted.filter(|count| !count.starts_with("0 ")).count(), *times, "{rule} did not count in\n{net}");
    }
}

/// Returns the output of `net` at the board's prompt.
pub(super) fn net(vm: &mut Vm) -> String {
    crate::support::at_prompt(&vm.console);
    let before = vm.console.text().len();
    vm.type_text("net\r").expect("QEMU is there");
    vm.console.expect("\nlink lo ", BOOT).expect("an answer");
    crate::support::at_prompt(&vm.console);
    crate::support::without_prompt(&vm.console.text()[before..])
}

fn workloads_reach_only_what_their_lines_allow(arch: Architecture) {
    check(arch, crate::support::USUAL);
}

#[test]
fn networks_work_on_the_oldest_kernel() {
    check(Architecture::X86_64, "bullseye");
}

#[test]
fn networks_work_on_the_newest_kernel() {
    check(Architecture::X86_64, "trixie");
}

/// No module is loaded: each line reports what it needs.
fn missing_modules_are_named(arch: Architecture) {
    const CONFIG: &str = "hilum 1
[system]
idle poweroff
bridge br0 10.77.0.1/24
link eth7 10.9.0.1/24
[workload a]
root /images/busybox
exec /bin/busybox true
link veth br0 10.77.0.2/24
restart never
[workload b]
root /images/busybox
exec /bin/busybox true
restart never
";
    let mut booted = boot(arch, crate::support::MODULAR, CONFIG, &[], &["bridge"]);
    let console = booted.vm.wait(BOOT).expect("it powers off");
    for line in [
        "hilum: bridge br0: EOPNOTSUPP (operation not supported): the kernel lacks bridge, or its module is not loaded; workloads behind it do not start",
        "hilum: workload \"a\": connect link eth0: ENODEV (no such device): the host has no such link or bridge (yet)",
        "hilum: workload \"b\": exited with status 0",
        "hilum: NO  network bridges (bridge): module bridge, or CONFIG_BRIDGE",
        "hilum: NO  network packet rules (nf_tables): modules nf_tables, nft_ct and nft_counter, or CONFIG_NF_TABLES, CONFIG_NFT_CT",
    ] {
        has_line(&console, line);
    }
    assert!(console.contains("hilum: packet rules: "), "{console}");
}

/// A kernel that can connect a workload but cannot filter its packets: nothing is connected or forwarded.
#[test]
fn workload_whose_packets_cannot_be_filtered_does_not_start() {
    let arch = Architecture::X86_64;
    let mut image = image(arch, "");
    let lines = crate::support::modules(arch, crate::support::MODULAR, &mut image, &["llc", "stp", "bridge", "veth"]);
    let config = format!(
        "hilum 1\n[system]\nidle poweroff\n{lines}bridge br0 10.77.0.1/24\n[workload a]\nroot /images/probe\n\
         exec /bin/probe exit 0\nlink veth br0 10.77.0.2/24\nrestart never\n\
         [workload b]\nroot /images/probe\nexec /bin/probe do read:/proc/sys/net/ipv4/ip_forward\nshare net\nafter a\nrestart never\n"
    );
    image.file("etc/hilum.conf", 0o644, config);
    let console = crate::support::run_on(arch, crate::support::MODULAR, &image, "");
    let why =
        "EPROTONOSUPPORT (protocol not supported): the kernel lacks a part of nf_tables, or a module is not loaded";
    has_line(&console, &format!("hilum: packet rules: {why}"));
    assert!(console.contains(&format!("hilum: workload \"a\": filter packets: {why}")), "{console}");
    assert!(console.contains("content /proc/sys/net/ipv4/ip_forward 0"), "{console}");
    assert!(!console.contains("bridge br0: ") && !console.contains("workload \"a\": started"), "{console}");
}

/// A card is removed: the information of its DHCP server is no longer valid.
///
/// systemd-networkd with systemd-resolved: the same.
#[test]
fn name_servers_are_removed_with_their_link() {
    const CONFIG: &str = r#"hilum 1
[system]
module virtio_pci
module virtio_net
link eth0 dhcp
nameserver 9.9.9.9
[workload a]
root /images/busybox
exec /bin/busybox sh -c ". /t; n=/etc/resolv.conf; until $b grep -q 10.0.2.3 $n; do $b sleep 1; done; echo there; while $b grep -q 10.0.2.3 $n; do $b sleep 1; done; $b cat $n; echo gone"
resolv
restart never
"#;
    let words = "-device pcie-root-port,id=plug -netdev user,id=net -device virtio-net-pci,netdev=net,id=card,bus=plug,romfile=";
    let cards: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let booted = boot(Architecture::X86_64, crate::support::USUAL, CONFIG, &cards, &[]);
    let console = &booted.vm.console;
    console.expect("a | there", BOOT).expect("it has a lease");
    booted.vm.unplug("card").expect("the card");
    console.expect("link eth0: removed", BOOT).expect("that is told");
    console.expect("a | gone", BOOT).expect("its name server is as well");
    has_line(&console.text(), "a | nameserver 9.9.9.9");
}
