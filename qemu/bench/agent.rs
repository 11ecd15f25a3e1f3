//! hilum-agent beside node_exporter and rsyslogd, on this machine: memory, the bytes of the files that each maps, and a page.

use crate::contestants::make_root;
use crate::guest::Built;
use crate::memory::{Memory, memory};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);
/// Pages that are asked for, and lines that are sent.
const PAGES: usize = 20;
const LINES: usize = 1_000;
const WORKLOADS: usize = 32;

/// The result of one program.
pub(crate) struct Row {
    name: &'static str,
    /// Bytes of the program, its libraries and the modules that it loads; its memory; or why it could not be measured.
    used: Result<(u64, Memory)>,
    /// Bytes of a page, and the median of the time for one.
    page: Option<(usize, Duration)>,
}

/// A program, which is killed when this is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(quiet.spawn().with_context(|| format!("{}", quiet.get_program().display()))?))
    }

    fn used(&self) -> Result<(u64, Memory)> {
        Ok((mapped_bytes(self.0.id())?, memory(self.0.id())?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures all of them.
pub(crate) fn measure(built: &Built) -> Result<Vec<Row>> {
    let scratch = tempfile::tempdir()?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), open)?;
    let socket = scratch.path().join("socket");
    let _board = board(built, scratch.path(), &socket)?;
    let program = built.board("hilum-agent");
    let control = format!("control = \"{}\"\n", socket.display());
    let start = |name: &str, config: String| -> Result<Running> {
        let file = scratch.path().join(name);
        std::fs::write(&file, control.clone() + &config)?;
        Running::start(Command::new(&program).arg(file))
    };
    let mut rows = Vec::new();

    // First, because PID 1 has the last 16 KiB of lines.
    let (server, lines) = lines_server()?;
    let spool = scratch.path().join("spool").display().to_string();
    let agent = start("logs", format!("[logs]\nserver = \"{server}\"\nspool = \"{spool}\"\n"))?;
    let used = arrived(&lines).and_then(|()| agent.used());
    let sent = Row { name: "hilum-agent, 1,000 lines to a server", used, page: None };
    drop(agent);

    let port = free_port()?;
    let metrics = format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\ndisks = [\"/\"]\n");
    let agent = start("metrics", metrics)?;
    // A page is served again for a second.
    rows.push(pages("hilum-agent, metrics of 32 workloads", &agent, port, Duration::from_millis(1_050)));
    drop(agent);
    let port = free_port()?;
    let mut command = Command::new("prometheus-node-exporter");
    let row = match Running::start(command.arg(format!("--web.listen-address=127.0.0.1:{port}"))) {
        Ok(exporter) => pages("prometheus-node-exporter", &exporter, port, Duration::from_millis(50)),
        Err(error) => Row { name: "prometheus-node-exporter", used: Err(error), page: None },
    };
    rows.push(row);

    rows.push(sent);
    rows.push(Row { name: "rsyslogd, 1,000 lines to a server", used: rsyslog(scratch.path()), page: None });
    Ok(rows)
}

/// Starts a PID 1 with 32 workloads, of which one writes lines.
fn board(built: &Built, scratch: &Path, socket: &Path) -> Result<Running> {
    let root = scratch.join("root");
    make_root(&root, &built.debian("busybox"))?;
    let mut lines = format!("hilum 1\n[system]\nconsole log\ncontrol {}\n", socket.display());
    for number in 0..WORKLOADS {
        let run = if number == 0 {
            let part = LINES / 4;
            let batch = format!("for i in $(/bin/busybox seq {part}); do echo line $i; done; /bin/busybox sleep 1;");
            format!("/bin/busybox sh -c '/bin/busybox sleep 4; {} exec /bin/busybox sleep 100000'", batch.repeat(4))
        } else {
            "/bin/busybox sleep 100000".to_owned()
        };
        lines += &format!("[workload w{number}]\nroot {}\nexec {run}\n", root.display());
    }
    let config = scratch.join("hilum.conf");
    std::fs::write(&config, lines)?;
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child=KILL", "--"]);
    let board = Running::start(command.arg(built.board("hilum")).arg("--config").arg(config))?;
    let until = Instant::now() + DEADLINE;
    while !socket.exists() {
        ensure!(Instant::now() < until, "PID 1 does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    // They start, and write two seconds later.
    std::thread::sleep(Duration::from_secs(2));
    Ok(board)
}

/// Asks for pages, and looks at the program after that.
fn pages(name: &'static str, running: &Running, port: u16, pause: Duration) -> Row {
    let mut times = Vec::new();
    let mut all = || -> Result<(usize, Duration)> {
        let mut bytes = first(port)?;
        for _ in 0..PAGES {
            std::thread::sleep(pause);
            let start = Instant::now();
            bytes = page(port)?;
            times.push(start.elapsed());
        }
        times.sort();
        Ok((bytes, times[times.len() / 2]))
    };
    match all() {
        Ok(page) => Row { name, used: running.used(), page: Some(page) },
        Err(error) => Row { name, used: Err(error), page: None },
    }
}

/// Returns the bytes of a page.
fn page(port: u16) -> Result<usize> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (_, body) = text.split_once("\r\n\r\n").context("no page")?;
    Ok(body.len())
}

/// The same as soon as somebody listens.
fn first(port: u16) -> Result<usize> {
    let until = Instant::now() + DEADLINE;
    loop {
        match page(port) {
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
            found => return found,
        }
    }
}

/// A syslog server. Returns its address, and what it was sent.
fn lines_server() -> Result<(SocketAddr, Arc<Mutex<Vec<u8>>>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (address, received) = (listener.local_addr()?, Arc::default());
    let all: Arc<Mutex<Vec<u8>>> = Arc::clone(&received);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut buffer, mut stream) = ([0; 4096], stream?);
            let all = Arc::clone(&all);
            // rsyslogd has several connections at once.
            std::thread::spawn(move || {
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    all.lock().unwrap_or_else(PoisonError::into_inner).extend(&buffer[..read]);
                }
            });
        }
        Ok::<(), std::io::Error>(())
    });
    Ok((address, received))
}

