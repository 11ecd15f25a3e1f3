//! Lines without those that begin in a certain way.

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// So many of its bytes were those of the beginning.
    Start(usize),
    /// It is left out.
    LeftOut,
    /// It is shown.
    Shown,
}

/// Leaves out the lines that begin with `start`, of bytes that come cut anywhere.
#[derive(Debug)]
pub struct PrefixFilter<'a> {
    start: &'a [u8],
    at: At,
}

impl<'a> PrefixFilter<'a> {
    /// `start` holds no newline; an empty one leaves nothing out.
    pub const fn new(start: &'a [u8]) -> Self {
        Self { start, at: if start.is_empty() { At::Shown } else { At::Start(0) } }
    }

    /// Takes bytes, and gives those that are to be shown.
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
