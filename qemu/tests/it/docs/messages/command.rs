//! Errors at the command line: those of the command itself, and those that PID 1 returns.

use super::Told;
use crate::support::{Host, hilum, host};
use rustix::process::Signal;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// An unprivileged user.
const NOBODY: u32 = 65534;

const CONFIG: &str = "hilum 1\n[system]\ncontrol SOCKET\n[workload web]\nroot ROOT\nexec /bin/probe on-term\n\
    [workload once]\nroot ROOT\nexec /bin/probe exit 0\nrestart never\n";

pub(crate) fn told() -> Vec<Told> {
    let mut told = alone();
    told.extend(with_process_one());
    told
}

/// Returns the errors that need no PID 1.
fn alone() -> Vec<Told> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("hilum.conf"), "hilum 1\n[workload web]\nroot /r\nexec /x\n").expect("a file");
    std::fs::write(folder.path().join("file"), "").expect("a file");
    let run = |words: &[&str]| super::said(Command::new(hilum(host())).args(words), folder.path());
    vec![
        ("The command is missing", run(&[])),
        ("The command is misspelt", run(&["statsu"])),
        ("The command does not exist", run(&["fly"])),
        ("The name of a workload is missing", run(&["restart"])),
        ("There is an extra word", run(&["poweroff", "now"])),
        ("A signal is misspelt", run(&["signal", "web", "HUPP"])),
        ("The program of exec is missing", run(&["exec", "web"])),
        ("A number is not valid", run(&["log", "web", "-n", "many"])),
        ("There are too many words", run(&["exec"; 50])),
        ("The configuration does not exist", run(&["check", "--config", "missing.conf"])),
        ("The configuration is a folder", run(&["check", "--config", "."])),
        ("The workload is not in the configuration", run(&["explain", "wbe", "--config", "hilum.conf"])),
        ("No process listens on the socket", run(&["--socket", "socket", "status"])),
        ("The socket is another kind of file", run(&["--socket", "file", "status"])),
    ]
}

/// Returns the errors that a running PID 1 returns.
fn with_process_one() -> Vec<Told> {
    let host = Host::new().expect("namespaces");
    std::fs::write(host.root().join("bin/text"), "text").expect("a file");
    let running = host.start(CONFIG);
    host.expect_state("web", "ready");
    host.expect_state("once", "finished");
    let folder = host.scratch.path();
    let ask = |words: &[&str]| super::said(&mut host.command(words), folder);
    // The folder of the built file may be inaccessible to others; a copy is not.
    let copy = folder.join("hilum");
    std::fs::copy(hilum(crate::support::host()), &copy).expect("a copy");
    let mut as_nobody = Command::new("./hilum");
    as_nobody.arg("--socket").arg(host.socket()).arg("status").uid(NOBODY).gid(NOBODY);
    let mut told = vec![
        ("The user is not root", super::said(&mut as_nobody, folder)),
        ("The workload does not exist", ask(&["log", "wbe"])),
        ("A signal is sent to a workload that has exited", ask(&["signal", "once", "HUP"])),
        ("A program is executed in a workload that has exited", ask(&["exec", "once", "/bin/probe"])),
        ("The program is not in the root filesystem", ask(&["exec", "web", "/bin/shell"])),
        ("A program is executed in an unknown workload", ask(&["exec", "wbe", "/bin/probe"])),
        ("The program of exec is not executable", ask(&["exec", "web", "/bin/text"])),
        ("A workload is frozen without control groups", ask(&["freeze", "web"])),
    ];
    std::fs::write(folder.join("hilum.conf"), "hilum 1\n[workload web]\nrot /r\n").expect("the file");
    told.push(("A changed configuration is wrong", ask(&["reload"])));
    running.signal(Signal::TERM).expect("it runs");
    told
}
