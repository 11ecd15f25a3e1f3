//! Lines about networks: errors in a single line, and conflicts with other lines.

use super::super::refusal;
use super::{in_system, in_workload};

/// Lines of [system], and their errors.
const SYSTEM_LINES: &[(&str, &str)] = &[
    ("link", "3:5: \"link\" needs a link's name of at most 15 letters, digits, -, _ and ."),
    (
        "link eth0",
        "3:10: \"link\" needs dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    (
        "link a-name-of-16-let up",
        "3:6: found \"a-name-of-16-let\", expected a link's name of at most 15 letters, digits, -, _ and .",
    ),
    ("link eth0.5 vlan eth0 0 up", "3:23: found \"0\", expected a VLAN's number from 1 to 4094"),
    ("link eth0.5 vlan eth0 4095 up", "3:23: found \"4095\", expected a VLAN's number from 1 to 4094"),
    (
        "link eth0.5 vlan eth0 5 path=/sys/devices/x up",
        "3:45: found \"up\", expected neither mac= nor path= for a VLAN",
    ),
    ("link eth0.5 vlan eth0 5 up", "3:18: found \"eth0\", expected the name of a link line above this one"),
    (
        "link eth0 up\nlink eth0.5 vlan eth0 5 up\nlink five vlan eth0 5 up",
        "5:21: found \"5\", expected a VLAN that no other line has of this link",
    ),
    ("link lo up", "3:6: found \"lo\", expected a link's name of at most 15 letters, digits, -, _ and ."),
    ("link eth/0 up", "3:6: found \"eth/0\", expected a link's name of at most 15 letters, digits, -, _ and ."),
    (
        "link eth0 10.0.0.256/24",
        "3:11: found \"10.0.0.256/24\", expected dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    (
        "link eth0 10.0.0.2/33",
        "3:11: found \"10.0.0.2/33\", expected dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    (
        "link eth0 10.0.0.0/24",
        "3:11: found \"10.0.0.0/24\", expected dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    (
        "link eth0 10.0.0.255/24",
        "3:11: found \"10.0.0.255/24\", expected dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    (
        "link eth0 127.0.0.1/8",
        "3:11: found \"127.0.0.1/8\", expected dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    (
        "link eth0 mac=1:2 up",
        "3:11: found \"mac=1:2\", expected dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    (
        "link eth0 mac=01:00:00:00:00:01 up",
        "3:11: found \"mac=01:00:00:00:00:01\", expected dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    (
        "link eth0 mtu=10 up",
        "3:11: found \"mtu=10\", expected dhcp, slaac, up, an address such as 10.0.0.2/24, via GATEWAY, probe ADDRESS, mac=, path= or mtu=",
    ),
    ("link eth0 10.0.0.2/24 via", "3:26: \"link\" needs a gateway's address after via, one for each family"),
    (
        "link eth0 10.0.0.2/24 via 10.0.0.1 via 10.0.0.3",
        "3:40: found \"10.0.0.3\", expected a gateway's address after via, one for each family",
    ),
    ("bridge br0", "3:11: \"bridge\" needs an address with a prefix length such as 10.0.0.2/24 or fd00::2/64"),
    (
        "bridge br0 10.0.0.1",
        "3:12: found \"10.0.0.1\", expected an address with a prefix length such as 10.0.0.2/24 or fd00::2/64",
    ),
    (
        "route 10.9.0.1/16 via 10.0.0.1",
        "3:7: found \"10.9.0.1/16\", expected a network without host bits, such as 10.9.0.0/16",
    ),
    ("route 10.9.0.0/16 via fd00::1", "3:23: found \"fd00::1\", expected a gateway's address of the same family"),
    ("nameserver dns.example", "3:12: found \"dns.example\", expected the address of a name server"),
    ("sysctl net..x 1", "3:8: found \"net..x\", expected the name of a setting such as net.ipv4.ip_forward"),
    (
        "sysctl ../../etc/passwd 1",
        "3:8: found \"../../etc/passwd\", expected the name of a setting such as net.ipv4.ip_forward",
    ),
    ("sysctl net.ipv4.ip_forward", "3:27: \"sysctl\" needs a value"),
];

