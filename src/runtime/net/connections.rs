//! Deletes entries of the kernel's connection table when rules of a workload are added or removed
//! ([`hilum::netlink::Connection`]).
//!
//! The table may have some hundred thousand entries (`nf_conntrack_max`), so this is done by a helper process.

use super::{each, exchange, filter_socket};
use crate::os::helper::{self, Helper, Kept, Role};
use core::mem::ManuallyDrop;
use hilum::config::{Config, Publish, Workload};
use hilum::netlink::{Connection, list_connections};
use rustix::io::Errno;

const FORGETTER: Role = Role::new(c"hilum-forget");

/// Deletes the connections in this process's network namespace for which `is_stale` returns true.
///
/// # Errors
/// Those of the kernel: EINVAL without ctnetlink.
pub(super) fn forget(is_stale: &dyn Fn(&Connection<'_>) -> bool) -> Result<(), Errno> {
    // Closed only at the exit of this process (`Rules`).
    let [list, delete] = [ManuallyDrop::new(filter_socket()?), ManuallyDrop::new(filter_socket()?)];
    each(&list, &mut list_connections, &mut |kind, body| {
        if let Some(connection) = Connection::read(kind, body).filter(is_stale) {
            // It may have ended by now.
            let _ = exchange(&delete, &mut |writer| connection.delete(writer));
        }
    })
}

/// Deletes flows to published ports from before the ports were redirected. A kernel without support was reported at
/// boot.
pub(crate) fn forget_missed(published: &[Publish]) {
    if published.iter().any(|publish| publish.is_udp) {
        let _ = forget(&|connection| connection.misses(published));
    }
}

/// Does the same in a helper process.
pub(crate) fn spawn_forget_missed(published: &[Publish]) {
    if published.iter().any(|publish| publish.is_udp) {
        let _ = helper::spawn(&FORGETTER, Kept::none(), &mut || {
            forget_missed(published);
            0
        });
    }
}

/// Starts a helper that deletes the connections of a workload that has exited, or whose rules were removed.
///
/// # Errors
/// Those of clone3(2).
pub(crate) fn spawn_forget(config: &Config<'_>, workload: &Workload<'_>) -> Result<Helper, Errno> {
    helper::spawn(&FORGETTER, Kept::none(), &mut || {
        i32::from(forget(&|connection| connection.is_of(&workload.network, &config.pools)).is_err())
    })
}
