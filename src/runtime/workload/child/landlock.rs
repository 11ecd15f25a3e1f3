//! Applies a plan's Landlock rules after the pivot, so that paths are those that the program sees.

use crate::os::path::open;
use hilum::config::{Pools, Tcp, Workload};
use hilum::plan::{Rights, Scope, rules};
use hilum_sys::LandlockRules;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;

/// The rights of a rule for a TCP port (include/uapi/linux/landlock.h).
const BIND: u64 = 1;
const CONNECT: u64 = 2;

/// Restricts this process. On a kernel without Landlock, files are only restricted by the mounts, and configured ports
/// are an error. `held` has descriptors that need not be opened again; `abi` is the kernel's
/// (`hilum_sys::landlock_abi`).
pub(crate) fn restrict(
    workload: &Workload<'_>,
    pools: &Pools<'_>,
    tcp: Option<&Tcp>,
    scope: Scope,
    abi: u32,
    held: &[(&str, Option<&OwnedFd>)],
) -> Result<(), Errno> {
    let ruleset = rules(workload, pools, tcp, scope, abi);
    if tcp.is_some() && ruleset.as_ref().is_none_or(|ruleset| ruleset.handled_tcp == 0) {
        return Err(Errno::OPNOTSUPP);
    }
    let Some(ruleset) = ruleset else { return Ok(()) };
    let restriction = LandlockRules::new(ruleset.handled.0, ruleset.handled_tcp, ruleset.scoped.0)?;
    for rule in &ruleset.rules {
        if let Some(place) = held.iter().find_map(|(path, place)| place.filter(|_| *path == rule.path)) {
            restriction.allow_path(place.as_fd(), rule.rights.0)?;
            continue;
        }
        let place = open(rule.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let is_folder = rule.is_folder || FileType::from_raw_mode(fstat(&place)?.st_mode) == FileType::Directory;
        let Rights(rights) = if is_folder { rule.rights } else { rule.rights.of_file() };
        restriction.allow_path(place.as_fd(), rights)?;
        // A later step closes all descriptors at once.
        core::mem::forget(place);
    }
    if let Some(tcp) = tcp {
        for (ports, rights) in [(&tcp.bind, BIND), (&tcp.connect, CONNECT)] {
            ports.iter().try_for_each(|port| restriction.allow_port(*port, rights))?;
        }
    }
    restriction.restrict()
}
