//! The kernel's memory of connections, where a workload's rules come or go ([`hilum::netlink::Connection`]).
//!
//! It may have some hundred thousand of them (`nf_conntrack_max`), so a helper process looks through it, and not PID 1.

use super::{each, exchange, filter_socket};
use crate::os::helper::{self, Helper, Kept, Role};
use core::mem::ManuallyDrop;
use hilum::config::{Config, Publish, Workload};
use hilum::netlink::{Connection, list_connections};
use rustix::io::Errno;

const FORGETTER: Role = Role::new(c"hilum-forget");

/// Has the kernel forget the connections of this process's network namespace that `is_stale` returns true for.
///
/// # Errors
/// The kernel's: EINVAL where it lacks ctnetlink.
pub(super) fn forget(is_stale: &dyn Fn(&Connection<'_>) -> bool) -> Result<(), Errno> {
    // Not closed before this process exits (`Rules`).
    let [list, delete] = [ManuallyDrop::new(filter_socket()?), ManuallyDrop::new(filter_socket()?)];
    each(&list, &mut list_connections, &mut |kind, body| {
        if let Some(connection) = Connection::read(kind, body).filter(is_stale) {
            // It may be over by now.
            let _ = exchange(&delete, &mut |writer| connection.delete(writer));
        }
    })
}

/// Forgets what goes to published ports and was sent before they led to a workload. The boot has reported a kernel that cannot.
pub(crate) fn forget_missed(published: &[Publish]) {
    if published.iter().any(|publish| publish.is_udp) {
        let _ = forget(&|connection| connection.misses(published));
    }
}

/// Has a helper process do that.
pub(crate) fn spawn_forget_missed(published: &[Publish]) {
    if published.iter().any(|publish| publish.is_udp) {
        let _ = helper::spawn(&FORGETTER, Kept::none(), &mut || {
            forget_missed(published);
            0
        });
    }
}

/// Has a helper process forget the connections of a workload that has ended, or whose rules are gone.
///
/// # Errors
/// Those of clone3(2).
pub(crate) fn spawn_forget(config: &Config<'_>, workload: &Workload<'_>) -> Result<Helper, Errno> {
    helper::spawn(&FORGETTER, Kept::none(), &mut || {
        i32::from(forget(&|connection| connection.is_of(&workload.network, &config.pools)).is_err())
    })
}
