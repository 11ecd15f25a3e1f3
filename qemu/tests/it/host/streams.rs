//! Standard input, output and error of a program that `hilum exec` starts: never an outside descriptor.

use crate::support::{Host, SOON, has_line};
use hilum_qemu::Terminal;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BOARD: &str = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe on-term\nuser 7\n";

/// The words between the workload's name and the program.
const WAYS: [&[&str]; 3] = [&[], &["-t"], &["-T"]];

fn words<'a>(way: &[&'a str], program: &[&'a str]) -> Vec<&'a str> {
    [&["exec", "a"][..], way, program].concat()
}

/// Returns what a program prints that has read these bytes.
fn drained(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0_u64, |sum, byte| (sum * 31 + u64::from(*byte)) % 1_000_003);
    format!("drained {} sum {sum}", bytes.len())
}

/// Parses what a program prints about one of its descriptors: its type (1 pipe, 2 character device, both octal), its
/// inode, whether it is a terminal.
fn stream(said: &str, number: u8) -> (String, String, bool) {
    let start = format!("stream {number} kind ");
    let line = said.lines().find_map(|line| line.trim().strip_prefix(&start)).unwrap_or_else(|| panic!("{said}"));
    let fields: Vec<&str> = line.split_whitespace().collect();
    (fields[0].to_owned(), fields[2].to_owned(), fields[4] == "1")
}

#[test]
fn program_left_behind_by_exec_has_no_terminal_of_the_board() {
    let host_root = host_or_return!();
    let _namespace = host_root.start(BOARD);
    host_root.expect_state("a", "ready");
    for way in WAYS {
        for mixture in 0..8_u8 {
            let is_terminal = [mixture & 1 != 0, mixture & 2 != 0, mixture & 4 != 0];
            leave_behind(&host_root, way, is_terminal);
        }
    }
}

