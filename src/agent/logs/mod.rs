//! Lines of workloads for a syslog server.

mod collect;
pub(crate) mod frame;
mod link;
mod send;
mod spool;

pub(crate) use collect::EARLIEST;

use crate::control::Control;
use crate::tls;
use anyhow::{Context, Result};
use serde::Deserialize;
use spool::Spool;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The stack of each thread, which holds a message of PID 1 and what TLS needs.
const STACK_BYTES: usize = 256 * 1024;

/// The section `[logs]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logs {
    /// Name or address, and port.
    server: String,
    tls: Option<tls::Files>,
    /// The folder of messages that the server does not have yet.
    spool: PathBuf,
    #[serde(default = "spool_bytes")]
    spool_bytes: u64,
    /// The board's name in messages; the host name by default.
    hostname: Option<String>,
}

const fn spool_bytes() -> u64 {
    4 * 1024 * 1024
}

/// What the collector, the sender and the metrics share.
#[derive(Debug)]
pub(crate) struct Shared {
    spool: Mutex<Spool>,
    changed: Condvar,
    boot: String,
    host: String,
    /// Bytes that were sent, with those that were sent twice.
    sent: AtomicU64,
    /// Lines that PID 1 had no more when they were asked for.
    lost: AtomicU64,
    is_connected: AtomicBool,
}

/// Figures for the metrics.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) messages: u64,
    pub(crate) dropped: u64,
    pub(crate) lost: u64,
    pub(crate) spool_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) is_connected: bool,
}

impl Shared {
    fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, message: &frame::Message<'_>) -> Result<()> {
        self.spool().append(message).context("the spool")?;
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for a message, for at most so long.
    fn wait(&self, time: Duration) {
        drop(self.changed.wait_timeout(self.spool(), time));
    }

    fn wait_for_messages(&self) {
        drop(self.changed.wait_while(self.spool(), |spool| spool.is_read(spool.confirmed())));
    }

    pub(crate) fn figures(&self) -> Figures {
        let spool = self.spool();
        Figures {
            messages: spool.count(),
            dropped: spool.dropped(),
            lost: self.lost.load(Ordering::Relaxed),
            spool_bytes: spool.bytes(),
            sent_bytes: self.sent.load(Ordering::Relaxed),
            is_connected: self.is_connected.load(Ordering::Relaxed),
        }
    }
}

/// Starts to collect and send.
///
/// # Errors
/// The spool cannot be opened, or the files of TLS cannot be read.
pub(crate) fn start(logs: Logs, control: Arc<Control>) -> Result<Arc<Shared>> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("the boot's id")?;
    let boot: String = boot.chars().take(8).collect();
    let host = logs.hostname.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let server = link::Server::new(&logs.server, logs.tls.as_ref()).context("logs.tls")?;
    let spool = Spool::open(&logs.spool, logs.spool_bytes, &boot).context("logs.spool")?;
    let shared = Arc::new(Shared {
        spool: Mutex::new(spool),
        changed: Condvar::new(),
        boot,
        host,
        sent: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        is_connected: AtomicBool::new(false),
    });
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    let collected = Arc::clone(&shared);
    thread("collect").spawn(move || collect::run(&collected, &control))?;
    let sent = Arc::clone(&shared);
    thread("send").spawn(move || send::run(&sent, &server))?;
    Ok(shared)
}
