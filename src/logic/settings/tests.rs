use super::*;

#[test]
fn written_values_are_good_and_names_are_unique() {
    for (index, setting) in SETTINGS.iter().enumerate() {
        assert!(setting.is_good(setting.value().as_bytes()), "{setting:?}");
        assert!(!setting.is_good(b"") && !setting.is_good(b"x") && !setting.is_good(b"-2"), "{setting:?}");
        assert!(!SETTINGS[..index].iter().any(|other| other.name == setting.name), "{setting:?}");
    }
}

#[test]
fn stricter_value_of_the_kernel_is_left_alone() {
    let paranoid = SETTINGS.iter().find(|setting| setting.name == "kernel.perf_event_paranoid").expect("it is there");
    assert!(paranoid.is_good(b"3\n") && !paranoid.is_good(b"1\n") && !paranoid.is_good(b"-1\n"));
}

#[test]
fn line_with_dots_or_slashes_overrides_a_setting() {
    let line = |name| [Sysctl { name, value: "0" }];
    assert!(is_set_by(&line("net.ipv4.conf.all.rp_filter"), "net.ipv4.conf.all.rp_filter"));
    assert!(is_set_by(&line("net/ipv4/conf/all/rp_filter"), "net.ipv4.conf.all.rp_filter"));
    assert!(!is_set_by(&line("net.ipv4.conf.default.rp_filter"), "net.ipv4.conf.all.rp_filter"));
    assert_eq!(path("net/ipv4/conf/eth0.1/rp_filter").as_deref(), Some("/proc/sys/net/ipv4/conf/eth0.1/rp_filter"));
}
