//! The new process: it carries out the plan on itself and becomes the program.
//!
//! It is a copy of PID 1 that owns nothing of it. It never returns: a step that fails is reported, and the process
//! ends with a status that shells and engines use for the same thing.

use super::report::{Report, send_time};
use super::{identity, mounts};
use crate::init::words;
use core::ffi::CStr;
use hilum::config::{Workload, limits};
use hilum::plan::{Plan, Setting, Step};
use hilum_sys::{Once, SignalSet, exit};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::{Access, CWD, Mode, OFlags, access, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;

/// Statuses of a start that failed, as shells (POSIX 2.8.2) and container engines give them.
const STATUS_NOT_FOUND: i32 = 127;
const STATUS_NOT_EXECUTABLE: i32 = 126;
const STATUS_SETUP: i32 = 125;

/// The environment of a program whose workload sets no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program's strings: every word of `exec` and every variable, each on a line of the configuration.
const STRINGS_BYTES: usize = limits::LINE_BYTES * (limits::VARIABLES + 2);
static STRINGS: Once<[u8; STRINGS_BYTES]> = Once::new([0; STRINGS_BYTES]);

/// What the new process shares with PID 1.
pub(super) struct Pipes<'a> {
    /// Standard output and standard error.
    pub(super) output: BorrowedFd<'a>,
    /// The step that failed.
    pub(super) report: BorrowedFd<'a>,
    /// Whether the time of the program's start is reported.
    pub(super) is_timed: bool,
}

/// Carries out `plan` and does not return.
pub(super) fn run(workload: &Workload<'_>, plan: &Plan<'_>, pipes: &Pipes<'_>) -> ! {
    // A panic in here has a line on the console and ends this process alone (see `after_panic`).
    rustix::process::umask(Mode::empty());
    for (index, step) in plan.steps.iter().enumerate() {
        if let Err(errno) = apply(step, workload, pipes) {
            Report { step: index, errno: words(errno) }.send(pipes.report);
            exit(match (step, errno) {
                (Step::Execute(_), Errno::NOENT | Errno::LIBACC) => STATUS_NOT_FOUND,
                (Step::Execute(_), _) => STATUS_NOT_EXECUTABLE,
                _ => STATUS_SETUP,
            });
        }
    }
    // The last step of every plan is the program, so this is not reached.
    exit(STATUS_SETUP)
}

/// Does one step.
fn apply(step: &Step<'_>, workload: &Workload<'_>, pipes: &Pipes<'_>) -> Result<(), Errno> {
    match *step {
        Step::Session => rustix::process::setsid().map(|_| ()),
        Step::Output => connect(pipes.output, workload),
        Step::Hostname(name) => rustix::system::sethostname(name.as_bytes()),
        Step::Loopback => crate::net::loopback_up(),
        Step::Setting(setting) => write(setting),
        Step::PrivateMounts => mounts::make_private(),
        Step::Root(path) => mounts::attach_root(path),
        Step::Folder(folder) => mkdirat(CWD, folder.path, Mode::from_raw_mode(0o755)),
        Step::Mount(mount) => mounts::attach(mount),
        Step::Node(node) => {
            let device = rustix::fs::makedev(node.major, node.minor);
            mknodat(CWD, node.path, rustix::fs::FileType::CharacterDevice, Mode::from_raw_mode(0o666), device)
        }
        Step::Link(link) => symlinkat(link.target, CWD, link.path),
        Step::Seal(path) => mounts::seal(path),
        Step::Pivot => mounts::pivot(),
        Step::Directory(path) => rustix::process::chdir(path),
        Step::Bounding => identity::empty_bounding_set(),
        Step::User(user) => identity::become_user(user),
        Step::Capabilities => identity::drop_capabilities(),
        Step::NoNewPrivileges => rustix::thread::set_no_new_privs(true),
        Step::Descriptors => close_all_but(pipes.report),
        Step::Signals => {
            rustix::process::umask(Mode::from_raw_mode(0o022));
            hilum_sys::mask(SignalSet::EMPTY);
            Ok(())
        }
        Step::Execute(path) => Err(execute(path, workload, pipes)),
    }
}

/// Writes a setting. /proc/sys/net is that of the network namespace of whoever opens it (proc_sys(5)).
fn write(setting: &Setting) -> Result<(), Errno> {
    let file = rustix::fs::open(setting.path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, setting.value.as_bytes()).map(|_| ())
}

/// Standard input is empty, standard output and error are the log pipe.
fn connect(output: BorrowedFd<'_>, workload: &Workload<'_>) -> Result<(), Errno> {
    // The working directory is the workload's root, and its /dev was filled a moment ago by this process alone.
    let null = rustix::fs::open(c"dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(output)?;
    // Programs open /dev/stdout again by its name, which asks for the pipe's own permissions.
    let (uid, gid) =
        (rustix::process::Uid::from_raw(workload.user.uid), rustix::process::Gid::from_raw(workload.user.gid));
    rustix::fs::fchown(output, Some(uid), Some(gid))
}

/// Closes every descriptor but 0, 1, 2 and the report, which the program's start closes.
fn close_all_but(report: BorrowedFd<'_>) -> Result<(), Errno> {
    let report = report.as_raw_fd().unsigned_abs();
    if report > 3 {
        hilum_sys::close_range(3, report - 1)?;
    }
    hilum_sys::close_range(report + 1, u32::MAX)
}

/// Becomes the program; returns only when that fails.
fn execute(path: &str, workload: &Workload<'_>, pipes: &Pipes<'_>) -> Errno {
    let Some(memory) = STRINGS.take() else { return Errno::NOMEM };
    let mut strings = Strings { free: memory };
    let mut arguments = [None; limits::EXEC_WORDS + 1];
    for (place, word) in arguments.iter_mut().zip(&workload.exec) {
        *place = strings.add(&[word]);
    }
    let mut environment = [None; limits::VARIABLES + 2];
    let mut places = environment.iter_mut();
    for (variable, place) in workload.env.iter().zip(&mut places) {
        *place = strings.add(&[variable.name, "=", variable.value]);
    }
    if !workload.env.iter().any(|variable| variable.name == "PATH")
        && let Some(place) = places.next()
    {
        *place = strings.add(&["PATH=", DEFAULT_PATH]);
    }
    let count = |list: &[Option<&CStr>]| list.iter().take_while(|string| string.is_some()).count();
    let (words, variables) = (count(&arguments), count(&environment));
    let Some(Some(program)) = arguments.first() else { return Errno::INVAL };
    if pipes.is_timed {
        send_time(pipes.report, hilum_sys::boottime_us());
    }
    let errno = hilum_sys::execute(program, &arguments[..=words], &environment[..=variables]);
    // The kernel says ENOENT for a missing dynamic loader too, as if the program were not there.
    if errno == Errno::NOENT && access(path, Access::EXISTS).is_ok() { Errno::LIBACC } else { errno }
}

/// Memory that C strings are put together in.
struct Strings {
    free: &'static mut [u8],
}

impl Strings {
    /// The parts as one C string; none where they do not fit or hold a NUL, which the parser rules out.
    fn add(&mut self, parts: &[&str]) -> Option<&'static CStr> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        let free = core::mem::take(&mut self.free);
        let (memory, rest) = free.split_at_mut_checked(length)?;
        self.free = rest;
        let mut at = 0;
        for part in parts {
            memory[at..at + part.len()].copy_from_slice(part.as_bytes());
            at += part.len();
        }
        CStr::from_bytes_with_nul(memory).ok()
    }
}
