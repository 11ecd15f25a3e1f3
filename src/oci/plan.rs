//! config.json -> the ordered steps of a start, without a system call.
//!
//! Steps that hilum has for workloads are the library's own ([`Step::Common`]), and its runtime does them; the others are what the
//! specification lets a caller choose freely. The order is that of workloads: everything below the root by descriptors, before the
//! pivot; rights are given up after the last step that needs one.

use crate::config::{Device, Linux, Mount, Process, Spec};
use crate::error::{Error, Result};
use crate::labels::{self, Label};
use crate::names;
use crate::options::{self, Options};
use crate::seccomp::{self, Program};
use hilum::Architecture;
use hilum::config::{Capabilities, ResourceLimit};
use hilum::namespaces::Namespaces;
use hilum::plan;

/// A step of a start.
#[derive(Debug)]
pub enum Step<'a> {
    /// One of the library.
    Common(plan::Step<'a>),
    /// Enters namespaces of a container that runs, by flags.
    Join(u64),
    /// Enters a control group namespace, by path or a new one. Not before the process is in its group.
    GroupNamespace(Option<&'a str>),
    /// Sets the NIS domain name.
    Domain(&'a str),
    /// Sets the propagation of all mounts that the new namespace has copied.
    Propagation(u32),
    /// Attaches the root filesystem and enters it.
    Root,
    /// Mounts a filesystem, or binds a source that the parent opened.
    Mount(&'a Mount, Options),
    /// Creates a device node, or binds the host's one in a user namespace.
    Device(&'a Device, bool),
    /// Creates the links of /dev.
    Links,
    /// Creates the terminal, and sends its other side to the engine.
    Console(Option<crate::config::ConsoleSize>),
    /// Writes a setting below /proc/sys.
    Sysctl(&'a str, &'a str),
    /// Makes a path read-only.
    ReadOnly(&'a str),
    /// Hides a path.
    Mask(&'a str),
    /// Hooks of the host's side, done by the parent, and then those of the container's side.
    Hooks,
    /// Makes the root read-only.
    ReadOnlyRoot,
    /// Sets the propagation of the root.
    RootPropagation(u32),
    /// Finds the program, reports, and waits for `start`.
    Wait,
    /// Sets a label of a security module for the program.
    Label(Label<'a>),
    /// Sets groups, group and user.
    User(&'a Process),
    /// Sets the four sets of capabilities besides the bounding one.
    Capabilities([Capabilities; 4]),
    /// Installs the filter of system calls.
    Seccomp(Program),
    /// Executes the program.
    Execute,
}

/// All steps of a start.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Flags of the new namespaces besides that of control groups.
    pub namespaces: Namespaces,
    /// Namespaces that exist: flag and path.
    pub joined: Vec<(u64, &'a str)>,
    /// The steps, in order.
    pub steps: Vec<Step<'a>>,
}

/// Returns whether a namespace is entered or created.
pub fn has(linux: &Linux, kind: &str) -> bool {
    linux.namespaces.iter().any(|namespace| namespace.kind == kind)
}

/// Returns the plan of a container. `has_keyring` is false with `--no-new-keyring`.
///
/// # Errors
/// What is missing, wrong or not done.
pub fn plan(spec: &Spec, has_keyring: bool) -> Result<Plan<'_>> {
    let linux = spec.linux.as_ref().ok_or_else(|| Error("config.json has no linux section".into()))?;
    let process = spec.process.as_ref().ok_or_else(|| Error("config.json has no process".into()))?;
    let mut plan = Plan { namespaces: Namespaces(0), joined: Vec::new(), steps: Vec::new() };
    for namespace in &linux.namespaces {
        let flag = names::namespace(&namespace.kind).unwrap_or(0);
        match namespace.path.as_deref().filter(|path| !path.is_empty()) {
            path if flag == Namespaces::CGROUP => plan.steps.push(Step::GroupNamespace(path)),
            Some(path) => plan.joined.push((flag, path)),
            None => plan.namespaces.0 |= flag,
        }
    }
    let has_users = plan.namespaces.has(Namespaces::USER);
    if has_users && (linux.uid_mappings.is_empty() || linux.gid_mappings.is_empty()) {
        return Err("a user namespace needs uidMappings and gidMappings".into());
    }
    let steps = &mut plan.steps;
    start(process, steps);
    let mut common = |step| steps.push(Step::Common(step));
    if has_users {
        common(plan::Step::BecomeNsRoot);
    }
    common(plan::Step::Session);
    if has_keyring {
        common(plan::Step::Keyring);
    }
    if let Some(name) = spec.hostname.as_deref().filter(|name| !name.is_empty()) {
        if !has(linux, "uts") {
            return Err("unable to set hostname without a private UTS namespace".into());
        }
        common(plan::Step::Hostname(name));
    }
    if plan.namespaces.has(Namespaces::NET) {
        common(plan::Step::Loopback);
    }
    if let Some(domain) = spec.domainname.as_deref().filter(|name| !name.is_empty()) {
        if !has(linux, "uts") {
            return Err("unable to set domainname without a private UTS namespace".into());
        }
        steps.push(Step::Domain(domain));
    }
    mounts(spec, linux, process, has_users, steps)?;
    identity(linux, process, steps)?;
    Ok(plan)
}

/// Returns the plan of a further process in a container, which is described by `spec` without mounts.
///
/// # Errors
/// As [`plan`].
pub fn further(spec: &Spec) -> Result<Plan<'_>> {
    let linux = spec.linux.as_ref().ok_or_else(|| Error("no linux section".into()))?;
    let process = spec.process.as_ref().ok_or_else(|| Error("no process".into()))?;
    let mut steps = Vec::new();
    start(process, &mut steps);
    let flags = linux.namespaces.iter().filter_map(|namespace| names::namespace(&namespace.kind));
    // The parent has entered the namespace of PIDs, which counts for its children.
    steps.push(Step::Join(flags.fold(0, |all, flag| all | flag) & !Namespaces::PID));
    if has(linux, "user") {
        steps.push(Step::Common(plan::Step::BecomeNsRoot));
    }
    steps.push(Step::Common(plan::Step::Session));
    steps.push(Step::Common(plan::Step::Keyring));
    if process.terminal {
        steps.push(Step::Console(process.console_size));
    }
    identity(linux, process, &mut steps)?;
    Ok(Plan { namespaces: Namespaces(0), joined: Vec::new(), steps })
}

/// What the parent does for a new process.
fn start<'a>(process: &Process, steps: &mut Vec<Step<'a>>) {
    let mut common = |step| steps.push(Step::Common(step));
    process.oom_score_adj.into_iter().for_each(|score| common(plan::Step::OomScore(score as i16)));
    for limit in &process.rlimits {
        let resource = names::rlimit(&limit.kind).unwrap_or(0);
        common(plan::Step::ResourceLimit(ResourceLimit { resource, soft: limit.soft, hard: limit.hard }));
    }
}

/// The filesystems, up to the pivot.
fn mounts<'a>(
    spec: &'a Spec,
    linux: &'a Linux,
    process: &'a Process,
    has_users: bool,
    steps: &mut Vec<Step<'a>>,
) -> Result<()> {
    let word = linux.rootfs_propagation.as_deref().filter(|word| !word.is_empty());
    let own = word.map(options::root_propagation).transpose()?;
    // As runc: a slave unless the container is to share mounts with the host.
    let slave = options::root_propagation("rslave")?;
    let shared = options::root_propagation("shared")?;
    if own.is_some_and(|own| own & shared == shared) {
        return Err("rootfsPropagation shared is not done by hilum-oci".into());
    }
    steps.push(Step::Propagation(slave));
    steps.push(Step::Root);
    for mount in &spec.mounts {
        if !mount.destination.starts_with('/') || mount.destination.contains('\0') {
            return Err(Error(format!("mount destination {:?} is not an absolute path", mount.destination)));
        }
        steps.push(Step::Mount(mount, options::parse(&mount.options)?));
    }
    linux.devices.iter().for_each(|device| steps.push(Step::Device(device, has_users)));
    steps.push(Step::Links);
    if process.terminal {
        steps.push(Step::Console(process.console_size));
    }
    for (name, value) in &linux.sysctl {
        let is_plain = name.split(['.', '/']).all(|part| !part.is_empty() && part != "..");
        if !is_plain || name.contains('\0') {
            return Err(Error(format!("sysctl {name:?} is not valid")));
        }
        steps.push(Step::Sysctl(name, value));
    }
    linux.readonly_paths.iter().for_each(|path| steps.push(Step::ReadOnly(path)));
    linux.masked_paths.iter().for_each(|path| steps.push(Step::Mask(path)));
    steps.push(Step::Hooks);
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        steps.push(Step::ReadOnlyRoot);
    }
    steps.push(Step::Common(plan::Step::Pivot));
    own.into_iter().for_each(|own| steps.push(Step::RootPropagation(own)));
    Ok(())
}

/// The program's identity and what it gives up.
pub fn identity<'a>(linux: &'a Linux, process: &'a Process, steps: &mut Vec<Step<'a>>) -> Result<()> {
    let mut common = |step| steps.push(Step::Common(step));
    if let Some(personality) = &linux.personality {
        common(plan::Step::Personality(match personality.domain.as_str() {
            "LINUX" => 0,
            "LINUX32" => 8,
            other => return Err(Error(format!("unknown personality domain {other:?}"))),
        }));
    }
    steps.push(Step::Wait);
    // After the hooks of this process, whose programs would get the label as well.
    steps.extend(labels::wanted(process).map(Step::Label));
    let none = crate::config::Capabilities::default();
    let wanted = process.capabilities.as_ref().unwrap_or(&none);
    let filter = linux.seccomp.as_ref().map(|filter| seccomp::assemble(filter, Architecture::OWN)).transpose()?;
    // Without no_new_privs the filter needs CAP_SYS_ADMIN, so it comes before the sets.
    let (early, late) = if process.no_new_privileges { (None, filter) } else { (filter, None) };
    let umask = process.user.umask.unwrap_or(0o022);
    steps.push(Step::Common(plan::Step::Umask(umask as u16)));
    early.into_iter().for_each(|program| steps.push(Step::Seccomp(program)));
    steps.push(Step::Common(plan::Step::DropBoundingSet(names::capabilities(&wanted.bounding))));
    steps.push(Step::User(process));
    steps.push(Step::Common(plan::Step::Directory(&process.cwd)));
    let sets = [&wanted.effective, &wanted.permitted, &wanted.inheritable, &wanted.ambient];
    steps.push(Step::Capabilities(sets.map(|set| names::capabilities(set))));
    if process.no_new_privileges {
        steps.push(Step::Common(plan::Step::NoNewPrivileges));
    }
    steps.push(Step::Common(plan::Step::Signals));
    late.into_iter().for_each(|program| steps.push(Step::Seccomp(program)));
    steps.push(Step::Execute);
    Ok(())
}
