//! Attacks of workloads on PID 1: signals that would shut the board down, and links that would redirect its own files.

use crate::support::{SOON, built, has_line, host};
use rustix::process::Signal;
use std::os::unix::fs::symlink;

#[test]
fn signal_of_a_workload_with_shared_pids_does_not_shut_down_the_board() {
    let host_root = host_or_return!();
    let shell = built(&format!("image/{}/busybox/bin/busybox", host().name()));
    std::fs::copy(shell, host_root.root().join("bin/sh")).expect("busybox");
    let config = "hilum 1\n[workload a]\nroot ROOT\nshare pid user\nlandlock off\n\
        exec /bin/sh -c \"for name in SEGV ILL TRAP BUS TERM INT PWR; do kill -$name 1 && echo sent; done; echo all; read line\"\n\
        stop KILL\n";
    let mut namespace = host_root.start(config);
    namespace.console.expect("a | all", SOON).expect("it goes on");
    for down in ["power off", "reboot"] {
        let line = format!("hilum: {down}: refused a signal from process ");
        namespace.console.expect(&line, SOON).expect("that is told");
    }
    assert_eq!(namespace.console.text().matches("a | sent").count(), 7, "{}", namespace.console.tail());
    // From outside of the PID namespace it is accepted, as from a container engine.
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
}

/// A helper inherits PID 1's descriptors and its protection from the OOM killer; a lasting one gives up both.
#[test]
fn lasting_helpers_can_be_oom_killed_and_keep_few_descriptors() {
    let host_root = host_or_return!();
    let log = host_root.scratch.path().join("log");
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\nlog {}\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n",
        log.display()
    );
    let file = host_root.configure(&config);
    let hilum = crate::support::hilum(host());
    // PID 1 only protects itself on a machine. A distinct value shows that a helper does not keep it.
    let protect = "echo 500 > /proc/self/oom_score_adj && exec \"$@\"";
    let wrap = ["sh", "-c", protect, "sh"];
    let namespace = hilum_qemu::Namespace::start(&hilum, &file, &wrap).expect("unshare");
    host_root.expect_state("a", "ready");
    let first = namespace.process_one().expect("process 1").as_raw_nonzero().get();
    let score = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap_or_default();
    assert_eq!(score(first).trim(), "500");
    // All its descriptors, as type or path, in order.
    let descriptors = |pid: i32| -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
        let targets = folder.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let kind = |target: std::path::PathBuf| {
            let target = target.to_string_lossy().into_owned();
            // A pidfd is an inode of its own from kernel 6.9 on (pidfs).
            target
                .split(":[")
                .next()
                .unwrap_or_default()
                .split(':')
                .next()
                .unwrap_or_default()
                .replace("pidfd", "anon_inode")
        };
        let mut kinds: Vec<String> = targets.map(kind).collect();
        kinds.sort();
        kinds
    };
    let children = || -> Vec<i32> {
        let text = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    let expect = |what: &str, wanted: &[&str]| {
        let until = std::time::Instant::now() + SOON;
        loop {
            let found: Vec<_> = children().into_iter().map(|pid| (score(pid), descriptors(pid))).collect();
            if found.iter().any(|(score, found)| score.trim() == "0" && found == wanted) {
                break;
            }
            assert!(std::time::Instant::now() < until, "no {what} with {wanted:?}: {found:#?}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let null = "/dev/null";
    let log = log.to_string_lossy().into_owned();
    expect("writer of the log file", &[null, null, null, &log, "pipe"]);
    let mut command = host_root.command(&["exec", "a", "/bin/probe", "sleep", "60000"]);
    let mut waiting = command.stderr(std::process::Stdio::null()).spawn().expect("hilum");
    // The workload, its program and its report, and the client.
    expect("helper of exec", &[null, null, null, "anon_inode", "anon_inode", "pipe", "socket"]);
    waiting.kill().and_then(|()| waiting.wait()).expect("it is there");
}

/// The helper of a health check enters the workload, as that of `hilum exec` does, and its program inherits what it has.
#[test]
fn health_check_has_no_descriptor_of_the_board() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n\
        health exec /bin/probe sleep 100000 interval=1s failures=100\n";
    let namespace = host_root.start(config);
    host_root.expect_state("a", "ready");
    let children_of = |pid: u32| -> Vec<u32> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    let standard = |pid: u32| [0, 1, 2].map(|number| std::fs::read_link(format!("/proc/{pid}/fd/{number}")).ok());
    let (until, null) = (std::time::Instant::now() + SOON, Some("/dev/null".into()));
    loop {
        let is_helper =
            |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "hilum-check\n");
        let helper = crate::support::wire::children(&namespace).into_iter().find(is_helper);
        let found = helper.and_then(|helper| Some((standard(helper), standard(*children_of(helper).first()?))));
        if found.as_ref().is_some_and(|(helper, program)| helper.iter().chain(program).all(|target| *target == null)) {
            break;
        }
        assert!(std::time::Instant::now() < until, "{found:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn symbolic_links_redirect_neither_log_file_nor_boot_count() {
    let host_root = host_or_return!();
    let place = |name: &str| host_root.scratch.path().join(name);
    std::fs::create_dir(place("real")).expect("a folder");
    for (link, target) in [("file", "victim"), ("folder", "real"), ("count", "victim")] {
        symlink(place(target), place(link)).expect("a link");
    }
    std::fs::write(place("victim"), "as it was").expect("a file");
    for log in ["file", "folder/log"] {
        let lines = format!(
            "hilum 1\n[system]\nidle poweroff\nlog {}\nboots {} limit=3\n\
             [workload a]\nroot ROOT\nexec /bin/probe sleep 300\nrestart never\n",
            place(log).display(),
            place("count").display()
        );
        let (_, console) = host_root.run(&lines);
        has_line(&console, "hilum: log: the writer of the file exited; no longer writing it");
        let line = format!(
            "hilum: boots {}: ELOOP (too many levels of symbolic links): symbolic links are not followed; failed boots are not counted",
            place("count").display()
        );
        has_line(&console, &line);
    }
    assert_eq!(std::fs::read_to_string(place("victim")).expect("it is there"), "as it was");
    assert_eq!(std::fs::read_dir(place("real")).expect("a folder").count(), 0);
}
