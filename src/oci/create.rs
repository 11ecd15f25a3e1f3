//! `create`: the parent's side of a start.

use crate::arguments::{Creating, Manager};
use crate::cgroup::grouping::Grouping;
use crate::child::Child;
use crate::config::{IdMap, Linux, Process, Spec};
use crate::error::{At, Error, Result};
use crate::plan::{Plan, Step};
use crate::state::{Defaults, Folder, Kept, SOCKET};
use crate::{hooks, labels, mounts, refuse, state};
use hilum::namespaces::Namespaces;
use hilum::plan::Phase;
use hilum_sys::Cloned;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::Pid;
use rustix::thread::move_into_link_name_space;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Creates a container, which then waits for `start`. Returns its folder, still locked, and what is kept in it.
///
/// A terminal is sent to the console socket, or without one to the stream that `terminal` gets.
///
/// # Errors
/// What failed; nothing of the container is left then.
pub fn create(
    root: &Path,
    wanted: &Creating,
    manager: Manager,
    terminal: Option<&mut Option<UnixStream>>,
) -> Result<(Folder, Kept)> {
    check_preserved(wanted.preserved)?;
    let bundle = std::path::absolute(&wanted.bundle).at("bundle")?;
    let spec = state::config(&bundle)?;
    refuse::check(&spec)?;
    spec.process.as_ref().map_or(Ok(()), labels::check)?;
    let plan = crate::plan::plan(&spec, !wanted.no_keyring)?;
    let mut grouping = Grouping::plan(&spec, manager, &wanted.id)?;
    let folder = Folder::create(root, &wanted.id)?;
    let console = console(wanted.console.as_deref(), &spec, terminal)?;
    match fill(&folder, wanted, &spec, &plan, &bundle, &mut grouping, console) {
        Ok(kept) => Ok((folder, kept)),
        Err(error) => {
            grouping.undo();
            let _ = folder.remove();
            Err(error)
        }
    }
}

/// Returns the socket that a terminal is sent to: that of an engine, or one whose other side `own` gets.
///
/// # Errors
/// There is none at the path.
pub fn console(path: Option<&Path>, spec: &Spec, own: Option<&mut Option<UnixStream>>) -> Result<Option<UnixStream>> {
    let has_terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    match (path, own) {
        (Some(path), _) => UnixStream::connect(path).map(Some).at(format!("console socket {}", path.display())),
        (None, Some(own)) if has_terminal => {
            let (near, far) = UnixStream::pair().at("socketpair")?;
            *own = Some(near);
            Ok(Some(far))
        }
        _ => Ok(None),
    }
}

/// Checks that all descriptors are open that a program is to inherit: one that is not would be given to a file of this program.
///
/// # Errors
/// The first one that is not open.
pub fn check_preserved(count: u32) -> Result<()> {
    for number in 3..count.saturating_add(3) {
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
            return Err(Error(format!("--preserve-fds {count}: descriptor {number} is not open")));
        }
    }
    Ok(())
}

