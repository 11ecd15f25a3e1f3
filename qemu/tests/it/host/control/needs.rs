//! Requested starts and restarts of workloads with needs, and the replies.

use crate::support::{Host, SOON, has_in_order};
use hilum_qemu::Namespace;
use std::process::{Child, Stdio};
use std::time::Instant;

/// `c` needs `b`, which needs `a`; `a` takes a while to become ready.
fn chain(host_root: &Host, a: &str) -> Namespace {
    host_root.start(&format!(
        "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\n{a}\n\
         [workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\n\
         [workload c]\nroot ROOT\nexec /bin/probe on-term\nneeds b\n"
    ))
}

const SLOW: &str = "exec /bin/probe do sleep:300 ready-fd:3 stay\nready fd 3\nstop KILL";

/// Returns the final output of a running command; a command without a reply fails the test.
fn answer(mut command: Child) -> (i32, String) {
    let until = Instant::now() + SOON;
    while command.try_wait().expect("it is ours").is_none() {
        if Instant::now() > until {
            command.kill().and_then(|()| command.wait()).expect("it is ours");
            panic!("the command has no answer");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = command.wait_with_output().expect("its output");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn begin(host_root: &Host, words: &[&str]) -> Child {
    host_root.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("hilum")
}

fn ask(host_root: &Host, words: &[&str]) -> (i32, String) {
    answer(begin(host_root, words))
}

fn done() -> (i32, String) {
    (0, String::new())
}

#[test]
fn restart_waits_for_needs() {
    let host_root = host_or_return!();
    let namespace = host_root.start(
        "hilum 1\n[system]\ncontrol SOCKET\n\
         [workload db]\nroot ROOT\nexec /bin/probe do sleep:500 exit:1\nready after 50ms\nrestart always delay=1s\n\
         [workload web]\nroot ROOT\nexec /bin/probe do sleep:450 exit:1\nneeds db\nrestart always delay=10ms limit=9/1h\n",
    );
    let console = namespace.console.expect("\"db\": restart 2", SOON).expect("it fails a second time");
    has_in_order(
        &console,
        &[
            "hilum: workload \"web\": started",
            "hilum: workload \"web\": restart 1",
            "hilum: workload \"db\": started",
            "hilum: workload \"db\": ready",
            "hilum: workload \"web\": started",
        ],
    );
    let web = host_root.status("web")["restarts"].as_u64().expect("a count");
    assert!(web <= 2, "it was restarted {web} times while db was away\n{console}");
}

#[test]
fn start_starts_the_needs_of_a_waiting_workload() {
    let host_root = host_or_return!();
    let _namespace = chain(&host_root, SLOW);
    host_root.expect_state("a", "starting");
    assert_eq!(ask(&host_root, &["stop", "a", "-w"]), done());
    assert_eq!(host_root.status("b")["state"], "waiting");
    assert_eq!(ask(&host_root, &["start", "c", "-w"]), done());
    for name in ["a", "b", "c"] {
        assert_eq!(host_root.status(name)["state"], "ready");
    }
}

#[test]
fn restart_starts_needs() {
    let host_root = host_or_return!();
    let _namespace = chain(&host_root, SLOW);
    host_root.expect_state("c", "ready");
    assert_eq!(ask(&host_root, &["stop", "a", "-w"]), done());
    assert_eq!(ask(&host_root, &["restart", "b", "-w"]), done());
    // While the need is stopping.
    assert_eq!(ask(&host_root, &["stop", "a"]), done());
    assert_eq!(ask(&host_root, &["restart", "c", "-w"]), done());
    for name in ["a", "b", "c"] {
        host_root.expect_state(name, "ready");
    }
}

#[test]
fn start_is_answered_when_its_need_is_stopped() {
    let host_root = host_or_return!();
    let _namespace = chain(&host_root, "exec /bin/probe on-term\nready fd 3 within=1h");
    host_root.expect_state("a", "starting");
    let start = begin(&host_root, &["start", "c", "-w"]);
    // It waits for it.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(ask(&host_root, &["stop", "a"]), done());
    let told = "hilum: workload \"c\" waits for \"a\", which is stopped; start it with: hilum start a\n";
    assert_eq!(answer(start), (1, told.to_owned()));
}

#[test]
fn start_is_answered_when_its_need_keeps_failing() {
    let host_root = host_or_return!();
    let _namespace = chain(&host_root, "exec /bin/probe exit 1\nready fd 3\nrestart always delay=1h max=1h");
    host_root.expect_state("a", "backing-off");
    let told = "hilum: workload \"c\" waits for \"a\", which failed and will be restarted; see: hilum log a\n";
    assert_eq!(ask(&host_root, &["start", "c", "-w"]), (1, told.to_owned()));
    let told = "hilum: workload \"a\" failed and will be restarted; see: hilum log a\n";
    assert_eq!(ask(&host_root, &["start", "a", "-w"]), (1, told.to_owned()));
}

#[test]
fn stop_is_answered_when_another_client_starts_the_workload() {
    let host_root = host_or_return!();
    let _namespace = chain(&host_root, "exec /bin/probe do stay\nstop USR1 2s");
    host_root.expect_state("a", "ready");
    let stop = begin(&host_root, &["stop", "a", "-w"]);
    host_root.expect_state("a", "stopping");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(ask(&host_root, &["start", "a", "-w"]), done());
    assert_eq!(answer(stop), (1, "hilum: workload \"a\" was started again meanwhile\n".to_owned()));
}

#[test]
fn start_of_an_at_stop_workload_is_answered() {
    let host_root = host_or_return!();
    let _namespace = chain(&host_root, "exec /bin/probe exit 0\nat-stop");
    host_root.expect_state("b", "waiting");
    let told = "hilum: workload \"a\" runs only at shutdown\n";
    for words in [&["start", "a"][..], &["start", "a", "-w"], &["restart", "a", "-w"]] {
        assert_eq!(ask(&host_root, words), (1, told.to_owned()), "{words:?}");
    }
    let told = "hilum: workload \"c\" waits for \"a\", which runs only at shutdown; see: hilum status a\n";
    assert_eq!(ask(&host_root, &["start", "c", "-w"]), (1, told.to_owned()));
}

#[test]
fn start_is_answered_when_a_reload_changes_the_workload() {
    let host_root = host_or_return!();
    let config = |lines: &str| {
        format!(
            "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\n{lines}\n[workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\n"
        )
    };
    let namespace = host_root.start(&config("exec /bin/probe on-term\nready fd 3 within=1h"));
    host_root.expect_state("a", "starting");
    let waiting = [begin(&host_root, &["start", "a", "-w"]), begin(&host_root, &["start", "b", "-w"])];
    std::thread::sleep(std::time::Duration::from_millis(300));
    host_root.configure(&config("exec /bin/probe on-term"));
    assert_eq!(ask(&host_root, &["reload"]), done());
    for command in waiting {
        assert_eq!(answer(command), done(), "{}", namespace.console.tail());
    }
    // A client whose workload was removed is told so.
    host_root.configure(&config("exec /bin/probe on-term\nready fd 3 within=1h"));
    assert_eq!(ask(&host_root, &["reload"]), done());
    let waiting = begin(&host_root, &["start", "a", "-w"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    host_root.configure("hilum 1\n[system]\ncontrol SOCKET\n");
    assert_eq!(ask(&host_root, &["reload"]), done());
    assert_eq!(answer(waiting), (1, "hilum: no longer in the configuration\n".to_owned()));
}
