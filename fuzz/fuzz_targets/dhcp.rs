//! Untrusted frames from the network, and the encoded lease for PID 1: what the client reports is sane and survives
//! encoding.
#![no_main]
use hilum::config::Mac;
use hilum::dhcp::{Client, FRAME_BYTES, HostName, Lease, LeaseEvent};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(bytes) = data.first_chunk() {
        let lease = Lease::read(bytes);
        assert_eq!(lease.is_sane(), lease.fault().is_none());
    }
    let Some((&count, mut rest)) = data.split_first() else { return };
    let (mut client, mut frame, mut now) =
        (Client::new(Mac([2, 0, 0, 0, 0, 1]), count & 0x80 != 0, HostName::new(), 1, 0), [0; FRAME_BYTES], 0);
    for _ in 0..count % 8 {
        let (_, length) = client.turn(now, &mut frame);
        assert!(length <= frame.len());
        let at = rest.first().map_or(0, |length| usize::from(*length) * 2).min(rest.len());
        let (heard, left) = rest.split_at(at);
        let mut heard = heard.to_vec();
        // Make it a reply to this request, because no input guesses the transaction id.
        if let (Some(heard), Some(asked)) = (heard.get_mut(46..50), frame.get(46..50)) {
            heard.copy_from_slice(asked);
        }
        match client.receive(now, &heard) {
            LeaseEvent::Given(lease) => assert!(lease.is_sane() && Lease::read(&lease.bytes()) == lease),
            LeaseEvent::Refused(lease) => assert!(!lease.is_sane()),
            LeaseEvent::None | LeaseEvent::Lost => {}
        }
        (rest, now) = (left, client.deadline().max(now + 1));
    }
});
