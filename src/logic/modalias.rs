//! Finds the kernel modules for a device: compares its modalias with the patterns of the modules (modules.alias of
//! depmod(8)).

use crate::split::Split;

/// Returns whether a pattern of fnmatch(3) with `*`, `?` and `[...]` matches a whole text. The time is at most
/// proportional to the product of both lengths.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // The position after the last star, and the position in the text where its match was tried. Earlier stars never
    // need another attempt.
    let mut again = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            again = Some((at, seen));
        } else if let Some(length) = one(&pattern[at..], text[seen]) {
            (at, seen) = (at + length, seen + 1);
        } else if let Some((behind, tried)) = &mut again {
            *tried += 1;
            (at, seen) = (*behind, *tried);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Returns the length of the pattern element that matches this byte, or `None`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let end = pattern.iter().position(|byte| *byte == b']')?;
            let mut set = &pattern[1..end];
            let mut is_in = false;
            while let [first, rest @ ..] = set {
                let (last, rest) = if let [b'-', last, rest @ ..] = rest { (last, rest) } else { (first, rest) };
                is_in |= (first..=last).contains(&&byte);
                set = rest;
            }
            is_in.then_some(end + 1)
        }
        found => (*found == byte).then_some(1),
    }
}

/// Returns the module of a line `PATTERN MODULE` of the image's list, if its pattern matches.
pub fn module_of<'a>(line: &'a str, modalias: &str) -> Option<&'a str> {
    let (pattern, module) = line.cut_last(b' ')?;
    fits(pattern, modalias).then_some(module)
}

#[cfg(test)]
mod tests;
