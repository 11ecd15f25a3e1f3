//! Filters out lines with a certain prefix.

/// The state within a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// This many of its bytes matched the prefix.
    Start(usize),
    /// The line is left out.
    LeftOut,
    /// The line is shown.
    Shown,
}

/// Filters out the lines that begin with `start` from bytes that may be split anywhere.
#[derive(Debug)]
pub struct PrefixFilter<'a> {
    start: &'a [u8],
    at: At,
}

impl<'a> PrefixFilter<'a> {
    /// `start` must not contain a newline. An empty one filters nothing.
    pub const fn new(start: &'a [u8]) -> Self {
        Self { start, at: if start.is_empty() { At::Shown } else { At::Start(0) } }
    }

    /// Takes bytes, and passes those of other lines to `show`.
    pub fn feed(&mut self, bytes: &[u8], mut show: impl FnMut(&[u8])) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = line;
            if let At::Start(known) = self.at {
                let left = &self.start[known..];
                let same = rest.iter().zip(left).take_while(|(one, other)| one == other).count();
                rest = &rest[same..];
                if same == left.len() {
                    self.at = At::LeftOut;
                } else if rest.is_empty() {
                    self.at = At::Start(known + same);
                } else {
                    show(&self.start[..known + same]);
                    self.at = At::Shown;
                }
            }
            if self.at == At::Shown {
                show(rest);
            }
            if line.ends_with(b"\n") && !self.start.is_empty() {
                self.at = At::Start(0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
