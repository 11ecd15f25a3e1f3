//! `hilum log`, and the lines that are kept of workloads.

use super::pair;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn log_keeps_the_latest_lines_and_follows() {
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
fn log_flood_keeps_the_last_line_and_a_count_of_dropped_ones() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\nconsole off\n[workload a]\nroot ROOT\nexec /bin/probe flood 20000\nrestart never\n";
    let _namespace = host_root.start(config);
    host_root.expect_state("a", "finished");
    let (_, log) = host_root.ask(&["log", "a"]);
    assert!(log.lines().last().is_some_and(|line| line.ends_with("flood line 19999 of 20000")), "{log}");
    let dropped = host_root.status("a")["dropped_lines"].as_u64().expect("a count");
    assert_eq!(dropped, 0, "what the memory has no room for any more was not lost: it was shown");
    // A slow reader is told how much it missed.
    let (_, slow) = host_root.ask(&["log", "a", "-n", "5"]);
    assert_eq!(slow.lines().count(), 5);
}

#[test]
fn lines_above_the_rate_are_counted_and_quiet_lines_stay_off_the_console() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe flood 500\nrestart never\n\
        log quiet rate=10/1h\n";
    let namespace = host_root.start(config);
    host_root.expect_state("a", "finished");
    let (_, log) = host_root.ask(&["log", "a"]);
    assert_eq!(log.lines().count(), 19, "{log}");
    assert!(log.contains("(482 lines over the rate limit dropped)\n"), "{log}");
    assert!(log.ends_with("flood line 499 of 500\n"), "the last words are kept\n{log}");
    assert_eq!(host_root.status("a")["dropped_lines"], 482);
    assert!(!namespace.console.text().contains("flood"), "{}", namespace.console.text());
}

#[test]
fn muted_lines_stay_off_the_console_until_unmute() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("log");
    let section = |name: &str| {
        format!("[workload {name}]\nroot ROOT\nexec /bin/probe do say:from-{name} stay\nrestart always delay=10ms\n")
    };
    let head = format!("hilum 1\n[system]\ncontrol SOCKET\nlog {} size=100000\n", file.display());
    let namespace = host_root.start(&format!("{head}{}{}", section("a"), section("b")));
    let done = |words: &[&str]| assert_eq!(host_root.ask(words), (0, String::new()), "{words:?}");
    let shown = |name: &str| namespace.console.text().matches(&format!("{name} | from-{name}")).count();
    let wait = |name: &str, count: usize| crate::support::wire::until("a line", || shown(name) == count);
    let restart = |name: &str| {
        let kept = || host_root.ask(&["log", name]).1.matches(&format!(" from-{name}\n")).count();
        let before = kept();
        done(&["restart", name, "-w"]);
        crate::support::wire::until("a line that is kept", || kept() > before);
    };
    wait("a", 1);
    wait("b", 1);
    done(&["mute", "a"]);
    restart("a");
    restart("b");
    // Lines after a muted one are printed, and so are the events of the muted workload.
    wait("b", 2);
    assert_eq!(shown("a"), 1);
    done(&["signal", "a", "KILL"]);
    namespace.console.expect("workload \"a\": restart 1", crate::support::SOON).expect("events stay");
    // A reload that changes and moves it leaves it muted.
    host_root.configure(&format!("{head}{}{}env X 1\n", section("b"), section("a")));
    done(&["reload"]);
    host_root.expect_state("a", "ready");
    restart("a");
    restart("b");
    wait("b", 3);
    assert_eq!(shown("a"), 1);
    done(&["unmute", "a"]);
    restart("a");
    wait("a", 2);
    // All, then all but one, then none.
    done(&["mute"]);
    done(&["unmute", "b"]);
    restart("a");
    restart("b");
    wait("b", 4);
    assert_eq!(shown("a"), 2);
    done(&["unmute"]);
    restart("a");
    wait("a", 3);
    let in_file = || std::fs::read_to_string(&file).unwrap_or_default().matches("a | from-a").count();
    crate::support::wire::until("the file", || in_file() == 3);
    for command in ["mute", "unmute"] {
        let words = "hilum: unknown workload \"none\"; see: hilum status\n";
        assert_eq!(host_root.ask(&[command, "none"]), (1, words.to_owned()));
    }
}

#[test]
fn suppressed_lines_are_reported_at_the_end_of_the_period() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\n\
        exec /bin/probe do say:1 say:2 say:3 say:4 say:5 say:6 stay\nlog rate=2/5s\n";
    let namespace = host_root.start(config);
    // It keeps running, and writes nothing more.
    let console = namespace.console.expect("a | ready", crate::support::SOON).expect("the last words");
    // Two words and their echoes were kept, and the last eight of eleven further lines.
    assert!(console.contains("a | (3 lines over the rate limit dropped)"), "{console}");
    assert_eq!(host_root.status("a")["dropped_lines"], 3);
}

#[test]
fn unfinished_line_is_shown_after_a_delay() {
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

/// A power cut, or a full disk, leaves an incomplete line.
#[test]
fn torn_line_in_the_log_file_is_marked_and_followed_by_a_new_line() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("log");
    let config = format!(
        "hilum 1\n[system]\nlog {} size=100000\nidle poweroff\n[workload a]\nroot ROOT\nexec /bin/probe do say:first\nrestart never\n",
        file.display()
    );
    let run = |before: &str| -> String {
        std::fs::write(&file, before).expect("a file");
        let (_, console) = host_root.run(&config);
        let text = std::fs::read_to_string(&file).expect("the log");
        assert!(text.contains("a | first"), "{text}\n{console}");
        text
    };
    let text = run("1.000 a | whole\n2.000 a | to");
    assert!(text.starts_with("1.000 a | whole\n2.000 a | to...\n"), "{text}");
    assert!(text.lines().skip(2).all(|line| line.starts_with(|first: char| first.is_ascii_digit())), "{text}");
    // Nothing is added to a complete or empty file.
    assert!(!run("1.000 a | whole\n").contains("..."));
    assert!(!run("").contains("..."));
}

#[test]
fn log_file_is_rotated() {
    let host_root = host_or_return!();
    let file = host_root.scratch.path().join("log");
    let config = format!(
        "hilum 1\n[system]\nlog {} size=4096\nidle poweroff\n[workload a]\nroot ROOT\nexec /bin/probe flood 200\nrestart never\n",
        file.display()
    );
    let (_, console) = host_root.run(&config);
    let read = |name: &str| std::fs::read_to_string(host_root.scratch.path().join(name)).expect("a log");
    // PID 1 waits for the writer before it exits, which kills all processes of its namespace.
    assert!(read("log").contains("exited with status 0"), "{}\n{console}", read("log"));
    assert!(read("log").len() <= 4096 && read("log.1").len() <= 4096 + 1400, "the files are too large");
    assert!(read("log.1").contains("flood line"), "{}", read("log.1"));
}
