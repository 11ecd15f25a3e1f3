//! Versions of Debian packages (Debian's policy, 5.6.12): `[EPOCH:]UPSTREAM[-REVISION]`.

use std::cmp::Ordering;

/// Compares two versions, as `dpkg --compare-versions` does.
pub fn compare(one: &str, other: &str) -> Ordering {
    let ((epoch, one), (other_epoch, other)) = (epoch(one), epoch(other));
    let ((upstream, revision), (other_upstream, other_revision)) = (revision(one), revision(other));
    let parts = || compare_part(upstream, other_upstream).then_with(|| compare_part(revision, other_revision));
    epoch.cmp(&other_epoch).then_with(parts)
}

fn epoch(version: &str) -> (u32, &str) {
    let split = version.split_once(':').and_then(|(epoch, rest)| Some((epoch.parse().ok()?, rest)));
    split.unwrap_or((0, version))
}

fn revision(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

/// Compares what is no number by characters and numbers by their value, in turns.
fn compare_part(mut one: &str, mut other: &str) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let (text, rest) = one.split_at(one.find(|found: char| found.is_ascii_digit()).unwrap_or(one.len()));
        let (other_text, other_rest) =
            other.split_at(other.find(|found: char| found.is_ascii_digit()).unwrap_or(other.len()));
        let length = text.len().max(other_text.len());
        let order = |text: &str| (0..=length).map(|at| text.as_bytes().get(at).map_or(0, rank)).collect::<Vec<i32>>();
        let (number, rest) = number(rest);
        let (other_number, other_rest) = self::number(other_rest);
        let by_value = || number.len().cmp(&other_number.len()).then_with(|| number.cmp(other_number));
        let found = order(text).cmp(&order(other_text)).then_with(by_value);
        if found != Ordering::Equal {
            return found;
        }
        (one, other) = (rest, other_rest);
    }
    Ordering::Equal
}

/// Digits without zeros in front, and what is behind them.
fn number(text: &str) -> (&str, &str) {
    let (digits, rest) = text.split_at(text.find(|found: char| !found.is_ascii_digit()).unwrap_or(text.len()));
    (digits.trim_start_matches('0'), rest)
}

/// A tilde is before the end, and letters are before everything else.
fn rank(byte: &u8) -> i32 {
    match byte {
        b'~' => -1,
        _ if byte.is_ascii_alphabetic() => i32::from(*byte),
        _ => i32::from(*byte) + 256,
    }
}
