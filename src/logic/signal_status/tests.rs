use super::reacts_to;

const STATUS: &str = "Name:\tsh\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n\
        SigBlk:\t0000000000000200\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004001\n";

#[test]
fn pid_1_reacts_to_caught_and_blocked_signals() {
    for (signal, first, other) in [
        (1, true, true),    // caught
        (15, true, true),   // caught
        (10, true, true),   // blocked
        (2, false, true),   // default
        (13, false, false), // ignored
        (9, true, true),
        (18, true, true),
        (19, true, true),
        (64, false, true),
    ] {
        assert_eq!((reacts_to(STATUS, signal, true), reacts_to(STATUS, signal, false)), (first, other), "{signal}");
    }
}

#[test]
fn unreadable_status_counts_as_reacting() {
    for status in ["", "SigBlk:\t0\n", "SigBlk:\tx\nSigIgn:\t0\nSigCgt:\t0\n"] {
        assert!(reacts_to(status, 15, true), "{status}");
    }
}
