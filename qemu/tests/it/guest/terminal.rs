//! Terminals: `hilum exec` on one, and the console's prompt, controlled by a script.

use crate::support::{BOOT, Host, SOON, at_prompt, has_in_order, has_line, image};
use hilum_qemu::{Architecture, Terminal};
use std::time::{Duration, Instant};

const BOARD: &str = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe on-term\nuser 7\n";

#[test]
fn exec_provides_a_terminal_with_size_and_ctrl_c() {
    let host_root = host_or_return!();
    let _namespace = host_root.start(BOARD);
    host_root.expect_state("a", "ready");
    let tried = host_root.command(&["exec", "a", "/bin/probe", "terminal"]);
    let mut terminal = Terminal::start(tried, 33, 99).expect("a terminal");
    terminal.screen.expect("terminal 33 99 session own", SOON).expect("it is one, with its size");
    terminal.type_text("typed\r").expect("it is there");
    terminal.screen.expect("heard typed", SOON).expect("what is typed arrives");
    terminal.type_text("\x03").expect("it is there");
    let (status, screen) = terminal.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(130), "Ctrl-C is the program's\n{screen}");
    // The terminal is of the workload's own devpts, and belongs to its user.
    has_line(&screen, "terminal /dev/pts/0 owner 7");
}

#[test]
fn exec_without_a_terminal_uses_pipes() {
    let host_root = host_or_return!();
    let _namespace = host_root.start(BOARD);
    host_root.expect_state("a", "ready");
    assert!(host_root.ask(&["exec", "a", "/bin/probe", "terminal"]).1.contains("no terminal"));
    // On a terminal this can be requested.
    let told = host_root.command(&["exec", "a", "-T", "/bin/probe", "do", "say:plain"]);
    let (status, screen) = Terminal::start(told, 24, 80).and_then(|mut terminal| terminal.wait(SOON)).expect("it ends");
    assert_eq!((status.code(), screen.contains("plain")), (Some(0), true), "{screen}");
}

#[test]
fn prompt_edits_remembers_and_runs_commands_below_the_lines() {
    let host_root = host_or_return!();
    let config = format!("{}\nstop TERM 5s\n", BOARD.replace("[system]\n", "[system]\nconsole prompt\n"));
    let mut terminal = host_root.start_on_terminal(&config);
    terminal.screen.expect("hilum> ", SOON).expect("a prompt");
    at_prompt(&terminal.screen);
    terminal.type_text("stats\x1b[Du\x1b[C\r").expect("it is there");
    terminal.screen.expect("LAST EXIT", SOON).expect("the command was run");
    at_prompt(&terminal.screen);
    terminal.type_text("exec a \"/bin/probe\" do say:first\r").expect("it is there");
    terminal.screen.expect("\nfirst\n", SOON).expect("quotes group");
    // Again from the history, with another end.
    at_prompt(&terminal.screen);
    terminal.type_text("\x10\x08\x08\x08\x08\x08second\r").expect("it is there");
    terminal.screen.expect("\nsecond\n", SOON).expect("it remembers");
    at_prompt(&terminal.screen);
    terminal.type_text("log a -f\r").expect("it is there");
    let until = Instant::now() + SOON;
    while !terminal.screen.text().ends_with(" ready\n") {
        assert!(Instant::now() < until, "it does not follow\n{}", terminal.screen.tail());
        std::thread::sleep(Duration::from_millis(5));
    }
    terminal.type_text("\x03").expect("it is there");
    at_prompt(&terminal.screen);
    terminal.type_text("fly\r").expect("it is there");
    terminal.screen.expect("unknown command \"fly\"", SOON).expect("Ctrl-C ended what ran, and nothing else");
    at_prompt(&terminal.screen);
    terminal.type_text("restart a -w\r").expect("it is there");
    terminal.screen.expect("a | got TERM", SOON).expect("lines go on above");
    at_prompt(&terminal.screen);
    terminal.type_text("poweroff\r").expect("it is there");
    let (_, screen) = terminal.wait(SOON).expect("it ends");
    has_in_order(&crate::support::without_prompt(&screen), &["hilum: stopping 1 workload", "hilum: power off"]);
}

