//! Accepted files, and the configuration that they result in.

use super::super::{
    Check, Config, ConsoleMode, DeviceSource::Path, Health, Idle, KEYS, LimitAction, RESOURCES, Restart, RestartLimit,
    Signal, Stop, User, Variable, When, limits, parse,
};
use super::with;

const SMALLEST: &str = "hilum 1\n[workload a]\nroot /r\nexec /x\n";

#[test]
fn smallest_file_has_the_documented_defaults() {
    with(SMALLEST, |config| {
        assert_eq!(config.system.hostname, None);
        assert_eq!((config.system.console.device, config.system.console.mode), (None, ConsoleMode::Log));
        assert_eq!(config.system.idle, Idle::Stay);
        let workload = &config.workloads[0];
        assert_eq!((workload.name, workload.line), ("a", 2));
        assert_eq!((workload.root, config.pools.of(workload.exec)), ("/r", &["/x"][..]));
        assert_eq!((workload.directory, workload.hostname), ("/", "a"));
        assert_eq!(workload.identity.user, User { uid: 0, gid: 0 });
        assert!(workload.env.is_empty() && workload.needs.is_empty() && workload.after.is_empty());
        let restart = Restart { when: When::OnFailure, delay_ms: 100, max_ms: 30_000, limit: None };
        assert_eq!(workload.restart, restart);
        assert_eq!(workload.stop, Stop { signal: Signal(15), grace_ms: 5_000 });
    });
}

#[test]
fn swap_has_a_size_and_needs_its_modules() {
    use super::super::{Swap, needed_modules};
    let swap = |line: &str| {
        let text = format!("hilum 1\n[system]\n{line}\n");
        let mut found = None;
        with(&text, |config| {
            let Some(Swap { size, percent, algorithm }) = config.system.swap else { panic!("no swap") };
            let mut needed = std::vec::Vec::new();
            needed_modules(config, &mut |name| needed.push(name));
            assert_eq!(needed, [&*algorithm.replace("-", "_"), "zram"]);
            let bytes = config.system.swap.map(|swap| swap.bytes(250 << 20));
            found = Some((size, percent, algorithm.to_owned(), bytes));
        });
        found.expect("it is read")
    };
    let own = |text: &str| text.to_owned();
    assert_eq!(swap("swap zram 64M"), (64 << 20, 0, own("lzo-rle"), Some(64 << 20)));
    assert_eq!(swap("swap zram 50% zstd"), (0, 50, own("zstd"), Some(125 << 20)));
}

/// Returns a file with the maximum of everything for each workload.
fn full(names: &[String]) -> String {
    let lines = |(number, name): (usize, &String)| {
        let each =
            |count: usize, line: &str| (0..count).map(|at| line.replace('#', &at.to_string())).collect::<String>();
        let words = |count: usize| (0..count).map(|at| format!(" {name}-{at}")).collect::<String>();
        format!("[workload {name}]\nroot /r\n")
            + &format!("exec /{name}{}\n", words(limits::EXEC_WORDS - 1))
            + &format!("health exec /{name}{}\n", words(limits::CHECK_WORDS - 1))
            + &each(limits::VARIABLES, &format!("env V# {name}-#\n"))
            + &each(limits::DEVICES, &format!("device /dev/{name}#\nio /dev/{name}# rbps=1\n"))
            + &each(limits::MOUNTS, &format!("mount /{name}# /m#\n"))
            + &each(limits::VOLUMES, &format!("volume {name}# /v#\n"))
            + &each(limits::LINKS, &format!("link veth br# 10.#.{number}.2/16 via 10.#.99.1\n"))
            + &each(limits::PUBLISHED, &format!("publish {}#:80/tcp\n", number + 1))
            + &RESOURCES.split(' ').map(|resource| format!("rlimit {resource} 1\n")).collect::<String>()
    };
    let bridges = (0..limits::LINKS).map(|at| format!("bridge br{at} 10.{at}.99.1/16\n")).collect::<String>();
    format!("hilum 1\n[system]\nvolumes /data\n{bridges}") + &names.iter().enumerate().map(lines).collect::<String>()
}

