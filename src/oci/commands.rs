//! The commands besides `create`.

use crate::arguments::{Creating, Manager};
use crate::cgroup::wait_until;
use crate::create::create;
use crate::error::{At, Error, Result};
use crate::state::{Folder, Kept, SOCKET, Status};
use crate::{hooks, mounts, names, terminal};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, pidfd_send_signal, waitpid};
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Starts the program of a created container.
///
/// # Errors
/// It is in another state, or the program could not be executed.
pub fn start(root: &Path, id: &str) -> Result<()> {
    let folder = Folder::open(root, id)?;
    let kept = folder.read()?;
    match kept.status(&folder.path) {
        Status::Created => start_created(&folder, &kept),
        Status::Running | Status::Paused => Err("cannot start an already running container".into()),
        Status::Stopped => Err("cannot start a container that has stopped".into()),
    }
}

fn start_created(folder: &Folder, kept: &Kept) -> Result<()> {
    let handle =
        rustix::fs::open(&folder.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).at(folder.path.display())?;
    let socket = format!("{}/{SOCKET}", mounts::own_path(handle.as_fd()));
    let mut waiting = UnixStream::connect(socket).at("start")?;
    let mut report = String::new();
    // The end without a report: the program was executed, which closed the socket.
    waiting.read_to_string(&mut report).at("start")?;
    fs::remove_file(folder.path.join(SOCKET)).at(SOCKET)?;
    if let Some(text) = report.strip_prefix('E') {
        return Err(Error(format!("unable to start container process: {text}")));
    }
    // A failure of these changes nothing (runtime.md, "Lifecycle", step 9).
    if let Err(error) = hooks::run(&kept.hooks.poststart, "poststart", &kept.told("running")) {
        eprintln!("warning: {error}");
    }
    Ok(())
}

/// Prints the state.
///
/// # Errors
/// There is no such container.
pub fn state(root: &Path, id: &str) -> Result<()> {
    let folder = Folder::open(root, id)?;
    let kept = folder.read()?;
    println!("{}", serde_json::to_string_pretty(&kept.told(kept.status(&folder.path).word())).unwrap_or_default());
    Ok(())
}

/// Sends a signal to the first process by a descriptor of it, so that no other one can get it; or to all.
///
/// # Errors
/// It does not run.
pub fn kill(root: &Path, id: &str, signal: &str, is_all: bool) -> Result<()> {
    let signal = names::signal(signal)
        .and_then(hilum_sys::signal_of)
        .ok_or_else(|| Error(format!("unknown signal {signal:?}")))?;
    let folder = Folder::open(root, id)?;
    let kept = folder.read()?;
    if kept.status(&folder.path) == Status::Stopped {
        return if is_all { Ok(()) } else { Err("container not running".into()) };
    }
    let has_own_pids = kept.defaults.namespaces.iter().any(|kind| kind == "pid");
    // Without a PID namespace the others would survive the first process.
    if is_all || (signal == Signal::KILL && !has_own_pids && kept.group.is_some()) {
        if let Some(group) = &kept.group {
            return group.signal(signal);
        }
        for pid in processes(&kept)? {
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
        }
        return Ok(());
    }
    send(&kept, signal)
}

fn send(kept: &Kept, signal: Signal) -> Result<()> {
    let gone = || Error("container not running".into());
    let pid = Pid::from_raw(kept.pid).ok_or_else(gone)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    // The number may have been given to another process before it was opened.
    if crate::state::process(kept.pid).is_none_or(|(_, start)| start != kept.start_time) {
        return Err(gone());
    }
    pidfd_send_signal(&process, signal).map_err(|_| gone())
}

