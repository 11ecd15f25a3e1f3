//! Orderly stops of programs that a shell has started: which process gets the signal, and its grace period.

use crate::support::{Host, SOON, built, has_in_order, has_line, host, image, run};
use hilum_qemu::{Architecture, Namespace};
use std::os::unix::fs::PermissionsExt;

on_both_long!(aarch64: machine_shutdown_grants_daemons_behind_a_shell_their_grace_period);

/// A daemon that takes a second to write its data.
const DAEMON: &str = "#!/bin/sh\ntrap 'echo flushing; sleep 1; echo flushed; exit 0' TERM\necho up\n\
    while :; do sleep 0.05; done\n";

/// Returns a root filesystem with a shell, that daemon, and a script that starts it.
fn with_scripts(script: &str) -> Option<Host> {
    let host_root = Host::new()?;
    let shell = built(&format!("image/{}/busybox/bin/busybox", host().name()));
    for name in ["sh", "sleep", "kill"] {
        std::fs::copy(&shell, host_root.root().join("bin").join(name)).expect("busybox");
    }
    for (name, text) in [("daemon", DAEMON), ("start.sh", script)] {
        let file = host_root.root().join("bin").join(name);
        std::fs::write(&file, text).expect("a script");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("its mode");
    }
    Some(host_root)
}

fn start(host_root: &Host, lines: &str) -> Namespace {
    let config = format!("hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\n{lines}\n");
    host_root.start(&config)
}

const WRAPPER: &str = "#!/bin/sh\n/bin/daemon\necho over\n";

#[test]
fn daemon_behind_a_shell_gets_the_stop_signal_and_grace_period() {
    for script in [WRAPPER, "#!/bin/sh\nexec /bin/daemon\n", "#!/bin/sh\n/bin/daemon &\nwait\n"] {
        let Some(host_root) = with_scripts(script) else { return };
        for (lines, exec) in [
            ("", "/bin/start.sh"),
            ("", "/bin/sh -c \"/bin/start.sh; true\""),
            ("user 1000", "/bin/start.sh"),
            ("reaper", "/bin/start.sh"),
            ("reaper", "/bin/sh -c \"/bin/start.sh; true\""),
            ("share pid", "/bin/start.sh"),
            ("share pid", "/bin/sh -c \"/bin/start.sh; true\""),
        ] {
            let namespace = start(&host_root, &format!("exec {exec}\nstop TERM 15s\n{lines}"));
            namespace.console.expect("a | up", SOON).expect("it starts");
            assert_eq!(host_root.ask(&["stop", "a", "-w"]), (0, String::new()));
            let console = namespace.console.expect("a | flushed", SOON).expect("it had its grace");
            assert!(!console.contains("stop timed out"), "{script} {exec} {lines}\n{console}");
        }
    }
}

#[test]
fn processes_left_after_the_first_exit_get_the_stop_signal() {
    let Some(host_root) = with_scripts("#!/bin/sh\n/bin/daemon &\nsleep 1\nexit 7\n") else { return };
    for lines in ["reaper", "share pid"] {
        let namespace = start(&host_root, &format!("exec /bin/start.sh\nstop TERM 15s\nrestart never\n{lines}"));
        let console = namespace.console.expect("exited with status 7", SOON).expect("it ends");
        has_in_order(&console, &["a | up", "a | flushing", "a | flushed"]);
    }
}

#[test]
fn remaining_processes_are_killed_after_the_grace_period() {
    let deaf = "#!/bin/sh\nsh -c \"trap '' TERM; echo up; while :; do sleep 1; done\" &\nsleep 1000\n";
    let Some(host_root) = with_scripts(deaf) else { return };
    for lines in ["reaper", "share pid", ""] {
        let namespace = start(&host_root, &format!("exec /bin/start.sh\nstop TERM 500ms\n{lines}"));
        namespace.console.expect("a | up", SOON).expect("it starts");
        assert_eq!(host_root.ask(&["stop", "a", "-w"]), (0, String::new()));
        assert_eq!(host_root.status("a")["state"], "stopped");
    }
}

#[test]
fn missed_stop_says_that_the_first_process_has_no_handler() {
    let host_root = host_or_return!();
    let namespace = start(&host_root, "exec /bin/probe sleep 600000\nstop TERM 300ms");
    namespace.console.expect("started", SOON).expect("it starts");
    assert_eq!(host_root.ask(&["stop", "a", "-w"]).0, 0);
    let console = namespace.console.expect("killed by", SOON).expect("it is killed");
    let reason = "hilum: workload \"a\": stop timed out, sending SIGKILL; its first process does not handle SIGTERM; \
        if it is a shell, start the program with exec, or add: reaper";
    has_line(&console, reason);
    // A program with a handler that is merely slow is not reported.
    let namespace = start(&host_root, "exec /bin/probe do stay\nstop USR1 300ms");
    namespace.console.expect("a | ready", SOON).expect("it starts");
    assert_eq!(host_root.ask(&["stop", "a", "-w"]).0, 0);
    let console = namespace.console.expect("killed by", SOON).expect("it is killed");
    has_line(&console, "hilum: workload \"a\": stop timed out, sending SIGKILL");
}

