//! Parses the subset of Markdown that the pages use into a list of blocks.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inline {
    /// Plain text.
    Text(String),
    /// Literal text.
    Code(String),
    /// A hard line break.
    Break,
}

/// A block between empty lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// A heading and its level.
    Heading(usize, String),
    /// Lines of text.
    Paragraph(Vec<Inline>),
    /// One item of a list.
    Item(Vec<Inline>),
    /// Lines in a fence.
    Code(String),
    /// Rows of cells; the first row is the head.
    Table(Vec<Vec<Vec<Inline>>>),
}

/// Returns the plain text of inlines.
pub(super) fn plain(inlines: &[Inline]) -> String {
    let words = inlines.iter().map(|inline| match inline {
        Inline::Text(text) | Inline::Code(text) => text.as_str(),
        Inline::Break => "\n",
    });
    words.collect()
}

/// Returns the literal texts in inlines.
pub(super) fn codes(inlines: &[Inline]) -> Vec<&str> {
    let code = |inline: &'_ Inline| matches!(inline, Inline::Code(_));
    let found = inlines.iter().filter(|inline| code(inline));
    found.map(|inline| if let Inline::Code(text) = inline { text.as_str() } else { "" }).collect()
}

/// Returns the blocks of a page.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut line, mut rows) = (Vec::new(), Vec::new(), Vec::<Vec<Vec<Inline>>>::new());
    let mut is_item = false;
    for event in Parser::new_ext(page, Options::ENABLE_TABLES) {
        match event {
            Event::Text(text) => push(&mut line, &text),
            Event::SoftBreak => push(&mut line, " "),
            Event::Code(text) => line.push(Inline::Code(text.into_string())),
            Event::HardBreak => line.push(Inline::Break),
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::Item) => is_item = true,
            Event::End(TagEnd::TableCell) => {
                rows.last_mut().expect("a row").push(std::mem::take(&mut line));
            }
            Event::End(TagEnd::Table) => blocks.push(Block::Table(std::mem::take(&mut rows))),
            Event::End(TagEnd::Heading(level)) => {
                let level = [HeadingLevel::H1, HeadingLevel::H2, HeadingLevel::H3].iter().position(|one| *one == level);
                let level = level.expect("a heading of level 1 to 3") + 1;
                blocks.push(Block::Heading(level, plain(&std::mem::take(&mut line))));
            }
            Event::End(TagEnd::Paragraph) if !is_item => blocks.push(Block::Paragraph(std::mem::take(&mut line))),
            Event::End(TagEnd::Item) => {
                is_item = false;
                blocks.push(Block::Item(std::mem::take(&mut line)));
            }
            Event::End(TagEnd::CodeBlock) => blocks.push(Block::Code(plain(&std::mem::take(&mut line)))),
            Event::Start(_) | Event::End(_) => {}
            other => panic!("the pages do not use {other:?} so far"),
        }
    }
    blocks
}

/// Adds text to a line; the parser delivers a text in several pieces.
fn push(line: &mut Vec<Inline>, more: &str) {
    match line.last_mut() {
        Some(Inline::Text(text)) => text.push_str(more),
        _ => line.push(Inline::Text(more.to_owned())),
    }
}
