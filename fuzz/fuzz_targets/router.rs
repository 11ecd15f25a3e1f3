//! Untrusted router advertisements, DHCPv6 replies and ping replies.
#![no_main]
use hilum::config::Mac;
use hilum::echo::{ECHO_BYTES, Echo};
use hilum::router::{Listener, Names, QUESTION_BYTES};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut listener, mut question) = (Listener::new(Mac([2, 0, 0, 0, 0, 1]), 1, 0), [0; QUESTION_BYTES]);
    let mut now = 0;
    for heard in data.split(|byte| *byte == 0xfe) {
        listener.receive_frame(now, heard);
        let length = listener.turn(now, &mut question);
        assert!(length <= question.len());
        let answer = [&[7], &question[1..length.max(1)], heard].concat();
        listener.answer(now, &answer);
        if let Some(names) = listener.news(now) {
            assert_eq!(Names::read(&names.bytes()), names);
        }
        now = listener.deadline().unwrap_or(now + 1);
    }
    let mut echo = Echo::new(data.len() % 2 == 0, 1, 0);
    echo.turn(0, &mut [0; ECHO_BYTES]);
    assert!(!echo.receive(data), "one answer alone changes nothing");
});