fn fill(
    folder: &Folder,
    wanted: &Creating,
    spec: &Spec,
    plan: &Plan<'_>,
    bundle: &Path,
    grouping: &mut Grouping<'_>,
    console: Option<UnixStream>,
) -> Result<Kept> {
    let root = spec.root.as_ref().ok_or_else(|| Error("config.json has no root".into()))?;
    let rootfs = bundle.join(&root.path);
    let opened = mounts::copy(&rootfs.to_string_lossy(), true).at(format!("rootfs {}", rootfs.display()))?;
    let sources = sources(plan, spec, bundle)?;
    let listener = listen_in(folder)?;
    let (mut own, other) = UnixStream::pair().at("socketpair")?;
    let mut kept = kept(wanted, spec, bundle, rootfs);
    let group = grouping.make()?;
    let returns = enter(plan)?;
    let ignored = crate::child::ignored();
    let cloned = hilum_sys::clone(plan.namespaces.0, group.as_ref().map(AsFd::as_fd)).at("clone");
    if matches!(cloned, Ok(Cloned::Child)) {
        drop(own);
        let child = Child {
            spec,
            root: opened,
            sources,
            parent: other,
            listener: Some(listener.into()),
            starter: None,
            joins: None,
            console,
            preserved: wanted.preserved,
            state: kept.told("creating"),
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
    for (namespace, _) in returns {
        move_into_link_name_space(namespace.as_fd(), None).at("setns")?;
    }
    let Cloned::Parent { pid, .. } = cloned? else { return Err("clone".into()) };
    kept.pid = pid.as_raw_nonzero().get();
    let finished = grouping
        .make_for(pid)
        .and_then(|()| {
            kept.group = grouping.group.clone();
            accompany(&mut own, pid, plan, spec, &mut kept)
        })
        .and_then(|()| folder.write(&kept))
        .and_then(|()| {
            wanted.pid_file.as_ref().map_or(Ok(()), |path| state::write_whole(path, kept.pid.to_string().as_bytes()))
        })
        .and_then(|()| own.write_all(b"K").at("the new process"));
    if finished.is_err() {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
    finished.map(|()| kept)
}

/// What is kept, besides what is known once there is a process.
fn kept(wanted: &Creating, spec: &Spec, bundle: &Path, rootfs: PathBuf) -> Kept {
    let linux = spec.linux.as_ref();
    let kinds = |linux: &Linux| linux.namespaces.iter().map(|namespace| namespace.kind.clone()).collect();
    let defaults = Defaults {
        process: spec.process.clone().unwrap_or_default(),
        namespaces: linux.map(kinds).unwrap_or_default(),
        seccomp: linux.and_then(|linux| linux.seccomp.clone()),
        personality: linux.and_then(|linux| linux.personality.clone()),
    };
    Kept {
        id: wanted.id.clone(),
        pid: 0,
        start_time: 0,
        bundle: bundle.to_owned(),
        rootfs,
        created: crate::error::timestamp(SystemTime::now()),
        annotations: spec.annotations.clone(),
        hooks: spec.hooks.clone().unwrap_or_default(),
        group: None,
        defaults,
    }
}

/// The new process: waits until the parent has written its ids and limits, and becomes the program.
pub fn live(mut child: Child<'_>, folder: &Folder, plan: &Plan<'_>) -> ! {
    if crate::child::prepare(child.ignored).is_ok()
        && folder.close_copy().is_ok()
        && child.parent.read_exact(&mut [0]).is_ok()
    {
        let error = child.run(plan);
        child.report(&error);
    }
    hilum_sys::exit(1)
}

/// Opens the sources of bind mounts on the host.
fn sources(plan: &Plan<'_>, spec: &Spec, bundle: &Path) -> Result<Vec<Option<OwnedFd>>> {
    let sees_all = !spec.linux.as_ref().is_some_and(|linux| crate::plan::has(linux, "cgroup"));
    let mounts = plan.steps.iter().filter_map(|step| match step {
        Step::Mount(mount, options) => Some((mount, options)),
        _ => None,
    });
    let open = |(mount, options): (&&crate::config::Mount, &crate::options::Options)| {
        // A new mount by a process of the host's namespace would change options of the host's one.
        if sees_all && matches!(mount.kind.as_deref(), Some("cgroup" | "cgroup2")) {
            return mounts::copy(crate::cgroup::ROOT, true).map(Some).at(crate::cgroup::ROOT);
        }
        let Some(is_whole) = options.bind.or((mount.kind.as_deref() == Some("bind")).then_some(false)) else {
            return Ok(None);
        };
        let path = bundle.join(mount.source.as_deref().unwrap_or_default());
        mounts::copy(&path.to_string_lossy(), is_whole).map(Some).at(format!("bind source {}", path.display()))
    };
    mounts.map(open).collect()
}

/// Creates the socket of `start`. The folder's path may be longer than the 108 bytes of an address.
fn listen_in(folder: &Folder) -> Result<OwnedFd> {
    let handle =
        rustix::fs::open(&folder.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).at(folder.path.display())?;
    let path = PathBuf::from(mounts::own_path(handle.as_fd())).join(SOCKET);
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).at("socket")?;
    bind(&socket, &SocketAddrUnix::new(path).at("socket")?).at(SOCKET)?;
    listen(&socket, 4).at(SOCKET)?;
    Ok(socket)
}

/// Enters the namespaces that exist. Returns those to go back to.
fn enter(plan: &Plan<'_>) -> Result<Vec<(OwnedFd, u64)>> {
    let open = |path: &str| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at(path);
    let mut returns = Vec::new();
    for (flag, path) in &plan.joined {
        let name = Namespaces::NAMES.iter().find(|(_, known)| known == flag).map_or("", |(name, _)| name);
        returns.push((open(&format!("/proc/self/ns/{name}"))?, *flag));
        let namespace = open(path)?;
        move_into_link_name_space(namespace.as_fd(), None).at(format!("setns {path}"))?;
    }
    Ok(returns)
}

/// Performs the parent's steps, and answers the new process until it waits for `start`.
fn accompany(own: &mut UnixStream, pid: Pid, plan: &Plan<'_>, spec: &Spec, kept: &mut Kept) -> Result<()> {
    let linux = spec.linux.as_ref();
    if let Some(linux) = linux.filter(|_| plan.namespaces.has(Namespaces::USER)) {
        write_map(pid, "uid_map", &linux.uid_mappings)?;
        write_map(pid, "gid_map", &linux.gid_mappings)?;
    }
    if let Some(process) = &spec.process {
        set_io_priority(pid, process)?;
    }
    apply_for(pid, plan)?;
    kept.start_time = state::process(kept.pid).map_or(0, |(_, start)| start);
    own.write_all(b"G").at("the new process")?;
    let none = crate::config::Hooks::default();
    let hooks = spec.hooks.as_ref().unwrap_or(&none);
    loop {
        let mut question = [0];
        if own.read(&mut question).at("the new process")? == 0 {
            return Err("the new process has ended".into());
        }
        match question[0] {
            b'H' => {
                hooks::run(&hooks.prestart, "prestart", &kept.told("creating"))?;
                hooks::run(&hooks.create_runtime, "createRuntime", &kept.told("creating"))?;
                own.write_all(b"G").at("the new process")?;
            }
            b'C' => return Ok(()),
            _ => {
                let mut text = String::new();
                own.read_to_string(&mut text).at("the new process")?;
                return Err(Error(format!("unable to start container process: {text}")));
            }
        }
    }
}

/// Performs the steps of the parent's side for a process that waits.
///
/// # Errors
/// Those of the kernel.
pub fn apply_for(pid: Pid, plan: &Plan<'_>) -> Result<()> {
    for step in &plan.steps {
        match step {
            Step::Common(step) if step.phase() == Phase::Parent => {
                hilum_runtime::engine::apply(step, Some(pid)).at(format!("{step:?}"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sets the priority of a process's disk accesses.
///
/// # Errors
/// EPERM for the class of real time without a capability.
pub fn set_io_priority(pid: Pid, process: &Process) -> Result<()> {
    let Some(priority) = &process.io_priority else { return Ok(()) };
    let class = refuse::io_class(&priority.class).unwrap_or(0);
    hilum_sys::set_io_priority(pid, class << 13 | priority.priority).at("ioPriority")
}

fn write_map(pid: Pid, file: &str, map: &[IdMap]) -> Result<()> {
    let line = |map: &IdMap| format!("{} {} {}\n", map.container_id, map.host_id, map.size);
    let text: String = map.iter().map(line).collect();
    std::fs::write(format!("/proc/{}/{file}", pid.as_raw_nonzero()), text).at(file)
}
