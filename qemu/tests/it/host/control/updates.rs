//! Updates that are refused, on a board without slots.

use crate::support::STAY;
use std::time::Duration;

/// Returns what PID 1 has in /proc: kB of memory of its own, and descriptors.
fn sizes(pid: i32) -> (u32, usize) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its state");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a kernel that tells");
    let memory = line.trim().trim_end_matches(" kB").parse().expect("kB");
    (memory, std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").count())
}

#[test]
fn refused_updates_leave_nothing_behind() {
    let host_root = host_or_return!();
    let running = host_root.start(&STAY.replace("[workload a]", "[system]\ncontrol SOCKET\n[workload a]"));
    host_root.expect_state("a", "ready");
    let bundle = host_root.scratch.path().join("bundle");
    std::fs::write(&bundle, [b'x'; 4096]).expect("a file");
    let refuse = || {
        // By standard input, as a sender hands it over.
        let input = std::fs::File::open(&bundle).expect("a file");
        let output = host_root.command(&["update"]).stdin(input).output().expect("hilum");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("hilum: slots are unknown: "), "{said}");
    };
    let settled = || {
        // Half a second after its last activity PID 1 returns unused memory.
        std::thread::sleep(Duration::from_secs(2));
        sizes(running.process_one().expect("it runs").as_raw_nonzero().get())
    };
    (0..20).for_each(|_| refuse());
    let before = settled();
    (0..200).for_each(|_| refuse());
    let after = settled();
    eprintln!(
        "PID 1 after 20 refused updates: {} kB, {} descriptors; after 220: {} kB, {}",
        before.0, before.1, after.0, after.1
    );
    assert!(after.0 <= before.0 + 8 && after.1 == before.1, "{before:?} {after:?}");
}
