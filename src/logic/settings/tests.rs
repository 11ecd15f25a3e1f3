use super::*;

#[test]
fn written_values_are_good_and_names_are_unique() {
    let mut names = Vec::new();
    each(&mut |index, setting| {
        assert!(index < 32, "bits of a number stand for settings");
        assert!(setting.is_good(setting.value().as_bytes()) && !setting.why.is_empty(), "{setting:?}");
        assert!(!setting.is_good(b"") && !setting.is_good(b"x") && !setting.is_good(b"-2"), "{setting:?}");
        assert!(!names.contains(&setting.name.to_string()), "{setting:?}");
        names.push(setting.name.to_string());
    });
    assert_eq!(names.len(), 29);
}

#[test]
fn stricter_value_of_the_kernel_is_left_alone() {
    let mut found = 0;
    each(&mut |_, setting| {
        if setting.name == "kernel.perf_event_paranoid" {
            assert!(setting.is_good(b"3\n") && !setting.is_good(b"1\n") && !setting.is_good(b"-1\n"));
            found += 1;
        }
        if setting.name == "net.ipv6.conf.all.accept_source_route" {
            assert!(setting.is_good(b"-1\n") && setting.value() == "0" && setting.why == "drops source-routed packets");
            found += 1;
        }
    });
    assert_eq!(found, 2);
}

#[test]
fn line_with_dots_or_slashes_overrides_a_setting() {
    let line = |name| [Sysctl { name, value: "0" }];
    assert!(is_set_by(&line("net.ipv4.conf.all.rp_filter"), "net.ipv4.conf.all.rp_filter"));
    assert!(is_set_by(&line("net/ipv4/conf/all/rp_filter"), "net.ipv4.conf.all.rp_filter"));
    assert!(!is_set_by(&line("net.ipv4.conf.default.rp_filter"), "net.ipv4.conf.all.rp_filter"));
    assert_eq!(path("net/ipv4/conf/eth0.1/rp_filter").as_deref(), Some("/proc/sys/net/ipv4/conf/eth0.1/rp_filter"));
}
