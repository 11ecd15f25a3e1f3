use super::Split;

/// Texts with none, one and several separators, at the start, inside and at the end, and with longer characters.
const TEXTS: [&str; 12] = ["", "/", "//", "a", "a/", "/a", "a/b", "a//b/", "ä/ö", "/ü", "ü/", "añ/o//日本/"];

#[test]
fn texts_are_split_as_the_standard_library_does() {
    for text in TEXTS {
        assert_eq!(text.place_of(b'/'), text.find('/'), "{text}");
        assert_eq!(text.cut(b'/'), text.split_once('/'), "{text}");
        assert_eq!(text.cut_last(b'/'), text.rsplit_once('/'), "{text}");
        assert_eq!(text.parts(b'/').collect::<Vec<_>>(), text.split('/').collect::<Vec<_>>(), "{text}");
        assert_eq!(text.without_start(b'/'), text.trim_start_matches('/'), "{text}");
        assert_eq!(text.without_end(b'/'), text.trim_end_matches('/'), "{text}");
    }
}

#[test]
fn newline_at_the_end_begins_no_line() {
    for text in TEXTS.map(|text| text.replace('/', "\n")) {
        assert_eq!(text.each_line().collect::<Vec<_>>(), text.lines().collect::<Vec<_>>(), "{text:?}");
    }
}