/// Lines of a workload, and their errors.
const WORKLOAD_LINES: &[(&str, &str)] = &[
    ("link br0 10.0.0.2/24", "5:6: found \"br0\", expected veth, macvlan, ipvlan or move"),
    (
        "link veth br0 dhcp",
        "5:15: found \"dhcp\", expected an address such as 10.77.0.2/24, via GATEWAY, mac=, mtu= or spoof",
    ),
    (
        "publish 80",
        "5:9: found \"80\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    (
        "publish 80:80",
        "5:9: found \"80:80\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    (
        "publish 0:80/tcp",
        "5:9: found \"0:80/tcp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    (
        "publish 80:80/sctp",
        "5:9: found \"80:80/sctp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    (
        "publish fd00::1:80:80/tcp",
        "5:9: found \"fd00::1:80:80/tcp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    (
        "publish 5000-5010:6000-6010/udp",
        "5:9: found \"5000-5010:6000-6010/udp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    (
        "publish 5000-5010:5000/udp",
        "5:9: found \"5000-5010:5000/udp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    (
        "publish 5010-5000:5010-5000/udp",
        "5:9: found \"5010-5000:5010-5000/udp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    (
        "publish 5000-:5000-/udp",
        "5:9: found \"5000-:5000-/udp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp, or one range of ports on both sides",
    ),
    ("resolv now", "5:8: unexpected word \"now\"; remove it, or quote words that belong together"),
    ("talk", "5:5: \"talk\" needs the names of workloads, or board"),
];

#[test]
fn invalid_network_line_is_refused() {
    for (line, expected) in SYSTEM_LINES {
        assert_eq!(in_system(line), *expected, "{line}");
    }
    for (line, expected) in WORKLOAD_LINES {
        assert_eq!(in_workload(line), *expected, "{line}");
    }
}

