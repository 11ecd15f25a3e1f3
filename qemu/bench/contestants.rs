//! The compared programs, and how each starts a program.

use anyhow::{Context, Result, bail, ensure};
use hilum::wire::{Command as Asked, MESSAGE_BYTES, Reply, Request};
use hilum_qemu::Namespace;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// In the order in which they take turns.
pub(crate) const NAMES: [&str; 6] = ["hilum", "floor.c, resident", FRESH_FLOOR, "bubblewrap", "crun", "runc"];
/// The same with a program without libc, on this machine: what remains is the start itself.
pub(crate) const BARE: [&str; 2] = ["hilum, no libc", "floor.c, resident, no libc"];
/// The reference of the comparison.
pub(crate) const FRESH_FLOOR: &str = "floor.c, started afresh";

/// The control socket of a guest's PID 1 as seen by its workload `bench`, which has the board's /run there.
pub(crate) const GUEST_SOCKET: &str = "/board/hilum.sock";

/// The timeout of a start.
const DEADLINE: Duration = Duration::from_secs(20);

/// The environment in which contestants run.
pub(crate) struct Place {
    scratch: tempfile::TempDir,
    /// The root filesystem that all use.
    root: PathBuf,
    floor: PathBuf,
    /// The ELF file for PID 1 of a PID namespace; `None` if hilum is PID 1 of the machine.
    hilum: Option<PathBuf>,
}

impl Place {
    /// Prepares this machine: creates a root filesystem with busybox.
    pub(crate) fn host(hilum: &Path, busybox: &Path, floor: &Path, probe: &Path) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let root = scratch.path().join("root");
        make_root(&root, busybox)?;
        std::fs::copy(probe, root.join("bin/probe")).with_context(|| probe.display().to_string())?;
        Self::new(scratch, root, floor, Some(hilum.to_owned()))
    }

    /// Returns a guest with hilum as PID 1, as seen from its workload `bench`.
    pub(crate) fn guest() -> Result<Self> {
        Self::new(tempfile::tempdir()?, "/rootfs".into(), Path::new("/bin/floor"), None)
    }

    /// Creates the environment, with the template of masks and devices for floor.c, and bundles for container engines.
    fn new(scratch: tempfile::TempDir, root: PathBuf, floor: &Path, hilum: Option<PathBuf>) -> Result<Self> {
        std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755))?;
        for folder in ["template/mask/folder", "template/dev/pts", "template/dev/shm"] {
            std::fs::create_dir_all(scratch.path().join(folder))?;
        }
        for file in ["template/mask/file", "template/dev/null"] {
            std::fs::write(scratch.path().join(file), "")?;
        }
        Ok(Self { scratch, root, floor: floor.to_owned(), hilum })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Returns the command line of a contestant that is executed for each start, in a cgroup below `group` if given.
    pub(crate) fn words(&self, name: &str, group: Option<&str>) -> Result<Vec<String>> {
        let root = self.root.display().to_string();
        let words = match name {
            FRESH_FLOOR => vec![self.floor.display().to_string(), root],
            "bubblewrap" => {
                let text = format!(
                    "bwrap --unshare-all --unshare-user --uid 0 --gid 0 --cap-drop ALL --ro-bind {root} / --proc /proc \
                     --dev /dev --tmpfs /tmp --tmpfs /run --new-session /bin/busybox true"
                );
                text.split(' ').map(str::to_owned).collect()
            }
            engine => {
                let folder = self.path(&format!("{engine}{}", group.unwrap_or_default().replace('/', "-")));
                let group = group.map(|group| format!("{group}/{engine}"));
                std::fs::create_dir_all(&folder)?;
                let spec = bundle(engine, &self.root, &["/bin/busybox", "true"], group.as_deref())?;
                std::fs::write(folder.join("config.json"), spec)?;
                [engine, "run", "--bundle", &folder.display().to_string(), "bench"].map(str::to_owned).into()
            }
        };
        Ok(words)
    }

    /// Returns a command with the environment that floor.c needs: its template, and in a guest a cgroup.
    pub(crate) fn command(&self, words: &[String], group: &str) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("TEMPLATE", self.path("template"));
        if self.hilum.is_none() {
            command.env("GROUP", format!("/sys/fs/cgroup{group}/floor"));
        }
        command
    }
}

/// Returns the configuration of a container engine: its own default, with the program to start, and in a cgroup.
pub(crate) fn bundle(engine: &str, root: &Path, words: &[&str], group: Option<&str>) -> Result<String> {
    let scratch = tempfile::tempdir()?;
    let made = Command::new(engine).arg("spec").current_dir(scratch.path()).output();
    let made = made.with_context(|| format!("{engine} is not installed"))?;
    ensure!(made.status.success(), "{}", last_line(&made.stderr));
    let mut spec: Value = serde_json::from_slice(&std::fs::read(scratch.path().join("config.json"))?)?;
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(words);
    spec["root"]["path"] = json!(root);
    if let Some(group) = group {
        spec["linux"]["cgroupsPath"] = json!(group);
    }
    Ok(spec.to_string())
}

/// Creates a root filesystem with busybox and mount points.
pub(crate) fn make_root(root: &Path, busybox: &Path) -> Result<()> {
    for folder in ["bin", "dev", "etc", "proc", "run", "sys", "tmp"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::copy(busybox, root.join("bin/busybox")).with_context(|| busybox.display().to_string())?;
    Ok(())
}

/// A contestant.
pub(crate) struct Contestant<'a> {
    pub(crate) name: String,
    place: &'a Place,
    way: Way,
}

enum Way {
    /// A running supervisor that is controlled by its socket.
    Resident { pid: String, socket: PathBuf, _namespace: Option<Namespace> },
    /// A process that starts the program when it reads a byte, and prints the elapsed time.
    Loop(Child, ChildStdin, BufReader<ChildStdout>),
    /// A program that is executed each time.
    Fresh(Vec<String>),
}

