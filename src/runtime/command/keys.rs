//! Reads single keys from a terminal.

use hilum_sys::standard_input;
use rustix::termios::{InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// Makes the terminal deliver single keys on standard input, including Ctrl-C, without echo. Output still gets carriage
/// returns. `cooked` is the terminal's normal mode.
pub(super) fn take(cooked: &Termios) {
    let mut modes = cooked.clone();
    modes.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
    modes.input_modes &= !(InputModes::ICRNL | InputModes::IXON);
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    let _ = tcsetattr(standard_input(), OptionalActions::Now, &modes);
}

/// The same mode until this is dropped.
pub(super) struct Keys(Termios);

impl Keys {
    /// Returns `None` if standard input is not a terminal.
    pub(super) fn new() -> Option<Self> {
        let cooked = tcgetattr(standard_input()).ok()?;
        take(&cooked);
        Some(Self(cooked))
    }

    /// Reads and discards the key, and others that arrived with it.
    pub(super) fn read(&self) {
        let _ = rustix::io::read(standard_input(), &mut [0; 64]);
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(standard_input(), OptionalActions::Now, &self.0);
    }
}
