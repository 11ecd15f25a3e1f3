//! The kernel command line.
#![no_main]

libfuzzer_sys::fuzz_target!(|line: &str| {
    let _ = format!("{:?}", hilum::cmdline::parse(line));
});
