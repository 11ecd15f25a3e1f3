//! Suggests the word that was probably meant.

/// Returns the word that is most similar to `name`, with at most two edits.
pub fn nearest<'w>(words: &mut dyn Iterator<Item = &'w str>, name: &str) -> Option<&'w str> {
    let distances = words.filter_map(|word| Some((distance(word.as_bytes(), name.as_bytes())?, word)));
    let (distance, near) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && near.len() > 2 && 2 * distance <= near.len()).then_some(near)
}

/// Returns the edit distance (Levenshtein). `None` for long words.
fn distance(left: &[u8], right: &[u8]) -> Option<usize> {
    const LONGEST: usize = 16;
    if left.len().max(right.len()) >= LONGEST {
        return None;
    }
    let mut row: [usize; LONGEST] = core::array::from_fn(|index| index);
    for (above, letter) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    Some(row[right.len()])
}

#[cfg(test)]
mod tests;
