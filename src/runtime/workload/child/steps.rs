//! The new process: it executes the plan and becomes the program.
//!
//! It is a copy of PID 1 without any of its resources. It never returns: a failed step is reported, and the process
//! exits with the status that shells and container engines use for this.

use super::filter::filter;
use super::program::Program;
use super::{identity, landlock, reaper};
use crate::os::clock::boottime_us;
use crate::os::errno::describe;
use crate::os::path::{chownat, listen_at};
use crate::os::privileges::drop_bounding_set;
use crate::workload::handover::{FdList, receive_fds};
use crate::workload::mounts;
use crate::workload::report::{Joining, Report, SET_UP_FAILED, send_time};
use core::ffi::CStr;
use core::mem::forget;
use hilum::config::{Config, User, Workload};
use hilum::plan::{self, CONTROL_NAME, FileSystem, NOTIFY, Phase, Plan, Scope, Setting, Step};
use hilum_sys::{SignalSet, exit};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, bind};

/// Exit statuses of a failed start, as in shells (POSIX 2.8.2) and container engines.
const STATUS_NOT_FOUND: i32 = 127;
const STATUS_NOT_EXECUTABLE: i32 = 126;

/// The file in /run that is mounted on /etc/hosts.
const HOSTS: &CStr = c"hosts";
/// Maximum bytes of it: 32 workloads with one or two addresses each.
const HOSTS_BYTES: usize = 4096;

/// Descriptors and context of the new process.
pub(crate) struct Pipes<'a> {
    /// Standard output and standard error.
    pub(crate) output: BorrowedFd<'a>,
    /// The report pipe.
    pub(crate) report: BorrowedFd<'a>,
    /// The socket for descriptors from the parent; `None` for a program that joins a workload.
    pub(crate) socket: Option<BorrowedFd<'a>>,
    /// The pipe of `ready fd`, if it is configured.
    pub(crate) ready: Option<BorrowedFd<'a>>,
    /// The notify socket, which has no path yet. PID 1 has it too.
    pub(crate) notify: Option<BorrowedFd<'a>>,
    /// The same for the control socket.
    pub(crate) control: Option<BorrowedFd<'a>>,
    /// Whether to report the time of the program's start.
    pub(crate) is_timed: bool,
    /// The path of the template.
    pub(crate) template: &'static str,
    /// The kernel's ABI version of Landlock.
    pub(crate) landlock_abi: u32,
    /// Whether its network namespace is set up, because it was kept.
    pub(crate) is_connected: bool,
    /// The configuration of the workload.
    pub(crate) config: &'a Config<'a>,
}

/// The new process.
struct Child<'a> {
    workload: &'a Workload<'a>,
    pipes: &'a Pipes<'a>,
    /// Descriptors from the parent, in the order in which they are attached.
    opened: FdList,
    /// How many of them are attached.
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

/// Executes the child's steps of `plan` and does not return.
pub(crate) fn run(workload: &Workload<'_>, plan: &Plan<'_>, pipes: &Pipes<'_>) -> ! {
    // A panic here prints a line and ends only this process (see `after_panic`). The umask is PID 1's, which is 0.
    let mut child = Child::new(workload, pipes);
    for (index, step) in plan.of(Phase::Child) {
        if let Err(errno) = child.apply(step) {
            child.fail(index, step, errno);
        }
    }
    // Not reached, because the last step of every plan executes the program.
    exit(SET_UP_FAILED.into())
}

