use super::*;

const CONFIG: &str = "hilum 1\n[system]\nbridge br0 10.77.0.1/24 fd77::1/64\nlink eth0 dhcp\nlink eth1 192.168.8.2/24\nlink eth2 dhcp\n\
         route 10.9.0.0/16 via 192.168.8.1\nroute 0.0.0.0/0 via 192.168.8.1\n";

fn lease(address: [u8; 4], length: u8, router: Option<[u8; 4]>) -> Lease {
    let mut routes = Lease::NOTHING.routes;
    routes[0] = router.map_or(LeaseRoute::NONE, |router| LeaseRoute::by(router.into()));
    Lease { address: address.into(), length, routes, server: [9, 9, 9, 9].into(), seconds: 60, ..Lease::NOTHING }
}

#[test]
fn lease_that_overlaps_a_bridge_link_or_route_is_refused() {
    let mut config = Config::EMPTY;
    crate::config::parse(CONFIG.as_bytes(), &mut config).expect("a good configuration");
    let third = |other: usize| (other == 2).then(|| lease([172, 16, 4, 5], 16, None));
    for (address, length, router, by) in [
        // Inside of the bridge's network, around it, and equal to it.
        ([10, 77, 0, 50], 25, None, Some("br0")),
        ([10, 9, 0, 50], 8, None, Some("br0")),
        ([10, 77, 0, 50], 24, Some([10, 77, 0, 1]), Some("br0")),
        // A router in it, with a route of its own.
        ([203, 0, 113, 5], 32, Some([10, 77, 0, 2]), Some("br0")),
        ([192, 168, 8, 77], 24, None, Some("eth1")),
        ([192, 168, 0, 77], 16, None, Some("eth1")),
        ([172, 16, 9, 9], 24, None, Some("eth2")),
        // The same network on another link.
        ([172, 16, 9, 9], 16, None, Some("eth2")),
        // Inside of a route's network, and equal to it; a wider one is harmless.
        ([10, 9, 5, 5], 24, None, Some("route")),
        ([10, 9, 5, 5], 16, None, Some("route")),
        ([10, 9, 5, 5], 10, None, None),
        ([10, 77, 1, 50], 24, Some([10, 77, 1, 1]), None),
        ([192, 168, 9, 50], 24, Some([192, 168, 9, 1]), None),
    ] {
        let found = taken(&config, 0, &lease(address, length, router), &third).map(|taken| match taken.by {
            By::Bridge(name) | By::Link(name) => name,
            By::Route => "route",
        });
        assert_eq!(found, by, "{address:?}/{length} {router:?}");
    }
}

#[test]
fn route_of_lease_into_a_bridge_or_link_network_is_refused() {
    let mut config = Config::EMPTY;
    crate::config::parse(CONFIG.as_bytes(), &mut config).expect("a good configuration");
    let third = |other: usize| (other == 2).then(|| lease([172, 16, 4, 5], 16, None));
    for (to, length, gateway, by) in [
        ([10, 77, 0, 128], 25, [192, 168, 9, 1], Some("br0")),
        ([10, 77, 0, 0], 24, [192, 168, 9, 1], Some("br0")),
        ([10, 77, 0, 2], 32, [0, 0, 0, 0], Some("br0")),
        ([192, 168, 8, 0], 24, [192, 168, 9, 1], Some("eth1")),
        ([172, 16, 7, 0], 24, [192, 168, 9, 1], Some("eth2")),
        ([10, 9, 1, 0], 24, [192, 168, 9, 1], Some("route")),
        // Its router is in the network.
        ([172, 20, 0, 0], 16, [10, 77, 0, 2], Some("br0")),
        // A wider route is harmless.
        ([10, 0, 0, 0], 8, [192, 168, 9, 1], None),
        ([0, 0, 0, 0], 0, [192, 168, 9, 1], None),
        ([172, 20, 0, 0], 16, [192, 168, 9, 1], None),
    ] {
        let mut given = lease([192, 168, 9, 50], 24, None);
        given.routes[0] = LeaseRoute { to: to.into(), length, gateway: gateway.into() };
        let found = taken(&config, 0, &given, &third).map(|taken| match taken.by {
            By::Bridge(name) | By::Link(name) => name,
            By::Route => "route",
        });
        assert_eq!(found, by, "{to:?}/{length} {gateway:?}");
    }
}

#[test]
fn advertised_network_that_overlaps_a_bridge_is_refused() {
    let mut config = Config::EMPTY;
    crate::config::parse(CONFIG.as_bytes(), &mut config).expect("a good configuration");
    for (address, length, is_taken) in [
        ("fd77::", 80, true),
        ("fd77::2", 128, true),
        ("fd77::", 64, true),
        ("fd00::", 8, true),
        ("fd55::", 64, false),
        ("::", 0, false),
        ("fe80::", 64, false),
        ("ff00::", 8, false),
    ] {
        let prefix = Prefix { address: address.parse().expect("an address"), length };
        assert_eq!(advertised(&config, 0, prefix).is_some(), is_taken, "{prefix}");
    }
}
