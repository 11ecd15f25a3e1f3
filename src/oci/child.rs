//! The new process: it executes the plan, waits for `start`, and becomes the program.

use crate::config::{ConsoleSize, Process, Spec};
use crate::error::{At, Error, Result, words};
use crate::plan::{Plan, Step};
use crate::{files, hooks, labels, mounts};
use hilum::namespaces::Namespaces;
use hilum::plan::Phase;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{DumpableBehavior, Gid, Uid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::thread::{CapabilitySet, CapabilitySets, ThreadNameSpaceType};
use std::ffi::{CStr, CString};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

/// What the new process got from the parent.
pub struct Child<'a> {
    /// The container.
    pub spec: &'a Spec,
    /// The root filesystem, and the sources of bind mounts in the order of the mounts.
    pub root: OwnedFd,
    /// A source for each mount; `None` for filesystems.
    pub sources: Vec<Option<OwnedFd>>,
    /// The first process of a container that is joined, by `exec`.
    pub joins: Option<OwnedFd>,
    /// The socket to the parent.
    pub parent: UnixStream,
    /// Where it waits for `start`.
    pub listener: Option<UnixListener>,
    /// The connection of `start`.
    pub starter: Option<UnixStream>,
    /// The socket for the terminal.
    pub console: Option<UnixStream>,
    /// Descriptors after 2 that the program inherits.
    pub preserved: u32,
    /// The state for hooks.
    pub state: serde_json::Value,
    /// The program's path, once it was found.
    pub program: CString,
    /// How many mounts are done.
    pub mounted: usize,
    /// What hides paths.
    pub covers: mounts::Covers,
    /// The signals that this process ignores.
    pub ignored: u64,
    /// How many steps have left descriptors open.
    pub untidy: u32,
    /// The folder of the process's labels, if it is to get one.
    pub labels: Option<OwnedFd>,
}

