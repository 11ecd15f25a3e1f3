//! Route netlink messages as bytes (rtnetlink(7), include/uapi/linux/{netlink,rtnetlink}.h).
//!
//! It builds requests and reads answers; the socket belongs to the running half. Lengths are checked here: an answer
//! that is shorter than it says is an error, never a read past its end.

use crate::errno::Errno;

/// Bytes of a request that sets the flags of one link: nlmsghdr and ifinfomsg.
pub const LINK_REQUEST_BYTES: usize = 32;
/// The index of the loopback link, the first of every network namespace (loopback_net_init in drivers/net/loopback.c).
pub const LOOPBACK_INDEX: u32 = 1;

/// RTM_NEWLINK
const NEW_LINK: u16 = 16;
/// NLMSG_ERROR: an acknowledgement too, with error 0.
const ERROR: u16 = 2;
/// NLM_F_REQUEST | NLM_F_ACK
const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
/// IFF_UP
const UP: u32 = 1;

/// The request that brings the link with `index` up.
pub fn link_up(index: u32, sequence: u32) -> [u8; LINK_REQUEST_BYTES] {
    let mut message = [0; LINK_REQUEST_BYTES];
    let mut put = |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(LINK_REQUEST_BYTES as u32).to_ne_bytes());
    put(4, &NEW_LINK.to_ne_bytes());
    put(6, &REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    put(8, &sequence.to_ne_bytes());
    // ifinfomsg from byte 16: family 0 (any), type 0, index, flags, and the mask of flags to change.
    put(20, &index.to_ne_bytes());
    put(24, &UP.to_ne_bytes());
    put(28, &UP.to_ne_bytes());
    message
}

/// Why an answer is not an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The kernel said no.
    Kernel(Errno),
    /// The bytes are no answer to this request.
    Malformed,
}

/// Reads the kernel's answer to request `sequence`.
///
/// # Errors
/// The kernel's own errno, or [`Refusal::Malformed`].
pub fn acknowledgement(answer: &[u8], sequence: u32) -> Result<(), Refusal> {
    let half = |at: usize| answer.get(at..at + 2).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    let word =
        |at: usize| answer.get(at..at + 4).map(|bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let fits = word(0).is_some_and(|length| length as usize <= answer.len());
    if !fits || half(4) != Some(ERROR) || word(8) != Some(sequence) {
        return Err(Refusal::Malformed);
    }
    // nlmsgerr follows the header of 16 bytes: a negated errno, or 0.
    match word(16).map(|error| (error as i32).wrapping_neg()) {
        Some(0) => Ok(()),
        Some(errno @ 1..=4095) => Err(Refusal::Kernel(Errno(errno as u16))),
        _ => Err(Refusal::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, sequence: u32, error: i32) -> [u8; 36] {
        let mut bytes = [0; 36];
        bytes[0..4].copy_from_slice(&36_u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        bytes[16..20].copy_from_slice(&error.to_ne_bytes());
        bytes
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            // An answer of nothing but noise is no acknowledgement: that takes a length, a kind and a number that fit.
            if acknowledgement(&bytes, 7) == Ok(()) {
                proptest::prop_assert!(bytes.len() >= 36 && bytes[8..12] == 7_u32.to_ne_bytes());
            }
        }
    }

    #[test]
    fn link_request_has_the_layout_of_rtnetlink() {
        let message = link_up(LOOPBACK_INDEX, 7);
        assert_eq!(message[0..4], 32_u32.to_ne_bytes());
        assert_eq!(message[4..8], [16_u16.to_ne_bytes(), 5_u16.to_ne_bytes()].concat()[..]);
        assert_eq!(message[8..12], 7_u32.to_ne_bytes());
        assert_eq!(message[20..24], 1_u32.to_ne_bytes());
        assert_eq!(message[24..32], [1_u32.to_ne_bytes(), 1_u32.to_ne_bytes()].concat()[..]);
    }

    #[test]
    fn acknowledgement_is_read() {
        assert_eq!(acknowledgement(&answer(ERROR, 7, 0), 7), Ok(()));
        assert_eq!(acknowledgement(&answer(ERROR, 7, -1), 7), Err(Refusal::Kernel(Errno(1))));
    }

    #[test]
    fn answers_that_lie_are_refused() {
        assert_eq!(acknowledgement(&answer(ERROR, 8, 0), 7), Err(Refusal::Malformed));
        assert_eq!(acknowledgement(&answer(3, 7, 0), 7), Err(Refusal::Malformed));
        assert_eq!(acknowledgement(&answer(ERROR, 7, 5), 7), Err(Refusal::Malformed));
        assert_eq!(acknowledgement(&answer(ERROR, 7, i32::MIN), 7), Err(Refusal::Malformed));
        for length in 0..36 {
            assert_eq!(acknowledgement(&answer(ERROR, 7, 0)[..length], 7), Err(Refusal::Malformed), "{length}");
        }
    }
}
