//! What PID 1 does not take from a workload: signals that take the board down, and links that lead its own files elsewhere.

mod support;

use rustix::process::Signal;
use std::os::unix::fs::symlink;
use support::{SOON, built, has_line, host};

#[test]
fn signal_of_a_workload_that_shares_pids_does_not_take_the_board_down() {
    let host_root = host_or_return!();
    let shell = built(&format!("image/{}/busybox/bin/busybox", host().name()));
    std::fs::copy(shell, host_root.root().join("bin/sh")).expect("busybox");
    let config = "hilum 1\n[workload a]\nroot ROOT\nshare pid user\nlandlock off\n\
        exec /bin/sh -c \"for name in TERM INT PWR; do kill -$name 1 && echo sent; done; echo all; read line\"\n\
        stop KILL\n";
    let mut namespace = host_root.start(config);
    namespace.console.expect("a | all", SOON).expect("it goes on");
    for down in ["power off", "reboot"] {
        let line = format!("hilum: {down}: asked for by a signal of process ");
        namespace.console.expect(&line, SOON).expect("that is told");
    }
    assert_eq!(namespace.console.text().matches("a | sent").count(), 3, "{}", namespace.console.tail());
    // From outside of the PID namespace it is heard, as that of a container engine.
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
}

#[test]
fn links_lead_neither_the_log_file_nor_the_count_of_boots_elsewhere() {
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
        has_line(&console, "hilum: log: the file cannot be written any more");
        let line = format!(
            "hilum: boots {}: ELOOP (a symbolic link is in the way): bad boots are not counted",
            place("count").display()
        );
        has_line(&console, &line);
    }
    assert_eq!(std::fs::read_to_string(place("victim")).expect("it is there"), "as it was");
    assert_eq!(std::fs::read_dir(place("real")).expect("a folder").count(), 0);
}
