//! Dropping of privileges (capabilities(7)).

use hilum::config::Capabilities;
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// Removes all capabilities except `kept` from the bounding set, so that not even a program with uid 0 gains others at
/// exec.
///
/// # Errors
/// EPERM without CAP_SETPCAP (PR_CAPBSET_DROP, prctl(2)).
pub(crate) fn drop_bounding_set(kept: Capabilities) -> Result<(), Errno> {
    for number in (0..64).filter(|number| !kept.contains(*number)) {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // Above the last capability that this kernel knows.
            Err(Errno::INVAL) if number > 0 => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
