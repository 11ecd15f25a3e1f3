//! The new process: it carries out the plan on itself and becomes the program.
//!
//! It is a copy of PID 1 that owns nothing of it. It never returns: a step that fails is reported, and the process
//! ends with a status that shells and engines use for the same thing.

use super::filter::filter;
use super::program::Program;
use super::{identity, landlock, reaper};
use crate::os::clock::boottime_us;
use crate::os::errno::describe;
use crate::os::privileges::drop_bounding_set;
use crate::workload::handover::{FdList, receive_fds, send_fds};
use crate::workload::mounts;
use crate::workload::report::{Joining, Report, SET_UP_FAILED, send_time};
use core::ffi::CStr;
use core::mem::forget;
use hilum::config::{Config, Workload};
use hilum::plan::{self, FileSystem, NOTIFY, Phase, Plan, Scope, Setting, Step};
use hilum_sys::{SignalSet, exit};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Statuses of a start that failed, as shells (POSIX 2.8.2) and container engines give them.
const STATUS_NOT_FOUND: i32 = 127;
const STATUS_NOT_EXECUTABLE: i32 = 126;

/// The file of /run that becomes /etc/hosts.
const HOSTS: &CStr = c"hosts";
/// Bytes of it: 32 workloads with one or two addresses each.
const HOSTS_BYTES: usize = 4096;

/// What the new process shares with PID 1.
pub(crate) struct Pipes<'a> {
    /// Standard output and standard error.
    pub(crate) output: BorrowedFd<'a>,
    /// The step that failed.
    pub(crate) report: BorrowedFd<'a>,
    /// Where what was opened outside comes from. `None` for a program that joins a workload.
    pub(crate) socket: Option<BorrowedFd<'a>>,
    /// What the program says by that it is ready, where it does so by a descriptor.
    pub(crate) ready: Option<BorrowedFd<'a>>,
    /// Where the socket goes on which the program reports its state.
    pub(crate) notify: Option<BorrowedFd<'a>>,
    /// Whether the time of the program's start is reported.
    pub(crate) is_timed: bool,
    /// Where the template lies.
    pub(crate) template: &'static str,
    /// The kernel's version of Landlock.
    pub(crate) landlock_abi: u32,
    /// The configuration that the workload is one of.
    pub(crate) config: &'a Config<'a>,
}

/// The process on its way to becoming the program.
struct Child<'a> {
    workload: &'a Workload<'a>,
    pipes: &'a Pipes<'a>,
    /// What was opened outside, in the order in which it is attached.
    opened: FdList,
    /// How much of it is attached.
    attached: usize,
    proc: Option<OwnedFd>,
    sys: Option<OwnedFd>,
    run: Option<OwnedFd>,
    dev: Option<OwnedFd>,
    template: Option<OwnedFd>,
    empty: mounts::Empty,
}

impl<'a> Child<'a> {
    fn new(workload: &'a Workload<'a>, pipes: &'a Pipes<'a>) -> Self {
        Self {
            workload,
            pipes,
            opened: FdList::new(),
            attached: 0,
            proc: None,
            sys: None,
            run: None,
            dev: None,
            template: None,
            empty: mounts::Empty::default(),
        }
    }
}

/// Carries out the inside of `plan` and does not return.
pub(crate) fn run(workload: &Workload<'_>, plan: &Plan<'_>, pipes: &Pipes<'_>) -> ! {
    // A panic in here has a line on the console and ends this process alone (see `after_panic`). The file mode creation
    // mask is PID 1's, which is empty.
    let mut child = Child::new(workload, pipes);
    for (index, step) in plan.of(Phase::Child) {
        if let Err(errno) = child.apply(step) {
            child.fail(index, step, errno);
        }
    }
    // The last step of every plan is the program, so this is not reached.
    exit(SET_UP_FAILED.into())
}

/// Carries out what `plan` holds for a further program inside of the workload, and becomes that program. `connect` makes
/// its standard descriptors, once the process is the workload's user 0.
pub(crate) fn run_program(
    workload: &Workload<'_>,
    plan: &Plan<'_>,
    pipes: &Pipes<'_>,
    program: &Program<'_>,
    connect: impl FnOnce() -> Result<(), (Joining, Errno)>,
) -> ! {
    let mut child = Child::new(workload, pipes);
    let mut connect = Some(connect);
    for (index, step) in plan.of(Phase::Child).filter(|(_, step)| step.is_for_exec()) {
        // The last thing before rights are given up.
        if matches!(step, Step::Directory(_))
            && let Some(connect) = connect.take()
            && let Err((joining, errno)) = connect()
        {
            child.fail(joining.step(), step, errno)
        }
        let result = match step {
            Step::Execute(_) => Err(program.execute(workload)),
            _ => child.apply(step),
        };
        if let Err(errno) = result {
            child.fail(index, step, errno);
        }
    }
    exit(SET_UP_FAILED.into())
}