/// Waits for all lines.
fn arrived(received: &Mutex<Vec<u8>>) -> Result<()> {
    let until = Instant::now() + DEADLINE;
    loop {
        let all = received.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.windows(6).filter(|part| *part == b" line ").count();
        if count == LINES {
            return Ok(());
        }
        let last = String::from_utf8_lossy(&all[all.len().saturating_sub(200)..]).into_owned();
        drop(all);
        ensure!(Instant::now() < until, "{count} lines arrive: {last}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// rsyslogd as a board has it: lines come in over TCP, are queued in a file if the server is away, and go on to the server.
fn rsyslog(scratch: &Path) -> Result<(u64, Memory)> {
    let (server, lines) = lines_server()?;
    let (port, work) = (free_port()?, scratch.display());
    let config = format!(
        "global(workDirectory=\"{work}\")\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
         action(type=\"omfwd\" protocol=\"tcp\" target=\"127.0.0.1\" port=\"{}\" queue.type=\"LinkedList\" queue.filename=\"q\" \
         queue.maxDiskSpace=\"4m\" action.resumeRetryCount=\"-1\")\n",
        server.port()
    );
    let file = scratch.join("rsyslog.conf");
    std::fs::write(&file, config)?;
    let mut command = Command::new("/usr/sbin/rsyslogd");
    let running = Running::start(command.arg("-n").arg("-f").arg(&file).arg("-i").arg(scratch.join("rsyslog.pid")))?;
    let until = Instant::now() + DEADLINE;
    let mut stream = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => break stream,
            Err(error) => ensure!(Instant::now() < until, "rsyslogd: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    for number in 0..LINES {
        writeln!(stream, "<30>1 2026-11-28T01:02:03Z kitchen w0 - - - line {number}")?;
    }
    drop(stream);
    arrived(&lines)?;
    running.used()
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Returns the bytes of all files that a process has mapped: the program, its libraries and what it has loaded (proc(5)).
fn mapped_bytes(pid: u32) -> Result<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let files: BTreeSet<&str> = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])).collect();
    files.into_iter().map(|file| Ok(std::fs::metadata(file).with_context(|| file.to_owned())?.len())).sum()
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| program | bytes, with libraries | resident KiB | private dirty KiB | a page: bytes | ms |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for Row { name, used, page } in rows {
        let page = page
            .map_or_else(|| "- | -".to_owned(), |(bytes, time)| format!("{bytes} | {:.1}", 1e3 * time.as_secs_f64()));
        text += &match used {
            Ok((bytes, memory)) => {
                format!("| {name} | {bytes} | {} | {} | {page} |\n", memory.resident_kb, memory.dirty_kb)
            }
            Err(error) => format!("| {name} | does not run here: {error:#} | | | | |\n"),
        };
    }
    text
}
