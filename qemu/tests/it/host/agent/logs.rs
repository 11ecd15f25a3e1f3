//! Lines of workloads at Debian's rsyslog, over links that break.

use super::{Running, agent, eventually, free_port};
use crate::support::Host;
use hilum::wire::{Command, MESSAGE_BYTES, Reply, Request};
use std::collections::BTreeSet;
use std::path::Path;
use std::process;

/// A workload that writes four lines, fifteen times a second.
const BUSY: &str = "hilum 1\n[system]\ncontrol SOCKET\n\
    [workload a]\nroot ROOT\nexec /bin/probe do say:one say:two\nrestart always delay=50ms max=50ms\nlog quiet\n\
    [workload still]\nroot ROOT\nexec /bin/probe do 'say:ten]\"%' stay\n";

/// Starts rsyslogd, which writes each message before it reads the next one.
fn rsyslog(folder: &Path, port: u16, has_tls: bool) -> Running {
    let path = |name: &str| folder.join(name).display().to_string();
    let (global, module) = if has_tls {
        (
            format!(
                "defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\"",
                path("ca.crt"),
                path("server.crt"),
                path("server.key")
            ),
            "streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\"",
        )
    } else {
        (String::new(), "")
    };
    let config = format!(
        "global(workDirectory=\"{}\" {global})\nmain_queue(queue.type=\"Direct\")\nmodule(load=\"imtcp\" {module})\n\
         template(name=\"all\" type=\"string\" string=\"%hostname% %app-name% %structured-data% %msg%\\n\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"all\" asyncWriting=\"off\" flushOnTXEnd=\"on\" ioBufferSize=\"1k\")\n",
        folder.display(),
        path("messages")
    );
    std::fs::write(folder.join("rsyslog.conf"), config).expect("its configuration");
    let mut command = process::Command::new("/usr/sbin/rsyslogd");
    command.arg("-n").arg("-f").arg(folder.join("rsyslog.conf")).arg("-i").arg(folder.join("rsyslog.pid"));
    Running::start(command.stdin(process::Stdio::null()))
}

/// Returns the numbers of a workload's lines that rsyslog has written, and how many there were with those that came twice.
fn numbers(folder: &Path, workload: &str) -> (BTreeSet<u32>, usize) {
    let text = String::from_utf8_lossy(&std::fs::read(folder.join("messages")).unwrap_or_default()).into_owned();
    let number = |line: &str| -> Option<u32> {
        let rest = line.strip_prefix("kitchen ")?.strip_prefix(workload)?.strip_prefix(' ')?;
        rest.split_once(" line=\"")?.1.split_once("\"]")?.0.parse().ok()
    };
    let all: Vec<u32> = text.lines().filter_map(number).collect();
    (all.iter().copied().collect(), all.len())
}

/// Returns the number of the last line that PID 1 has of a workload.
fn last_number(host: &Host, workload: &str) -> u32 {
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recv, send, socket};
    let mut request = Request { number: 1, ..Request::new(Command::Log) };
    request.words.push(workload).expect("room");
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
    connect(&socket, &SocketAddrUnix::new(host.socket()).expect("a path")).expect("PID 1");
    send(&socket, &request.message().expect("it fits"), SendFlags::empty()).expect("PID 1");
    let mut buffer = [0; MESSAGE_BYTES];
    let (length, _) = recv(&socket, &mut buffer, RecvFlags::empty()).expect("a reply");
    let Ok(Reply::Line(number, ..)) = Reply::read(&buffer[..length]) else { panic!("{:?}", &buffer[..length]) };
    number
}

fn config(host: &Host, port: u16, more: &str) -> String {
    let spool = host.scratch.path().join("spool").display().to_string();
    format!("[logs]\nserver = \"localhost:{port}\"\nspool = \"{spool}\"\nhostname = \"kitchen\"\n{more}")
}

/// Waits until so many more lines have arrived.
fn more(folder: &Path, count: usize) {
    let before = numbers(folder, "a").0.len();
    eventually("lines arrive", || (numbers(folder, "a").0.len() >= before + count).then_some(()));
}

