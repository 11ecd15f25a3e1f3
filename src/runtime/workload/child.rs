//! The new process: it carries out the plan on itself and becomes the program.
//!
//! It is a copy of PID 1 that owns nothing of it. It never returns: a step that fails is reported, and the process
//! ends with a status that shells and engines use for the same thing.

use super::handover::{Opened, receive};
use super::report::{Report, send_time};
use super::{identity, landlock, mounts};
use crate::init::words;
use core::ffi::CStr;
use hilum::config::{Workload, limits};
use hilum::plan::{self, FileSystem, Phase, Plan, Setting, Step};
use hilum::seccomp::{Arch, INSTRUCTIONS, Seccomp, assemble};
use hilum_sys::{Once, SignalSet, exit};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, Mode, OFlags, access};
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
    /// Where what was opened outside comes from.
    pub(super) socket: BorrowedFd<'a>,
    /// Whether the time of the program's start is reported.
    pub(super) is_timed: bool,
    /// Where the template lies.
    pub(super) template: &'static str,
}

/// The process on its way to becoming the program.
struct Child<'a> {
    workload: &'a Workload<'a>,
    pipes: &'a Pipes<'a>,
    /// What was opened outside, in the order in which it is attached.
    opened: Opened,
    /// How much of it is attached.
    attached: usize,
    proc: Option<OwnedFd>,
    sys: Option<OwnedFd>,
    dev: Option<OwnedFd>,
    template: Option<OwnedFd>,
}

/// Carries out the inside of `plan` and does not return.
pub(super) fn run(workload: &Workload<'_>, plan: &Plan<'_>, pipes: &Pipes<'_>) -> ! {
    // A panic in here has a line on the console and ends this process alone (see `after_panic`).
    rustix::process::umask(Mode::empty());
    let mut child =
        Child { workload, pipes, opened: Opened::new(), attached: 0, proc: None, sys: None, dev: None, template: None };
    for (index, step) in plan.of(Phase::Inside) {
        if let Err(errno) = child.apply(step) {
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

impl Child<'_> {
    /// Does one step.
    fn apply(&mut self, step: &Step<'_>) -> Result<(), Errno> {
        match *step {
            Step::Receive => match receive(self.pipes.socket)? {
                Some(opened) => {
                    self.opened = opened;
                    Ok(())
                }
                // The other side failed, and has said why.
                None => exit(STATUS_SETUP),
            },
            Step::Zero => identity::become_zero(),
            Step::Session => rustix::process::setsid().map(|_| ()),
            Step::Keyring => match hilum_sys::own_keyring(c"hilum") {
                // A kernel without keys has none to take over.
                Err(Errno::NOSYS) => Ok(()),
                result => result,
            },
            Step::Output => connect(self.dev.as_ref().ok_or(Errno::BADF)?, self.pipes.output),
            Step::Hostname(name) => rustix::system::sethostname(name.as_bytes()),
            Step::Loopback => crate::net::loopback_up(),
            Step::Setting(setting) => write(setting),
            Step::PrivateMounts => {
                self.template = Some(mounts::open_template(self.pipes.template)?);
                mounts::make_private()
            }
            Step::Root { is_writable } => mounts::attach_root(self.next_opened()?, is_writable),
            Step::Mount(ref mount) => {
                let made = mounts::make(mount)?;
                mounts::attach(&made, mount.target)?;
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
            Step::Mask(ref mask) => mounts::cover(self.filesystem(mask.path)?, mask, self.template()?),
            Step::Dev { is_own } => {
                self.attached += usize::from(is_own);
                let own = self.attached.checked_sub(1).and_then(|last| self.opened.get(last)).filter(|_| is_own);
                self.dev = Some(mounts::attach_dev(own, self.template()?)?);
                Ok(())
            }
            Step::Bind(ref bind) => mounts::attach_bind(self.next_opened()?, bind),
            Step::Pivot => mounts::pivot(),
            Step::Directory(path) => mounts::enter(path),
            Step::Personality(persona) => hilum_sys::set_personality(persona),
            Step::Bounding(kept) => identity::cut_bounding_set(kept),
            Step::NoNewPrivileges => rustix::thread::set_no_new_privs(true),
            Step::Landlock(tcp) => landlock::restrict(self.workload, tcp),
            Step::User { user, groups, has_denied_groups, capabilities } => {
                identity::become_user(user, groups, has_denied_groups, capabilities)
            }
            Step::Capabilities(kept) => identity::leave_capabilities(kept),
            Step::Umask(mask) => {
                rustix::process::umask(Mode::from_raw_mode(mask.into()));
                Ok(())
            }
            Step::Descriptors => close_all_but(self.pipes.report),
            Step::Signals => {
                hilum_sys::mask(SignalSet::EMPTY);
                Ok(())
            }
            Step::Seccomp(seccomp, capabilities) => filter(seccomp, capabilities.0),
            Step::Execute(path) => Err(execute(path, self.workload, self.pipes)),
            // The rest is done outside.
            _ => Ok(()),
        }
    }

    fn template(&self) -> Result<&OwnedFd, Errno> {
        self.template.as_ref().ok_or(Errno::BADF)
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
            _ => {}
        }
    }

    /// The mount that a path below /proc or /sys belongs to.
    fn filesystem(&self, path: &CStr) -> Result<&OwnedFd, Errno> {
        let mount = if mounts::covered(path) == FileSystem::Sysfs { &self.sys } else { &self.proc };
        mount.as_ref().ok_or(Errno::BADF)
    }
}

/// Assembles and installs the filter: nothing but execve(2), and what reports its failure, comes after it.
fn filter(seccomp: &Seccomp, capabilities: u64) -> Result<(), Errno> {
    let program = assemble(Arch::OWN, seccomp, capabilities);
    let mut instructions = [[0; 8]; INSTRUCTIONS];
    for (bytes, instruction) in instructions.iter_mut().zip(&program) {
        let ([code_low, code_high], [a, b, c, d]) = (instruction.code.to_le_bytes(), instruction.value.to_le_bytes());
        *bytes = [code_low, code_high, instruction.jump_true, instruction.jump_false, a, b, c, d];
    }
    hilum_sys::filter_system_calls(&instructions[..program.len()])
}

/// Writes a setting. /proc/sys/net is that of the network namespace of whoever opens it (proc_sys(5)).
fn write(setting: &Setting) -> Result<(), Errno> {
    let file = rustix::fs::open(setting.path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, setting.value.as_bytes()).map(|_| ())
}

/// Standard input is empty, standard output and error are the log pipe.
fn connect(dev: &OwnedFd, output: BorrowedFd<'_>) -> Result<(), Errno> {
    // From the mount itself: by its path, somebody who swaps folders of the root filesystem could have put another file
    // there.
    let null = rustix::fs::openat(dev, c"null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(output)
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
