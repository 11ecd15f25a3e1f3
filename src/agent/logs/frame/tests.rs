use super::*;

fn message<'a>(text: &'a [u8], line: Option<(&'a str, u32)>) -> Message<'a> {
    let time = UNIX_EPOCH + Duration::from_millis(1_709_210_096_789);
    Message { sequence: 16, time: Some(time), host: "kitchen", workload: "web", line, text }
}

#[test]
fn frame_is_that_of_the_rfcs() {
    let text = b"<30>1 2024-02-29T12:34:56.789Z kitchen web - - [meta sequenceId=\"17\"][hilum@32473 boot=\"ab12\" line=\"42\"] a line";
    let frame = message(b"a line", Some(("ab12", 42))).frame();
    assert_eq!(String::from_utf8_lossy(&frame), format!("{} {}", text.len(), String::from_utf8_lossy(text)));
    let own = String::from_utf8(message(b"3 lines dropped", None).frame()).expect("UTF-8");
    assert!(
        own.ends_with(" <28>1 2024-02-29T12:34:56.789Z kitchen web - - [meta sequenceId=\"17\"] 3 lines dropped"),
        "{own}"
    );
    let blank = Message { host: "", workload: "a b\n", time: None, ..message(b"", None) };
    assert!(String::from_utf8(blank.frame()).expect("UTF-8").contains("<28>1 - - a_b_ - - ["));
}

#[test]
fn time_is_right_on_days_that_are_special() {
    let of = |seconds: u64| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(of(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(of(951_782_400), "2000-02-29T00:00:00.000Z");
    assert_eq!(of(1_735_689_599), "2024-12-31T23:59:59.000Z");
    assert_eq!(of(4_107_542_400), "2100-03-01T00:00:00.000Z");
}

#[test]
fn origin_is_read_back_whatever_the_line_says() {
    let text = b"] [hilum@32473 boot=\"x\" line=\"1\"] \xff";
    let frame = message(text, Some(("ab12", 7))).frame();
    assert_eq!(origin(&frame), Some(("web", "ab12", 7)));
    assert_eq!(length(&frame), Some(frame.len()));
    assert_eq!(length(&frame[..frame.len() - 1]), None);
    assert_eq!(length(&[&frame[..], b"12"].concat()), Some(frame.len()));
    assert_eq!(origin(&message(text, None).frame()), None);
}
