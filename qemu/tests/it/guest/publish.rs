//! Published ports on real kernels with their own conntrack: which clients reach them.

use crate::support::{BOOT, built, has_line, image};
use hilum_qemu::Architecture;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

on_both_long!(aarch64: published_ports_serve_earlier_senders_and_local_clients);

#[test]
fn published_ports_work_on_the_oldest_kernel() {
    check(Architecture::X86_64, "bullseye");
}

#[test]
fn published_ports_work_on_the_newest_kernel() {
    check(Architecture::X86_64, "trixie");
}

fn published_ports_serve_earlier_senders_and_local_clients(arch: Architecture) {
    check(arch, crate::support::USUAL);
}

/// `board` receives what nobody else gets. br_netfilter would intercept what the bridge forwards.
const BOARD: &str = r#"hilum 1
[system]
console prompt
module virtio_pci
module virtio_net
module br_netfilter
link eth0 10.0.2.15/24 via 10.0.2.2
bridge br0 10.77.0.1/24
masquerade br0 eth0
[workload board]
root /images/probe
exec /bin/probe hear 9001
share net
[workload meter]
root /images/probe
exec /bin/probe hear 81
link veth br0 10.77.0.2/24 via 10.77.0.1
publish 9001:81/udp
[workload web]
root /images/busybox
exec /bin/busybox sh -c "/bin/busybox httpd -p 80 -h /www; . /t; ask bridge 10.77.0.1 8080; ask lan 10.0.2.15 8080; echo done; $b sleep 10000"
link veth br0 10.77.0.3/24 via 10.77.0.1
publish 8080:80/tcp
ready tcp 80
[workload stranger]
root /images/busybox
exec /bin/busybox sh -c ". /t; ask bridge 10.77.0.1 8080; ask lan 10.0.2.15 8080; echo done"
link veth br0 10.77.0.4/24 via 10.77.0.1
needs web
restart never
[workload local]
root /images/busybox
exec /bin/busybox sh -c ". /t; ask bridge 10.77.0.1 8080; ask lan 10.0.2.15 8080; ask loopback 127.0.0.1 8080; $b cat /proc/sys/net/bridge/bridge-nf-call-iptables; echo done"
share net
needs web
restart never
"#;

/// Requests a page at an address and port.
const SCRIPT: &str = r#"b=/bin/busybox
ask() { if printf 'GET / HTTP/1.0\r\n\r\n' | $b nc -w 60 $2 $3 2>/dev/null | $b grep -q hello; then echo yes $1; else echo no $1; fi; }
"#;

/// A sender that never pauses, from one port; and clients inside of the board. Docker's issue for the first is
/// moby#44752.
fn check(arch: Architecture, release: &str) {
    let mut image = image(arch, BOARD);
    image.add_host_folder(&built(&format!("image/{}/busybox", arch.name())), "images/busybox").expect("busybox");
    for (file, text) in [("t", SCRIPT), ("www/index.html", "hello\n")] {
        image.file(&format!("images/busybox/{file}"), 0o644, text);
    }
    crate::support::needed_modules(arch, release, &mut image, BOARD);
    // A free UDP port is as good as a free TCP port.
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let cards = hilum_qemu::network(&format!(",hostfwd=udp:127.0.0.1:{port}-:9001"));
    let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
    let mut booted = crate::support::boot_with(arch, release, &image, "", None, &cards);
    let console = &booted.vm.console;
    for name in ["stranger", "local", "web"] {
        console.expect(&format!("{name} | done"), BOOT).expect("it comes to its end");
    }
    let text = crate::support::without_prompt(&console.text());
    for line in ["web | yes bridge", "web | yes lan", "stranger | yes bridge", "stranger | yes lan"] {
        has_line(&text, line);
    }
    for line in ["local | yes bridge", "local | yes lan", "local | yes loopback", "local | 0"] {
        has_line(&text, line);
    }
    for (command, hears) in [("boot", "meter"), ("stop meter", "board"), ("start meter", "meter")] {
        if command != "boot" {
            crate::support::at_prompt(&booted.vm.console);
            booted.vm.type_text(&format!("{command}\r")).expect("QEMU is there");
        }
        let until = Instant::now() + BOOT;
        let line = format!("{hears} | after {command}");
        while !booted.vm.console.text().contains(&line) {
            assert!(Instant::now() < until, "{hears} does not hear\n{}", booted.vm.console.tail());
            sender.send_to(format!("after {command}\n").as_bytes(), ("127.0.0.1", port)).expect("QEMU listens");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
