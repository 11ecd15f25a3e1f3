use super::address;
use crate::config::Ip;
use core::net::IpAddr;

/// Pieces of addresses, right and wrong ones.
const PIECES: [&str; 22] = [
    "0",
    "1",
    "10",
    "255",
    "256",
    "01",
    "00",
    "+1",
    "-1",
    "ffff",
    "FFFF",
    "10000",
    "00ff",
    "g",
    "1.2.3.4",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "",
    ":",
    "%1",
    " ",
];

/// Both parsers accept the same texts with the same results.
fn compare(text: &str) {
    assert_eq!(address(text), text.parse::<IpAddr>().ok(), "{text:?}");
    if let Some(read) = address(text) {
        assert_eq!(Ip(read).to_string(), read.to_string());
    }
}

#[test]
fn addresses_are_read_and_written_as_by_the_standard_library() {
    // Every number of groups from 0 to 9, with one or two wrong ones or `::`, at every place.
    for count in 0..=9_usize {
        let plain = vec!["1"; count];
        compare(&plain.join(":"));
        compare(&plain.join("."));
        for at in 0..count {
            for piece in PIECES {
                for (other, separator) in [("2", ":"), ("", ":"), ("1.2.3.4", ":"), ("2", "."), ("0", ".")] {
                    for second in 0..count {
                        let mut parts = plain.clone();
                        (parts[second], parts[at]) = (other, piece);
                        compare(&parts.join(separator));
                    }
                }
            }
        }
    }
    for text in [
        "::",
        ":::",
        "::1",
        "1::",
        "1:::2",
        "1::2::3",
        "::ffff:1.2.3.4",
        "1.2.3.4::",
        "::1.2.3.4:5",
        "[::1]",
        "1.2.3.4 ",
    ] {
        compare(text);
    }
}

#[test]
fn every_place_of_zeros_is_written_as_by_the_standard_library() {
    for zeros in 0..=255_u8 {
        let groups: [u16; 8] = core::array::from_fn(|at| if zeros & 1 << at == 0 { 0xa0 + at as u16 } else { 0 });
        let written = IpAddr::from(groups);
        assert_eq!(Ip(written).to_string(), written.to_string());
        compare(&written.to_string());
    }
    for written in [IpAddr::from([0, 10, 200, 255]), IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x102, 0x304])] {
        assert_eq!(Ip(written).to_string(), written.to_string());
    }
}
