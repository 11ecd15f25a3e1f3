use super::replaced;

#[test]
fn text_between_markers_is_replaced_and_what_is_around_stays() {
    let document = "a\n<!-- x begins -->\nold\n<!-- x ends -->\nb\n";
    let new = replaced(document, "x", "new").expect("it has a place");
    assert_eq!(new, "a\n<!-- x begins -->\n\nnew\n<!-- x ends -->\nb\n");
    assert_eq!(replaced(&new, "x", "new").expect("it has a place"), new);
    assert!(replaced(document, "y", "new").is_err());
}
