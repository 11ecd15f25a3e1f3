//! What follows from the isolation of a workload.

use super::with;

/// A network is kept unless a later run could not do there what the first one could, or its link may disappear.
#[test]
fn network_is_kept_without_capabilities_over_it() {
    let is_kept = |lines: &str| {
        let board = "hilum 1\n[system]\nlink eth0 up\nbridge br0 10.0.0.1/24\n";
        let mut found = None;
        with(&format!("{board}[workload a]\nroot /r\nexec /x\n{lines}[workload b]\nroot /r\nexec /x\n"), |config| {
            found = Some(config.workloads[0].keeps_network(&config.pools));
        });
        found.expect("it is read")
    };
    for lines in ["", "link veth br0 10.0.0.2/24\n", "capability net_bind_service chown setuid\n", "share user\n"] {
        assert!(is_kept(lines), "{lines}");
    }
    for lines in [
        "capability net_admin\n",
        "capability net_raw\n",
        "capability sys_admin\n",
        "sys\n",
        "share net\n",
        "share net=b\n",
        "link macvlan eth0 10.1.0.2/24\n",
        "link veth br0 10.0.0.2/24\nlink ipvlan eth0 10.1.0.2/24\n",
        "link move eth0 10.1.0.2/24\n",
    ] {
        assert!(!is_kept(lines), "{lines}");
    }
}
