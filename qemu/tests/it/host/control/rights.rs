//! Workloads with a control socket of their own: each request is tried with each right, also through a socket that was
//! passed on, by floods, and over reloads and restarts.

use crate::support::wire::children;
use crate::support::{Host, SOON, has_line};
use hilum_qemu::Namespace;
use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use std::path::PathBuf;
use std::time::Instant;

const RIGHTS: [&str; 4] = ["status", "operate", "update", "all"];

/// A command, and the right that it needs.
const COMMANDS: [(&[&str], &str); 22] = [
    (&["status"], "status"),
    (&["status", "other", "--json"], "status"),
    (&["log", "other"], "status"),
    (&["timeline"], "status"),
    (&["update", "--status"], "status"),
    (&["top", "-n", "1"], "status"),
    (&["stop", "other", "-w"], "operate"),
    (&["start", "other", "-w"], "operate"),
    (&["restart", "other", "-w"], "operate"),
    (&["signal", "other", "TERM"], "operate"),
    (&["freeze", "other"], "operate"),
    (&["thaw", "other"], "operate"),
    (&["mute"], "operate"),
    (&["mute", "other"], "operate"),
    (&["unmute"], "operate"),
    (&["update", "/none.bundle"], "update"),
    (&["rollback"], "all"),
    (&["reload"], "all"),
    (&["exec", "other", "/bin/probe", "exit", "0"], "all"),
    (&["poweroff"], "all"),
    (&["reboot"], "all"),
    (&["halt"], "all"),
];

fn includes(right: &str, needed: &str) -> bool {
    right == needed || right == "all" || needed == "status"
}

/// A workload for each right, in which `/bin/hilum` can be run, one without, and another one.
fn rights(host: &Host) -> Namespace {
    std::fs::copy(crate::support::hilum(crate::support::host()), host.root().join("bin/hilum")).expect("a copy");
    std::fs::write(host.root().join("none.bundle"), "no bundle").expect("a file");
    let section = |name: &str, lines: &str| {
        format!("[workload {name}]\nroot ROOT\nexec /bin/probe on-term\nrestart always delay=10ms max=10ms\n{lines}\n")
    };
    let asking: String = RIGHTS.map(|right| section(right, &format!("control {right}\nuser 7:8"))).concat();
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\n{asking}{}{}",
        section("nothing", "user 7:8"),
        section("other", "")
    );
    let namespace = host.start(&config);
    for name in RIGHTS.into_iter().chain(["nothing", "other"]) {
        host.expect_state(name, "ready");
    }
    namespace
}

/// Runs a command in a workload. Returns its exit status and output.
fn ask_in(host: &Host, workload: &str, words: &[&str]) -> (i32, String) {
    host.ask(&[&["exec", workload, "/bin/hilum"], words].concat())
}

/// Returns the host's PID of a workload's first process.
fn process_of(host: &Host, namespace: &Namespace, workload: &str) -> u32 {
    host.expect_state(workload, "ready");
    let inner = host.status(workload)["pid"].to_string();
    let is_its = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("NSpid:")).unwrap_or_default();
        line.split_whitespace().nth_back(1) == Some(&inner)
    };
    children(namespace).into_iter().find(is_its).expect("its process")
}

/// Returns the path of a workload's socket from outside.
fn socket_of(host: &Host, namespace: &Namespace, workload: &str) -> PathBuf {
    format!("/proc/{}/root/run/hilum.sock", process_of(host, namespace, workload)).into()
}

/// Connects to a socket; waits while its backlog is full.
fn connect_to(path: &std::path::Path) -> OwnedFd {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket");
    let until = Instant::now() + SOON;
    while let Err(errno) = connect(&socket, &SocketAddrUnix::new(path).expect("a path")) {
        assert!(Instant::now() < until, "{errno}");
    }
    rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, Some(SOON))
        .expect("a limit");
    socket
}

/// Sends a request, and returns the last reply: its exit status and text. `None` if the connection was closed.
fn request(socket: &OwnedFd, bytes: &[u8]) -> Option<(u8, String)> {
    send(socket, bytes, SendFlags::NOSIGNAL).ok()?;
    loop {
        let mut reply = [0; 8192];
        let (_, length) = recv(socket, &mut reply, RecvFlags::empty()).expect("a reply in time");
        match &reply[..length] {
            [] => return None,
            [6, status, text @ ..] => return Some((*status, String::from_utf8_lossy(text).into_owned())),
            _ => {}
        }
    }
}

