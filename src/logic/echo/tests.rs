use super::*;

/// Returns a host's reply to a request.
fn answer(request: &[u8; ECHO_BYTES], is_ipv4: bool) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[0] = if is_ipv4 { 0 } else { 129 };
    if is_ipv4 { [&[0x45][..], &[0; 19], &reply].concat() } else { reply }
}

#[test]
fn three_losses_mean_silent_and_three_answers_end_it() {
    for is_ipv4 in [true, false] {
        let (mut echo, mut request, mut changes) = (Echo::new(is_ipv4, 7, 0), [0; ECHO_BYTES], Vec::new());
        // An answer in between resets the count.
        let answers = [true, false, false, true, false, false, false, true, true, false, true, true, true, true];
        for (place, is_answered) in answers.into_iter().enumerate() {
            let now = echo.deadline();
            let (is_sent, lost) = echo.turn(now, &mut request);
            assert!(is_sent && !echo.turn(now, &mut [0; ECHO_BYTES]).0, "one at a time");
            let answered = is_answered && echo.receive(&answer(&request, is_ipv4));
            assert!(!is_answered || !echo.receive(&answer(&request, is_ipv4)), "an answer counts once");
            if lost || answered {
                changes.push((place, echo.is_silent()));
            }
        }
        assert_eq!(changes, [(7, true), (12, false)]);
    }
}

#[test]
fn reply_to_another_process_does_not_count() {
    let (mut echo, mut request) = (Echo::new(true, 7, 0), [0; ECHO_BYTES]);
    echo.turn(0, &mut request);
    let good = answer(&request, true);
    // Another type, another process, an earlier number, another mark, truncated, and a header longer than the packet.
    for (place, byte) in [(20, 8), (24, 9), (27, 0), (30, 1), (0, 0x4f)] {
        let mut bad = good.clone();
        bad[place] = byte;
        assert!(!echo.receive(&bad) && echo.is_open, "{place}");
    }
    assert!(!echo.receive(&good[..35]) && !echo.receive(&[]) && echo.is_open);
    assert!(!echo.receive(&good) && !echo.is_open);
}

#[test]
fn checksum_of_request_is_valid() {
    let mut request = [0; ECHO_BYTES];
    Echo::new(true, 0x1234_5678_9abc_def0, 0).turn(0, &mut request);
    assert_eq!(sum(&[&request[..]]), 0, "RFC 1071: the sum over everything is 0");
}