impl Child<'_> {
    /// Executes the plan. Returns only an error.
    pub fn run(&mut self, plan: &Plan<'_>) -> Error {
        if plan.steps.iter().any(|step| matches!(step, Step::Label(_))) {
            match labels::open() {
                Ok(folder) => self.labels = Some(folder),
                Err(error) => return error,
            }
        }
        for step in &plan.steps {
            if let Err(error) = self.apply(step).and_then(|()| self.tidy(step)) {
                return error;
            }
        }
        Error("the plan has no program".into())
    }

    /// Closes what mounts have left open, many at once: each takes some system calls, and closing one by one would double them.
    fn tidy(&mut self, step: &Step<'_>) -> Result<()> {
        if !matches!(step, Step::Mount(..) | Step::ReadOnly(_) | Step::Mask(_)) {
            return Ok(());
        }
        self.untidy += 1;
        // A step leaves four at most.
        let limits = self.process().rlimits.iter().filter(|limit| limit.kind == "RLIMIT_NOFILE");
        let most = limits.map(|limit| limit.soft).min().map_or(64, |limit| (limit / 16).min(64));
        if u64::from(self.untidy) < most {
            return Ok(());
        }
        self.untidy = 0;
        self.covers.forget();
        let sources = self.sources.iter().flatten().map(AsRawFd::as_raw_fd);
        let own =
            [Some(self.root.as_raw_fd()), Some(self.parent.as_raw_fd()), self.labels.as_ref().map(AsRawFd::as_raw_fd)];
        let sockets = [self.listener.as_ref().map(AsRawFd::as_raw_fd), self.console.as_ref().map(AsRawFd::as_raw_fd)];
        // Descriptors for the program are below those of this program.
        let last = sources.chain(own.into_iter().chain(sockets).flatten()).max().unwrap_or(2);
        hilum_sys::close_range(last.unsigned_abs() + 1, u32::MAX).at("close_range")
    }

    /// Reports an error to whoever waits: `create`, or `start` once it was connected.
    pub fn report(&mut self, error: &Error) {
        let socket = self.starter.as_mut().unwrap_or(&mut self.parent);
        let _ = write!(socket, "E{error}");
    }

    fn apply(&mut self, step: &Step<'_>) -> Result<()> {
        match step {
            Step::Common(step) if step.phase() == Phase::Child => {
                hilum_runtime::engine::apply(step, None).at(format!("{step:?}"))
            }
            Step::Common(_) => Ok(()),
            Step::Join(flags) => self.join(*flags),
            Step::GroupNamespace(path) => group_namespace(*path).at("cgroup namespace"),
            Step::Domain(name) => rustix::system::setdomainname(name.as_bytes()).at("domainname"),
            Step::Propagation(flags) | Step::RootPropagation(flags) => {
                mount_change("/", MountPropagationFlags::from_bits_retain(*flags)).at("propagation of /")
            }
            Step::Root => mounts::enter_root(&self.root).at("rootfs"),
            Step::Mount(mount, options) => {
                let source = self.sources.get(self.mounted).and_then(Option::as_ref);
                self.mounted += 1;
                mounts::mount(&self.root, mount, options, source)
            }
            Step::Device(device, has_users) => mounts::device(&self.root, device, *has_users),
            Step::Links => mounts::usual_devices(&self.root, self.has_users()),
            Step::Console(size) => self.open_console(*size),
            Step::Sysctl(name, value) => {
                let path = format!("/proc/sys/{}", name.replace('.', "/"));
                std::fs::write(&path, value).at(format!("sysctl {name}"))
            }
            Step::ReadOnly(path) => mounts::read_only(&self.root, path).at(format!("readonlyPaths {path}")),
            Step::Mask(path) => mounts::mask(&self.root, path, &mut self.covers).at(format!("maskedPaths {path}")),
            Step::Hooks => self.run_hooks(),
            Step::ReadOnlyRoot => mounts::read_only_root(&self.root).at("root.readonly"),
            Step::Wait => self.wait(),
            Step::Label(label) => self.labels.as_ref().map_or(Ok(()), |folder| labels::set(folder, *label)),
            Step::User(process) => become_user(process).at("user"),
            Step::Capabilities(sets) => set_capabilities(sets.map(|set| set.0)).at("capabilities"),
            Step::Seccomp(program) => hilum_sys::filter_system_calls(program).at("seccomp"),
            Step::Execute => Err(self.execute()),
        }
    }

    /// Enters the namespaces of a container.
    fn join(&mut self, flags: u64) -> Result<()> {
        let process = self.joins.take().ok_or_else(|| Error("no container".into()))?;
        let kinds = ThreadNameSpaceType::from_bits_retain(flags as u32);
        rustix::thread::move_into_thread_name_spaces(process.as_fd(), kinds).at("setns")?;
        self.root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).at("/")?;
        Ok(())
    }

    fn process(&self) -> &Process {
        static NONE: std::sync::OnceLock<Process> = std::sync::OnceLock::new();
        self.spec.process.as_ref().unwrap_or_else(|| NONE.get_or_init(Process::default))
    }

    fn has_users(&self) -> bool {
        let linux = self.spec.linux.as_ref();
        linux.is_some_and(|linux| linux.namespaces.iter().any(|namespace| namespace.kind == "user"))
    }

    /// Sends one byte to the parent, and waits for its answer; without one, the parent has failed or is gone.
    fn ask(&mut self, question: u8) -> Result<()> {
        self.parent.write_all(&[question]).at("parent")?;
        let mut answer = [0];
        self.parent.read_exact(&mut answer).map_err(|_| Error("the parent is gone".into()))
    }

    fn run_hooks(&mut self) -> Result<()> {
        self.ask(b'H')?;
        let hooks = self.spec.hooks.as_ref().map(|hooks| hooks.create_container.as_slice());
        hooks::run(hooks.unwrap_or_default(), "createContainer", &self.state)
    }

    /// Creates the terminal in the container's devpts, and sends its other side to the engine.
    fn open_console(&mut self, size: Option<ConsoleSize>) -> Result<()> {
        const DEVPTS: u64 = 0x1cd1;
        let socket = self
            .console
            .take()
            .ok_or_else(|| Error("cannot allocate tty if runc will detach without setting console socket".into()))?;
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let master = mounts::open(self.root.as_fd(), "/dev/pts/ptmx", flags).at("/dev/pts/ptmx")?;
        if rustix::fs::fstatfs(&master).at("/dev/pts/ptmx")?.f_type as u64 & 0xffff_ffff != DEVPTS {
            return Err("/dev/pts/ptmx: not a terminal".into());
        }
        let make = || -> Result<OwnedFd, Errno> {
            unlockpt(&master)?;
            let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
            if let Some(size) = size {
                let size =
                    rustix::termios::Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
                rustix::termios::tcsetwinsize(&slave, size)?;
            }
            let user = &self.process().user;
            rustix::fs::fchown(&slave, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?;
            if self.listener.is_some() {
                mounts::console(&self.root, &slave)?;
            }
            rustix::process::ioctl_tiocsctty(&slave)?;
            rustix::stdio::dup2_stdin(&slave)?;
            rustix::stdio::dup2_stdout(&slave)?;
            rustix::stdio::dup2_stderr(&slave)?;
            Ok(slave)
        };
        make().at("terminal")?;
        hilum_sys::send_with_fds(socket.as_fd(), b"/dev/ptmx", &[master]).at("console socket")
    }

    /// Finds the program, tells the parent that everything is there, and waits for `start`; after `exec` for nothing.
    fn wait(&mut self) -> Result<()> {
        self.program = find(self.process())?;
        self.ask(b'C')?;
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let (starter, _) = listener.accept().at("start")?;
        self.starter = Some(starter);
        self.state["status"] = "created".into();
        let hooks = self.spec.hooks.as_ref().map(|hooks| hooks.start_container.as_slice());
        hooks::run(hooks.unwrap_or_default(), "startContainer", &self.state)
    }

    fn execute(&mut self) -> Error {
        let process = self.process();
        let strings = |list: &[String]| -> Vec<CString> {
            list.iter().filter_map(|text| CString::new(text.as_str()).ok()).collect()
        };
        let (arguments, mut environment) = (strings(&process.args), strings(&process.env));
        if !process.env.iter().any(|variable| variable.starts_with("HOME=")) {
            environment.extend(CString::new(format!("HOME={}", home(process.user.uid))));
        }
        let vector = |list: &'static [CString]| {
            list.iter().map(|text| Some(text.as_c_str())).chain([None]).collect::<Vec<Option<&'static CStr>>>()
        };
        // They live until the program replaces them.
        let (arguments, environment) = (vector(arguments.leak()), vector(environment.leak()));
        let starter = self.starter.as_ref().map_or(self.parent.as_raw_fd(), AsRawFd::as_raw_fd);
        let kept: Vec<u32> = (3..3 + self.preserved).chain([starter.unsigned_abs()]).collect();
        if let Err(errno) = hilum_sys::close_all_but(&kept) {
            return Error(format!("close_range: {}", words(errno)));
        }
        let mut room = vec![std::ptr::null(); arguments.len() + environment.len()];
        let errno = hilum_sys::execute_with(&self.program, &arguments, &environment, &mut room);
        Error(format!("exec {}: {}", self.program.to_string_lossy(), words(errno)))
    }
}

