use super::*;

#[test]
fn overwritten_text_is_not_in_the_picture() {
    let transcript = b"hilum> st\r\x1b[Kclock | 12:00\r\n\r\x1b[Khilum> status\r\na <b> & c\r\n";
    assert_eq!(lines(transcript), ["clock | 12:00", "hilum> status", "a <b> & c"]);
    let svg = svg(transcript);
    assert!(svg.contains(">a &lt;b&gt; &amp; c</text>"), "{svg}");
    assert_eq!(svg.matches("<text ").count(), 3);
}
