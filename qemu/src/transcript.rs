//! The output of a console, which grows while it is read.

use anyhow::{Result, bail};
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The text of a console, shared with the thread that reads it.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    shared: Arc<(Mutex<Text>, Condvar)>,
}

#[derive(Debug, Default)]
struct Text {
    text: String,
    is_over: bool,
}

/// The number of last lines in a failed expectation.
const TAIL: usize = 60;

impl Transcript {
    /// Reads `source` to its end in a thread. Carriage returns are dropped.
    pub fn read(mut source: impl Read + Send + 'static) -> Self {
        let transcript = Self::default();
        let shared = Arc::clone(&transcript.shared);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let mut pending = Vec::new();
            while let Ok(count) = source.read(&mut buffer)
                && count > 0
            {
                pending.extend(buffer[..count].iter().filter(|byte| **byte != b'\r'));
                // An incomplete character waits for its remaining bytes.
                let whole = std::str::from_utf8(&pending).map_or_else(
                    |error| if error.error_len().is_some() { pending.len() } else { error.valid_up_to() },
                    str::len,
                );
                let text: Vec<u8> = pending.drain(..whole).collect();
                let mut guard = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                guard.text.push_str(&String::from_utf8_lossy(&text));
                shared.1.notify_all();
            }
            shared.0.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
            shared.1.notify_all();
        });
        transcript
    }

    /// Returns the output so far.
    pub fn text(&self) -> String {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// Waits until `found` returns a position in the text.
    fn wait(&self, deadline: Duration, found: impl Fn(&Text) -> bool) -> Option<String> {
        let until = Instant::now() + deadline;
        let mut guard = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if found(&guard) {
                return Some(guard.text.clone());
            }
            let left = until.checked_duration_since(Instant::now()).filter(|_| !guard.is_over)?;
            guard = self.shared.1.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the text contains `wanted`. Returns the text.
    ///
    /// # Errors
    /// It does not within `deadline`, or the console was closed before; with the last lines.
    pub fn expect(&self, wanted: &str, deadline: Duration) -> Result<String> {
        match self.wait(deadline, |text| text.text.contains(wanted)) {
            Some(text) => Ok(text),
            None => bail!("no {wanted:?} within {deadline:?}; last lines of the console:\n{}", self.tail()),
        }
    }

    /// Waits until the text contains `before` and, after that, `after`. Returns what is between them, each at its first place.
    ///
    /// # Errors
    /// It does not within `deadline`, or the console was closed before; with the last lines.
    pub fn between(&self, before: &str, after: &str, deadline: Duration) -> Result<String> {
        let find = |text: &str| Some(text.split_once(before)?.1.split_once(after)?.0.to_owned());
        match self.wait(deadline, |text| find(&text.text).is_some()).and_then(|text| find(&text)) {
            Some(found) => Ok(found),
            None => bail!("no {before:?} with {after:?} after it within {deadline:?}; last lines:\n{}", self.tail()),
        }
    }

    /// Waits for the end of the output. Returns the text.
    ///
    /// # Errors
    /// It does not end within `deadline`.
    pub fn end(&self, deadline: Duration) -> Result<String> {
        match self.wait(deadline, |text| text.is_over) {
            Some(text) => Ok(text),
            None => bail!("no exit within {deadline:?}; last lines of the console:\n{}", self.tail()),
        }
    }

    /// Returns the last lines.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

#[cfg(test)]
mod tests;
