//! The identity of the program: ids and capabilities (capabilities(7), credentials(7)).

use heapless::Vec;
use hilum::config::{Capabilities, User, limits};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, configure_capability_in_ambient_set, set_capabilities, set_keep_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// Becomes user 0 of a new user namespace, so that new files get a mapped owner.
pub(crate) fn become_zero() -> Result<(), Errno> {
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
}

/// Sets supplementary groups, then group, then user; each step needs a privilege that the next one drops.
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

/// Reduces the effective and permitted sets to `kept`, and empties the other sets.
///
/// A program with a uid other than 0 keeps capabilities at exec only if they are in the ambient set, which requires
/// them in the inheritable set. For uid 0 the bounding set suffices, and the inheritable set stays empty. A capability
/// that is no longer inheritable also leaves the ambient set (cap_capset in security/commoncap.c).
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
