use super::{replaced, with_figure};

#[test]
fn only_the_text_between_markers_is_replaced() {
    let document = "a\n<!-- x begins -->\nold\n<!-- x ends -->\nb\n";
    let new = replaced(document, "x", "new").expect("it has a place");
    assert_eq!(new, "a\n<!-- x begins -->\n\nnew\n<!-- x ends -->\nb\n");
    assert_eq!(replaced(&new, "x", "new").expect("it has a place"), new);
    assert!(replaced(document, "y", "new").is_err());
}

#[test]
fn figure_is_the_text_of_the_first_link_to_its_place() {
    let page = "[a](b.md) has [12](c.md#d) bytes, [13](c.md#d)";
    let new = with_figure(page, "c.md#d", 345).expect("it has a place");
    assert_eq!(new, "[a](b.md) has [345](c.md#d) bytes, [13](c.md#d)");
    assert_eq!(with_figure(page, "c.md#e", 345), None);
    let new = with_figure(page, "c.md#d", 1_234_567).expect("it has a place");
    assert_eq!(new, "[a](b.md) has [1,234,567](c.md#d) bytes, [13](c.md#d)");
}
