//! Limits for each source of events per turn of the event loop.
//!
//! Whatever a workload, a helper, a client or the network sends, a turn does a bounded amount of work for each source,
//! and every source is served. A handler reads up to its limit and returns. The rest is handled in the next turn: the
//! kernel reports a level-triggered descriptor again, an edge-triggered one is rearmed (`EventLoop::rearm`), and for
//! anything else the loop does not sleep (`EventLoop::come_back`). `qemu/tests/it/host/floods.rs` floods each source.

/// Bytes of a workload's output. In the worst case each byte is a line, and each line a system call for each
/// destination.
pub(crate) const OUTPUT_BYTES: usize = 1024;
/// Chunks of [`OUTPUT_BYTES`] for a workload in the turn of its exit.
pub(crate) const LAST_HELPINGS: u32 = 4;
/// Maximum chunks of remaining output after an exit: twice the largest pipe that a workload can create
/// (/proc/sys/fs/pipe-max-size, pipe(7)). Only a process that keeps writing after the exit reaches this.
pub(crate) const LEFT_HELPINGS: u32 = 2 * 1024 * 1024 / OUTPUT_BYTES as u32;
/// Bytes before the newline of `ready fd`.
pub(crate) const READY_BYTES: usize = 1024;
/// Records in the report of a set-up.
pub(crate) const RECORDS: usize = 4;
/// Datagrams of a workload to its NOTIFY_SOCKET.
pub(crate) const DATAGRAMS: usize = 16;
/// Signals to PID 1. Real-time signals, from 32 on, are queued (signal(7)).
pub(crate) const SIGNALS: usize = 64;
/// Exited processes to reap.
pub(crate) const ENDS: usize = 64;
/// Lines that are sent to a client of the control socket.
pub(crate) const LINES: usize = 32;
/// Datagrams of link events.
pub(crate) const LINK_MESSAGES: usize = 8;
/// Messages of device events.
pub(crate) const UEVENTS: usize = 16;
/// Messages of a DHCP client.
pub(crate) const LEASES: usize = 4;
