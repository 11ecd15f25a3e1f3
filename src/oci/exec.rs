//! `exec`: a further process in a container that runs.
//!
//! The new process is started in the control group of the container's first one, so it never runs outside of its limits; it enters
//! the namespaces by a descriptor of that process, cannot be traced meanwhile, and then goes the same way as a first process.

use crate::arguments::{Executing, Further};
use crate::cgroup::{self, Group};
use crate::child::Child;
use crate::config::{Linux, Namespace, Process, Spec};
use crate::create::{apply_for, check_preserved, console, live, set_io_priority};
use crate::error::{At, Error, Result};
use crate::plan::Plan;
use crate::state::{Folder, Kept, Status, process, write_whole};
use crate::{labels, refuse, terminal};
use hilum_sys::Cloned;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::ThreadNameSpaceType;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Starts a process in a container, and waits for its exit unless it detaches. Returns its exit status.
///
/// # Errors
/// The container does not run, or the program could not be executed.
pub fn exec(root: &Path, wanted: &Executing) -> Result<i32> {
    check_preserved(wanted.preserved)?;
    let folder = Folder::open(root, &wanted.id)?;
    let kept = folder.read()?;
    match kept.status(&folder.path) {
        Status::Stopped => return Err("cannot exec in a stopped container".into()),
        Status::Paused if !wanted.ignores_pause => {
            return Err("cannot exec in a paused container (use --ignore-paused to override)".into());
        }
        _ => {}
    }
    let spec = describe(&kept, wanted)?;
    let has_terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    if has_terminal && wanted.console.is_none() && wanted.detaches {
        return Err("cannot allocate tty if runc will detach without setting console socket".into());
    }
    let plan = crate::plan::further(&spec)?;
    let mut own = None;
    if !wanted.detaches {
        terminal::block();
    }
    let console = console(wanted.console.as_deref(), &spec, (!wanted.detaches).then_some(&mut own))?;
    let pid = start(&folder, &kept, &spec, &plan, wanted, console)?;
    // Other commands may change the container while the process runs.
    drop(folder);
    if wanted.detaches { Ok(0) } else { terminal::accompany(pid, own.as_ref()) }
}

/// Returns the description of the process, from `--process` or from that of the first one and flags.
fn describe(kept: &Kept, wanted: &Executing) -> Result<Spec> {
    let process = match &wanted.further {
        Further::File(path) => {
            let text = std::fs::read(path).at(path.display())?;
            serde_json::from_slice(&text).map_err(|error| Error(format!("{}: {error}", path.display())))?
        }
        Further::Words(words) => adjust(&kept.defaults.process, words, wanted)?,
    };
    refuse::check_process(&process)?;
    labels::check(&process)?;
    let kinds = kept.defaults.namespaces.iter();
    let linux = Linux {
        namespaces: kinds.map(|kind| Namespace { kind: kind.clone(), path: None }).collect(),
        seccomp: kept.defaults.seccomp.clone(),
        personality: kept.defaults.personality.clone(),
        ..Linux::default()
    };
    Ok(Spec { process: Some(process), linux: Some(linux), ..Spec::default() })
}

fn adjust(first: &Process, words: &[String], wanted: &Executing) -> Result<Process> {
    let mut process = Process { args: words.to_vec(), terminal: wanted.has_terminal, ..first.clone() };
    process.env.extend(wanted.env.iter().cloned());
    if let Some(cwd) = &wanted.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some(user) = &wanted.user {
        let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
        let number = |text: &str| text.parse().map_err(|_| Error(format!("--user {user:?}: not a number")));
        (process.user.uid, process.user.gid) = (number(uid)?, number(gid)?);
    }
    if !wanted.groups.is_empty() {
        process.user.additional_gids.clone_from(&wanted.groups);
    }
    process.no_new_privileges |= wanted.no_new_privileges;
    if !wanted.capabilities.is_empty() {
        let sets = process.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.extend(wanted.capabilities.iter().cloned());
        }
    }
    Ok(process)
}

/// Starts the process. Returns it once its program is executed.
fn start(
    folder: &Folder,
    kept: &Kept,
    spec: &Spec,
    plan: &Plan<'_>,
    wanted: &Executing,
    console: Option<UnixStream>,
) -> Result<Pid> {
    let gone = || Error("cannot exec in a stopped container".into());
    let first = Pid::from_raw(kept.pid).ok_or_else(gone)?;
    let handle = pidfd_open(first, PidfdFlags::empty()).map_err(|_| gone())?;
    let group = group(kept)?;
    // The number may have been given to another process before it was opened.
    if process(kept.pid).is_none_or(|(_, start)| start != kept.start_time) {
        return Err(gone());
    }
    let (mut own, other) = UnixStream::pair().at("socketpair")?;
    if kept.defaults.namespaces.iter().any(|kind| kind == "pid") {
        let kind = ThreadNameSpaceType::PROCESS_ID;
        rustix::thread::move_into_thread_name_spaces(handle.as_fd(), kind).at("setns")?;
    }
    let ignored = crate::child::ignored();
    let cloned = hilum_sys::clone(0, group.as_ref().map(AsFd::as_fd)).at("clone");
    if matches!(cloned, Ok(Cloned::Child)) {
        drop(own);
        drop(group);
        let root = handle.try_clone();
        let (Ok(root), preserved) = (root, wanted.preserved) else { hilum_sys::exit(1) };
        let child = Child {
            spec,
            // That of the container, once it has joined it.
            root,
            sources: Vec::new(),
            parent: other,
            listener: None,
            starter: None,
            joins: Some(handle),
            console,
            preserved,
            state: serde_json::Value::Null,
            program: Default::default(),
            mounted: 0,
            covers: Default::default(),
            ignored,
            untidy: 0,
            labels: None,
        };
        live(child, folder, plan)
    }
    drop(other);
    let Cloned::Parent { pid, .. } = cloned? else { return Err("clone".into()) };
    let finished = accompany(&mut own, pid, plan, spec, wanted);
    if finished.is_err() {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
    finished.map(|()| pid)
}

/// Opens the control group of the first process: it may have moved to one below the container's.
fn group(kept: &Kept) -> Result<Option<OwnedFd>> {
    let Some(group) = &kept.group else { return Ok(None) };
    let own = cgroup::own_path(kept.pid).filter(|path| cgroup::is_below(path, &group.path));
    Group { path: own.unwrap_or_else(|| group.path.clone()), unit: None }.open().map(Some)
}

/// Performs the parent's steps, and waits until the program is executed.
fn accompany(own: &mut UnixStream, pid: Pid, plan: &Plan<'_>, spec: &Spec, wanted: &Executing) -> Result<()> {
    if let Some(process) = &spec.process {
        set_io_priority(pid, process)?;
    }
    apply_for(pid, plan)?;
    own.write_all(b"G").at("the new process")?;
    let mut said = [0];
    if own.read(&mut said).at("the new process")? == 1 && said == *b"C" {
        if let Some(path) = &wanted.pid_file {
            write_whole(path, pid.as_raw_nonzero().to_string().as_bytes())?;
        }
        own.write_all(b"K").at("the new process")?;
        said = [0];
        // The end without a report: the program was executed, which closed the socket.
        if own.read(&mut said).at("the new process")? == 0 {
            return Ok(());
        }
    }
    let mut text = String::new();
    own.read_to_string(&mut text).at("the new process")?;
    Err(Error(match said {
        [b'E'] => format!("exec failed: unable to start container process: {text}"),
        _ => "exec failed: the new process has ended".into(),
    }))
}
