//! PID 1's services with a fake kernel: a test sets the clock, and has the other ends of the workloads' pipes.
//!
//! The library tests the supervisor alone; `qemu/tests` tests with a real kernel.

mod time;

use super::boot_count::BootCount;
use super::configuration;
use super::context::Context;
use super::dispatch::{Init, Parts};
use super::event_loop::EventLoop;
use super::log_file::LogFile;
use super::reload::Reload;
use super::timeline::Timeline;
use super::watchdog::Watchdog;
use super::workloads::Workloads;
use crate::console::Console;
use crate::os::environment::Environment;
use crate::os::fake;
use hilum::supervise::{ExitReason, State};
use hilum::update::{Record, Slot};
use hilum::wire::{Command, Reply, Request};
use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// PID 1 with a folder of its own.
struct Board {
    init: Init,
    folder: PathBuf,
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Board {
    /// Boots with these sections. FOLDER in them is replaced by the board's folder.
    fn boot(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("hilum-init-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the board");
        let board_path = folder.join("hilum.conf");
        let path = board_path.to_str().expect("UTF-8").to_owned();
        write(&folder, text);
        let mut console = Console::kept();
        let config =
            configuration::read(&path, None, None, &mut |line| panic!("{line}")).expect("a good configuration");
        let log_file = LogFile::start(config.get(), &mut console);
        let workloads = Workloads::new(Environment::Container, config.get(), None, &mut console).expect("tables");
        let events = EventLoop::open().expect("an epoll set");
        let cx = Context::new(Environment::Container, config, console, Timeline::new(), events);
        let (reload, watchdog, boots) = (Reload::new(&path), Watchdog::new(), BootCount::new(false));
        let parts = Parts { cx, workloads, reload, watchdog, boots, log_file };
        let mut board = Self { init: Init::new(parts, |_, _, _| unreachable!("no prompt"), false), folder };
        board.init.begin();
        board
    }

    /// Runs the loop until it would sleep. Returns for how long.
    fn settle(&mut self) -> u64 {
        for _ in 0..200 {
            self.init.turn_once(0);
            // A real process would return its memory here.
            self.init.trim_memory_at = None;
            let sleep_ms = self.init.sleep_ms();
            if sleep_ms > 0 && !self.init.cx.events.has_events() {
                return sleep_ms;
            }
        }
        panic!("the loop never sleeps");
    }

    fn state(&self, name: &str) -> State {
        let workloads = &self.init.cx.config.get().workloads;
        let index = workloads.iter().position(|workload| workload.name == name);
        self.init.workloads.supervisor.state(index.unwrap_or_else(|| panic!("no workload {name}")))
    }

    /// Lets the programs of workloads start, one after the other, because the number of parallel set-ups is limited.
    fn execute(&mut self, names: &[&str]) {
        for name in names {
            execute(name);
            self.settle();
        }
    }

    fn lines(&mut self) -> String {
        self.init.cx.console.take_lines()
    }

    fn connect(&self) -> OwnedFd {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a socket");
        let path = self.folder.join("control");
        connect(&socket, &SocketAddrUnix::new(path.to_str().expect("UTF-8")).expect("a short path"))
            .expect("the control socket");
        socket
    }

    fn ask(&self, command: Command, words: &[&str], is_waiting: bool) -> OwnedFd {
        let socket = self.connect();
        let mut request = Request::new(command);
        request.is_waiting = is_waiting;
        words.iter().for_each(|word| assert!(request.words.push(word).is_ok()));
        let message = request.message().expect("a short request");
        send(&socket, &message, SendFlags::NOSIGNAL).expect("it is sent");
        socket
    }
}

fn write(folder: &std::path::Path, text: &str) {
    let control = folder.join("control");
    let text = text.replace("FOLDER", folder.to_str().expect("UTF-8"));
    let text = format!("hilum 1\n[system]\ncontrol {}\n{text}", control.display());
    std::fs::write(folder.join("hilum.conf"), text).expect("the configuration is written");
}

fn section(name: &str, lines: &str) -> String {
    format!("[workload {name}]\nroot /r\nexec /b\n{lines}\n")
}

/// Lets a workload's program start.
fn execute(name: &str) {
    fake::with_process(name, |process| process.report = None);
}

fn say(name: &str, text: &str) {
    fake::with_process(name, |process| {
        let output = process.output.as_ref().expect("it still has its output");
        assert_eq!(rustix::io::write(output, text.as_bytes()), Ok(text.len()));
    });
}

fn end(name: &str, end: ExitReason) {
    fake::exit(fake::pid_of(name).expect("it has a process"), end);
}

/// Returns the exit status and text that a client received; `None` while it waits.
fn answer(socket: &OwnedFd) -> Option<(u8, String)> {
    let mut bytes = [0; hilum::wire::MESSAGE_BYTES];
    loop {
        let (length, _) = recv(socket, &mut bytes[..], RecvFlags::DONTWAIT).ok()?;
        if length == 0 {
            return Some((255, String::from("hung up")));
        }
        if let Ok(Reply::Done(status, text)) = Reply::read(&bytes[..length]) {
            return Some((status, text.to_owned()));
        }
    }
}

#[test]
fn boot_is_complete_only_when_commands_can_connect() {
    let mut board = Board::boot(&section("a", ""));
    // As on a board with one processor, where the first workload does not wait for the socket.
    std::fs::remove_file(board.folder.join("control")).expect("the socket");
    board.init.cx.defer();
    execute("a");
    let mut turns = 0;
    while !board.lines().contains("memory of pid 1") {
        turns += 1;
        assert!(turns < 200, "the boot is never complete");
        fake::pass_ms(1);
        board.init.turn_once(0);
    }
    drop(board.connect());
}

#[test]
fn due_restart_happens_on_time() {
    let mut board = Board::boot(&section("a", "restart always delay=500ms max=10s"));
    execute("a");
    board.settle();
    assert_eq!(board.state("a"), State::Ready);
    end("a", ExitReason::Exit(3));
    board.init.has_exits = true;
    let sleep_ms = board.settle();
    assert!(board.lines().contains("workload \"a\": exited with status 3"));
    let State::BackingOff(at) = board.state("a") else { panic!("{:?}", board.state("a")) };
    assert_eq!(at, fake::monotonic_ms() + sleep_ms);
    fake::pass_ms(sleep_ms - 1);
    board.settle();
    assert_eq!(fake::pid_of("a"), None);
    fake::pass_ms(1);
    board.settle();
    assert!(fake::pid_of("a").is_some());
}

#[test]
fn remaining_output_is_printed_before_the_exit() {
    let mut board = Board::boot(&section("a", "restart never"));
    execute("a");
    board.settle();
    say("a", "the last words");
    end("a", ExitReason::Exit(0));
    board.init.has_exits = true;
    board.settle();
    let lines = board.lines();
    let at = |text: &str| lines.find(text).unwrap_or_else(|| panic!("no {text:?} in {lines}"));
    assert!(at("a | the last words") < at("exited with status 0"), "{lines}");
}

#[test]
fn stop_is_answered_when_the_workload_has_exited() {
    let mut board = Board::boot(&section("a", ""));
    execute("a");
    board.settle();
    let client = board.ask(Command::Stop, &["a"], true);
    board.settle();
    assert_eq!(answer(&client), None);
    assert_eq!(fake::with_process("a", |process| process.signals.clone()), [15]);
    end("a", ExitReason::Signal(15));
    board.init.has_exits = true;
    board.settle();
    assert_eq!(answer(&client), Some((0, String::new())));
}

#[test]
fn failed_clone_is_retried() {
    let mut board = Board::boot(&section("a", ""));
    execute("a");
    board.settle();
    fake::fail_clones(true);
    end("a", ExitReason::Exit(1));
    board.init.has_exits = true;
    fake::pass_ms(board.settle());
    let sleep_ms = board.settle();
    assert!(board.lines().contains("workload \"a\": start: EAGAIN"));
    fake::fail_clones(false);
    fake::pass_ms(sleep_ms);
    board.settle();
    assert!(fake::pid_of("a").is_some());
}

#[test]
fn reload_keeps_state_of_unchanged_workloads() {
    let (a, b, c) = (section("a", ""), section("b", ""), section("c", "env X one"));
    let mut board = Board::boot(&format!("{a}{b}{c}"));
    board.execute(&["a", "b", "c"]);
    let pids = ["a", "b"].map(|name| fake::pid_of(name).expect("it runs"));
    let following = board.ask(Command::Log, &["b"], true);
    board.settle();
    // "a" moves to the end, "c" changes, "d" is new and first.
    write(&board.folder, &format!("{}{}{b}{a}", section("d", ""), section("c", "env X two")));
    let reload = board.ask(Command::Reload, &[], true);
    board.settle();
    assert_eq!(answer(&reload), None, "c still runs");
    end("c", ExitReason::Signal(15));
    board.init.has_exits = true;
    board.settle();
    assert_eq!(answer(&reload), Some((0, String::new())));
    assert_eq!(["a", "b"].map(|name| fake::pid_of(name).expect("it runs")), pids);
    board.execute(&["c", "d"]);
    let lines = board.lines();
    assert!(lines.contains("configuration reloaded: 1 stopped, 2 started, 2 unchanged"), "{lines}");
    // Output of a workload whose place in the file has changed is still its own.
    for name in ["a", "b", "c", "d"] {
        say(name, &format!("of {name}\n"));
        board.settle();
        let lines = board.lines();
        assert_eq!(lines, format!("{name} | of {name}\n"));
    }
    let mut bytes = [0; hilum::wire::MESSAGE_BYTES];
    let (length, _) = recv(&following, &mut bytes[..], RecvFlags::DONTWAIT).expect("a line");
    assert!(matches!(Reply::read(&bytes[..length]), Ok(Reply::Line(_, _, b"of b"))));
    end("a", ExitReason::Exit(7));
    board.init.has_exits = true;
    board.settle();
    assert!(board.lines().contains("workload \"a\": exited with status 7"));
    assert_eq!(board.state("b"), State::Ready);
}

#[test]
fn log_follower_is_told_when_its_workload_is_removed() {
    let mut board = Board::boot(&format!("{}{}", section("a", ""), section("b", "")));
    board.execute(&["a", "b"]);
    let following = board.ask(Command::Log, &["b"], true);
    board.settle();
    write(&board.folder, &section("a", ""));
    let reload = board.ask(Command::Reload, &[], true);
    board.settle();
    end("b", ExitReason::Signal(15));
    board.init.has_exits = true;
    board.settle();
    assert_eq!(answer(&reload), Some((0, String::new())));
    let (status, text) = answer(&following).expect("its end");
    assert_eq!((status, &*text), (1, "no longer in the configuration"));
}

#[test]
fn oldest_client_is_closed_when_there_are_too_many() {
    let mut board = Board::boot(&section("a", ""));
    execute("a");
    board.settle();
    let clients: Vec<OwnedFd> = (0..9)
        .map(|_| {
            let client = board.connect();
            board.settle();
            client
        })
        .collect();
    assert_eq!(answer(&clients[0]), Some((255, String::from("hung up"))));
    assert!(clients[1..].iter().all(|client| answer(client).is_none()));
}

#[test]
fn slow_client_blocks_nobody() {
    let mut board = Board::boot(&section("a", "log quiet"));
    execute("a");
    board.settle();
    let lazy = board.ask(Command::Log, &["a"], true);
    let line = format!("{}\n", "x".repeat(1_000));
    for _ in 0..600 {
        say("a", &line);
        board.settle();
    }
    let quick = board.ask(Command::Status, &[], false);
    board.settle();
    assert_eq!(answer(&quick), Some((0, String::new())));
    let mut bytes = [0; hilum::wire::MESSAGE_BYTES];
    let mut count = 0;
    while let Ok((1.., _)) = recv(&lazy, &mut bytes[..], RecvFlags::DONTWAIT) {
        count += 1;
        board.settle();
    }
    assert!(count > 10, "{count} lines");
}

#[test]
fn killed_boot_task_is_tried_three_times_then_blocks_nobody() {
    let name = c"hilum-modules";
    let network = "bridge br0 10.77.0.1/24\n";
    let mut board = Board::boot(&format!("{network}{}", section("a", "link veth br0 10.77.0.2/24")));
    board.settle();
    for left in [2, 1, 0] {
        let [pid] = fake::helpers(name)[..] else { panic!("one helper, {left} tries left") };
        assert!(board.init.workloads.gate().is_some(), "set-ups wait for it");
        fake::exit(pid, ExitReason::Signal(9));
        board.init.has_exits = true;
        board.settle();
    }
    assert!(fake::helpers(name).is_empty());
    assert!(board.init.workloads.gate().is_none(), "set-ups go on");
}

#[test]
fn answer_to_an_update_comes_once_the_next_one_may_be_asked_for() {
    let mut board = Board::boot("");
    let ask = |board: &mut Board| {
        let client = board.ask(Command::Rollback, &[], false);
        board.settle();
        client
    };
    let unknown = "slots are unknown: [system] has no update, or the board is booting";
    assert_eq!(answer(&ask(&mut board)), Some((1, unknown.into())));
    board.init.updates.know(Record::new("board"), Slot::A);
    let first = ask(&mut board);
    assert_eq!(answer(&ask(&mut board)), Some((1, "another update is running".into())));
    assert_eq!(answer(&first), None, "the helper has not ended");
    let [pid] = fake::helpers(c"hilum-update")[..] else { panic!("one helper") };
    fake::exit(pid, ExitReason::Signal(9));
    board.init.has_exits = true;
    board.settle();
    assert_eq!(answer(&first), Some((1, "the helper was killed".into())));
    assert_eq!(answer(&ask(&mut board)), None, "it has begun");
}