/// Lines of [system], lines of workload b, and the error for one of them.
const CONFLICTS: &[(&str, &str, &str)] = &[
    (
        "bridge br1 10.77.0.128/25",
        "",
        "5:12: found \"10.77.0.128/25\", expected an address with a prefix length such as 10.0.0.2/24 or fd00::2/64",
    ),
    (
        "bridge br1 10.77.0.129/25",
        "",
        "5:12: found \"10.77.0.129/25\", expected a network that overlaps no other bridge or link",
    ),
    (
        "link eth1 10.0.0.1/16",
        "",
        "5:11: found \"10.0.0.1/16\", expected a network that overlaps no other bridge or link",
    ),
    ("link br0 up", "", "5:6: found \"br0\", expected a name unused by other links and bridges"),
    (
        "link eth1 10.1.0.2/24 via 10.2.0.1",
        "",
        "5:27: found \"10.2.0.1\", expected a gateway in the network of a link's address",
    ),
    ("masquerade br9 eth0", "", "5:12: found \"br9\", expected the name of a bridge in [system]"),
    ("masquerade br0 eth9", "", "5:16: found \"eth9\", expected the name of a link in [system]"),
    ("", "link veth br9 10.77.0.3/24", "14:11: found \"br9\", expected the name of a bridge in [system]"),
    ("", "link veth br0 10.78.0.3/24", "14:15: found \"10.78.0.3/24\", expected an address in the bridge's network"),
    (
        "",
        "link veth br0 10.77.0.3/24 via 10.77.0.9",
        "14:32: found \"10.77.0.9\", expected the bridge's own address, the only gateway there",
    ),
    ("", "link veth br0 10.77.0.1/24", "14:15: found \"10.77.0.1/24\", expected an unused address"),
    ("", "link macvlan eth9 10.0.2.50/24", "14:14: found \"eth9\", expected the name of a link in [system]"),
    (
        "",
        "link move eth9 dhcp",
        "14:16: found \"dhcp\", expected an address such as 10.77.0.2/24, via GATEWAY, mac=, mtu= or spoof",
    ),
    (
        "",
        "link macvlan eth0",
        "14:18: \"link\" needs dhcp, an address such as 192.168.1.20/24, via GATEWAY, mac= or mtu=",
    ),
    ("", "link move eth0", "14:11: found \"eth0\", expected a link without addresses that no other line uses"),
    (
        "",
        "link veth br0 10.77.0.3/24\npublish 90:90/tcp",
        "15:1: workload \"b\": publish needs a link veth with an address and via of that family",
    ),
    (
        "",
        "link veth br0 10.77.0.3/24 via 10.77.0.1\npublish 8080:90/tcp",
        "15:9: found \"8080:90/tcp\", expected a host port that no other line publishes",
    ),
    (
        "",
        "link veth br0 10.77.0.3/24 via 10.77.0.1\npublish 8000-8080:8000-8080/tcp",
        "15:9: found \"8000-8080:8000-8080/tcp\", expected a host port that no other line publishes",
    ),
    ("", "talk a", "14:1: workload \"b\": talk needs a link veth with an address"),
    ("", "link veth br0 10.77.0.3/24\ntalk c", "15:6: unknown workload \"c\"; correct the name, or add its section"),
    ("", "link veth br0 10.77.0.3/24\ntalk b", "15:6: workload \"b\" cannot refer to itself; remove the name"),
    (
        "",
        "share net\npublish 90:90/tcp",
        "11:1: workload \"b\": link and publish need a network of its own; remove them, or share net",
    ),
    (
        "",
        "link ipvlan eth0 10.0.2.50/24 spoof",
        "11:1: workload \"b\": spoof is only for veth, mac= only for veth and macvlan",
    ),
    (
        "",
        "link macvlan eth0 10.0.2.50/24 spoof",
        "11:1: workload \"b\": spoof is only for veth, mac= only for veth and macvlan",
    ),
    (
        "route 10.9.0.0/16 via 10.3.0.1",
        "",
        "5:23: found \"10.3.0.1\", expected a gateway in the network of a link's address",
    ),
    // A part of a link's own network, and the network of another line.
    (
        "route 10.0.2.128/25 via 10.0.2.2",
        "",
        "5:7: found \"10.0.2.128/25\", expected a network outside of those of bridges and links",
    ),
    (
        "route 10.77.0.0/24 via 10.0.2.2",
        "",
        "5:7: found \"10.77.0.0/24\", expected a network outside of those of bridges and links",
    ),
    (
        "route 10.9.0.0/16 via 10.0.2.2\nroute 10.9.0.0/16 via 10.0.2.3",
        "",
        "6:7: found \"10.9.0.0/16\", expected a network without another route line",
    ),
    // A workload's link is not one of the board's.
    (
        "route 10.9.0.0/16 via 10.77.0.2",
        "",
        "5:23: found \"10.77.0.2\", expected a gateway in the network of a link's address",
    ),
    ("link eth1 10.1.0.2/24 10.1.0.3/24 10.1.0.2/24", "", "5:35: found \"10.1.0.2/24\", expected an unused address"),
    ("bridge br1 fd01::1/64 fd01::1/64", "", "5:23: found \"fd01::1/64\", expected an unused address"),
    ("", "link veth br0 10.77.0.3/24 10.77.0.3/24", "14:28: found \"10.77.0.3/24\", expected an unused address"),
    // Replies would not reach clients on other networks.
    (
        "",
        "link veth br0 10.77.0.3/24 fd77::3/64 via 10.77.0.1\npublish [fd77::1]:90:90/tcp",
        "15:1: workload \"b\": publish needs a link veth with an address and via of that family",
    ),
];

/// Returns a board with two bridges, and a workload on the first one.
fn with_network(system: &str, lines: &str) -> String {
    refusal(
        format!(
            "hilum 1\n[system]\nlink eth0 10.0.2.15/24 via 10.0.2.2\nbridge br0 10.77.0.1/24 fd77::1/64\n{system}\n\
             [workload a]\nroot /r\nexec /x\nlink veth br0 10.77.0.2/24 via 10.77.0.1\npublish 8080:80/tcp\n\
             [workload b]\nroot /r\nexec /x\n{lines}\n"
        )
        .as_bytes(),
    )
}

#[test]
fn conflicting_network_lines_are_refused() {
    for (system, lines, expected) in CONFLICTS {
        assert_eq!(with_network(system, lines), *expected, "{system} {lines}");
    }
    let expected = "14:15: found \"10.77.0.2/24\", expected an unused address";
    assert_eq!(with_network("", "link veth br0 10.77.0.2/24"), expected);
}
