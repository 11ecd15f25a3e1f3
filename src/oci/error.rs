//! Errors as one line of text, and where engines read them: standard error, and the file of `--log`.

use rustix::io::Errno;
use std::fmt::{self, Display};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// What failed, in words that people read and that engines search for phrases of runc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

/// A result of anything in this program.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Returns an errno in words, as C libraries and Go print it.
pub fn words(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Adds what was attempted to an error of the kernel.
pub trait At<T> {
    /// Returns `what: the errno in words`.
    ///
    /// # Errors
    /// The same, with words.
    fn at<W: Display>(self, what: W) -> Result<T>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at<W: Display>(self, what: W) -> Result<T> {
        self.map_err(|errno| Error(format!("{what}: {}", words(errno))))
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at<W: Display>(self, what: W) -> Result<T> {
        self.map_err(|error| {
            let text = error.to_string();
            Error(format!("{what}: {}", text.split(" (os error").next().unwrap_or_default().to_lowercase()))
        })
    }
}

/// Where errors are written besides standard error.
#[derive(Debug, Default)]
pub struct Log {
    /// The file of `--log`, opened before any namespace is entered.
    pub file: Option<std::fs::File>,
    /// `--log-format json`
    pub is_json: bool,
}

impl Log {
    /// Writes an error, as runc does: one line each. What cannot be written has no other place.
    pub fn error(&self, error: &Error) {
        let time = timestamp(SystemTime::now());
        let json = || serde_json::json!({ "level": "error", "msg": error.0, "time": time }).to_string();
        let text = || format!("time=\"{time}\" level=error msg={:?}", error.0);
        if let Some(mut file) = self.file.as_ref() {
            let _ = writeln!(file, "{}", if self.is_json { json() } else { text() });
        }
        let _ = writeln!(std::io::stderr(), "{}", if self.is_json && self.file.is_none() { json() } else { text() });
    }
}

/// Returns a time as in RFC 3339, in UTC with nanoseconds.
pub fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days from March 1 of year 0 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second, nano) = (second / 3600, second / 60 % 60, second % 60, since.subsec_nanos());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nano:09}Z")
}
