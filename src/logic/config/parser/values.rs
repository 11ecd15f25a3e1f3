//! Words as values: numbers, durations, paths, names, signals, users. A function parses the whole word or refuses it.

use super::super::address::Mac;
use super::super::identity::User;
use super::super::limits;
use super::super::signal::Signal;
use super::super::source::Source;
use crate::split::Split;
use crate::text;
use crate::text::Text;

/// Parses a whole number of digits only.
pub(super) fn number(text: &str) -> Option<u32> {
    crate::number::number(text)
}

/// Parses a whole number that may be negative.
pub(super) fn signed(text: &str) -> Option<i64> {
    let (digits, sign) = text.strip_prefix('-').map_or((text, 1), |digits| (digits, -1));
    Some(sign * i64::from(number(digits)?))
}

/// Parses an amount: digits with an optional K, M or G (powers of 1024), or `max`, which is `u64::MAX`.
pub(super) fn amount(text: &str) -> Option<u64> {
    if text == "max" {
        return Some(u64::MAX);
    }
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    // At most 4 Gi units of at most a GiB: far below 64 bits.
    number(digits).map(|value| u64::from(value) << shift)
}

/// What [`duration_ms`] expects, for errors.
pub(super) const DURATION: Text = text!("a duration such as 100ms, 5s, 2m or 1h, up to a day");

/// Parses a duration into milliseconds: a number and `ms`, `s`, `m` or `h`.
pub(super) fn duration_ms(text: &str) -> Option<u32> {
    let digits = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(digits)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number(digits)?.checked_mul(unit_ms).filter(|ms| limits::DURATION_MS.contains(ms))
}

/// What [`path`] expects, for errors.
pub(super) const PATH: Text = text!("an absolute path without .., of at most 255 bytes");

/// Returns an absolute path without `..`.
pub(super) fn path(text: &str) -> Option<&str> {
    let climbs = text.parts(b'/').any(|part| part == "..");
    (text.starts_with('/') && text.len() <= limits::PATH_BYTES && !climbs).then_some(text)
}

/// What [`source`] expects, for errors.
pub(super) const SOURCE: Text = text!("an absolute path, or LABEL=, UUID= or PARTUUID= with up to 40 bytes");

/// Returns the source of a filesystem.
pub(super) fn source(text: &str) -> Option<&str> {
    match Source::of(text)? {
        Source::Path(text) => path(text),
        _ => Some(text),
    }
}

/// What [`name`] expects, for errors.
pub(super) const NAME: Text = text!("a name of at most 32 lower-case letters, digits and -, starting with a letter");

/// Returns a workload's name.
pub(super) fn name(text: &str) -> Option<&str> {
    let fits = text.len() <= limits::NAME_BYTES && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (fits && text.bytes().all(letter)).then_some(text)
}

/// What [`hostname`] expects, for errors.
pub(super) const HOSTNAME: Text =
    text!("a host name of at most 64 letters, digits, - and ., and %m and %s in [system]");

/// Returns a host name: labels of letters, digits and inner hyphens, separated by dots (RFC 1123 2.1).
pub(super) fn hostname(text: &str) -> Option<&str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label =
        |part: &str| !part.is_empty() && part.bytes().all(letter) && !part.starts_with('-') && !part.ends_with('-');
    (text.len() <= limits::HOSTNAME_BYTES && text.parts(b'.').all(label)).then_some(text)
}

/// Returns a host name with `%m` and `%s` ([`super::super::hostname`]).
pub(super) fn hostname_of_board(text: &str) -> Option<&str> {
    let example = super::super::hostname::expand(text, Some(Mac([0; 6])), "0")?;
    hostname(&example).map(|_| text)
}

/// Returns a kernel module's name, which is also a file name.
pub(super) fn module(text: &str) -> Option<&str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(letter)).then_some(text)
}

/// What [`device`] expects, for errors.
pub(super) const DEVICE: Text = text!("a terminal below /dev such as ttyS0, or prompt, log or off");

/// Returns a terminal's name below /dev.
pub(super) fn device(text: &str) -> Option<&str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric();
    (text.starts_with("tty") || text.starts_with("hvc"))
        .then_some(text)
        .filter(|text| text.len() <= limits::NAME_BYTES && text.bytes().all(letter))
}

/// What [`user`] expects, for errors.
pub(super) const USER: Text = text!("numbers, UID or UID:GID");

/// Parses a user and its group; the default group has the user's number.
pub(super) fn user(text: &str) -> Option<User> {
    let id = |text: &str| number(text).filter(|id| limits::ID.contains(id));
    let (uid, gid) = text.cut(b':').unwrap_or((text, text));
    Some(User { uid: id(uid)?, gid: id(gid)? })
}

/// What [`variable`] expects, for errors.
pub(super) const VARIABLE: Text = text!("a name without =");

/// Returns the name of an environment variable.
pub(super) fn variable(text: &str) -> Option<&str> {
    (!text.is_empty() && text.place_of(b'=').is_none()).then_some(text)
}

/// What [`signal`] expects, for errors.
pub(super) const SIGNAL: Text = text!("a signal such as TERM, INT, QUIT, HUP or USR1");

/// Returns a signal by its name, with or without SIG.
pub(super) fn signal(text: &str) -> Option<Signal> {
    Signal::from_name(text)
}
