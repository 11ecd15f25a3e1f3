//! The page of metrics: names of cAdvisor for workloads and of `node_exporter` for the machine where they fit, `hilum_*` for the rest.
//! docs/agent.md has the table.

mod format;
mod machine;
mod workloads;

use crate::board;
use crate::control::Control;
use crate::logs;
use format::Families;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a page is served again, instead of asking PID 1 once more.
const FRESH: Duration = Duration::from_secs(1);

/// What is served to Prometheus.
#[derive(Debug)]
pub(crate) struct Page {
    control: Arc<Control>,
    disks: Vec<PathBuf>,
    logs: Option<Arc<logs::Shared>>,
    /// Whether the last poll of the update server has succeeded.
    updates: Option<Arc<AtomicBool>>,
    last: Mutex<Option<(Instant, Arc<Vec<u8>>)>>,
}

impl Page {
    pub(crate) fn new(
        control: Arc<Control>,
        disks: Vec<PathBuf>,
        logs: Option<Arc<logs::Shared>>,
        updates: Option<Arc<AtomicBool>>,
    ) -> Self {
        Self { control, disks, logs, updates, last: Mutex::new(None) }
    }

    /// Returns the page, which is at most a second old. Whoever asks meanwhile waits for the same one.
    pub(crate) fn text(&self) -> Arc<Vec<u8>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, text)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(text);
        }
        let text = Arc::new(self.collect());
        *last = Some((Instant::now(), Arc::clone(&text)));
        text
    }

    fn collect(&self) -> Vec<u8> {
        let start = Instant::now();
        let mut families = Families::default();
        let board = board::look(&self.control);
        families.gauge("hilum_up", "Whether PID 1 answered.", [([], f64::from(board.is_ok()))]);
        match &board {
            Ok(board) => workloads::add(&mut families, board),
            Err(error) => eprintln!("hilum-agent: metrics: {error:#}"),
        }
        machine::add(&mut families, &self.disks);
        if let Some(logs) = &self.logs {
            sent(&mut families, &logs.figures());
        }
        let is_up = self.updates.iter().map(|is_up| ([], f64::from(is_up.load(Ordering::Relaxed))));
        families.gauge("hilum_agent_update_server_up", "Whether the update server answered the last poll.", is_up);
        let seconds = start.elapsed().as_secs_f64();
        families.gauge("hilum_agent_collect_seconds", "Time that it took to collect these metrics.", [([], seconds)]);
        families.text()
    }
}

fn sent(families: &mut Families, logs: &logs::Figures) {
    let mut counter = |name: &str, help: &str, value: u64| families.counter(name, help, [([], value as f64)]);
    counter("hilum_agent_log_messages_total", "Messages that were put into the spool.", logs.messages);
    counter("hilum_agent_log_dropped_total", "Messages that were dropped from a full spool.", logs.dropped);
    counter("hilum_agent_log_lost_lines_total", "Lines that came faster than they were read.", logs.lost);
    counter(
        "hilum_agent_log_sent_bytes_total",
        "Bytes to the server, with those that were sent twice.",
        logs.sent_bytes,
    );
    families.gauge("hilum_agent_log_spool_bytes", "Bytes in the spool.", [([], logs.spool_bytes as f64)]);
    let is_connected = f64::from(logs.is_connected);
    families.gauge("hilum_agent_log_connected", "Whether there is a connection to the server.", [([], is_connected)]);
}

#[cfg(test)]
mod tests;
