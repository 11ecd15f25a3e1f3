//! The maximum number of workloads, killed at random: no zombie stays, and neither memory nor descriptors drift.
//!
//! A few seconds here; `make soak` runs it for HILUM_SOAK_SECONDS.

use crate::support::{SOON, has_line};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

fn children(init: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn anonymous_kb(init: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{init}/smaps_rollup")).expect("PID 1 is there");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("a figure");
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).expect("a number")
}

/// The fewest of some moments: the connection of `hilum status` may still be open.
fn descriptors(init: i32) -> usize {
    let count = |_| {
        std::thread::sleep(Duration::from_millis(5));
        std::fs::read_dir(format!("/proc/{init}/fd")).expect("PID 1 is there").count()
    };
    (0..20).map(count).min().expect("a moment")
}

#[test]
fn thousand_kills_leave_no_zombie_and_no_drift() {
    let host_root = host_or_return!();
    let seconds = std::env::var("HILUM_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let section = |index| {
        format!(
            "[workload w{index}]\nroot ROOT\nexec /bin/probe sleep 86400000\nrestart always delay=1ms max=4ms\nstop KILL\n"
        )
    };
    let sections: String = (0..32).map(section).collect();
    let mut namespace = host_root.start(&format!("hilum 1\n[system]\ncontrol SOCKET\nconsole off\n{sections}"));
    let all_up = || {
        let until = Instant::now() + SOON;
        while host_root.ask(&["status"]).1.matches(" ready ").count() < 32 {
            assert!(Instant::now() < until, "{}", host_root.ask(&["status"]).1);
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    all_up();
    let init = namespace.process_one().expect("PID 1").as_raw_nonzero().get();
    // The first round touches pages that all later ones reuse.
    let (mut killed, mut before) = (0_u32, None);
    let mut seed = 7_u32;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        if before.is_none() && begun.elapsed() > Duration::from_secs(seconds) / 3 {
            all_up();
            before = Some((anonymous_kb(init), descriptors(init)));
        }
        let pids = children(init);
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if let Some(pid) = pids.get(seed as usize % pids.len().max(1)).copied().and_then(Pid::from_raw) {
            killed += u32::from(kill_process(pid, Signal::KILL).is_ok());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    all_up();
    let zombies = || {
        let is_zombie = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
        };
        children(init).iter().filter(|pid| is_zombie(pid)).count()
    };
    let until = Instant::now() + SOON;
    while zombies() > 0 || children(init).len() != 32 {
        assert!(Instant::now() < until, "{} zombies, {} children", zombies(), children(init).len());
        std::thread::sleep(Duration::from_millis(5));
    }
    let (memory, open) = before.expect("it ran that long");
    let (memory_after, open_after) = (anonymous_kb(init), descriptors(init));
    println!("{killed} kills: anonymous {memory} kB then {memory_after} kB, descriptors {open} then {open_after}");
    assert!(killed > 100, "{killed}");
    assert_eq!(open_after, open);
    // Kernel accounting may vary by a page table's worth; a leak of one page in ten starts would exceed this.
    assert!(memory_after <= memory + 16, "{memory} kB then {memory_after} kB after {killed} kills");
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    has_line(&console, "hilum: power off");
}
