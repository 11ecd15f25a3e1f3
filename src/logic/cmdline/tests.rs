use super::*;

#[test]
fn hilum_words_are_found_among_others() {
    let found = parse(
        "console=ttyS0 hilum.config=/a.conf quiet hilum.fail=stay hilum.panic hilum.doctor hilum.safe hilum.slot=b hilum.trial\n",
    );
    assert_eq!(
        found,
        CommandLine {
            config: "/a.conf",
            fail: Fail::Stay,
            safe: true,
            panic: true,
            doctor: true,
            slot: Some(Slot::B),
            trial: true,
            unknown: None
        }
    );
}

#[test]
fn defaults_apply_without_words() {
    let found = parse("");
    assert_eq!(
        found,
        CommandLine {
            config: DEFAULT_CONFIG,
            fail: Fail::Reboot,
            safe: false,
            panic: false,
            doctor: false,
            slot: None,
            trial: false,
            unknown: None
        }
    );
}

#[test]
fn last_word_counts() {
    assert_eq!(parse("hilum.fail=stay hilum.fail=poweroff").fail, Fail::Poweroff);
}

#[test]
fn unknown_or_malformed_word_is_reported_and_ignored() {
    for word in [
        "hilum.fial=stay",
        "hilum.fail=never",
        "hilum.config=relative",
        "hilum.panic=1",
        "hilum.slot=c",
        "hilum.slot",
        "hilum.",
    ] {
        let found = parse(word);
        assert_eq!(found, CommandLine { unknown: Some(word), ..parse("") });
    }
}