#[test]
fn every_workload_has_full_capacity_after_reload() {
    let names: std::vec::Vec<_> = (0..limits::WORKLOADS).map(|number| format!("w{number}")).collect();
    let text = full(&names);
    assert!(text.len() < limits::FILE_BYTES);
    let mut config = Box::new(Config::EMPTY);
    for _ in 0..2 {
        config.clear();
        parse(text.as_bytes(), &mut config).unwrap_or_else(|error| panic!("{error}"));
        for (number, (workload, name)) in config.workloads.iter().zip(&names).enumerate() {
            let pools = &config.pools;
            let exec = pools.of(workload.exec);
            assert_eq!((exec.len(), exec[0]), (limits::EXEC_WORDS, format!("/{name}").as_str()));
            assert_eq!(exec[1], format!("{name}-0"));
            let Some(Health { check: Check::Exec(words), .. }) = &workload.supervision.health else {
                panic!("a check")
            };
            assert_eq!(
                (pools.of(*words).len(), pools.of(*words)[7]),
                (limits::CHECK_WORDS, format!("{name}-6").as_str())
            );
            let variables = pools.of(workload.env);
            assert_eq!(variables.len(), limits::VARIABLES);
            assert!(variables.iter().enumerate().all(|(at, found)| found.value == format!("{name}-{at}")));
            assert_eq!(pools.of(workload.identity.rlimits).len(), limits::RLIMITS);
            assert_eq!(pools.of(workload.isolation.devices)[7].source, Path(&format!("/dev/{name}7")));
            assert_eq!(pools.of(workload.resources.io)[7].device, format!("/dev/{name}7"));
            assert_eq!(pools.of(workload.isolation.mounts)[7].source, format!("/{name}7"));
            let last = &pools.of(workload.isolation.volumes)[3];
            assert_eq!((last.folder, last.name), ("/data", format!("{name}3").as_str()));
            let links = pools.of(workload.network.links);
            assert_eq!(links.len(), limits::LINKS);
            assert_eq!(links[3].addresses[0].to_string(), format!("10.3.{number}.2/16"));
            let published = pools.of(workload.network.publish);
            assert_eq!(published.len(), limits::PUBLISHED);
            assert_eq!(published[7].to_string(), format!("{}7:80/tcp", number + 1));
        }
    }
}

#[test]
fn file_with_only_a_version_has_no_workloads() {
    with("hilum 1", |config| assert!(config.workloads.is_empty()));
}