fn leave_behind(host_root: &Host, way: &[&str], is_terminal: [bool; 3]) {
    let what = format!("{way:?} {is_terminal:?}");
    let file = |name: &str| host_root.scratch.path().join(name);
    std::fs::write(file("input"), "typed\n").expect("a file");
    let mut command = host_root.command(&words(way, &["/bin/probe", "streams"]));
    command.stdin(File::open(file("input")).expect("a file"));
    command.stdout(File::create(file("output")).expect("a file"));
    command.stderr(File::create(file("error")).expect("a file"));
    let mut terminal = Terminal::start_partly(command, 24, 80, is_terminal).expect("a terminal");
    let read = |name: &str| std::fs::read_to_string(file(name)).expect("a file").replace('\r', "");
    let expect = |terminal: &Terminal, is_shown: bool, name: &str, wanted: &str| {
        let until = Instant::now() + SOON;
        while !(if is_shown { terminal.screen.text() } else { read(name) }).contains(wanted) {
            assert!(Instant::now() < until, "{what}: {wanted} does not come: {}", terminal.screen.tail());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let has_terminal = match way {
        ["-t"] => true,
        ["-T"] => false,
        _ => is_terminal[0] && is_terminal[1],
    };
    if is_terminal[0] {
        // A person ends the input when the program is running.
        expect(&terminal, is_terminal[1], "output", "stream 2");
        terminal.type_text("typed\n\x04").expect("it is there");
    }
    let (status, _) = terminal.wait(SOON).expect("it ends");
    expect(&terminal, is_terminal[1], "output", "drained");
    expect(&terminal, is_terminal[2], "error", "an error");
    let said = if is_terminal[1] { terminal.screen.text() } else { read("output") };
    assert_eq!(status.code(), Some(7), "{what}: {said}{}", read("error"));
    has_line(&said, &drained(b"typed\n"));
    // The type of each inside.
    let streams = [0, 1, 2].map(|number| stream(&said, number));
    let is_split = is_terminal[1] != is_terminal[2] || !is_terminal[1];
    for (number, (kind, _, is_one)) in streams.iter().enumerate() {
        let expected = has_terminal && !(number == 2 && is_split);
        assert_eq!((kind.as_str(), *is_one), (if expected { "2" } else { "1" }, expected), "{what} {number}: {said}");
    }
    assert_eq!(streams[1].1 != streams[2].1, is_split, "{what}: errors go where they are to go: {said}");
    // The output of each outside.
    let errors = if is_terminal[2] { terminal.screen.text() } else { read("error") };
    has_line(&errors, "an error");
    assert!(is_terminal[2] || !said.contains("an error"), "{what}: {said}");
    // The command has exited. Processes left behind use what they have, while the next line is typed here.
    terminal.type_text("secret\n").expect("it is there");
    assert_eq!(host_root.ask(&["exec", "a", "/bin/probe", "do", "make:/tmp/go"]).0, 0);
    let until = Instant::now() + SOON;
    let told = loop {
        let (_, text) = host_root.ask(&["exec", "a", "/bin/probe", "do", "read:/tmp/left"]);
        if text.contains("content") {
            break text;
        }
        assert!(Instant::now() < until, "{what}: nothing was left behind: {text}");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(!told.contains("wrote 1") && told.contains("own errno"), "{what}: {told}");
    assert!(told.contains("read 0") || told.contains("read errno"), "{what}: it read what was typed here: {told}");
    assert!(!told.contains("typed 1;"), "{what}: {told}");
    for place in [terminal.screen.text(), read("output"), read("error")] {
        assert!(!place.contains("ESCAPED"), "{what}: {place}");
    }
    assert_eq!(host_root.ask(&["exec", "a", "/bin/probe", "do", "remove:/tmp/go", "remove:/tmp/left"]).0, 0);
}

/// Returns what `pour` writes.
fn poured(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8).collect()
}

const MUCH: usize = 10 * 1024 * 1024;

#[test]
fn large_output_of_exec_is_complete_and_errors_stay_separate() {
    let host_root = host_or_return!();
    let _namespace = host_root.start(BOARD);
    host_root.expect_state("a", "ready");
    let much = MUCH.to_string();
    let output = host_root.command(&["exec", "a", "/bin/probe", "pour", &much, "both"]).output().expect("hilum");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == poured(MUCH) && output.stderr == poured(MUCH), "{}", output.stdout.len());
    // Files as well; a file for both streams preserves the order.
    let path = host_root.scratch.path().join("output");
    let file = File::create(&path).expect("a file");
    let mut command = host_root.command(&["exec", "a", "/bin/probe", "pour", "8192", "both"]);
    let command = command.stdout(file.try_clone().expect("the file")).stderr(file);
    assert_eq!(command.status().expect("hilum").code(), Some(0));
    let (first, second) = (poured(4096), poured(8192)[4096..].to_vec());
    assert!(std::fs::read(&path).expect("the file") == [&first[..], &first, &second, &second].concat());
}

#[test]
fn large_input_of_exec_is_complete_and_ends() {
    let host_root = host_or_return!();
    let _namespace = host_root.start(BOARD);
    host_root.expect_state("a", "ready");
    let input = poured(MUCH);
    let path = host_root.scratch.path().join("input");
    std::fs::write(&path, &input).expect("a file");
    let mut command = host_root.command(&["exec", "a", "/bin/probe", "drain"]);
    let output = command.stdin(File::open(&path).expect("the file")).output().expect("hilum");
    has_line(&String::from_utf8_lossy(&output.stdout), &drained(&input));
    // A round trip over pipes, which nobody reads before everything is written, except for what fits into pipes.
    let mut command = host_root.command(&["exec", "a", "/bin/probe", "pass"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("hilum");
    let mut keyboard = child.stdin.take().expect("a pipe");
    let written = input.clone();
    let writer = std::thread::spawn(move || keyboard.write_all(&written));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("a thread").expect("everything is taken");
    assert!(output.status.success() && output.stdout == input, "{} bytes came back", output.stdout.len());
    // No input at all: closed, empty, and /dev/null.
    for how in ["<&-", "</dev/null", "< ."] {
        let hilum = crate::support::hilum(crate::support::host());
        let line = format!("exec \"$0\" --socket \"$1\" exec a /bin/probe drain {how}");
        let mut command = Command::new("sh");
        command.arg("-c").arg(line).arg(&hilum).arg(host_root.socket()).current_dir("/");
        let output = command.output().expect("sh");
        let said = String::from_utf8_lossy(&output.stdout);
        has_line(&said, "drained 0 sum 0");
        // A folder cannot be read, and its descriptor must not become a way out.
        let expected = if how == "< ." { "hilum: standard input: EISDIR (is a directory)\n" } else { "" };
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{how}");
        assert_eq!(output.status.code(), Some(i32::from(how == "< .")), "{how}");
    }
}

#[test]
fn program_of_exec_gets_sigpipe_when_its_reader_is_gone() {
    let host_root = host_or_return!();
    let _namespace = host_root.start(BOARD);
    host_root.expect_state("a", "ready");
    let much = u32::MAX.to_string();
    let mut command = host_root.command(&["exec", "a", "/bin/probe", "pour", &much]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("hilum");
    let mut first = [0; 1];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("a byte");
    // The program gets SIGPIPE.
    assert_eq!(ended(&mut child).code(), Some(128 + 13));
    // Output that cannot be written is reported.
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = host_root.command(&["exec", "a", "/bin/probe", "exit"]).stdout(full).output().expect("hilum");
    assert_eq!(output.status.code(), Some(0), "nothing was written");
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = host_root.command(&["exec", "a", "/bin/probe", "now"]).stdout(full).output().expect("hilum");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(1), "hilum: standard output: ENOSPC (no space left on device)\n")
    );
    // A program that does not read its whole input.
    let mut command = host_root.command(&["exec", "a", "/bin/probe", "exit", "4"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("hilum");
    assert_eq!(ended(&mut child).code(), Some(4), "it does not wait for input");
}

fn ended(child: &mut std::process::Child) -> std::process::ExitStatus {
    let until = Instant::now() + SOON;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        assert!(Instant::now() < until, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn terminal_modes_are_restored_when_exec_is_killed_by_a_signal() {
    let host_root = host_or_return!();
    let _namespace = host_root.start(BOARD);
    host_root.expect_state("a", "ready");
    let command = host_root.command(&["exec", "a", "/bin/probe", "terminal"]);
    let mut terminal = Terminal::start_partly(command, 24, 80, [true; 3]).expect("a terminal");
    let before = terminal.first_modes.clone();
    terminal.screen.expect("session own", SOON).expect("it runs");
    assert!(!terminal.modes().expect("its modes").contains("ICANON"), "keys are the program's");
    terminal.signal(rustix::process::Signal::TERM).expect("it is there");
    let (status, _) = terminal.wait(SOON).expect("it ends");
    assert_eq!((status.code(), status.signal()), (Some(128 + 15), None));
    assert_eq!(terminal.modes().expect("its modes"), before);
}

/// Another client program may send anything.
#[test]
fn descriptors_sent_by_a_client_do_not_get_inside() {
    use rustix::fd::AsFd;
    use rustix::net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType, connect, recv, sendmsg, socket_with,
    };
    let host_root = host_or_return!();
    let _namespace = host_root.start(BOARD);
    host_root.expect_state("a", "ready");
    let paths = ["/dev/ptmx", "/", "/dev/null", "/dev/zero"];
    for path in paths {
        for count in [1, 3] {
            let file = File::open(path).expect("it is there");
            let descriptors = [file.as_fd(), file.as_fd(), file.as_fd()];
            let socket =
                socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket");
            connect(&socket, &SocketAddrUnix::new(host_root.socket()).expect("a path")).expect("it listens");
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors[..count])));
            let message = b"h\x01\x09\0\0\0\0\0a\0vt100\0/bin/probe\0streams\0";
            sendmsg(&socket, &[rustix::io::IoSlice::new(message)], &mut control, SendFlags::empty())
                .expect("it listens");
            let mut bytes = [0; 256];
            let (length, _) = recv(&socket, &mut bytes, RecvFlags::empty()).expect("an answer");
            let answer = String::from_utf8_lossy(&bytes[2..length]).into_owned();
            assert_eq!((bytes[0], bytes[1]), (6, 125), "{path}: {answer}");
            assert!(answer.contains("descriptors are refused"), "{path}: {answer}");
        }
    }
}
