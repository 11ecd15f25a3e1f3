//! Reads single keys from a terminal.

use hilum_sys::{TerminalModes, standard_input};

/// Sets standard input to return each key at once, including Ctrl-C, without echo, until this is dropped.
pub(super) struct Keys(TerminalModes);

impl Keys {
    /// Returns `None` if standard input is not a terminal.
    pub(super) fn new() -> Option<Self> {
        let cooked = TerminalModes::of(standard_input()).ok()?;
        cooked.clone().key_by_key().set(standard_input(), false);
        Some(Self(cooked))
    }

    /// Reads and discards the key, and others that arrived with it.
    pub(super) fn read(&self) {
        let _ = rustix::io::read(standard_input(), &mut [0; 64]);
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.0.set(standard_input(), false);
    }
}