#[test]
fn each_right_permits_its_commands_and_no_others() {
    let host = host_or_return!();
    let mut namespace = rights(&host);
    for right in RIGHTS {
        for (words, needed) in COMMANDS {
            if includes(right, needed) {
                continue;
            }
            let (code, text) = ask_in(&host, right, words);
            let refusal = format!("hilum: the workload has \"control {right}\"; this needs \"control {needed}\"\n");
            assert_eq!(text, refusal, "{right}: {words:?}");
            assert_eq!(code, if words[0] == "exec" { 125 } else { 1 }, "{right}: {words:?}");
        }
    }
    assert_eq!(host.status("other")["restarts"], 0, "none of them did anything");
    for right in RIGHTS {
        for (words, needed) in COMMANDS {
            if !includes(right, needed) || ["poweroff", "reboot", "halt"].contains(&words[0]) {
                continue;
            }
            if words[0] != "start" {
                host.expect_state("other", "ready");
            }
            let (mut code, mut text) = ask_in(&host, right, words);
            // The program that is ready is executed; it may not have come to its handlers.
            crate::support::wire::until("a program that handles the signal", || {
                let is_early = text.contains("does not handle");
                if is_early {
                    (code, text) = ask_in(&host, right, words);
                }
                !is_early
            });
            assert!(!text.contains("this needs"), "{right}: {words:?}: {text}");
            // There are no slots and no cgroups here.
            let fails = words == ["update", "/none.bundle"] || ["rollback", "freeze", "thaw"].contains(&words[0]);
            assert_eq!(code != 0, fails, "{right}: {words:?}: {text}");
        }
    }
    let json = ask_in(&host, "status", &["status", "--json"]).1;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["workloads"].as_array().map(Vec::len), Some(6), "{json}");
    // The command ends with its workload, perhaps before it has read the reply.
    ask_in(&host, "all", &["poweroff"]);
    let (_, console) = namespace.wait(SOON).expect("it ends");
    has_line(&console, "hilum: power off");
}

#[test]
fn socket_is_only_in_workloads_with_a_right_and_only_for_their_user() {
    let host = host_or_return!();
    let namespace = rights(&host);
    let (code, text) = ask_in(&host, "nothing", &["status"]);
    assert_eq!(code, 1);
    assert!(text.starts_with("hilum: /run/hilum.sock: ENOENT "), "{text}");
    let pid = process_of(&host, &namespace, "status");
    let found = std::fs::metadata(format!("/proc/{pid}/root/run/hilum.sock")).expect("a socket");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&found) & 0o7777, 0o600);
    // Its user 7 is another one of the host. No other user of the workload has access, and none of the host.
    let map = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).expect("a map");
    let first: u32 = map.split_whitespace().nth(1).and_then(|id| id.parse().ok()).expect("an id");
    for (user, is_permitted) in [(first + 7, true), (first + 8, false), (first, false), (7, false), (65_534, false)] {
        let run = std::process::Command::new("nsenter")
            .args(["--mount", "--target", &pid.to_string(), "--setuid", &user.to_string(), "--setgid", "65534"])
            .args(["--", "/bin/hilum", "status"])
            .output()
            .expect("nsenter");
        let text = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(i32::from(!is_permitted)), "{user}: {text}");
        assert!(is_permitted || text.contains("/run/hilum.sock: EACCES"), "{user}: {text}");
    }
}

/// The socket decides, not the process: also the host's root may not do more by a connection that it was given.
#[test]
fn descriptor_that_is_passed_on_has_the_right_of_its_socket() {
    let host = host_or_return!();
    let namespace = rights(&host);
    let path = socket_of(&host, &namespace, "status");
    let poweroff = b"h\x01\x0c\0\0\0\0\0";
    let status = b"h\x01\x01\0\0\0\0\0";
    let refusal = "the workload has \"control status\"; this needs \"control all\"";
    assert_eq!(request(&connect_to(&path), poweroff), Some((1, refusal.to_owned())));
    assert_eq!(request(&connect_to(&path), status), Some((0, String::new())));
    // A connection from before a restart is useless afterwards, whoever has it: a new one, and one that follows a log.
    let (silent, following) = (connect_to(&path), connect_to(&path));
    send(&following, b"h\x01\x02\x01\xff\xff\xff\xffother\0", SendFlags::NOSIGNAL).expect("a request");
    assert_eq!(host.ask(&["restart", "status", "-w"]).0, 0);
    assert_eq!(request(&silent, status), None);
    let mut reply = [0; 8192];
    while recv(&following, &mut reply, RecvFlags::empty()).expect("its end in time").1 > 0 {}
    assert_eq!(
        request(&connect_to(&socket_of(&host, &namespace, "status")), status),
        Some((0, String::new())),
        "a new one"
    );
}

