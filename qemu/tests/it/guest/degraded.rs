//! Misbehaving workloads and environments: PID 1 stays responsive.

use crate::support::{BOOT, SOON, has_in_order, has_line, host, image};
use hilum_qemu::Architecture;
use rustix::process::Signal;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

on_both_long!(
    aarch64:
    board_stays_responsive_with_misbehaving_workloads,
    clock_jumps_and_a_full_run_do_no_harm,
    cgroups_of_many_short_runs_are_removed
);

/// CASES 6, 8, 12, 16.
fn board_stays_responsive_with_misbehaving_workloads(arch: Architecture) {
    let config = "hilum 1\n[system]\nconsole prompt\n\
        [workload bomb]\nroot /images/probe\nlog quiet\nexec /bin/probe fork-bomb\npids 20\nrestart always delay=1ms max=1ms\nstop KILL\n\
        [workload hog]\nroot /images/probe\nexec /bin/probe eat 64\nmemory 16M\nrestart never\n\
        [workload flood]\nroot /images/probe\nexec /bin/probe flood 100000000\nlog quiet\nstop KILL\n\
        [workload storm]\nroot /images/probe\nexec /bin/probe storm\ndevice /dev/kmsg w\nstop KILL\n\
        [workload spin]\nroot /images/probe\nexec /bin/probe spin\nstop KILL\n";
    let mut booted = crate::support::boot(arch, &image(arch, config), "");
    let vm = &mut booted.vm;
    vm.console.expect("workload \"hog\": killed by SIGKILL: out of memory", BOOT).expect("the kernel kills it alone");
    vm.console.expect("hilum> ", BOOT).expect("a prompt");
    vm.type_text("status\r").expect("QEMU is there");
    let screen = vm.console.expect("oom-killed, peak 16", BOOT).expect("the reason is told");
    assert!(!screen.contains("panic"), "{screen}");
    vm.console.expect("\nflood            ready", BOOT).expect("the flood goes on, and is told of");
    vm.console.expect("storm | storm begins", BOOT).expect("the kernel's log is written to without end");
    vm.type_text("stop bomb -w\r").expect("QEMU is there");
    vm.type_text("status bomb\r").expect("QEMU is there");
    vm.console.expect("bomb             stopped", BOOT).expect("it stops, and stays down");
    vm.type_text("reboot\r").expect("QEMU is there");
    let console = vm.wait(BOOT).expect("it goes down");
    assert!(console.contains("hilum: reboot"), "{console}");
}

/// CASES 10, 20.
fn clock_jumps_and_a_full_run_do_no_harm(arch: Architecture) {
    let years = 10 * 365 * 86_400;
    let config = format!(
        "hilum 1\n[system]\nconsole prompt\n[workload jumper]\nroot /images/probe\n\
         exec /bin/probe do jump:-{years} sleep:300 jump:{years} sleep:300 jump:{years} fill:/tmp/board/file exit:1\n\
         share user\ncapability sys_time\nmount /run /tmp rw\nrestart always delay=100ms max=100ms limit=2/60s\n"
    );
    let mut made = image(arch, &config);
    made.file("etc/hilum.conf", 0o644, config.replace("/tmp/board/file", "/tmp/file"));
    let mut booted = crate::support::boot(arch, &made, "");
    let vm = &mut booted.vm;
    let console = vm.console.expect("gave up after 2 restarts in 60 s", BOOT).expect("its delays are as told");
    for did in [format!("did jump:-{years} 0"), format!("did jump:{years} 0"), "did fill:/tmp/file 0".to_owned()] {
        assert!(console.contains(&did), "{did} in\n{console}");
    }
    vm.console.expect("hilum> ", BOOT).expect("a prompt");
    vm.type_text("start jumper -w\r").expect("QEMU is there");
    vm.type_text("timeline\r").expect("QEMU is there");
    vm.console.expect("jumper: program executed", BOOT).expect("it answers with a full /run");
    vm.type_text("poweroff\r").expect("QEMU is there");
    vm.wait(BOOT).expect("it powers off");
}

/// CASES 19: a cgroup is busy for a moment after its last process has exited.
fn cgroups_of_many_short_runs_are_removed(arch: Architecture) {
    let config = "hilum 1\n[system]\nconsole prompt\n\
        [workload look]\nroot /images/probe\nexec /bin/probe on-term\nmount /sys/fs/cgroup/workload /tmp\nneeds short\n\
        [workload short]\nroot /images/probe\nexec /bin/probe exit 1\n\
        restart always delay=1ms max=1ms limit=150/1h else=stop\n";
    let mut booted = crate::support::boot(arch, &image(arch, config), "");
    let vm = &mut booted.vm;
    vm.console.expect("gave up after 150 restarts", BOOT).expect("each start gets its group");
    let until = Instant::now() + BOOT;
    // While there were others it was restarted with them; now it stays.
    loop {
        vm.type_text("\rexec look /bin/probe do folders:/tmp\r").expect("QEMU is there");
        std::thread::sleep(Duration::from_millis(700));
        let text = crate::support::without_prompt(&vm.console.text());
        if let Some(at) = text.rfind("folder /tmp look") {
            let last = text[..at].rfind("exec look").unwrap_or(0);
            assert!(!text[last..].contains("folder /tmp short"), "{text}");
            return;
        }
        assert!(Instant::now() < until, "no answer\n{text}");
    }
}

