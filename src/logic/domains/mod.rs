//! Search domains that networks announce, for the `search` line of resolv.conf(5).
//!
//! Announcements of servers and routers are not trusted: a domain consists of letters, digits, `-`, `_` and dots;
//! everything else is dropped.

use crate::split::Split;

/// Bytes of the domains of one link, separated by spaces.
pub const SEARCH_BYTES: usize = 128;
/// Maximum bytes of a domain.
const DOMAIN_BYTES: usize = 64;
/// Maximum domains of one option.
const DOMAINS: usize = 6;

/// A domain.
pub type Domain = heapless::String<DOMAIN_BYTES>;

/// Domains separated by spaces, padded with zero bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search(pub [u8; SEARCH_BYTES]);

impl Search {
    /// No domain.
    pub const EMPTY: Self = Self([0; SEARCH_BYTES]);

    /// Adds a domain if it is valid, new, and fits as a whole.
    pub fn push(&mut self, domain: &str) {
        let used = self.text().len();
        let start = if used == 0 { 0 } else { used + 1 };
        let is_new = self.iter().all(|known| known != domain);
        let Some(place) = self.0.get_mut(start..start + domain.len()) else { return };
        if is_domain(domain) && is_new {
            place.copy_from_slice(domain.as_bytes());
            if used > 0 {
                self.0[used] = b' ';
            }
        }
    }

    /// Returns the domains, separated by spaces.
    pub fn text(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(SEARCH_BYTES);
        core::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    /// Iterates over the domains. Each is validated again, because another process wrote them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text().parts(b' ').filter(|domain| is_domain(domain))
    }
}

/// Returns whether a text is a domain of letters, digits, `-` and `_`, with single dots between its labels.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= DOMAIN_BYTES && text.parts(b'.').all(is_label)
}

/// Calls `tell` for each domain of a list of names in DNS encoding (RFC 1035 3.1), with compression pointers (4.1.4).
/// The list ends at the first malformed name, and at the zero bytes that pad an option of RFC 8106 5.2. A name that is
/// not valid for [`Search`] is skipped.
pub fn read(list: &[u8], tell: &mut dyn FnMut(&str)) {
    let mut at = 0;
    for _ in 0..DOMAINS {
        let mut domain = Domain::new();
        let Some(next) = read_one(list, at, &mut domain) else { return };
        if is_domain(&domain) {
            tell(&domain);
        }
        at = next;
    }
}

/// Reads one name and returns the offset of the next one. `None` if it ends outside of the list, or has a pointer that
/// does not point backwards.
fn read_one(list: &[u8], start: usize, domain: &mut Domain) -> Option<usize> {
    // A pointer must point to before the current part, so a name cannot be endless.
    let (mut at, mut part, mut next) = (start, start, None);
    loop {
        let length = usize::from(*list.get(at)?);
        match length {
            0 => return Some(next.unwrap_or(at + 1)),
            1..=63 => {
                let label = core::str::from_utf8(list.get(at + 1..at + 1 + length)?).unwrap_or("?");
                let dot = if domain.is_empty() { "" } else { "." };
                if domain.push_str(dot).is_err() || domain.push_str(label).is_err() {
                    // Too long: treated as invalid.
                    domain.clear();
                    let _ = domain.push_str("?");
                }
                at += 1 + length;
            }
            0xc0.. => {
                let to = (length & 0x3f) << 8 | usize::from(*list.get(at + 1)?);
                next = next.or(Some(at + 2));
                if to >= part {
                    return None;
                }
                (at, part) = (to, to);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