/// Returns the processes in the control group of a container, or in its PID namespace if it has no group.
fn processes(kept: &Kept) -> Result<Vec<i32>> {
    if let Some(group) = &kept.group {
        return group.processes();
    }
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid"));
    let own = namespace(&kept.pid.to_string()).map_err(|_| Error("container not running".into()))?;
    if namespace("self").is_ok_and(|host| host == own) {
        return Err("a container in the host's PID namespace and without a cgroup has no list of its processes".into());
    }
    let entries = fs::read_dir("/proc").at("/proc")?.flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<i32> =
        numbers.filter(|pid| namespace(&pid.to_string()).is_ok_and(|other| other == own)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Deletes a stopped container; with `forces` any, and no container is no error then.
///
/// # Errors
/// It has not stopped.
pub fn delete(root: &Path, id: &str, forces: bool) -> Result<()> {
    let folder = match Folder::open(root, id) {
        Err(_) if forces => return Ok(()),
        folder => folder?,
    };
    let kept = match folder.read() {
        Err(_) if forces => return folder.remove(),
        kept => kept?,
    };
    // The specification allows only stopped ones; runc and crun also delete one that was never started.
    match kept.status(&folder.path) {
        status @ (Status::Running | Status::Paused) if !forces => {
            return Err(Error(format!("cannot delete container {id} that is not stopped: {}", status.word())));
        }
        Status::Stopped => {}
        _ => {
            let _ = send(&kept, Signal::KILL);
            if !wait_until(|| kept.status(&folder.path) == Status::Stopped) {
                return Err("container init still running".into());
            }
        }
    }
    if let Some(group) = &kept.group {
        group.remove()?;
    }
    folder.remove()?;
    if let Err(error) = hooks::run(&kept.hooks.poststop, "poststop", &kept.told("stopped")) {
        eprintln!("warning: {error}");
    }
    Ok(())
}

/// Creates and starts a container, and waits for its exit unless it detaches. Returns its exit status.
///
/// # Errors
/// Those of `create` and `start`.
pub fn run(root: &Path, wanted: &Creating, manager: Manager) -> Result<i32> {
    let mut terminal = None;
    if !wanted.detaches {
        terminal::block();
    }
    let (folder, kept) = create(root, wanted, manager, (!wanted.detaches).then_some(&mut terminal))?;
    let pid = Pid::from_raw(kept.pid).ok_or_else(|| Error("no process".into()))?;
    let started = start_created(&folder, &kept);
    // Other commands may change the container while its program runs.
    drop(folder);
    if let Err(error) = started {
        let _ = delete(root, &wanted.id, true);
        return Err(error);
    }
    if wanted.detaches {
        return Ok(0);
    }
    let status = terminal::accompany(pid, terminal.as_ref())?;
    if !wanted.keeps {
        delete(root, &wanted.id, true)?;
    }
    Ok(status)
}

/// Returns the exit status of a process of this one, or 128 and the signal that has ended it; `None` if it still runs.
///
/// # Errors
/// It is no process of this one.
pub fn exited(pid: Pid) -> Result<Option<i32>> {
    let status = waitpid(Some(pid), WaitOptions::NOHANG).at("wait")?.map(|(_, status)| status);
    let number = |status: rustix::process::WaitStatus| {
        status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(255)
    };
    Ok(status.map(number))
}

/// Prints all containers.
///
/// # Errors
/// Those of the kernel.
pub fn list(root: &Path, is_json: bool, is_quiet: bool) -> Result<()> {
    let mut found = Vec::new();
    let folders = match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        folders => folders.at(root.display())?.flatten().collect(),
    };
    for entry in folders {
        // Without the lock: the file is always whole.
        let Ok(text) = fs::read(entry.path().join("state.json")) else { continue };
        let Ok(kept) = serde_json::from_slice::<Kept>(&text) else { continue };
        found.push(kept.told(kept.status(&entry.path()).word()));
    }
    found.sort_by(|one, other| one["id"].as_str().cmp(&other["id"].as_str()));
    if is_json {
        println!("{}", serde_json::to_string(&found).unwrap_or_default());
        return Ok(());
    }
    let text =
        |value: &serde_json::Value, name: &str| value[name].as_str().map_or(value[name].to_string(), str::to_owned);
    if !is_quiet {
        println!("{:<12}{:<12}{:<12}{:<28}{:<36}OWNER", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
    }
    for one in &found {
        let [id, pid, status, bundle, created] =
            ["id", "pid", "status", "bundle", "created"].map(|name| text(one, name));
        match is_quiet {
            true => println!("{id}"),
            false => println!("{id:<11} {pid:<11} {status:<11} {bundle:<27} {created:<35} root"),
        }
    }
    Ok(())
}

/// Prints the processes of a container.
///
/// # Errors
/// It does not run.
pub fn ps(root: &Path, id: &str, is_json: bool) -> Result<()> {
    let folder = Folder::open(root, id)?;
    let kept = folder.read()?;
    if kept.status(&folder.path) == Status::Stopped {
        return Err("container not running".into());
    }
    let found = processes(&kept)?;
    if is_json {
        println!("{}", serde_json::json!(found));
        return Ok(());
    }
    println!("{:>7} CMD", "PID");
    for pid in found {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        println!("{pid:>7} {}", name.trim_end());
    }
    Ok(())
}
