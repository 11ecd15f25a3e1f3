//! hilum-agent as a workload of a board: what needs cgroups, and the control socket that a workload gets.

use crate::support::{BOOT, USUAL, agent, boot_with, image, needed_modules, page};
use hilum_qemu::Architecture;
use std::time::Duration;

const HEAD: &str = "hilum 1\n[system]\nmodule virtio_pci\nmodule virtio_net\nlink eth0 10.0.2.15/24 via 10.0.2.2\n\
    [workload agent]\nroot /images/agent\nexec /bin/hilum-agent /etc/agent.toml\ncontrol status\nuser 1000\nshare net uts\n\
    memory 32M\npids 32\nready tcp 9100 within=60s\nrestart always\n";

/// Returns the value of a metric.
#[track_caller]
fn value(page: &str, metric: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{metric} is missing:\n{page}"))
}

/// Thirty-two workloads, which is the most. Prints how long a scrape takes the agent.
fn workload_with_control_status_serves_the_counters_of_all(arch: Architecture) {
    let mut config = HEAD.to_owned();
    for number in 1..hilum::config::limits::WORKLOADS {
        config += &format!("[workload w{number}]\nroot /images/probe\nexec /bin/probe on-term\n");
    }
    let mut image = image(arch, &config);
    let program = std::fs::read(agent(arch)).expect("the agent");
    let bytes = program.len();
    image.file("images/agent/bin/hilum-agent", 0o755, program);
    image.file("images/agent/etc/agent.toml", 0o644, "[metrics]\nlisten = \"0.0.0.0:9100\"\ndisks = [\"/tmp\"]\n");
    for place in ["dev", "proc", "run", "sys", "tmp"] {
        image.folder(&format!("images/agent/{place}"), 0o755);
    }
    needed_modules(arch, USUAL, &mut image, &config);
    let port = crate::support::free_port();
    let card = hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:9100"));
    let mut card: Vec<&str> = card.iter().map(String::as_str).collect();
    if arch == Architecture::Aarch64 {
        // The usual model separates the kernel's page tables, so the emulator forgets all addresses at each system call:
        // a scrape took 54 to 59 ms, and takes 39 with this model, as processors of today are.
        card.extend(["-cpu", "max,pauth-impdef=on"]);
    }
    let booted = boot_with(arch, USUAL, &image, "", None, &card);
    for name in ["agent", "w31"] {
        booted.vm.console.expect(&format!("workload \"{name}\": "), BOOT).expect("it is started");
    }
    booted.vm.console.expect("workload \"agent\": ready", BOOT).expect("it listens");
    // The first page pays for what is not in memory yet; a page is served again for a second.
    let mut text = page(port, "/metrics");
    let mut milliseconds = Vec::new();
    while milliseconds.len() < 3 {
        std::thread::sleep(Duration::from_millis(1_100));
        text = page(port, "/metrics");
        milliseconds.push(1e3 * value(&text, "hilum_agent_collect_seconds"));
    }
    for number in 1..hilum::config::limits::WORKLOADS {
        let of = |metric: &str| value(&text, &format!("{metric}{{name=\"w{number}\"}}"));
        assert!(of("container_memory_usage_bytes") >= 4096.0, "{text}");
        assert!(of("container_memory_working_set_bytes") <= of("container_memory_usage_bytes"));
        assert!(of("container_spec_memory_limit_bytes") > 1e6, "the default limit");
        assert!(of("container_cpu_usage_seconds_total") > 0.0);
        assert!(of("container_threads") >= 1.0);
        assert_eq!((of("container_oom_events_total"), of("hilum_workload_frozen")), (0.0, 0.0));
        assert_eq!(of("hilum_workload_ready"), 1.0);
    }
    assert_eq!(value(&text, "container_spec_memory_limit_bytes{name=\"agent\"}"), f64::from(32 << 20));
    assert_eq!(value(&text, "hilum_clock_state{state=\"off\"}"), 1.0, "nobody sets the clock here");
    assert!(value(&text, "node_filesystem_size_bytes{mountpoint=\"/tmp\"}") > 0.0);
    let memory = value(&text, "process_resident_memory_bytes");
    let charged = value(&text, "container_memory_usage_bytes{name=\"agent\"}");
    println!(
        "{}: hilum-agent: {bytes} bytes; {memory} bytes resident, {charged} in its cgroup; 32 workloads in {milliseconds:.1?} ms, a page of {} bytes",
        arch.name(),
        text.len()
    );
}

#[test]
fn workload_with_control_status_serves_the_counters_of_all_x86_64() {
    workload_with_control_status_serves_the_counters_of_all(Architecture::X86_64);
}

#[test]
#[ignore = "make agent builds the program for both architectures, and runs this"]
fn workload_with_control_status_serves_the_counters_of_all_aarch64() {
    workload_with_control_status_serves_the_counters_of_all(Architecture::Aarch64);
}
