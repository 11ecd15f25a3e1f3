//! Who the program is: ids and capabilities (capabilities(7), credentials(7)).

use heapless::Vec;
use hilum::config::{Capabilities, User, limits};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, configure_capability_in_ambient_set, set_capabilities, set_keep_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// Becomes user 0 of a new user namespace, in which it is nobody so far: what it makes gets an owner that is mapped.
pub(crate) fn become_zero() -> Result<(), Errno> {
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}

/// The supplementary groups, then the group, then the user: each needs what the next one gives away.
pub(crate) fn become_user(
    user: User,
    groups: &[u32],
    has_denied_groups: bool,
    capabilities: Capabilities,
) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    if !has_denied_groups {
        let mut list: Vec<Gid, { limits::GROUPS }> = Vec::new();
        list.extend(groups.iter().map(|group| Gid::from_raw(*group)));
        set_thread_groups(&list)?;
    }
    if !capabilities.is_empty() {
        set_keep_capabilities(true)?;
    }
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

/// Leaves nothing but `kept` in the effective and permitted sets, and nothing in the others.
///
/// A program with another uid than 0 keeps capabilities over its start only if they are in the ambient set, which may
/// hold only what is inheritable; for uid 0 the bounding set is enough, and the inheritable set stays empty. What is not
/// inheritable any more leaves the ambient set by itself (cap_capset in security/commoncap.c).
pub(crate) fn drop_capabilities(kept: Capabilities) -> Result<(), Errno> {
    let set = CapabilitySet::from_bits_retain(kept.0);
    let is_zero = kept.is_empty() || rustix::process::getuid().is_root();
    let inheritable = if is_zero { CapabilitySet::empty() } else { set };
    set_capabilities(None, CapabilitySets { effective: set, permitted: set, inheritable })?;
    for number in kept.iter().filter(|_| !is_zero) {
        configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(1 << number), true)?;
    }
    Ok(())
}
