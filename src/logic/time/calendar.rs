//! Times for people.

use core::fmt;

/// Microseconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339). A time before 1970 is shown as its beginning, and one behind
/// 2106 as the end of that.
#[derive(Debug, Clone, Copy)]
pub struct Utc(pub i64);

impl fmt::Display for Utc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = (self.0.max(0) / 1_000_000).min(u32::MAX.into()) as u32;
        let (mut day, second) = (seconds / 86_400, seconds % 86_400);
        let (mut year, mut month) = (1970, 0);
        // 2100 is the only fourth year of this time without a leap day.
        let length = |year: u32, month: u32| match month {
            1 if year.is_multiple_of(4) && year != 2100 => 29,
            1 => 28,
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        while day >= length(year, month) {
            day -= length(year, month);
            (year, month) = if month == 11 { (year + 1, 0) } else { (year, month + 1) };
        }
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(formatter, "{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, day + 1)
    }
}
