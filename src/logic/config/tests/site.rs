//! The section `[site]`: what it replaces, and what it may not have.

use super::super::{Addresses, Config, Prefix, has_same_system, parse};
use super::{refusal, with};

const BOARD: &str = "hilum 1
[system]
hostname kitchen
link eth0 10.0.0.1/24 mtu=1400
link eth1 10.0.1.1/24
bridge br0 10.9.0.1/24
nameserver 192.0.2.1 192.0.2.2
time dhcp keep=/data/time
site /site/site.conf
[workload a]
root /r
exec /x
link veth br0 10.9.0.2/24
";

fn addresses(config: &Config<'_>) -> Vec<(String, Addresses)> {
    config.system.network.links.iter().map(|link| (link.name.to_owned(), link.addresses.clone())).collect()
}

#[test]
fn lines_of_a_site_replace_those_of_the_system() {
    let site =
        "[site]\nhostname hall-%m\nlink eth1 10.0.2.1/24\nlink eth2 dhcp\nnameserver 192.0.2.3\ntime 192.0.2.9\n";
    with(&format!("{BOARD}\n{site}"), |config| {
        let system = &config.system;
        assert_eq!((system.hostname, system.site, system.site_line), (Some("hall-%m"), Some("/site/site.conf"), 15));
        let names: Vec<String> = addresses(config).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["eth0", "eth1", "eth2"], "their order is the preference of uplinks");
        let expected = Prefix { address: [10, 0, 2, 1].into(), length: 24 };
        assert_eq!(system.network.links[1].addresses.as_slice(), [expected]);
        assert_eq!(system.network.links[0].mtu, 1400);
        assert_eq!(system.network.name_servers.as_slice(), [core::net::IpAddr::from([192, 0, 2, 3])]);
        assert!(!system.time.has_dhcp && system.time.keep.is_none(), "the line is replaced as a whole");
        assert_eq!(config.workloads.len(), 1);
    });
    with(&format!("{BOARD}\n[site]\n# nothing\n"), |config| assert_eq!(config.system.hostname, Some("kitchen")));
}

#[test]
fn site_may_not_have_other_keys_and_none_twice() {
    for (lines, expected) in [
        (
            "console off",
            "16:1: found \"console\", expected hostname, link, nameserver or time; other lines belong into the image",
        ),
        ("module x", "16:1: found \"module\", expected hostname, link"),
        ("root /r", "16:1: unknown key \"root\" in [system]"),
        ("hostname a\nhostname b", "17:1: duplicate \"hostname\", first on line 16"),
        ("link eth1 dhcp\nlink eth1 dhcp", "17:6: found \"eth1\""),
        ("link eth1 10.0.0.9/24", "16:11: found \"10.0.0.9/24\""),
        ("link br0 dhcp", "16:6: found \"br0\""),
        ("hostname a_b", "16:10: found \"a_b\""),
    ] {
        let found = refusal(format!("{BOARD}\n[site]\n{lines}\n").as_bytes());
        assert!(found.starts_with(expected), "{lines}: {found}");
    }
    let found = refusal(format!("{BOARD}\n[site] x\n").as_bytes());
    assert!(found.starts_with("15:8: "), "{found}");
}

#[test]
fn changed_site_is_a_changed_system() {
    let read = |text: &str| {
        let text: &'static str = text.to_owned().leak();
        let mut config = Box::new(Config::EMPTY);
        parse(text.as_bytes(), &mut config).expect("a good configuration");
        config
    };
    let site = |line: &str| read(&format!("{BOARD}\n[site]\n{line}\n"));
    assert!(has_same_system(&site("hostname a"), &site("# moved\n\nhostname a")));
    assert!(!has_same_system(&site("hostname a"), &site("hostname b")));
    assert!(!has_same_system(&site("hostname a"), &read(BOARD)));
    assert!(has_same_system(&read(BOARD), &read(BOARD)));
}
