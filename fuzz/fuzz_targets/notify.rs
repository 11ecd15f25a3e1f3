//! sd_notify datagrams: a status never controls a terminal.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let notice = hilum::notify::read(data, data.len() % 2 == 0);
    assert!(notice.status.is_none_or(|text| !text.chars().any(char::is_control)));
});
