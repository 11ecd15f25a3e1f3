//! Times at which something is due.

/// Returns the earliest of several times in milliseconds; `None` means never.
#[inline(never)]
pub fn earliest(times: &[Option<u64>]) -> Option<u64> {
    times.iter().flatten().copied().min()
}

#[cfg(test)]
mod tests {
    use super::earliest;

    #[test]
    fn never_is_later_than_any_time() {
        assert_eq!(earliest(&[None, Some(u64::MAX), Some(3), None, Some(5)]), Some(3));
        assert_eq!(earliest(&[None]), None);
        assert_eq!(earliest(&[]), None);
    }
}
