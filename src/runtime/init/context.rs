//! State that all services of PID 1 share.

use super::configuration::Configuration;
use super::event_loop::EventLoop;
use super::timeline::Timeline;
use crate::console::Console;
use crate::os::clock::monotonic_ms;
use crate::os::environment::{DEFAULT_SOCKET, Environment};
use hilum::config::Control;

/// Milliseconds for which the first workload has the only processor to itself: several times the duration of a start on
/// an emulated processor.
const FIRST_WORKLOAD_MS: u64 = 500;
/// Milliseconds that remain after its program was executed. The kernel wakes PID 1 in the middle of execve(2), so PID
/// 1's next work would otherwise run before the program's first instruction.
const EXEC_GRACE_MS: u64 = 20;

/// The parts of PID 1 that belong to no service.
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub(super) struct Context {
    pub(super) config: Configuration,
    pub(super) events: EventLoop,
    /// Until when work that the first workload does not need is deferred, on a single processor; `None` once that
    /// workload runs.
    defer_until: Option<u64>,
    pub(super) timeline: Timeline,
    pub(super) environment: Environment,
    pub(super) console: Console,
}

impl Context {
    pub(super) fn new(
        environment: Environment,
        config: Configuration,
        console: Console,
        timeline: Timeline,
        events: EventLoop,
    ) -> Self {
        Self { environment, config, console, timeline, events, defer_until: None }
    }

    /// Returns the time at the start of this turn in milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.events.now()
    }

    /// Returns the slot of the workload at `index`.
    pub(super) fn slot(&self, index: usize) -> usize {
        self.config.get().slots.of(index)
    }

    /// Returns the path of the control socket; `None` if it is off, which is the default in a container.
    pub(super) fn control_socket(&self) -> Option<&str> {
        match self.config.get().system.control {
            Control::At(path) => Some(path),
            Control::Default if self.environment == Environment::Machine => Some(DEFAULT_SOCKET),
            _ => None,
        }
    }

    /// Starts the deferral of work that the first workload does not need.
    pub(super) fn defer(&mut self) {
        self.defer_until = Some(monotonic_ms() + FIRST_WORKLOAD_MS);
    }

    /// Returns whether such work is deferred.
    pub(super) fn is_deferring(&self) -> bool {
        self.defer_until.is_some()
    }

    /// Returns when the deferral ends at the latest.
    pub(super) fn deferred_until(&self) -> Option<u64> {
        self.defer_until
    }

    /// Ends the deferral soon, because the first workload's program is about to run.
    pub(super) fn end_deferral_soon(&mut self) {
        self.defer_until = self.defer_until.and(Some(monotonic_ms() + EXEC_GRACE_MS));
    }

    /// Ends the deferral in this turn, because the first workload has exited.
    pub(super) fn end_deferral_now(&mut self) {
        self.defer_until = self.defer_until.and(Some(0));
    }

    /// Ends the deferral. Returns whether there was one.
    pub(super) fn take_deferral(&mut self) -> bool {
        self.defer_until.take().is_some()
    }
}