impl<'a> Contestant<'a> {
    /// Prepares a contestant.
    ///
    /// # Errors
    /// It is not installed, or cannot run here.
    pub(crate) fn new(name: &str, place: &'a Place) -> Result<Self> {
        let way = match (name, &place.hilum) {
            ("hilum", None) => Way::Resident { pid: "1".to_owned(), socket: GUEST_SOCKET.into(), _namespace: None },
            ("hilum" | "hilum, no libc", Some(hilum)) => {
                let (mark, program) = if name == "hilum" { ("", "busybox true") } else { ("-bare", "probe exit 0") };
                let socket = place.path(&format!("socket{mark}"));
                let config = place.path(&format!("hilum{mark}.conf"));
                let root = place.root.display();
                let lines = format!(
                    "hilum 1\n[system]\ncontrol {}\n[workload true]\nroot {root}\nexec /bin/{program}\nrestart never\n\
                     ready exit\n[workload rest]\nroot {root}\nexec /bin/busybox sleep 100000\n",
                    socket.display()
                );
                std::fs::write(&config, lines)?;
                let namespace = Namespace::start(hilum, &config, &[])?;
                namespace.console.expect("workload \"true\": ready", DEADLINE)?;
                let pid = namespace.process_one()?.as_raw_nonzero().to_string();
                Way::Resident { pid, socket, _namespace: Some(namespace) }
            }
            ("floor.c, resident" | "floor.c, resident, no libc", _) => {
                let mut words = place.words(FRESH_FLOOR, None)?;
                words.push("resident".to_owned());
                let mut child = place.command(&words, "");
                if BARE.contains(&name) {
                    child.env("WITHOUT_LIBC", "1");
                }
                let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
                let (input, output) = (child.stdin.take(), child.stdout.take());
                Way::Loop(child, input.context("a pipe")?, BufReader::new(output.context("a pipe")?))
            }
            _ => Way::Fresh(place.words(name, None)?),
        };
        Ok(Self { name: name.to_owned(), place, way })
    }

    /// Performs one start. Returns the time until the program has exited.
    ///
    /// # Errors
    /// The start failed; with its output.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        match &mut self.way {
            Way::Resident { socket, .. } => ask(socket, Asked::Start, "true"),
            Way::Loop(_, input, output) => {
                input.write_all(b"!")?;
                let mut line = String::new();
                output.read_line(&mut line)?;
                Ok(Duration::from_micros(line.trim().parse().context("it has ended")?))
            }
            Way::Fresh(words) => {
                let mut command = self.place.command(words, "");
                let begin = Instant::now();
                let output =
                    command.stdin(Stdio::null()).output().with_context(|| format!("{} is not installed", words[0]))?;
                let passed = begin.elapsed();
                ensure!(output.status.success(), "{}", last_line(&output.stderr));
                Ok(passed)
            }
        }
    }

    /// Returns the number of system calls of a start, over all processes involved; `None` if they were not counted.
    pub(crate) fn count_calls(&mut self) -> Result<Option<usize>> {
        let trace = self.place.path("trace");
        let output = trace.to_str().context("UTF-8")?.to_owned();
        let mut strace = vec!["strace".to_owned(), "-f".to_owned(), "-o".to_owned(), output];
        match &self.way {
            Way::Fresh(words) => {
                strace.extend(words.iter().cloned());
                let done = self.place.command(&strace, "").stdin(Stdio::null()).output().context("strace")?;
                ensure!(done.status.success(), "under strace: {}", last_line(&done.stderr));
            }
            Way::Resident { pid, socket, .. } => {
                let mut child =
                    Command::new("strace").args(&strace[1..]).args(["-p", pid]).stderr(Stdio::piped()).spawn()?;
                let mut said = [0; 1];
                // Its first output means that it has attached; the pipe must stay open for further output.
                let mut words = child.stderr.take().context("a pipe")?;
                words.read_exact(&mut said)?;
                ask(socket, Asked::Start, "true")?;
                std::thread::sleep(Duration::from_millis(200));
                let pid = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
                child.wait()?;
            }
            Way::Loop(..) => return Ok(None),
        }
        let text = std::fs::read_to_string(&trace)?;
        let is_call = |line: &&str| line.contains('(') && !line.contains(" resumed>");
        Ok(Some(text.lines().filter(is_call).count()))
    }
}

impl Drop for Contestant<'_> {
    fn drop(&mut self) {
        if let Way::Loop(child, ..) = &mut self.way {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a command about a workload to hilum, and waits for the last reply: of a start or restart, until the workload is
/// ready.
pub(crate) fn ask(socket: &Path, command: Asked, workload: &str) -> Result<Duration> {
    let mut request = Request::new(command);
    request.is_waiting = true;
    let fits = request.words.push(workload).is_ok();
    let message = request.message().ok().filter(|_| fits).context("a request")?;
    let begin = Instant::now();
    let connection = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&connection, &SocketAddrUnix::new(socket)?)?;
    rustix::net::send(&connection, &message, SendFlags::NOSIGNAL)?;
    let mut buffer = [0; MESSAGE_BYTES];
    loop {
        let (_, length) = rustix::net::recv(&connection, &mut buffer, RecvFlags::empty())?;
        match Reply::read(&buffer[..length]) {
            Ok(Reply::Done(0, _)) => return Ok(begin.elapsed()),
            Ok(Reply::Done(status, text)) => bail!("status {status}: {text}"),
            Ok(_) => {}
            Err(_) => bail!("it has ended the connection"),
        }
    }
}

/// Returns the last line of a program's output.
pub(crate) fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word").to_owned()
}
