//! The line of the clock.

use super::with;

const SMALLEST: &str = "hilum 1\n[workload a]\nroot /r\nexec /x\n";

#[test]
fn time_has_servers_a_file_and_workloads_that_wait() {
    let waits = SMALLEST.replace("exec /x", "exec /x\nneeds b time\n[workload b]\nroot /r\nexec /x\nafter a");
    for (line, servers, has_dhcp, keep) in [
        ("time dhcp", &[][..], true, None),
        ("time 192.0.2.1 fd00::1", &["192.0.2.1", "fd00::1"], false, None),
        ("time keep=/data/time", &[], false, Some("/data/time")),
        (
            "time 192.0.2.1 dhcp keep=/data/time 192.0.2.2 192.0.2.3",
            &["192.0.2.1", "192.0.2.2", "192.0.2.3"],
            true,
            Some("/data/time"),
        ),
    ] {
        let text = waits.replace("[workload a]", &format!("[system]\n{line}\n[workload a]")).replace("\nafter a", "");
        with(&text, |config| {
            let time = &config.system.time;
            let found: Vec<String> = time.servers.iter().map(ToString::to_string).collect();
            assert_eq!(
                (&found[..], time.has_dhcp, time.keep),
                (&servers.iter().map(ToString::to_string).collect::<Vec<_>>()[..], has_dhcp, keep)
            );
            assert_eq!((time.is_on(), time.has_servers()), (true, has_dhcp || !servers.is_empty()));
            let [a, b] = &config.workloads[..] else { panic!("two workloads") };
            assert_eq!((a.supervision.needs_time, a.needs.iter().collect::<Vec<_>>()), (true, vec![1]));
            assert!(!b.supervision.needs_time);
        });
    }
    with(SMALLEST, |config| assert!(!config.system.time.is_on()));
    // Without the line, it is a name like any other.
    let named = "hilum 1\n[workload time]\nroot /r\nexec /x\n[workload a]\nroot /r\nexec /x\nneeds time\n";
    with(named, |config| assert!(!config.workloads[1].supervision.needs_time && !config.workloads[1].needs.is_empty()));
}
