//! `hilum log`, and what is kept of what workloads say.

use crate::host_or_return;
use crate::pair;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn log_keeps_the_tail_and_follows() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    let texts = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.trim_start().split_once(' ').expect("a time").1.to_owned()).collect()
    };
    let (code, all) = host_root.ask(&["log", "a"]);
    assert_eq!(
        (code, &texts(&all)[..]),
        (
            0,
            &[
                "one".to_owned(),
                "did say:one 0".to_owned(),
                "two".into(),
                "did say:two 0".into(),
                "three".into(),
                "did say:three 0".into(),
                "ready".into()
            ][..]
        )
    );
    assert_eq!(texts(&host_root.ask(&["log", "a", "-n", "2"]).1), ["did say:three 0", "ready"]);
    let mut follower = host_root.command(&["log", "a", "-f", "-n", "1"]).stdout(Stdio::piped()).spawn().expect("hilum");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().ends_with("ready"));
    host_root.ask(&["restart", "a"]);
    assert!(next().ends_with("got TERM"));
    while !next().ends_with("three") {}
    follower.kill().and_then(|()| follower.wait()).expect("it is there");
}

#[test]
fn log_flood_leaves_the_last_line_and_a_count_of_what_went() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\nconsole off\n[workload a]\nroot ROOT\nexec /bin/probe flood 20000\nrestart never\n";
    let _namespace = host_root.start(config);
    host_root.expect_state("a", "finished");
    let (_, log) = host_root.ask(&["log", "a"]);
    assert!(log.lines().last().is_some_and(|line| line.ends_with("flood line 19999 of 20000")), "{log}");
    let dropped = host_root.status("a")["dropped_lines"].as_u64().expect("a count");
    assert_eq!(dropped as usize + log.lines().count(), 20_000);
    // One that reads slowly hears how much it missed.
    let (_, slow) = host_root.ask(&["log", "a", "-n", "5"]);
    assert_eq!(slow.lines().count(), 5);
}

#[test]
fn lines_above_the_rate_are_counted_and_quiet_ones_stay_off_the_console() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe flood 500\nrestart never\n\
        log quiet rate=10/1h\n";
    let namespace = host_root.start(config);
    host_root.expect_state("a", "finished");
    let (_, log) = host_root.ask(&["log", "a"]);
    assert_eq!(log.lines().count(), 11, "{log}");
    assert!(log.ends_with("(490 lines above the rate were not kept)\n"), "{log}");
    assert!(!namespace.console.text().contains("flood"), "{}", namespace.console.text());
}

#[test]
fn lines_go_to_a_file_that_is_turned_over() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("log");
    let config = format!(
        "hilum 1\n[system]\nlog {} size=4096\nidle poweroff\n[workload a]\nroot ROOT\nexec /bin/probe flood 200\nrestart never\n",
        file.display()
    );
    let (_, console) = host_root.run(&config);
    let read = |name: &str| std::fs::read_to_string(host_root.scratch.path().join(name)).expect("a log");
    // Process 1 waits for the file before it ends, which ends everybody in its namespace.
    assert!(read("log").contains("exited with status 0"), "{}\n{console}", read("log"));
    assert!(read("log").len() <= 4096 && read("log.1").len() <= 4096 + 1400, "the files are too large");
    assert!(read("log.1").contains("flood line"), "{}", read("log.1"));
}
