use super::*;
use crate::supervise::ExitReason;
use crate::update::{Parts, Record, Slot, Verdict};

const STATUS: WorkloadStatus<'_> = WorkloadStatus {
    name: "web",
    state: 2,
    pid: 7,
    since_ms: Some(61_500),
    restarts: 1,
    last: None,
    out_of_memory: None,
    is_corrupt: false,
    dropped: 0,
    need: "",
    addresses: "",
    text: "",
};

#[test]
fn json_has_all_fields_and_null_for_unknown_values() {
    let known = "{\"name\":\"web\",\"state\":\"ready\",\"frozen\":false,\"pid\":7,\"since_ms\":61500,\"restarts\":1,\
            \"exit\":null,\"signal\":null,\"reason\":null,\"memory\":null,\"memory_peak\":null,\"memory_limit\":null,\
            \"cpu_us\":null,\"pids\":null,\"corrupt\":false,\"dropped_lines\":0,\"addresses\":[],\"need\":null,\"status\":null}";
    assert_eq!(Json(&STATUS, &Usage::default()).to_string(), known);
    let status = WorkloadStatus {
        state: 200,
        pid: 0,
        last: Some(ExitReason::Signal(9)),
        out_of_memory: Some((2, 1)),
        need: "db",
        addresses: "10.0.0.2,fd00::2",
        text: "a \"quoted\" \\ word",
        ..STATUS
    };
    let usage = Usage { memory: Some(5), limit: Some(u64::MAX), is_frozen: true, ..Usage::default() };
    let shown = Json(&status, &usage).to_string();
    for part in [
        "\"state\":\"?\",\"frozen\":true,\"pid\":null",
        "\"exit\":null,\"signal\":9,\"reason\":\"oom-killed\",\"memory\":5",
        "\"memory_limit\":null",
        "\"addresses\":[\"10.0.0.2\",\"fd00::2\"],\"need\":\"db\"",
        "\"status\":\"a \\\"quoted\\\" \\\\ word\"}",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn details_show_last_exit_and_what_it_waits_for() {
    assert_eq!(Details(&STATUS).to_string(), "-");
    let ended = WorkloadStatus { last: Some(ExitReason::Exit(3)), dropped: 2, text: "up", ..STATUS };
    assert_eq!(Details(&ended).to_string(), "status 3, 2 log lines dropped, \"up\"");
    let corrupt = WorkloadStatus { last: Some(ExitReason::Signal(15)), is_corrupt: true, text: "up", ..STATUS };
    assert_eq!(Details(&corrupt).to_string(), "SIGTERM, corrupt, \"up\"");
    assert!(Json(&corrupt, &Usage::default()).to_string().contains(",\"corrupt\":true,"));
    let killed = WorkloadStatus { out_of_memory: Some((1 << 20, 1 << 10)), need: "db", state: 0, ..STATUS };
    assert_eq!(Details(&killed).to_string(), "oom-killed, peak 1024K of limit 1K, waits for db");
}

#[test]
fn amounts_are_short() {
    let bytes = |bytes| Bytes(Some(bytes)).to_string();
    assert_eq!([bytes(4096), bytes(10 << 20), bytes(10 << 30)], ["4K", "10M", "10G"]);
    let uptime = |ms| Uptime(ms).to_string();
    assert_eq!([uptime(1_250), uptime(61_000), uptime(3_660_000)], ["1.2s", "1m01s", "1h01m"]);
    assert_eq!(uptime(90_000_000), "1d01h");
}

#[test]
fn counters_are_found_by_their_keys() {
    assert_eq!(counter("4096\n", ""), Some(4096));
    assert_eq!(counter("max\n", ""), Some(u64::MAX));
    assert_eq!(counter("usage_usec 12\nuser_usec 3\n", "user_usec "), Some(3));
    assert_eq!(counter("populated 1\n", "frozen "), None);
    assert_eq!(counter("", ""), None);
}

#[test]
fn slots_are_told_as_lines_and_as_json() {
    let mut record = Record::new("board");
    let told = |record: &Record| {
        let mut all = String::new();
        slots::lines(record, Slot::A, &mut |line| all += &format!("{line}\n"));
        (all, slots::Json(record, Slot::A).to_string())
    };
    record.set_contents(Slot::A, 1, &Parts::default());
    let json = "{\"a\":1,\"b\":0,\"running\":\"a\",\"committed\":\"a\",\"trial\":null,\"floor\":0,\"last\":null}";
    assert_eq!(told(&record), ("slot a: version 1, committed, running\nslot b: empty\n".into(), json.into()));
    record.set_contents(Slot::B, 2, &Parts::default());
    record.try_next(Slot::B);
    let (lines, json) = told(&record);
    assert_eq!(lines, "slot a: version 1, committed, running\nslot b: version 2, on trial\n");
    assert!(json.contains("\"trial\":\"b\",") && json.ends_with("\"last\":null}"), "{json}");
    record.end(Verdict::Unhealthy, "app");
    record.raise_floor(1);
    let (lines, json) = told(&record);
    let last = "version 2 was not healthy in time: app";
    assert!(lines.ends_with(&format!("slot b: version 2\n{last}\nno version below 1 is taken\n")), "{lines}");
    assert!(json.ends_with(&format!("\"trial\":null,\"floor\":1,\"last\":\"{last}\"}}")), "{json}");
}