#[test]
fn every_key_is_read() {
    let text = "# a board\nhilum 1 # version\n\n[system]\n\thostname sensor-7.lab\nconsole ttyS0 off\nidle reboot\n\
        [workload web]\nroot /images/web\nexec /bin/httpd -f \"a b # c\" \"\"\nenv A \"1 2\"\nenv B \"\"\n\
        directory /srv\nhostname front\nuser 1000:50\nneeds db log\nafter late\n\
        restart always delay=1s max=2m limit=5/1h else=reboot\nstop SIGINT 250ms\n\
        [workload db]\nroot /\nexec /d\nuser 7\nrestart never\n[workload log]\nroot /\nexec /d\n[workload late]\nroot /\nexec /d\n";
    with(text, |config| {
        assert_eq!(config.system.hostname, Some("sensor-7.lab"));
        assert_eq!((config.system.console.device, config.system.console.mode), (Some("ttyS0"), ConsoleMode::Off));
        assert_eq!(config.system.idle, Idle::Reboot);
        let web = &config.workloads[0];
        assert_eq!(config.pools.of(web.exec), ["/bin/httpd", "-f", "a b # c", ""]);
        let env = [Variable { name: "A", value: "1 2" }, Variable { name: "B", value: "" }];
        assert_eq!(config.pools.of(web.env), env);
        assert_eq!((web.directory, web.hostname), ("/srv", "front"));
        assert_eq!(web.identity.user, User { uid: 1000, gid: 50 });
        assert_eq!(web.needs.iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(web.after.iter().collect::<Vec<_>>(), [3]);
        let limit = Some(RestartLimit { count: 5, period_ms: 3_600_000, on_limit: LimitAction::Reboot });
        assert_eq!(web.restart, Restart { when: When::Always, delay_ms: 1_000, max_ms: 120_000, limit });
        assert_eq!(web.stop, Stop { signal: Signal(2), grace_ms: 250 });
        assert_eq!(config.workloads[1].identity.user, User { uid: 7, gid: 7 });
        assert_eq!(config.workloads[1].restart.when, When::Never);
    });
}

#[test]
fn values_at_their_limit_are_accepted() {
    let mut text = String::from("hilum 1\n");
    for index in 0..limits::WORKLOADS {
        let name = format!("w{index:0width$}", width = limits::NAME_BYTES - 1);
        let words = " a".repeat(limits::EXEC_WORDS - 1);
        text.push_str(&format!("[workload {name}]\nroot /{}\nexec /x{words}\n", "r".repeat(limits::PATH_BYTES - 1)));
    }
    for index in 0..limits::VARIABLES {
        text.push_str(&format!("env V{index} x\n"));
    }
    text.push_str(&format!("hostname {}\n", "h".repeat(limits::HOSTNAME_BYTES)));
    text.push_str(&format!("# {}\n", "c".repeat(limits::LINE_BYTES - 2)));
    text.push_str(&format!("#{}", "\n".repeat(limits::FILE_BYTES - text.len() - 1)));
    with(&text, |config| assert_eq!(config.workloads.len(), limits::WORKLOADS));
}

#[test]
fn line_with_most_words_is_split() {
    // No key accepts that many words, so the error is about the key, not about the line.
    let words = " a".repeat(limits::LINE_WORDS - 2);
    let found = super::refusal(format!("hilum 1\n[workload a]\nuser 1{words}\n").as_bytes());
    assert_eq!(found, "3:8: unexpected word \"a\"; remove it, or quote words that belong together");
}

#[test]
fn empty_config_is_all_zero_bytes() {
    // The first words of an empty section: no pointer, and no default that is not zero.
    let empty = &Config::EMPTY;
    assert!(empty.system.hostname.is_none() && empty.system.console.device.is_none());
    assert_eq!((empty.system.console.mode as u8, empty.system.idle as u8, empty.workloads.len()), (0, 0, 0));
}

#[test]
fn every_key_is_in_the_documentation() {
    let documentation = include_str!("../../../../docs/config.md");
    for key in KEYS {
        let heading = format!("`{}", key.name);
        assert!(documentation.contains(&heading), "docs/config.md does not tell of {}", key.name);
    }
}

#[test]
fn example_in_documentation_is_accepted() {
    let documentation = include_str!("../../../../docs/config.md");
    let mut blocks = documentation.split("```conf").filter_map(|block| block.split("```").next());
    let example = blocks.find(|block| block.starts_with("\nhilum 1")).expect("there is an example");
    with(example, |config| assert!(config.workloads.len() >= 2));
}

#[test]
fn words_after_root_may_be_in_any_order() {
    use super::super::{OnCorruption, Overlay, Verity};
    let digest = "0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789";
    let text = format!(
        "hilum 1\n[workload a]\nroot /r verity={digest} corrupt=reboot overlay\nexec /x\n\
         [workload b]\nroot /r overlay=/data verity=image\nexec /x\n[workload c]\nroot /r verity=image corrupt=stop\nexec /x\n"
    );
    with(&text, |config| {
        let [a, b, c] = config.workloads.as_slice() else { panic!("three workloads") };
        assert_eq!(a.verity, Some(Verity { digest, on_corruption: OnCorruption::Reboot }));
        assert_eq!((a.overlay, b.overlay), (Overlay::Memory, Overlay::Folder("/data")));
        assert_eq!(b.verity, Some(Verity { digest: "image", on_corruption: OnCorruption::Report }));
        assert_eq!(c.verity, Some(Verity { digest: "image", on_corruption: OnCorruption::Stop }));
    });
}

#[test]
fn every_key_of_confinement_is_read() {
    use super::super::{Bind, Device, IoLimit, Overlay, ResourceLimit};
    let text = "hilum 1\n[workload a]\nroot /r overlay=/data/a\nexec /x\nshare ipc uts\nshare net=b\nids 655360\n\
        capability kill setgid\ncapability net_admin\nseccomp strict +ptrace -kill\nlandlock off\ntcp bind=80,443 connect=53\n\
        device /dev/ttyS1 w\ndevice /dev/fb0 as /dev/screen\nmount /data /var/lib rw,exec\nmount /etc /cfg\nsys\ntmp 1M exec\nprivileged\n\
        memory 32M high=24M min=1M swap=max\npids max\ncpu 150% weight=50\ncpuset 0-1,3\nio /dev/vda rbps=1M wiops=100\n\
        groups 5 6\numask 077\nrlimit nofile 1K 2K\nrlimit core 0\noom_score_adj -500\nnice -5\nscheduler rr 7\n\
        ioprio best-effort 3\npersonality linux32\n[workload b]\nroot /r overlay\nexec /x\n";
    with(text, |config| {
        let [a, b] = config.workloads.as_slice() else { panic!("two workloads") };
        assert_eq!((a.overlay, b.overlay), (Overlay::Folder("/data/a"), Overlay::Memory));
        assert_eq!(a.isolation.shared, 0x0800_0000 | 0x0400_0000 | 0x4000_0000);
        assert_eq!((a.isolation.net_of, a.isolation.is_net_shared, b.isolation.is_net_shared), (Some(1), true, true));
        assert_eq!((a.isolation.first_id, b.isolation.first_id), (655_360, 131_072));
        assert_eq!(a.isolation.capabilities.names().collect::<Vec<_>>(), ["kill", "setgid", "net_admin"]);
        let changes: Vec<_> = a.isolation.seccomp.changes.iter().map(|(on, call)| (*on, call.name())).collect();
        let changes: Vec<(bool, &str)> = changes.iter().map(|(on, name)| (*on, name.as_str())).collect();
        assert_eq!(changes, [(true, "ptrace"), (false, "kill")]);
        let tcp = a.isolation.tcp.as_ref().expect("ports");
        assert_eq!((tcp.bind.as_slice(), tcp.connect.as_slice()), (&[80, 443][..], &[53][..]));
        let devices = [
            Device { source: Path("/dev/ttyS1"), class: "", name: "", read: false, write: true },
            Device { source: Path("/dev/fb0"), class: "", name: "/dev/screen", read: true, write: true },
        ];
        assert_eq!(config.pools.of(a.isolation.devices), devices);
        let binds = [
            Bind { source: "/data", target: "/var/lib", is_writable: true, is_executable: true },
            Bind { source: "/etc", target: "/cfg", is_writable: false, is_executable: false },
        ];
        assert_eq!(config.pools.of(a.isolation.mounts), binds);
        assert!(a.isolation.has_sys && a.isolation.is_privileged && a.isolation.tmp_is_executable);
        assert!(!a.isolation.has_landlock && b.isolation.has_landlock);
        assert_eq!((a.isolation.tmp_bytes, b.isolation.tmp_bytes), (1 << 20, 16 << 20));
        let resources = &a.resources;
        assert_eq!((resources.memory, resources.memory_high), (Some(32 << 20), Some(24 << 20)));
        assert_eq!(
            (resources.memory_min, resources.swap, resources.pids),
            (Some(1 << 20), Some(u64::MAX), Some(u64::MAX))
        );
        assert_eq!(
            (resources.cpu_percent, resources.cpu_weight, resources.cpuset),
            (Some(150), Some(50), Some("0-1,3"))
        );
        let io = IoLimit { device: "/dev/vda", limits: [Some(1 << 20), None, None, Some(100)] };
        assert_eq!(config.pools.of(resources.io), [io]);
        let identity = &a.identity;
        assert_eq!((identity.groups.as_slice(), identity.umask, identity.oom_score_adj), (&[5, 6][..], 0o077, -500));
        let limits =
            [ResourceLimit { resource: 7, soft: 1024, hard: 2048 }, ResourceLimit { resource: 4, soft: 0, hard: 0 }];
        assert_eq!(config.pools.of(identity.rlimits), limits);
        assert_eq!((identity.nice, identity.scheduler), (-5, Some((2, 7))));
        // Class 2 in the upper three bits of sixteen, level 3.
        assert_eq!((identity.ioprio, identity.personality), (Some(0x4003), Some(8)));
    });
}

#[test]
fn networks_are_read() {
    use super::super::{Attachment, Config, LinkMatch, parse};
    let text = "hilum 1\n[system]\nlink lan0 mac=52:54:00:12:34:56 mtu=1400 10.0.0.1/24 fd00::1/64 via 10.0.0.254 via fd00::fe\n\
        link wan dhcp probe 9.9.9.9\nlink usb path=/sys/devices/pci0000:00/usb1 up\nlink wan.7 vlan wan 7 dhcp\nbridge br0 10.77.0.1/24 fd77::1/64\nmasquerade br0 wan\n\
        route 10.9.0.0/16 via 10.0.0.9\nnameserver 1.1.1.1 fd00::53\nsysctl net.ipv4.ip_forward 1\n\
        [workload web]\nroot /r\nexec /x\nlink veth br0 10.77.0.2/24 fd77::2/64 via 10.77.0.1 via fd77::1 mac=02:00:00:00:00:07 spoof\n\
        link macvlan lan0 dhcp\nlink move usb\npublish 8080:80/tcp\npublish 10.0.0.1:53:53/udp\n\
        publish [fd00::1]:443:443/tcp\npublish 8081-8090:8081-8090/tcp\npublish 8079-8080:8079-8080/udp\ntalk db board\nresolv\n\
        [workload db]\nroot /r\nexec /x\nlink veth br0 10.77.0.3/24\n";
    let mut config = Config::EMPTY;
    parse(text.as_bytes(), &mut config).unwrap_or_else(|error| panic!("{error}"));
    let system = &config.system.network;
    assert!(matches!(system.links[0].which, LinkMatch::Mac(mac) if mac.to_string() == "52:54:00:12:34:56"));
    assert_eq!((system.links[0].mtu, system.links[0].addresses.len(), system.links[0].gateways.len()), (1400, 2, 2));
    assert_eq!((system.links[1].probe, system.links[0].probe), ("9.9.9.9".parse().ok(), None));
    assert!(system.links[1].has_dhcp && matches!(system.links[2].which, LinkMatch::Path(_)));
    assert_eq!((system.routes.len(), system.name_servers.len(), config.system.sysctls.len()), (1, 2, 1));
    let network = &config.workloads[0].network;
    let links = config.pools.of(network.links);
    assert_eq!(links[2].attachment, Attachment::Physical("usb"));
    assert_eq!(links[2].inner_name(2), "usb");
    assert!(links[1].has_dhcp && !links[0].has_dhcp);
    assert!(links[0].may_spoof && network.talks_to_board && network.has_resolv);
    let published: std::vec::Vec<_> =
        config.pools.of(network.publish).iter().map(|publish| publish.to_string()).collect();
    assert_eq!(
        published,
        [
            "8080:80/tcp",
            "10.0.0.1:53:53/udp",
            "[fd00::1]:443:443/tcp",
            "8081-8090:8081-8090/tcp",
            "8079-8080:8079-8080/udp"
        ]
    );
    assert!(network.talk.contains(1) && !network.talk.contains(0));
    assert_eq!(system.links[3].which, LinkMatch::Vlan { parent: "wan", id: 7 });
    let mut needed = std::vec::Vec::new();
    super::super::needed_modules(&config, &mut |name| needed.push(name));
    assert!(
        needed.contains(&"bridge")
            && needed.contains(&"macvlan")
            && needed.contains(&"8021q")
            && !needed.contains(&"ipvlan")
    );
}

#[test]
fn mac_addresses_are_the_same_at_each_start_and_differ_between_boards() {
    use super::super::{Mac, port_name};
    let (web, other) = (Mac::of(&["veth", "web"], 0), Mac::of(&["veth", "web"], 1));
    assert_eq!(web.to_string(), "e6:bf:26:6b:e3:8e", "a change here changes the address of every workload");
    assert!(web != other && web.0[0] & 3 == 2, "locally administered, of one station");
    assert_eq!(port_name("web", 0), "web.0");
    let long = port_name("a-workload-with-a-long-name", 3);
    assert!(long.len() <= 15 && long.starts_with("a-worklo") && long.ends_with(".3"), "{long}");
    assert_ne!(long, port_name("a-workload-with-another-name", 3));
}

proptest::proptest! {
    #[test]
    fn network_contains_its_first_and_last_address_and_no_others(bits in proptest::prelude::any::<u32>(), length in 0_u8..=32) {
        use super::super::Prefix;
        let prefix = Prefix { address: core::net::Ipv4Addr::from_bits(bits).into(), length };
        proptest::prop_assert!(prefix.contains(prefix.first()) && prefix.contains(prefix.last()));
        let size = 1_u64 << (32 - u32::from(length));
        let core::net::IpAddr::V4(first) = prefix.first() else { panic!("of the same family") };
        let behind = u64::from(first.to_bits()) + size;
        if let Ok(behind) = u32::try_from(behind) {
            proptest::prop_assert!(!prefix.contains(core::net::Ipv4Addr::from_bits(behind).into()));
        }
        proptest::prop_assert!(prefix.overlaps(prefix));
    }
}

#[test]
fn device_is_selected_by_usb_ids_or_port() {
    use super::super::{DeviceSource, UsbId};
    let device = |line: &str| {
        let text = format!("{SMALLEST}{line}\n");
        with(&text, |config| {
            let [device] = config.pools.of(config.workloads[0].isolation.devices) else { panic!("one") };
            (format!("{:?}", device.source), device.to_string(), device.is_searched(), (device.read, device.write))
        })
    };
    let usb = |serial| format!("{:?}", DeviceSource::Usb(UsbId { vendor: "0403", product: "60aF", serial }));
    let both = (true, true);
    let cases = [
        ("device usb=0403:60aF", usb(""), "usb=0403:60aF", true, both),
        ("device usb=0403:60aF:A1:2 r", usb("A1:2"), "usb=0403:60aF:A1:2", true, (true, false)),
        (
            "device usb=0403:60aF class=tty as /dev/ttyMETER w",
            usb(""),
            "usb=0403:60aF class=tty as /dev/ttyMETER",
            true,
            (false, true),
        ),
        (
            "device path=pci0000:00/usb1/1-1 as /dev/meter/a",
            format!("{:?}", DeviceSource::Port("pci0000:00/usb1/1-1")),
            "path=pci0000:00/usb1/1-1 as /dev/meter/a",
            true,
            both,
        ),
        ("device /dev/snd", format!("{:?}", DeviceSource::Path("/dev/snd")), "/dev/snd", false, both),
    ];
    for (line, source, shown, is_searched, access) in cases {
        assert_eq!(device(line), (source, shown.to_owned(), is_searched, access), "{line}");
    }
}
