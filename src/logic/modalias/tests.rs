use super::*;
use proptest::prelude::*;

const METER: &str = "usb:v0403p6001d0600dc00dsc00dp00icFFiscFFipFFin00";

#[test]
fn depmod_patterns_match_kernel_modaliases() {
    for (pattern, fitting) in [
        ("usb:v0403p6001d*dc*dsc*dp*ic*isc*ip*in*", true),
        ("usb:v0403p6001d*", true),
        ("usb:v0403p6001d0[0-5]*", false),
        ("usb:v0403p6001d0[0-6]*", true),
        ("usb:v0403p6001d0[06]0[0]*", true),
        ("usb:v*p*d*dc*dsc*dp*icFFisc*ip*in*", true),
        ("usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*", false),
        ("usb:v0403p600?d*", true),
        ("usb:v0403p6001", false),
        ("*", true),
        ("", false),
        ("usb:v0403p6001d0600dc00dsc00dp00icFFiscFFipFFin00", true),
        ("usb:v0403p6001d0600dc00dsc00dp00icFFiscFFipFFin00?", false),
        ("usb:v0403[", false),
    ] {
        assert_eq!(fits(pattern, METER), fitting, "{pattern}");
    }
    assert!(fits("", "") && fits("**", "") && !fits("?", ""));
    assert_eq!(module_of("usb:v0403p6001d* ftdi_sio", METER), Some("ftdi_sio"));
    assert_eq!(module_of("hid:b*g*v*p* hid_generic", METER), None);
    assert_eq!(module_of("nothing", METER), None);
}

/// A naive matcher takes 2^n steps for such a pattern; kmod uses the C library's.
#[test]
fn pattern_with_many_stars_is_fast() {
    let (pattern, text) = ("*a".repeat(400) + "b", "a".repeat(1_000));
    assert!(!fits(&pattern, &text));
    assert!(fits(&"*a".repeat(400), &text));
}

/// Returns the result by the definition of fnmatch(3).
fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], _) => text.is_empty(),
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| by_definition(rest, &text[at..])),
        (_, []) => false,
        ([b'?', rest @ ..], [_, text @ ..]) => by_definition(rest, text),
        ([one, rest @ ..], [other, text @ ..]) => one == other && by_definition(rest, text),
    }
}

proptest! {
    #[test]
    fn every_pattern_matches_by_its_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        prop_assert_eq!(fits(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn no_pattern_panics(pattern in "\\PC{0,30}|[\\[\\]*?a-]{0,12}", text in "\\PC{0,30}") {
        let _ = fits(&pattern, &text);
    }
}