#[test]
fn reload_gives_and_takes_rights() {
    let host = host_or_return!();
    let namespace = rights(&host);
    let (silent, kept) =
        (connect_to(&socket_of(&host, &namespace, "all")), connect_to(&socket_of(&host, &namespace, "update")));
    let file = host.scratch.path().join("hilum.conf");
    let text = std::fs::read_to_string(&file).expect("the config");
    let text = text
        .replace("control all", "control status")
        .replace("[workload nothing]", "[workload nothing]\ncontrol operate");
    std::fs::write(&file, text.replace("control operate\nuser", "user")).expect("the config");
    assert_eq!(host.ask(&["reload"]).0, 0, "{}", namespace.console.tail());
    for name in ["all", "nothing", "operate"] {
        host.expect_state(name, "ready");
    }
    assert_eq!(request(&silent, b"h\x01\x0c\0\0\0\0\0"), None, "from before");
    assert!(ask_in(&host, "all", &["poweroff"]).1.contains("has \"control status\"; this needs \"control all\""));
    assert_eq!(ask_in(&host, "nothing", &["stop", "other", "-w"]), (0, String::new()));
    assert!(ask_in(&host, "operate", &["status"]).1.contains("ENOENT"), "its right was taken");
    assert_eq!(request(&kept, b"h\x01\x01\0\0\0\0\0"), Some((0, String::new())), "it was not restarted");
}

/// Each source has places of its own; a workload that opens many connections closes only its own.
#[test]
fn connections_of_workloads_do_not_use_up_those_of_others() {
    let host = host_or_return!();
    let namespace = rights(&host);
    let one = namespace.process_one().expect("PID 1").as_raw_nonzero();
    let descriptors = || std::fs::read_dir(format!("/proc/{one}/fd")).expect("its descriptors").count();
    let (flooding, other) = (socket_of(&host, &namespace, "status"), socket_of(&host, &namespace, "operate"));
    let follow = b"h\x01\x02\x01\xff\xff\xff\xffother\0";
    let operators: Vec<_> = (0..3).map(|_| connect_to(&host.socket())).collect();
    for operator in &operators {
        send(operator, follow, SendFlags::NOSIGNAL).expect("a request");
    }
    let others = connect_to(&other);
    send(&others, follow, SendFlags::NOSIGNAL).expect("a request");
    // All of them are accepted by now.
    assert_eq!((host.ask(&["status"]).0, ask_in(&host, "operate", &["status"]).0), (0, 0));
    let before = descriptors();
    let mut held = Vec::new();
    for _ in 0..300 {
        let socket = connect_to(&flooding);
        let _ = send(&socket, follow, SendFlags::NOSIGNAL);
        held.push(socket);
    }
    assert_eq!(host.ask(&["status", "other"]).0, 0);
    assert_eq!(ask_in(&host, "operate", &["status"]).0, 0);
    assert!(descriptors() <= before + 8, "{} of {before}", descriptors());
    // All others still follow: they get no end of file.
    for socket in operators.iter().chain([&others]) {
        rustix::io::ioctl_fionbio(socket, true).expect("a flag");
        let mut reply = [0; 8192];
        loop {
            match recv(socket, &mut reply, RecvFlags::empty()) {
                Ok((_, length)) => assert!(length > 0, "its connection was closed"),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(errno) => panic!("{errno}"),
            }
        }
    }
}

/// Clients of other versions are told so.
#[test]
fn clients_of_other_versions_get_an_answer_that_says_so() {
    let host = host_or_return!();
    let namespace = rights(&host);
    let other = "PID 1 has version 1 of the control protocol, and not this command; use a hilum of its version";
    for path in [host.socket(), socket_of(&host, &namespace, "status")] {
        let ask = |bytes: &[u8]| request(&connect_to(&path), bytes).expect("an answer");
        // An older one, with another form behind the version, and a newer one.
        assert_eq!(ask(b"h\0"), (1, other.to_owned()));
        assert_eq!(ask(b"h\0\x01"), (1, other.to_owned()));
        assert_eq!(ask(b"h\x02\x01\0\0\0\0\0\0\0\0\0more"), (1, other.to_owned()));
        assert_eq!(ask(b"h\x01\x63\0\0\0\0\0"), (1, other.to_owned()));
        // A command that is not answered any more.
        assert_eq!(ask(b"h\x01\x15\0\0\0\0\0status\0memory.max\0"), (1, other.to_owned()));
    }
}