#[test]
fn signal_without_any_effect_is_refused() {
    let host_root = host_or_return!();
    let namespace = start(&host_root, "exec /bin/probe sleep 600000");
    namespace.console.expect("started", SOON).expect("it starts");
    let told = "hilum: workload \"a\": its first process does not handle SIGHUP, so the kernel discards it\n";
    assert_eq!(host_root.ask(&["signal", "a", "HUP"]), (1, told.to_owned()));
    assert_eq!(host_root.ask(&["signal", "a", "CONT"]), (0, String::new()));
    // A reaper forwards it to a program on which it has an effect.
    let namespace = start(&host_root, "exec /bin/probe sleep 600000\nreaper\nrestart never");
    namespace.console.expect("started", SOON).expect("it starts");
    assert_eq!(host_root.ask(&["signal", "a", "HUP"]), (0, String::new()));
    namespace.console.expect("exited with status 129", SOON).expect("it ends of it");
    let namespace = start(&host_root, "exec /bin/probe sleep 600000\nshare pid\nrestart never");
    namespace.console.expect("started", SOON).expect("it starts");
    assert_eq!(host_root.ask(&["signal", "a", "HUP"]), (0, String::new()));
    namespace.console.expect("killed by SIGHUP", SOON).expect("it ends of it");
}

#[test]
fn shutdown_grants_daemons_behind_a_shell_their_grace_period() {
    let Some(host_root) = with_scripts(WRAPPER) else { return };
    for lines in ["", "reaper", "share pid"] {
        let mut namespace = start(&host_root, &format!("exec /bin/start.sh\nstop TERM 15s\n{lines}"));
        namespace.console.expect("a | up", SOON).expect("it starts");
        assert_eq!(host_root.ask(&["poweroff"]).0, 0);
        let (_, console) = namespace.wait(SOON).expect("it ends");
        has_in_order(&console, &["a | flushed", "hilum: power off"]);
    }
}

/// On a machine with cgroups: remaining processes with `share pid` are also asked before they are killed.
fn machine_shutdown_grants_daemons_behind_a_shell_their_grace_period(arch: Architecture) {
    let section = |name: &str, lines: &str| format!("[workload {name}]\nroot /images/probe\n{lines}\nstop TERM 60s\n");
    let config = [
        "hilum 1\n".to_owned(),
        section("plain", "exec /bin/start.sh"),
        section("nested", "exec /bin/sh -c \"/bin/start.sh; true\""),
        section("reaped", "exec /bin/start.sh\nreaper"),
        section("shared", "exec /bin/start.sh\nshare pid"),
        section("left", "exec /bin/sh -c \"/bin/daemon & sleep 1; exit 3\"\nshare pid\nrestart never"),
        section("web", "exec /bin/httpd -p 81\nready tcp 81\nrestart never"),
        section("user", "exec /bin/probe on-term\nneeds web"),
        section(
            "timer",
            "exec /bin/probe do sleep:4000 exit:1\nneeds plain nested reaped shared\n\
            restart always delay=1ms max=1ms limit=1/1h else=poweroff",
        ),
    ];
    let mut image = image(arch, &config.concat());
    let shell = std::fs::read(built(&format!("image/{}/busybox/bin/busybox", arch.name()))).expect("busybox");
    for name in ["sh", "sleep", "httpd"] {
        image.file(&format!("images/probe/bin/{name}"), 0o755, shell.clone());
    }
    image.file("images/probe/bin/daemon", 0o755, DAEMON);
    image.file("images/probe/bin/start.sh", 0o755, WRAPPER);
    let console = run(arch, &image, "");
    for name in ["plain", "nested", "reaped", "shared", "left"] {
        has_in_order(
            &console,
            &[
                &format!("{name} | up"),
                &format!("{name} | flushing"),
                &format!("{name} | flushed"),
                &format!("hilum: workload \"{name}\": "),
            ],
        );
    }
    has_line(&console, "hilum: workload \"user\": not started: \"web\" failed; see: hilum log web");
    has_in_order(&console, &["hilum: workload \"timer\": gave up", "hilum: power off"]);
    assert!(!console.contains("stop timed out"), "{console}");
}
