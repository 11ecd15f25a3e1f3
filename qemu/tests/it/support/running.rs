//! Programs beside a test, and waiting for what they do.

use super::SOON;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A program that is killed with the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `done` returns something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + SOON;
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(Instant::now() < until, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until something is true.
#[track_caller]
pub(crate) fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    eventually(what, || is_true().then_some(()));
}
