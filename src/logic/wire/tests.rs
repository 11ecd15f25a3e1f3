//! Messages survive a round trip, and arbitrary bytes are refused without harm.

use super::*;
use crate::supervise::ExitReason;
use proptest::prelude::*;

proptest! {
    #[test]
    fn request_survives_a_round_trip(
        command in 0..Command::ALL.len(), is_waiting: bool, is_split: bool, number: u32,
        words in prop::collection::vec("[^\0]{0,40}", 0..8)
    ) {
        let mut request = Request { is_waiting, is_split, number, ..Request::new(Command::ALL[command]) };
        words.iter().for_each(|word| request.words.push(word).expect("there is room"));
        let message = request.message().expect("it fits");
        prop_assert_eq!(Request::read(&message), Ok(request));
    }

    #[test]
    fn status_survives_a_round_trip(
        name in "[a-z]{1,32}", text in "[^\0]{0,60}", state in 0_u8..11, numbers: (u32, u64, u32, u32),
        last in prop_oneof![Just(None), any::<u8>().prop_map(|s| Some(ExitReason::Exit(s))), Just(Some(ExitReason::Unhealthy)), Just(Some(ExitReason::Early))],
        out_of_memory: Option<(u64, u64)>
    ) {
        let (pid, since_ms, restarts, dropped) = numbers;
        let status = Reply::Status(WorkloadStatus {
            name: &name, state, pid, since_ms: Some(since_ms).filter(|ms| *ms < u64::MAX), restarts, last, out_of_memory, is_corrupt: state % 2 == 1, dropped, need: "db", addresses: "10.0.0.2", text: &text,
        });
        let message = status.message().expect("it fits");
        prop_assert_eq!(Reply::read(&message), Ok(status));
    }

    #[test]
    fn any_bytes_are_accepted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(request) = Request::read(&bytes) {
            let again = request.message().expect("what was read can be written");
            prop_assert_eq!(Request::read(&again), Ok(request.clone()));
        }
        let _ = Reply::read(&bytes);
    }

    #[test]
    fn any_bytes_after_a_valid_start_are_accepted_or_refused(
        command: u8, flags in 0_u8..5, bytes in prop::collection::vec(any::<u8>(), 0..60)
    ) {
        let message: Vec<u8> = [b'h', VERSION, command, flags].into_iter().chain(bytes).collect();
        if let Ok(request) = Request::read(&message) {
            prop_assert!(request.words.iter().all(|word| !word.contains('\0')));
        }
    }

    #[test]
    fn line_may_hold_any_bytes(number: u32, ms: u64, bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let line = Reply::Line(number, ms, &bytes);
        let message = line.message().expect("it fits");
        prop_assert_eq!(Reply::read(&message), Ok(line));
    }
}

#[test]
fn empty_truncated_and_foreign_messages_are_refused() {
    assert_eq!(Request::read(b""), Err(Malformed::Bytes));
    assert_eq!(Request::read(b"h\x01\x01"), Err(Malformed::Bytes));
    assert_eq!(Request::read(b"h\x02\x01\0\0\0\0\0"), Err(Malformed::Version(2)));
    assert_eq!(Request::read(b"h\x01\x63\0\0\0\0\0"), Err(Malformed::Command));
    assert_eq!(Request::read(b"h\x01\x01\0\0\0\0\0no end"), Err(Malformed::Bytes));
    assert_eq!(Reply::read(b""), Err(Malformed::Bytes));
    assert_eq!(Reply::read(b"\x07"), Err(Malformed::Bytes));
    let many: Vec<u8> = b"h\x01\x09\0\0\0\0\0".iter().copied().chain(b"a\0".repeat(WORDS + 1)).collect();
    assert_eq!(Request::read(&many), Err(Malformed::Long));
}

/// A newer PID 1 may append fields to a reply, and numbers of commands never change: the protocol's text is a promise.
#[test]
fn messages_are_those_of_version_1() {
    assert_eq!(
        Malformed::Version(2).text().to_string(),
        std::format!(
            "PID 1 has version {VERSION} of the control protocol, and not this command; use a hilum of its version"
        )
    );
    let names: Vec<String> = Command::ALL.iter().map(|command| std::format!("{command:?}")).collect();
    assert_eq!(
        names.join(" "),
        "Status Log Start Stop Restart Signal Freeze Thaw Exec Reload Timeline Poweroff Reboot Halt Mute Unmute Uplinks Update Rollback Slots Counters Time"
    );
    let system = SystemStatus { now_ms: 5, is_going_down: false, is_safe: true, bad_boots: 2, clock: 1 };
    let mut message = Reply::System(system).message().expect("it fits");
    assert_eq!(message.as_slice(), b"\x01\0\x01\x05\0\0\0\0\0\0\0\x02\0\0\0\x01");
    message.extend_from_slice(b"more").expect("there is room");
    assert_eq!(Reply::read(&message), Ok(Reply::System(system)));
}

/// A right includes itself and reading; only `all` includes the others.
#[test]
fn every_command_needs_a_right() {
    use crate::config::Right;
    let all = |right: Right| Command::ALL.into_iter().filter(|command| right.includes(command.right())).count();
    assert_eq!([Right::None, Right::Status, Right::Operate, Right::Update, Right::All].map(all), [0, 7, 15, 8, 22]);
    assert!(!Right::Operate.includes(Command::Exec.right()), "exec is not in it");
    assert_eq!(Right::ALL.map(Right::name).join(" "), Right::NAMES);
}

#[test]
fn word_with_a_nul_is_refused() {
    let mut request = Request::new(Command::Start);
    request.words.push("a\0b").expect("there is room");
    assert_eq!(request.message(), Err(Malformed::Bytes));
}