impl Child<'_> {
    /// Reports a step that failed, and ends.
    fn fail(&self, index: usize, step: &Step<'_>, errno: Errno) -> ! {
        Report { step: index, errno: describe(errno) }.send(self.pipes.report);
        exit(match (step, errno) {
            (Step::Execute(_), Errno::NOENT | Errno::LIBACC) => STATUS_NOT_FOUND,
            (Step::Execute(_), _) => STATUS_NOT_EXECUTABLE,
            _ => SET_UP_FAILED.into(),
        })
    }

    /// Does one step.
    #[expect(clippy::too_many_lines, reason = "a table: one kind of step, the call that does it")]
    fn apply(&mut self, step: &Step<'_>) -> Result<(), Errno> {
        match *step {
            Step::ReceiveFds => match receive_fds(self.pipes.socket.ok_or(Errno::BADF)?)? {
                Some(opened) => {
                    self.opened = opened;
                    Ok(())
                }
                // The other side failed, and has said why.
                None => exit(SET_UP_FAILED.into()),
            },
            Step::BecomeNsRoot => identity::become_zero(),
            Step::Session => rustix::process::setsid().map(|_| ()),
            Step::Keyring => match hilum_sys::own_keyring(c"hilum") {
                // A kernel without keys has none to take over.
                Err(Errno::NOSYS) => Ok(()),
                result => result,
            },
            Step::Output => connect(self.dev.as_ref().ok_or(Errno::BADF)?, self.pipes.output),
            Step::Hostname(name) => rustix::system::sethostname(name.as_bytes()),
            Step::Loopback => crate::net::loopback_up(),
            Step::Link(link, number) => crate::net::set_up(self.pipes.config, self.workload, link, number),
            Step::Hosts => self.write_hosts(),
            Step::Setting(setting) => write(setting),
            // A kernel without inotify has nothing to share, and in a container /proc/sys may be read-only.
            Step::Share(share) => {
                let _ = write(share);
                Ok(())
            }
            Step::PrivateMounts => {
                self.template = Some(mounts::open_template(self.pipes.template)?);
                crate::os::root::make_private()
            }
            Step::Root { is_writable } => mounts::attach_root(self.next_opened()?, is_writable),
            Step::Mount(ref mount) if !mount.is_held => mounts::make_at(mount),
            Step::Mount(ref mount) => {
                let made = mounts::make(mount)?;
                mounts::attach_made(&made, mount)?;
                self.keep(mount, made);
                Ok(())
            }
            Step::Attach(ref mount) => {
                let made = rustix::io::fcntl_dupfd_cloexec(self.next_opened()?, 3)?;
                mounts::attach(&made, mount.target)?;
                self.keep(mount, made);
                Ok(())
            }
            Step::ReadOnly(path) => mounts::cover_read_only(self.filesystem(path)?, path),
            Step::Mask(ref mask) => {
                let filesystem = if mounts::covered(mask.path) == FileSystem::Sysfs { &self.sys } else { &self.proc };
                let (Some(filesystem), Some(template)) = (filesystem, &self.template) else { return Err(Errno::BADF) };
                self.empty.cover(filesystem, mask, template)
            }
            Step::Dev => {
                let made = rustix::io::fcntl_dupfd_cloexec(self.next_opened()?, 3)?;
                mounts::attach(&made, c"dev")?;
                self.dev = Some(made);
                Ok(())
            }
            Step::Bind(ref bind) => mounts::attach_bind(self.next_opened()?, bind),
            Step::Pivot => mounts::pivot(),
            Step::Notify => {
                let socket = notify_socket()?;
                let mut opened = FdList::new();
                // It is empty.
                let _ = opened.push(socket);
                send_fds(self.pipes.notify.ok_or(Errno::BADF)?, &opened)
            }
            Step::Directory(path) => mounts::enter(path),
            Step::Personality(persona) => hilum_sys::set_personality(persona),
            Step::DropBoundingSet(kept) => drop_bounding_set(kept),
            Step::NoNewPrivileges => rustix::thread::set_no_new_privs(true),
            Step::Landlock(tcp, joining) => {
                let scope = if self.pipes.socket.is_some() { Scope::ALL } else { joining };
                let held = [("/", self.opened.first()), ("/proc", self.proc.as_ref()), ("/dev", self.dev.as_ref())];
                landlock::restrict(self.workload, &self.pipes.config.pools, tcp, scope, self.pipes.landlock_abi, &held)
            }
            Step::User { user, groups, has_denied_groups, capabilities } => {
                identity::become_user(user, groups, has_denied_groups, capabilities)
            }
            Step::Capabilities(kept) => identity::drop_capabilities(kept),
            Step::Umask(mask) => {
                rustix::process::umask(Mode::from_raw_mode(mask.into()));
                Ok(())
            }
            Step::Descriptors { ready } => self.close_descriptors(ready),
            Step::Signals => {
                hilum_sys::mask(SignalSet::EMPTY);
                Ok(())
            }
            Step::Reaper => reaper::stay(self.workload, &self.pipes.config.pools),
            Step::Seccomp(seccomp, capabilities) => filter(seccomp, capabilities.0),
            Step::Execute(_) => {
                if self.pipes.is_timed {
                    send_time(self.pipes.report, boottime_us());
                }
                let pools = &self.pipes.config.pools;
                let program =
                    Program { words: pools.of(self.workload.exec), variables: pools.of(self.workload.env), term: None };
                Err(program.execute(self.workload))
            }
            // The rest is done outside.
            _ => Ok(()),
        }
    }

    /// Closes every descriptor but 0, 1, 2, the report, which the program's start closes, and the one that the program
    /// says by that it is ready.
    fn close_descriptors(&self, ready: u8) -> Result<(), Errno> {
        let (report, ready) = (self.pipes.report.as_raw_fd().unsigned_abs(), u32::from(ready));
        let Some(writer) = self.pipes.ready.filter(|_| ready > 0) else {
            return hilum_sys::close_all_but(&mut [report]);
        };
        hilum_sys::place_descriptor(writer, ready)?;
        hilum_sys::close_all_but(&mut [ready, report])
    }

    /// Its /etc/hosts is a file of its /run: the root filesystem cannot be written.
    fn write_hosts(&self) -> Result<(), Errno> {
        let mut text: heapless::String<HOSTS_BYTES> = heapless::String::new();
        // Whoever has more names than fit gets those of the first.
        let _ = plan::write_hosts(self.workload, self.pipes.config, &mut text);
        let run = self.run.as_ref().ok_or(Errno::BADF)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(run, HOSTS, flags, Mode::from_raw_mode(0o644))?;
        rustix::io::write(&file, text.as_bytes())?;
        mounts::attach_where_there(run, HOSTS, c"etc/hosts")
    }

    /// What is to be attached next of what was opened outside.
    fn next_opened(&mut self) -> Result<&OwnedFd, Errno> {
        self.attached += 1;
        self.opened.get(self.attached - 1).ok_or(Errno::BADF)
    }

    /// Keeps a filesystem of which parts are covered later.
    fn keep(&mut self, mount: &plan::Mount, made: OwnedFd) {
        match mount.filesystem {
            FileSystem::Proc => self.proc = Some(made),
            FileSystem::Sysfs => self.sys = Some(made),
            FileSystem::Tmpfs => self.run = Some(made),
            _ => {}
        }
    }

    /// Returns the mount that a path below /proc or /sys belongs to.
    fn filesystem(&self, path: &CStr) -> Result<&OwnedFd, Errno> {
        let mount = if mounts::covered(path) == FileSystem::Sysfs { &self.sys } else { &self.proc };
        mount.as_ref().ok_or(Errno::BADF)
    }
}

/// Returns the socket on which the program reports its state, non-blocking, with its path.
fn notify_socket() -> Result<OwnedFd, Errno> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(NOTIFY)?)?;
    Ok(socket)
}

/// Writes a setting. /proc/sys/net is that of the network namespace of whoever opens it (proc_sys(5)).
fn write(setting: &Setting) -> Result<(), Errno> {
    let file = rustix::fs::open(setting.path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let written = rustix::io::write(&file, setting.value.as_bytes());
    // A later step closes all descriptors at once.
    forget(file);
    written.map(|_| ())
}

/// Standard input is empty, standard output and error are the log pipe.
fn connect(dev: &OwnedFd, output: BorrowedFd<'_>) -> Result<(), Errno> {
    // From the mount itself: by its path, somebody who swaps folders of the root filesystem could have put another file
    // there.
    let null = rustix::fs::openat(dev, c"null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    forget(null);
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(output)
}