/// Executes the steps of `plan` for a further program inside of the workload, and becomes that program. `connect`
/// creates its standard descriptors after the process has become the workload's user 0.
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
        // The last step before privileges are dropped.
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
    /// Reports a failed step, and exits.
    fn fail(&self, index: usize, step: &Step<'_>, errno: Errno) -> ! {
        Report { step: index, errno: describe(errno) }.send(self.pipes.report);
        exit(match (step, errno) {
            (Step::Execute(_), Errno::NOENT | Errno::LIBACC) => STATUS_NOT_FOUND,
            (Step::Execute(_), _) => STATUS_NOT_EXECUTABLE,
            _ => SET_UP_FAILED.into(),
        })
    }

    /// Executes one step.
    #[expect(clippy::too_many_lines, reason = "a table: one kind of step, the call that does it")]
    fn apply(&mut self, step: &Step<'_>) -> Result<(), Errno> {
        match *step {
            Step::ReceiveFds => match receive_fds(self.pipes.socket.ok_or(Errno::BADF)?)? {
                Some(opened) => {
                    self.opened = opened;
                    Ok(())
                }
                // The parent failed, and has reported why.
                None => exit(SET_UP_FAILED.into()),
            },
            Step::BecomeNsRoot => identity::become_zero(),
            Step::Session => rustix::process::setsid().map(|_| ()),
            Step::Keyring => match hilum_sys::own_keyring(c"hilum") {
                // A kernel without keyrings has none to inherit.
                Err(Errno::NOSYS) => Ok(()),
                result => result,
            },
            Step::Output => connect(self.dev.as_ref().ok_or(Errno::BADF)?, self.pipes.output),
            Step::Hostname(name) => rustix::system::sethostname(name.as_bytes()),
            Step::Loopback | Step::Setting(_) | Step::Link(..) if self.pipes.is_connected => Ok(()),
            Step::Loopback => crate::net::loopback_up(),
            Step::Link(link, number) => crate::net::set_up(self.pipes.config, self.workload, link, number),
            Step::Hosts => self.write_hosts(),
            Step::Setting(setting) => write(setting),
            // A kernel without inotify has no such limit, and in a container /proc/sys may be read-only.
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
            Step::Notify => bind(self.pipes.notify.ok_or(Errno::BADF)?, &SocketAddrUnix::new(NOTIFY)?),
            Step::Control(_) => {
                let run = self.run.as_ref().ok_or(Errno::BADF)?;
                let User { uid, gid } = self.workload.identity.user;
                let path = mounts::own_path(run.as_fd());
                // Ten digits and the name fit.
                let path = hilum::fixed_string::text::<48>(format_args!("{path}/{CONTROL_NAME}"));
                listen_at(self.pipes.control.ok_or(Errno::BADF)?, &path)?;
                chownat(run.as_fd(), CONTROL_NAME, uid, gid)
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
            // The other steps are done by the parent.
            _ => Ok(()),
        }
    }

    /// Closes all descriptors except 0, 1, 2, the report pipe, which is closed at exec, and the one for readiness.
    fn close_descriptors(&self, ready: u8) -> Result<(), Errno> {
        let (report, ready) = (self.pipes.report.as_raw_fd().unsigned_abs(), u32::from(ready));
        let Some(writer) = self.pipes.ready.filter(|_| ready > 0) else {
            return hilum_sys::close_all_but(&[report]);
        };
        hilum_sys::place_descriptor(writer, ready)?;
        hilum_sys::close_all_but(&[ready, report])
    }

    /// Its /etc/hosts is a file in /run, because the root filesystem is read-only.
    fn write_hosts(&self) -> Result<(), Errno> {
        let mut text: heapless::String<HOSTS_BYTES> = heapless::String::new();
        // Names that do not fit are omitted.
        let _ = plan::write_hosts(self.workload, self.pipes.config, &mut text);
        let run = self.run.as_ref().ok_or(Errno::BADF)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(run, HOSTS, flags, Mode::from_raw_mode(0o644))?;
        rustix::io::write(&file, text.as_bytes())?;
        mounts::attach_where_there(run, HOSTS, c"etc/hosts")
    }

    /// Returns the next descriptor from the parent to attach.
    fn next_opened(&mut self) -> Result<&OwnedFd, Errno> {
        self.attached += 1;
        self.opened.get(self.attached - 1).ok_or(Errno::BADF)
    }

    /// Stores a filesystem of which parts are covered later.
    fn keep(&mut self, mount: &plan::Mount, made: OwnedFd) {
        match mount.filesystem {
            FileSystem::Proc => self.proc = Some(made),
            FileSystem::Sysfs => self.sys = Some(made),
            FileSystem::Tmpfs => self.run = Some(made),
            _ => {}
        }
    }

    /// Returns the mount that contains a path below /proc or /sys.
    fn filesystem(&self, path: &CStr) -> Result<&OwnedFd, Errno> {
        let mount = if mounts::covered(path) == FileSystem::Sysfs { &self.sys } else { &self.proc };
        mount.as_ref().ok_or(Errno::BADF)
    }
}

/// Executes a step that needs nothing of a workload, for another engine. One that the parent does is nothing here.
///
/// The board has these arms in the match above: with this function instead its file had 64 bytes more.
#[cfg(feature = "engine")]
pub(crate) fn common(step: &Step<'_>) -> Result<(), Errno> {
    match *step {
        Step::BecomeNsRoot => identity::become_zero(),
        Step::Session => rustix::process::setsid().map(|_| ()),
        Step::Keyring => match hilum_sys::own_keyring(c"hilum") {
            // A kernel without keyrings has none to inherit.
            Err(Errno::NOSYS) => Ok(()),
            result => result,
        },
        Step::Hostname(name) => rustix::system::sethostname(name.as_bytes()),
        Step::Loopback => crate::net::loopback_up(),
        Step::Pivot => mounts::pivot(),
        Step::Directory(path) => mounts::enter(path),
        Step::Personality(persona) => hilum_sys::set_personality(persona),
        Step::DropBoundingSet(kept) => drop_bounding_set(kept),
        Step::NoNewPrivileges => rustix::thread::set_no_new_privs(true),
        Step::Umask(mask) => {
            rustix::process::umask(Mode::from_raw_mode(mask.into()));
            Ok(())
        }
        Step::Signals => {
            hilum_sys::mask(SignalSet::EMPTY);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Writes a setting. /proc/sys/net is that of the network namespace of the process that opens it (proc_sys(5)).
fn write(setting: &Setting) -> Result<(), Errno> {
    let file = rustix::fs::open(setting.path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let written = rustix::io::write(&file, setting.value.as_bytes());
    // A later step closes all descriptors at once.
    forget(file);
    written.map(|_| ())
}

/// Connects standard input to /dev/null, and standard output and error to the log pipe.
fn connect(dev: &OwnedFd, output: BorrowedFd<'_>) -> Result<(), Errno> {
    // Open it from the mount itself: a path could be redirected by a process that renames folders of the root
    // filesystem.
    let null = rustix::fs::openat(dev, c"null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    forget(null);
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(output)
}
