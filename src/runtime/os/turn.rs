//! What each source of the event loop may have in one turn.
//!
//! The rule: whatever a workload, a helper, a client or the network sends, a turn of the loop does a bounded amount of work
//! for each source, and every source gets its turn. A handler reads at most so much and returns. What is left comes back in
//! the next turn: the kernel reports a level-triggered descriptor again by itself, an edge-triggered one is armed again
//! (`Board::rearm`), and for what is no descriptor the loop does not sleep (`Board::comes_back`). `qemu/tests/it/host/floods.rs`
//! floods each source and counts.

/// Bytes of a workload's output. Each byte may be a line, and each line one more system call for each log that it goes to.
pub(crate) const OUTPUT_BYTES: usize = 1024;
/// Helpings of [`OUTPUT_BYTES`] that a workload has in the turn in which its end is heard.
pub(crate) const LAST_HELPINGS: u32 = 4;
/// Helpings that what a workload left in its pipe may take altogether: twice the largest pipe that it may have made itself
/// (/proc/sys/fs/pipe-max-size, pipe(7)). Only what still writes after its end reaches that.
pub(crate) const LEFT_HELPINGS: u32 = 2 * 1024 * 1024 / OUTPUT_BYTES as u32;
/// Bytes that may come before the newline of `ready fd`.
pub(crate) const READY_BYTES: usize = 1024;
/// Records of a set-up's report.
pub(crate) const RECORDS: usize = 4;
/// Datagrams of a workload that reports its state.
pub(crate) const DATAGRAMS: usize = 16;
/// Signals to PID 1. Those from 32 on queue up (signal(7)).
pub(crate) const SIGNALS: usize = 64;
/// Processes that are reaped.
pub(crate) const ENDS: usize = 64;
/// Lines that one client of the control socket is sent.
pub(crate) const LINES: usize = 32;
/// Datagrams in which the kernel reports links.
pub(crate) const LINK_MESSAGES: usize = 8;
/// Messages in which the kernel reports devices.
pub(crate) const UEVENTS: usize = 16;
/// Messages of one DHCP client.
pub(crate) const LEASES: usize = 4;