#[test]
fn prompt_shows_a_pasted_line_once_refuses_a_long_one_and_reports_a_failure() {
    let host_root = host_or_return!();
    let config = BOARD.replace("[system]\n", "[system]\nconsole prompt\n");
    let mut terminal = host_root.start_on_terminal(&config);
    at_prompt(&terminal.screen);
    let before = terminal.screen.text().len();
    let pasted = "x".repeat(900);
    terminal.type_text(&pasted).expect("it is there");
    terminal.screen.expect(&pasted, SOON).expect("it is shown");
    let shown = terminal.screen.text().len() - before;
    assert!(shown < 1_000, "{shown} bytes for a line of 900");
    // A key in the middle redraws a row.
    for (keys, marked) in [("\x01", "x>\x1b["), ("y", "y"), ("\x1b[C", "x>\x1b["), ("\x7f", "x>\x1b[")] {
        let before = terminal.screen.text().len();
        terminal.type_text(keys).expect("it is there");
        let until = Instant::now() + SOON;
        while !terminal.screen.text()[before..].contains(marked) || !terminal.screen.text().ends_with('D') {
            assert!(Instant::now() < until, "{keys:?} is not drawn\n{}", terminal.screen.tail());
            std::thread::sleep(Duration::from_millis(5));
        }
        let shown = terminal.screen.text().len() - before;
        assert!(shown <= 80 + 16, "{shown} bytes for {keys:?}");
    }
    terminal.type_text(&format!("\x05{}\r", "x".repeat(900))).expect("it is there");
    terminal.screen.expect("hilum: line longer than 1024 bytes; not run", SOON).expect("it is refused");
    at_prompt(&terminal.screen);
    assert!(!terminal.screen.text().contains("no command"), "{}", terminal.screen.tail());
    terminal.type_text("exec a '/bin/probe' exit 3\r").expect("it is there");
    terminal.screen.expect("\n[exit 3]\n", SOON).expect("its status");
    at_prompt(&terminal.screen);
    terminal.type_text("top\r").expect("it is there");
    terminal.screen.expect("LAST EXIT", SOON).expect("it runs");
    terminal.type_text("q").expect("it is there");
    at_prompt(&terminal.screen);
    // Lines of a followed workload are shown once.
    terminal.type_text("log a -f -n 1\r").expect("it is there");
    let (before, until) = (terminal.screen.text().len(), Instant::now() + SOON);
    while !terminal.screen.text().ends_with(" ready\n") {
        assert!(Instant::now() < until, "it does not follow\n{}", terminal.screen.tail());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(host_root.ask(&["stop", "a", "-w"]).0, 0);
    terminal.screen.expect("workload \"a\": exited", SOON).expect("other lines are shown");
    terminal.type_text("\x03").expect("it is there");
    at_prompt(&terminal.screen);
    let shown = terminal.screen.text()[before..].matches("got TERM").count();
    assert_eq!(shown, 1, "{}", terminal.screen.tail());
    assert_eq!(host_root.ask(&["start", "a", "-w"]).0, 0);
    at_prompt(&terminal.screen);
    terminal.type_text("exec a /bin/probe exit 4\r").expect("it is there");
    terminal.screen.expect("\n[exit 4]\n", SOON).expect("the key that ended it was not typed into the next line");
}

#[test]
fn killed_prompt_is_restarted_and_no_line_is_lost() {
    let host_root = host_or_return!();
    let config = BOARD.replace("[system]\n", "[system]\nconsole prompt\n");
    let mut terminal = host_root.start_on_terminal(&config);
    terminal.screen.expect("hilum> ", SOON).expect("a prompt");
    terminal.type_text("exec a /bin/probe do say:$\r").expect("it is there");
    terminal.screen.expect("\n$\n", SOON).expect("it works");
    kill_prompt(&host_root);
    assert_eq!(host_root.ask(&["restart", "a", "-w"]).0, 0);
    terminal.screen.expect("a | got TERM", SOON).expect("the lines go to the terminal itself");
    terminal.type_text("\rexec a /bin/probe do say:again\r").expect("it is there");
    let until = std::time::Instant::now() + SOON;
    while !terminal.screen.text().contains("\nagain\n") {
        assert!(std::time::Instant::now() < until, "no prompt came back\n{}", terminal.screen.tail());
        std::thread::sleep(std::time::Duration::from_millis(300));
        let _ = terminal.type_text("\rexec a /bin/probe do say:again\r");
    }
}

#[test]
fn stopped_terminal_does_not_keep_pid_1_busy() {
    let host_root = host_or_return!();
    let config = BOARD.replace("[system]\n", "[system]\nconsole prompt\n");
    let mut terminal = host_root.start_on_terminal(&config);
    // Ctrl-S: lines are queued when the prompt takes over the terminal.
    terminal.type_text("\x13").expect("it is there");
    host_root.expect_state("a", "ready");
    std::thread::sleep(Duration::from_millis(200));
    terminal.type_text("\x11").expect("it is there");
    at_prompt(&terminal.screen);
    has_line(&crate::support::without_prompt(&terminal.screen.text()), "a | ready");
    let (init, _) = init_and_prompt(&host_root);
    let spent = || crate::support::processor_ticks(init);
    let before = spent();
    std::thread::sleep(Duration::from_secs(1));
    assert!(spent() < before + 10, "{before} {}", spent());
}

/// Kills the child of PID 1 that has the host's namespaces: the prompt.
fn kill_prompt(host_root: &Host) {
    let (_, prompt) = init_and_prompt(host_root);
    let pid = rustix::process::Pid::from_raw(prompt).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    // Lines that it receives between the signal and its exit are lost.
    let until = std::time::Instant::now() + SOON;
    while std::path::Path::new(&format!("/proc/{}", prompt)).exists() {
        assert!(std::time::Instant::now() < until, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

on_both!(prompt_accepts_commands_over_the_serial_line);

fn prompt_accepts_commands_over_the_serial_line(arch: Architecture) {
    let config = "hilum 1\n[system]\nconsole prompt\n[workload a]\nroot /images/probe\nexec /bin/probe on-term\nmemory 32M\n\
        health exec /bin/probe must kill:1 interval=3s failures=1\n";
    let mut booted = crate::support::boot(arch, &image(arch, config), "");
    let vm = &mut booted.vm;
    vm.console.expect("hilum> ", BOOT).expect("a prompt");
    at_prompt(&vm.console);
    vm.type_text("status\r").expect("QEMU is there");
    let screen = vm.console.expect("LAST EXIT", BOOT).expect("an answer");
    assert!(!screen.contains("panic"), "{screen}");
    vm.console.expect("32M", BOOT).expect("the limit, read from the control group");
    at_prompt(&vm.console);
    vm.type_text("exec a /bin/probe terminal\r").expect("QEMU is there");
    vm.console.expect("session own", BOOT).expect("a terminal inside");
    vm.type_text("typed\r").expect("QEMU is there");
    vm.console.expect("heard typed", BOOT).expect("what is typed arrives");
    vm.type_text("\x03").expect("QEMU is there");
    // It is in the workload's cgroup, and confined like the workload.
    at_prompt(&vm.console);
    vm.type_text("exec a /bin/probe do mount:tmpfs:/tmp read:/proc/self/cgroup\r").expect("QEMU is there");
    vm.console.expect("did mount:tmpfs:/tmp 1", BOOT).expect("confined");
    vm.console.expect("content /proc/self/cgroup 0::/\n", BOOT).expect("its group");
    at_prompt(&vm.console);
    vm.type_text("freeze a\r").expect("QEMU is there");
    at_prompt(&vm.console);
    vm.type_text("status a\r").expect("QEMU is there");
    vm.console.expect("frozen", BOOT).expect("frozen");
    // A program inside would start frozen, without any visible reason.
    at_prompt(&vm.console);
    vm.type_text("exec a /bin/probe do say:never\r").expect("QEMU is there");
    vm.console.expect("hilum: workload \"a\" is frozen; resume it with: hilum thaw a", BOOT).expect("words");
    // Its health check is such a program: it must not make it unhealthy.
    std::thread::sleep(Duration::from_secs(8));
    assert!(!vm.console.text().contains("unhealthy"), "{}", vm.console.tail());
    // A frozen workload can be stopped.
    at_prompt(&vm.console);
    vm.type_text("stop a -w\r").expect("QEMU is there");
    vm.console.expect("a | got TERM", BOOT).expect("stopped");
    at_prompt(&vm.console);
    vm.type_text("poweroff\r").expect("QEMU is there");
    vm.wait(BOOT).expect("it powers off");
}

/// Returns the PIDs of PID 1 and of its prompt.
fn init_and_prompt(host_root: &Host) -> (i32, i32) {
    let path = host_root.scratch.path().join("hilum.conf");
    let path = path.to_str().expect("UTF-8");
    let processes: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
            (line.contains(path) && !line.contains("unshare")).then_some((pid, parent))
        })
        .collect();
    let is_first = |pid: i32| !processes.iter().any(|(other, _)| *other == pid);
    let (prompt, init) = processes.iter().find(|(_, parent)| !is_first(*parent)).expect("a copy of PID 1");
    (*init, *prompt)
}
