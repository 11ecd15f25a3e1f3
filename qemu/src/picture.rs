//! A picture of a console as SVG: what a terminal would show for a transcript.

use std::fmt::Write;

/// The terminal's columns; longer lines are wrapped.
const COLUMNS: u16 = 112;
/// Its rows: more than any transcript for a picture has.
const ROWS: u16 = 200;
/// Pixels of a character and of a line, and the margin.
const LETTER: f32 = 7.8;
const LINE: usize = 18;
const EDGE: usize = 14;

/// Returns the colour of a line by its prefix.
fn colour(line: &str) -> &'static str {
    match line {
        _ if line.starts_with("hilum>") || line.starts_with("/ $") => "#ffffff",
        _ if line.starts_with("hilum") => "#8ec7ff",
        _ if line.contains(" | ") => "#a5d6a7",
        _ => "#c8ccd0",
    }
}

/// Returns the lines on a terminal that is tall enough for all of them.
fn lines(transcript: &[u8]) -> Vec<String> {
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    terminal.process(transcript);
    let mut lines: Vec<String> = terminal.screen().rows(0, COLUMNS).map(|line| line.trim_end().to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// Returns a transcript as SVG. The output is reproducible.
pub fn svg(transcript: &[u8]) -> String {
    let lines = lines(transcript);
    let width = (f32::from(COLUMNS) * LETTER) as usize + 2 * EDGE;
    let height = lines.len() * LINE + 2 * EDGE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\">\n\
         <title>A console of hilum</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16191d\"/>\n"
    );
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let text = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let y = EDGE + number * LINE + 13;
        let colour = colour(line);
        let _ = writeln!(svg, "<text x=\"{EDGE}\" y=\"{y}\" fill=\"{colour}\" xml:space=\"preserve\">{text}</text>");
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests;
