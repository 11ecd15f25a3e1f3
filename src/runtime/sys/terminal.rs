//! The modes of a terminal (termios(3), ioctl_tty(2)). rustix's functions support every speed, which takes 500 bytes.

use crate::call::call;
use linux_raw_sys::general::{
    __NR_ioctl, BRKINT, CS8, CSIZE, ECHO, ECHONL, ICANON, ICRNL, IEXTEN, IGNBRK, IGNCR, INLCR, ISIG, ISTRIP, IXON,
    OPOST, PARENB, PARMRK, VMIN, VTIME, termios,
};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// Requests that get the modes, set them at once, and set them after all output was sent (include/uapi/asm-generic/ioctls.h).
const TCGETS: usize = 0x5401;
const TCSETS: usize = 0x5402;
const TCSETSW: usize = 0x5403;

/// The modes of a terminal.
#[derive(Clone)]
pub struct TerminalModes(termios);

impl TerminalModes {
    /// Returns the modes of a terminal.
    ///
    /// # Errors
    /// ENOTTY if the descriptor is not a terminal.
    pub fn of(terminal: BorrowedFd<'_>) -> Result<Self, Errno> {
        let mut modes = termios { c_iflag: 0, c_oflag: 0, c_cflag: 0, c_lflag: 0, c_line: 0, c_cc: [0; 19] };
        // SAFETY: the kernel writes one struct termios.
        unsafe { call(__NR_ioctl, [terminal.as_raw_fd() as usize, TCGETS, &raw mut modes as usize, 0, 0, 0]) }?;
        Ok(Self(modes))
    }

    /// Sets these modes, after all output was sent if `drains`. Errors are ignored: the terminal may be gone.
    pub fn set(&self, terminal: BorrowedFd<'_>, drains: bool) {
        let request = if drains { TCSETSW } else { TCSETS };
        // SAFETY: the kernel reads one struct termios.
        let _ =
            unsafe { call(__NR_ioctl, [terminal.as_raw_fd() as usize, request, &raw const self.0 as usize, 0, 0, 0]) };
    }

    /// Returns these modes without keys that send signals (ISIG).
    #[must_use]
    pub fn without_signals(mut self) -> Self {
        self.0.c_lflag &= !ISIG;
        self
    }

    /// Returns these modes with each key returned at once, including Ctrl-C, and no echo. Output processing is unchanged.
    #[must_use]
    pub fn key_by_key(mut self) -> Self {
        self.0.c_lflag &= !(ICANON | ECHO | ISIG | IEXTEN);
        self.0.c_iflag &= !(ICRNL | IXON);
        (self.0.c_cc[VMIN as usize], self.0.c_cc[VTIME as usize]) = (1, 0);
        self
    }

    /// Returns raw modes: no byte is changed or interpreted (cfmakeraw(3)).
    #[must_use]
    pub fn raw(mut self) -> Self {
        self = self.key_by_key();
        self.0.c_lflag &= !ECHONL;
        self.0.c_iflag &= !(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR);
        self.0.c_oflag &= !OPOST;
        self.0.c_cflag = self.0.c_cflag & !(CSIZE | PARENB) | CS8;
        self
    }
}
