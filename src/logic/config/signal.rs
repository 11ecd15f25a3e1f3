//! Signals by number and name.

use crate::split::Split;
use core::fmt;

/// A signal by its number, which is the same on x86_64 and aarch64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(pub u8);

/// Signals from number 1 on, which x86_64 and aarch64 share (signal(7)).
const SIGNALS: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP \
                       TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";

impl Signal {
    /// Returns a signal by its name, with or without SIG.
    pub fn from_name(text: &str) -> Option<Self> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        SIGNALS.place_of_word(name).map(|place| Self(place as u8 + 1))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::from(self.0).checked_sub(1).and_then(|place| SIGNALS.parts(b' ').nth(place)) {
            Some(name) => write!(formatter, "SIG{name}"),
            None => write!(formatter, "signal {}", self.0),
        }
    }
}