/// CASES 31: a start copies all mounts, and an exit removes them; PID 1 does not walk them more often.
#[test]
fn two_thousand_mounts_do_not_block_a_board() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe exit 0\nrestart never\n[system]\nidle poweroff\n";
    let time = |mounts: u32| {
        let file = host_root.configure(config);
        let place = host_root.scratch.path().join("mounts");
        std::fs::create_dir_all(&place).expect("a folder");
        let script = format!(
            "mount --make-rprivate /; i=0; while [ $i -lt {mounts} ]; do mount --bind {0} {0}; i=$((i+1)); done; exec \"$@\"",
            place.display()
        );
        let wrap = ["sh", "-c", &script, "sh"];
        let mut namespace =
            hilum_qemu::Namespace::start(&crate::support::hilum(host()), &file, &wrap).expect("unshare");
        // The shell takes its time for so many mounts.
        namespace.console.expect("1 workload from", 3 * SOON).expect("the banner");
        let begin = Instant::now();
        let (status, console) = namespace.wait(SOON).expect("it ends by itself");
        assert!(status.success() && console.contains("workload \"a\": exited with status 0"), "{console}");
        begin.elapsed()
    };
    let (few, many) = (time(20), time(2_000));
    println!("boot, start and power-off with 20 mounts more: {few:?}; with 2,000: {many:?}");
}

/// CASES 11.
#[test]
fn unread_console_blocks_nothing() {
    let host_root = host_or_return!();
    let config = host_root.configure(
        "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe flood 30000\nrestart never\n\
         [workload b]\nroot ROOT\nexec /bin/probe on-term\n",
    );
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount", "--kill-child=KILL", "--"]).arg(crate::support::hilum(host()));
    command.arg("--config").arg(config).stdin(Stdio::null()).stdout(writer.try_clone().expect("a copy")).stderr(writer);
    let mut child = command.spawn().expect("unshare");
    drop(command);
    host_root.expect_state("a", "finished");
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(host_root.ask(&["status", "b"]).0, 0);
    }
    println!("an answer took {} us", begun.elapsed().as_micros() / 20);
    assert_eq!(host_root.ask(&["poweroff"]).0, 0);
    // At the end it waits a second for the console, and no more.
    let until = Instant::now() + SOON;
    while child.try_wait().expect("it is there").is_none() {
        assert!(Instant::now() < until, "it waits for its console");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("what was written");
    assert!(text.contains("flood line 0 of"), "{text}");
    assert!(!text.contains("flood line 29999 of"), "the pipe held everything, so nothing was tried");
}

/// CASES 14, 28: shutdown requests at any time, from the first instruction on.
#[test]
fn signal_at_any_moment_of_the_boot_causes_an_orderly_shutdown() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe on-term\nstop TERM 300ms\n[workload b]\nroot ROOT\n\
        exec /bin/probe on-term\nneeds a\nstop TERM 300ms\n";
    for delay_us in (0..6_000).step_by(150) {
        let mut namespace = host_root.start(config);
        namespace.process_one().expect("PID 1");
        std::thread::sleep(Duration::from_micros(delay_us));
        let until = Instant::now() + SOON;
        let status = loop {
            // Before the signals are blocked, the kernel discards them for a PID 1 without handlers.
            let _ = namespace.signal(Signal::TERM);
            if let Ok((status, console)) = namespace.wait(Duration::from_millis(2)) {
                has_line(&console, "hilum: power off");
                break status;
            }
            assert!(Instant::now() < until, "after {delay_us} us\n{}", namespace.console.tail());
        };
        assert_eq!(status.code(), Some(0), "after {delay_us} us");
    }
}

/// CASES 5: a reused PID never receives a signal for the previous process.
#[test]
fn late_signal_does_not_hit_a_reused_pid() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload churn]\nroot ROOT\nexec /bin/probe exit 0\n\
        restart always delay=1ms max=1ms\n[workload steady]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = host_root.start(config);
    host_root.expect_state("steady", "ready");
    let pid = host_root.status("steady")["pid"].clone();
    for _ in 0..200 {
        // Most of them find no process, or one that is just exiting.
        host_root.ask(&["signal", "churn", "KILL"]);
    }
    let steady = host_root.status("steady");
    assert_eq!((steady["pid"].clone(), steady["restarts"].as_u64()), (pid, Some(0)));
    has_in_order(&namespace.console.text(), &["hilum: workload \"churn\": restart"]);
}
