use super::*;

#[test]
fn lines_of_one_workload_are_filtered_out_however_split() {
    let text = b"web | one\nwebs | two\nhilum: three\n\nweb | four\nwe\nw | five\n";
    for size in 1..text.len() {
        let (mut without, mut seen) = (PrefixFilter::new(b"web | "), Vec::new());
        text.chunks(size).for_each(|piece| without.feed(piece, |shown| seen.extend_from_slice(shown)));
        assert_eq!(String::from_utf8_lossy(&seen), "webs | two\nhilum: three\n\nwe\nw | five\n");
    }
    let mut seen = Vec::new();
    PrefixFilter::new(b"").feed(text, |shown| seen.extend_from_slice(shown));
    assert_eq!(seen, text);
}
