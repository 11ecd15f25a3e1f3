use super::spans;

#[test]
fn steps_lie_between_their_events() {
    let events = [
        (10, "hilum entered"),
        (12, "filesystems mounted"),
        (15, "configuration read"),
        (16, "board arranged"),
        (17, "web: start"),
        (40, "web: program executed"),
        (41, "modules ready"),
        (50, "web: ready"),
    ];
    let (begin, spans) = spans(&events).expect("whole");
    let drawn: Vec<(&str, u64, u64)> = spans.iter().map(|span| (span.label.as_str(), span.from, span.to)).collect();
    assert_eq!(begin, 10);
    assert_eq!(
        drawn,
        [
            ("kernel, before that", 0, 10),
            ("mount filesystems", 10, 12),
            ("read configuration", 12, 15),
            ("console, groups", 15, 16),
            ("modules, bridges, rules", 16, 41),
            ("set up web", 17, 40),
            ("web until ready", 40, 50),
        ]
    );
}