/// Lets links break in every way, and compares what arrived with what PID 1 has counted.
fn break_links(has_tls: bool, tls: &str) {
    let host = host_or_return!();
    let folder = host.scratch.path().to_owned();
    if has_tls {
        certificates(&folder);
    }
    let _namespace = host.start(BUSY);
    host.expect_state("still", "ready");
    let port = free_port();
    let config = config(&host, port, &tls.replace("FOLDER", folder.to_str().expect("UTF-8")));
    // Nobody listens yet.
    let mut sender = agent(&host, &config);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut server = rsyslog(&folder, port, has_tls);
    for turn in 0..3 {
        more(&folder, 20);
        // Killed in the middle: the server, then the agent, then both.
        if turn != 1 {
            drop(server);
            std::thread::sleep(std::time::Duration::from_millis(300));
            server = rsyslog(&folder, port, has_tls);
        }
        if turn != 0 {
            drop(sender);
            sender = agent(&host, &config);
        }
    }
    more(&folder, 5);
    assert_eq!(host.ask(&["stop", "a", "-w"]).0, 0);
    let last = last_number(&host, "a");
    eventually("all lines", || numbers(&folder, "a").0.contains(&last).then_some(()));
    let (found, all) = numbers(&folder, "a");
    let missing: Vec<u32> = (0..=last).filter(|number| !found.contains(number)).collect();
    println!("tls {has_tls}: {} lines, {} came twice", found.len(), all - found.len());
    assert_eq!(missing, Vec::<u32>::new(), "of {last}");
    let text = std::fs::read_to_string(folder.join("messages")).expect("messages");
    assert!(
        text.lines().any(|line| line.starts_with("kitchen still [meta sequenceId=\"") && line.ends_with("] ten]\"%")),
        "{text}"
    );
    // It is known to have arrived, so nothing is sent again.
    eventually("the spool is empty", || (segments(&host) == 0).then_some(()));
    // The server may still write what came twice.
    let lines = || std::fs::read_to_string(folder.join("messages")).expect("messages").lines().count();
    let mut count = lines();
    eventually("the server writes no more", || {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let before = std::mem::replace(&mut count, lines());
        (before == count).then_some(())
    });
    drop(sender);
    let _sender = agent(&host, &config);
    std::thread::sleep(std::time::Duration::from_millis(700));
    let text = std::fs::read_to_string(folder.join("messages")).expect("messages");
    assert_eq!(text.lines().count(), count, "{text}");
    drop(server);
}

/// Returns the number of segments in the spool.
fn segments(host: &Host) -> usize {
    let entries = std::fs::read_dir(host.scratch.path().join("spool")).expect("the spool");
    entries
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".log")))
        .count()
}

#[test]
fn no_line_is_lost_over_broken_links() {
    break_links(false, "");
}

#[test]
fn no_line_is_lost_over_broken_links_with_tls() {
    break_links(true, "[logs.tls]\nca = \"FOLDER/ca.crt\"\n");
}

/// Makes a certificate authority, and a certificate for localhost.
fn certificates(folder: &Path) {
    let openssl = |words: &str| {
        let mut command = process::Command::new("openssl");
        let output = command.args(words.split_whitespace()).current_dir(folder).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500";
    openssl(&format!("{new} -subj /CN=ca -keyout ca.key -out ca.crt"));
    openssl(&format!("{new} -subj /CN=other -keyout other.key -out other.crt"));
    openssl(&format!(
        "{new} -subj /CN=server -CA ca.crt -CAkey ca.key -addext subjectAltName=DNS:localhost -addext basicConstraints=CA:FALSE -keyout server.key -out server.crt"
    ));
}

#[test]
fn server_that_cannot_prove_its_name_gets_nothing() {
    let host = host_or_return!();
    let folder = host.scratch.path().to_owned();
    certificates(&folder);
    let _namespace = host.start(BUSY);
    host.expect_state("still", "ready");
    let port = free_port();
    let _server = rsyslog(&folder, port, true);
    eventually("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    for wrong in ["ca = \"FOLDER/other.crt\"\n", "ca = \"FOLDER/ca.crt\"\nname = \"elsewhere\"\n"] {
        let tls = format!("[logs.tls]\n{}", wrong.replace("FOLDER", folder.to_str().expect("UTF-8")));
        let said = said_by_agent(&host, &config(&host, port, &tls));
        assert!(said.contains("hilum-agent: logs: cannot connect: invalid peer certificate: "), "{said}");
        assert_eq!(numbers(&folder, "still").1, 0);
    }
}

/// Returns the first line that the agent prints.
fn said_by_agent(host: &Host, config: &str) -> String {
    let file = host.scratch.path().join("agent.toml");
    std::fs::write(&file, format!("control = \"{}\"\n{config}", host.socket().display())).expect("its configuration");
    let mut command = process::Command::new(crate::support::built("tools/hilum-agent"));
    let mut agent = command.arg(file).stderr(process::Stdio::piped()).spawn().expect("the agent");
    let mut line = String::new();
    let mut errors = std::io::BufReader::new(agent.stderr.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut errors, &mut line).expect("a line");
    agent.kill().and_then(|()| agent.wait()).expect("it runs");
    line
}
