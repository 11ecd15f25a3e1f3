use super::*;
use crate::board::{Board, Slots, Usage, Workload};
use hilum::supervise::ExitReason;
use hilum::wire::SystemStatus;

fn workload(name: &str, state: u8) -> Workload {
    Workload {
        name: name.to_owned(),
        state,
        since_ms: Some(1_500),
        restarts: 3,
        last: Some(ExitReason::Signal(9)),
        is_out_of_memory: true,
        is_corrupt: false,
        dropped: 7,
        usage: Usage { cpu_us: Some(2_500_000), memory: Some(1_000), limit: Some(u64::MAX), ..Usage::default() },
    }
}

fn text(workloads: Vec<Workload>, slots: Slots) -> String {
    let system = SystemStatus { now_ms: 61_250, is_going_down: false, is_safe: true, bad_boots: 2, clock: 2 };
    let mut families = Families::default();
    workloads::add(&mut families, &Board { system, workloads, slots });
    String::from_utf8(families.text()).expect("UTF-8")
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "{line}\n{text}");
}

#[test]
fn units_are_seconds_and_bytes() {
    let text = text(vec![workload("web", 2)], Slots::default());
    for line in [
        "container_cpu_usage_seconds_total{name=\"web\"} 2.5",
        "container_memory_usage_bytes{name=\"web\"} 1000",
        "container_spec_memory_limit_bytes{name=\"web\"} 0",
        "hilum_workload_state_seconds{name=\"web\"} 1.5",
        "hilum_workload_restarts_total{name=\"web\"} 3",
        "hilum_workload_exit_status{name=\"web\"} 137",
        "hilum_workload_out_of_memory{name=\"web\"} 1",
        "hilum_workload_corrupt{name=\"web\"} 0",
        "hilum_workload_dropped_lines_total{name=\"web\"} 7",
        "hilum_uptime_seconds 61.25",
        "hilum_safe_mode 1",
        "hilum_bad_boots 2",
        "hilum_clock_state{state=\"right\"} 1",
        "hilum_clock_state{state=\"waiting\"} 0",
    ] {
        has(&text, line);
    }
    assert!(!text.contains("container_threads") && !text.contains("slot"), "what is unknown is left out\n{text}");
}

#[test]
fn each_workload_is_in_one_state() {
    let text = text((0..11).map(|state| workload(&format!("w{state}"), state)).collect(), Slots::default());
    for state in 0..11 {
        let start = format!("hilum_workload_state{{name=\"w{state}\",");
        let ones: Vec<&str> = text.lines().filter(|line| line.starts_with(&start) && line.ends_with(" 1")).collect();
        assert_eq!(ones, [format!("{start}state=\"{}\"}} 1", hilum::status::state_name(state as u8))]);
    }
    let (sick, ready) = ([3, 4, 8, 10], [2, 7]);
    for state in 0..11 {
        has(&text, &format!("hilum_workload_healthy{{name=\"w{state}\"}} {}", u8::from(!sick.contains(&state))));
        has(&text, &format!("hilum_workload_ready{{name=\"w{state}\"}} {}", u8::from(ready.contains(&state))));
    }
}

#[test]
fn slots_are_told_with_the_version_that_was_rolled_back() {
    let json = r#"{"a":1,"b":0,"running":"a","committed":"a","trial":null,"floor":0,"last":"version 2 was not healthy in time: web"}"#;
    let text = text(Vec::new(), Slots::read(json).expect("slots"));
    has(&text, "hilum_slot_version{slot=\"a\"} 1");
    has(&text, "hilum_slot_committed{slot=\"a\"} 1");
    has(&text, "hilum_slot_running{slot=\"b\"} 0");
    has(&text, "hilum_update_rolled_back 2");
}

#[test]
fn page_without_pid_1_still_tells_about_the_machine() {
    let page = Page::new(
        Arc::new(Control::new("/nonexistent/socket".into())),
        vec!["/".into(), "/nonexistent".into()],
        None,
        None,
    );
    let text = String::from_utf8(page.text().to_vec()).expect("UTF-8");
    has(&text, "hilum_up 0");
    assert!(text.contains("node_boot_time_seconds 1") && text.contains("process_resident_memory_bytes "), "{text}");
    assert_eq!(text.matches("node_filesystem_size_bytes{mountpoint=").count(), 1, "{text}");
    assert!(Arc::ptr_eq(&page.text(), &page.text()), "a page is served again within a second");
}
