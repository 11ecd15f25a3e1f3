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
    assert_eq!(dropped, 0, "what the memory has no room for any more was not lost: it was shown");
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
    assert_eq!(log.lines().count(), 19, "{log}");
    assert!(log.contains("(482 lines above the rate were not kept)\n"), "{log}");
    assert!(log.ends_with("flood line 499 of 500\n"), "the last words are kept\n{log}");
    assert_eq!(host_root.status("a")["dropped_lines"], 482);
    assert!(!namespace.console.text().contains("flood"), "{}", namespace.console.text());
}

#[test]
fn flood_that_falls_silent_is_told_of_when_its_period_ends() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\n\
        exec /bin/probe do say:1 say:2 say:3 say:4 say:5 say:6 stay\nlog rate=2/5s\n";
    let namespace = host_root.start(config);
    // It goes on running, and writes nothing more.
    let console = namespace.console.expect("a | ready", crate::support::SOON).expect("the last words");
    // Two words and their echoes were kept, of eleven further lines the last eight.
    assert!(console.contains("a | (3 lines above the rate were not kept)"), "{console}");
    assert_eq!(host_root.status("a")["dropped_lines"], 3);
}

#[test]
fn unfinished_line_is_shown_while_its_program_waits() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\n\
        exec /bin/probe do \"write:/dev/stderr:Unlock key: \" sleep:20000 stay\n";
    let namespace = host_root.start(config);
    namespace.console.expect("a | Unlock key", crate::support::SOON).expect("it is shown");
    assert!(host_root.ask(&["log", "a"]).1.contains("Unlock key"));
}

#[test]
fn long_line_stays_whole_in_log_console_and_file() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("log");
    let long = "{".repeat(4_000);
    std::fs::write(host_root.root().join("long"), format!("{long}\n")).expect("a file");
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\nlog {} size=100000\n[workload a]\nroot ROOT\n\
         exec /bin/probe do copy:/long:/dev/stderr stay\n",
        file.display()
    );
    let namespace = host_root.start(&config);
    namespace.console.expect(&format!("a | {long}\n"), crate::support::SOON).expect("it is whole");
    assert!(host_root.ask(&["log", "a"]).1.contains(&format!(" {long}\n")));
    crate::support::wire::until("the file", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&format!("a | {long}\n")))
    });
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
