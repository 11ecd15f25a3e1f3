//! Keys of a terminal one by one, as they are pressed.

use hilum_sys::standard_input;
use rustix::termios::{InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// Has keys come one by one on standard input, Ctrl-C among them, and not shown by the terminal itself. What is written
/// still gets its carriage returns. `cooked` is how the terminal is otherwise.
pub(super) fn take(cooked: &Termios) {
    let mut modes = cooked.clone();
    modes.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
    modes.input_modes &= !(InputModes::ICRNL | InputModes::IXON);
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    let _ = tcsetattr(standard_input(), OptionalActions::Now, &modes);
}

/// The same until it is dropped.
pub(super) struct Keys(Termios);

impl Keys {
    /// None where standard input is no terminal.
    pub(super) fn new() -> Option<Self> {
        let cooked = tcgetattr(standard_input()).ok()?;
        take(&cooked);
        Some(Self(cooked))
    }

    /// Takes the key that was pressed, and what came with it.
    pub(super) fn read(&self) {
        let _ = rustix::io::read(standard_input(), &mut [0; 64]);
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(standard_input(), OptionalActions::Now, &self.0);
    }
}