/// Enters a control group namespace, or creates one.
fn group_namespace(path: Option<&str>) -> Result<(), Errno> {
    let Some(path) = path else { return hilum_sys::unshare(Namespaces::CGROUP as u32) };
    let namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(rustix::thread::LinkNameSpaceType::ControlGroup))
}

/// Returns the home of a user in the container's /etc/passwd.
fn home(uid: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid)));
    found.and_then(|fields| fields.get(5).map(|home| (*home).to_owned())).unwrap_or_else(|| "/".to_owned())
}

/// Returns the path of the program, which `args` gives by path or by a name in PATH; errors have the words of runc. A relative path counts
/// from the working directory, which is entered later.
pub fn find(process: &Process) -> Result<CString> {
    use rustix::fs::Access;
    let name = process.args.first().map(String::as_str).unwrap_or_default();
    let path = process.env.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    let candidates: Vec<String> = match name.contains('/') {
        true => vec![name.to_owned()],
        false => path.split(':').filter(|folder| !folder.is_empty()).map(|folder| format!("{folder}/{name}")).collect(),
    };
    let mut text = format!("exec: {name:?}: executable file not found in $PATH");
    for candidate in candidates {
        let place = std::path::Path::new(&process.cwd).join(&candidate);
        let access = rustix::fs::access(&place, Access::EXEC_OK);
        if access == Err(Errno::NOENT) && !name.contains('/') {
            continue;
        }
        let is_plain = std::fs::metadata(&place).map(|found| found.is_file());
        match (is_plain, access) {
            (Ok(true), Ok(())) => return CString::new(candidate).map_err(|_| Error("NUL".into())),
            (Ok(false), _) => text = format!("exec: {name:?}: is a directory: permission denied"),
            (Ok(true), _) => text = format!("exec: {name:?}: permission denied"),
            (Err(_), _) if name.contains('/') => {
                text = format!("exec: {name:?}: stat {name}: no such file or directory")
            }
            (Err(_), _) => {}
        }
    }
    Err(Error(text))
}

fn become_user(process: &Process) -> Result<(), Errno> {
    let user = &process.user;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups: Vec<Gid> = user.additional_gids.iter().map(|group| Gid::from_raw(*group)).collect();
    rustix::thread::set_keep_capabilities(true)?;
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    rustix::thread::set_keep_capabilities(false)
}

fn set_capabilities([effective, permitted, inheritable, ambient]: [u64; 4]) -> Result<(), Errno> {
    let set = CapabilitySet::from_bits_retain;
    let sets = CapabilitySets { effective: set(effective), permitted: set(permitted), inheritable: set(inheritable) };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::clear_ambient_capability_set()?;
    // One that is not permitted and inheritable cannot be ambient.
    for number in (0..64).filter(|number| ambient & permitted & inheritable & 1 << number != 0) {
        rustix::thread::configure_capability_in_ambient_set(set(1 << number), true)?;
    }
    Ok(())
}

/// Returns the signals that this process ignores (proc_pid_status(5), SigIgn): SIGPIPE, which std ignores, and what a caller ignores. A
/// program would inherit that.
pub fn ignored() -> u64 {
    let text = files::read_line("/proc/self/status".as_ref()).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(u64::MAX)
}

/// Prepares a new process: no other one can trace it or open what it has open, until its program is executed (CVE-2016-9962). Files of
/// the set-up get the modes that they are created with.
pub fn prepare(ignored: u64) -> Result<()> {
    hilum_sys::reset_some_signals(ignored);
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at("prctl")?;
    rustix::process::umask(Mode::empty());
    Ok(())
}
