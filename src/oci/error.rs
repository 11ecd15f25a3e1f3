//! Errors as one line of text, and where engines read them: standard error, and the file of `--log`.

use hilum::time::Utc;
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
    /// Writes an error, as runc does: one line each, with the time in the log. What cannot be written has no other place.
    pub fn error(&self, error: &Error) {
        let time = timestamp(SystemTime::now());
        let json = || serde_json::json!({ "level": "error", "msg": error.0, "time": time }).to_string();
        let text = || format!("time=\"{time}\" level=error msg={:?}", error.0);
        if let Some(mut file) = self.file.as_ref() {
            let _ = writeln!(file, "{}", if self.is_json { json() } else { text() });
        }
        // Engines that read no log show this line to people.
        let _ = match self.is_json && self.file.is_none() {
            true => writeln!(std::io::stderr(), "{}", json()),
            false => writeln!(std::io::stderr(), "{}", error.0),
        };
    }
}

/// Returns a time as in RFC 3339, in UTC with nanoseconds.
pub fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = Utc(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).to_string();
    format!("{}.{:09}Z", seconds.trim_end_matches('Z'), since.subsec_nanos())
}
