//! Charts as SVG by the crate `svg`. The charts are labelled bars, which take few lines of code; a plotting crate would
//! add fonts and axes that are not needed.

use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Style, Text};

/// Width of a chart and of its labels, in pixels.
const WIDTH: f64 = 760.0;
const LABELS: f64 = 190.0;
const ROW: f64 = 26.0;
const TOP: f64 = 44.0;
/// Width of the number after the longest bar.
const NUMBERS: f64 = 170.0;

/// Styles for light and dark backgrounds.
const STYLE: &str = "text { font: 13px sans-serif; fill: #24292f } .title { font-weight: bold; font-size: 15px } \
    .note { fill: #57606a; font-size: 12px } .ours { fill: #0969da } .other { fill: #8c959f } .mark { stroke: #d0d7de } \
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .note { fill: #9198a1 } .ours { fill: #4493f8 } \
    .mark { stroke: #3d444d } }";

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    /// The text after the bar.
    pub(crate) text: String,
    pub(crate) is_ours: bool,
}

fn text(class: &str, x: f64, y: f64, words: &str) -> Text {
    Text::new(words).set("class", class).set("x", x).set("y", y)
}

fn empty(height: f64, title: &str) -> Document {
    Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .add(Style::new(STYLE))
        .add(text("title", 12.0, 24.0, title))
}

fn rectangle(class: &str, x: f64, y: f64, width: f64, height: f64) -> Rectangle {
    // A minimum width keeps very short bars visible.
    let width = width.max(1.5);
    Rectangle::new().set("class", class).set("x", round(x)).set("y", y).set("width", round(width)).set("height", height)
}

/// A tenth of a pixel is precise enough, and keeps the file short.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Draws horizontal bars that begin at zero.
pub(crate) fn bars(title: &str, note: &str, bars: &[Bar]) -> String {
    let height = TOP + ROW * bars.len() as f64 + 30.0;
    let most = bars.iter().map(|bar| bar.value).fold(1.0, f64::max);
    let mut document = empty(height, title);
    for (number, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let width = bar.value / most * (WIDTH - LABELS - NUMBERS);
        let class = if bar.is_ours { "ours" } else { "other" };
        let group = Group::new()
            .add(text("", LABELS - 10.0, y + 14.0, &bar.label).set("text-anchor", "end"))
            .add(rectangle(class, LABELS, y + 1.0, width, ROW - 8.0))
            .add(text("", round(LABELS + width.max(1.5) + 8.0), y + 14.0, &bar.text));
        document = document.add(group);
    }
    document.add(text("note", 12.0, height - 10.0, note)).to_string() + "\n"
}

/// A step of a Gantt chart, in microseconds.
pub(crate) struct Span {
    pub(crate) label: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Whether it is passive, such as waiting for a program.
    pub(crate) is_other: bool,
}

/// Draws steps on an axis that begins when hilum is entered, because the kernel needs ten times as long before that.
pub(crate) fn gantt(title: &str, note: &str, begin: u64, spans: &[Span]) -> String {
    let height = TOP + ROW * spans.len() as f64 + 50.0;
    let end = spans.iter().map(|span| span.to).max().unwrap_or(begin).max(begin + 1);
    let scale = (WIDTH - LABELS - NUMBERS) / (end - begin) as f64;
    let place = |us: u64| LABELS + us.saturating_sub(begin) as f64 * scale;
    let mut document = empty(height, title);
    let step = nice((end - begin) / 6);
    let bottom = TOP + ROW * spans.len() as f64;
    let mut mark = 0;
    while begin + mark <= end {
        let x = round(place(begin + mark));
        let line = Line::new().set("class", "mark").set("x1", x).set("x2", x).set("y1", TOP - 6.0).set("y2", bottom);
        let words = format!("{} ms", mark as f64 / 1000.0);
        document = document.add(line).add(text("note", x, bottom + 14.0, &words).set("text-anchor", "middle"));
        mark += step;
    }
    for (number, span) in spans.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let (from, to) = (place(span.from), place(span.to));
        let class = if span.is_other { "other" } else { "ours" };
        let words = format!("{:.1} ms", (span.to - span.from) as f64 / 1000.0);
        let group = Group::new()
            .add(text("", LABELS - 10.0, y + 14.0, &span.label).set("text-anchor", "end"))
            .add(rectangle(class, from, y + 1.0, to - from, ROW - 8.0))
            .add(text("note", round(to.max(from + 1.5) + 6.0), y + 14.0, &words));
        document = document.add(group);
    }
    document.add(text("note", 12.0, height - 8.0, note)).to_string() + "\n"
}

/// Returns a round distance between marks, near this one.
fn nice(us: u64) -> u64 {
    let power = 10_u64.pow(us.max(1).ilog10());
    [1, 2, 5, 10].map(|factor| factor * power).into_iter().find(|step| *step >= us).unwrap_or(power).max(1)
}

#[cfg(test)]
mod tests;
