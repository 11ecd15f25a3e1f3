//! Sends what is in the spool.

use super::Shared;
use super::link::{Link, Server};
use anyhow::{Context, Result};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Bytes of one write.
const CHUNK: u64 = 16 * 1024;
/// Bytes after which the link ends, so that they are known to have arrived; at most so many are sent twice after it broke.
const CHECKPOINT: usize = 1024 * 1024;
/// How long there is nothing to send before the link ends for the same reason.
const IDLE: Duration = Duration::from_secs(2);
/// The delay before the first and the longest before any further attempt to connect.
const BACKOFF: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(60)];

/// Sends for ever.
pub(super) fn run(shared: &Shared, server: &Server) -> ! {
    let mut delay = BACKOFF[0];
    let mut is_told = false;
    loop {
        shared.wait_for_messages();
        let result = server.connect().context("cannot connect").and_then(|link| {
            shared.is_connected.store(true, Ordering::Relaxed);
            if is_told {
                eprintln!("hilum-agent: logs: connected");
                is_told = false;
            }
            session(shared, link)
        });
        shared.is_connected.store(false, Ordering::Relaxed);
        match result {
            Ok(()) => delay = BACKOFF[0],
            Err(error) => {
                if !is_told {
                    eprintln!("hilum-agent: logs: {error:#}; lines are kept until it is back");
                    is_told = true;
                }
                std::thread::sleep(delay);
                delay = (2 * delay).min(BACKOFF[1]);
            }
        }
    }
}

/// Sends over one link until it is confirmed.
fn session(shared: &Shared, mut link: Link) -> Result<()> {
    let mut cursor = shared.spool().confirmed();
    let (mut sent, mut last) = (0, Instant::now());
    loop {
        let frames = shared.spool().read(&mut cursor, CHUNK)?;
        if !frames.is_empty() {
            link.write(&frames)?;
            shared.sent.fetch_add(frames.len() as u64, Ordering::Relaxed);
            sent += frames.len();
            last = Instant::now();
        }
        if sent >= CHECKPOINT || (frames.is_empty() && last.elapsed() >= IDLE) {
            link.finish()?;
            return shared.spool().confirm(cursor);
        }
        if frames.is_empty() {
            link.check()?;
            shared.wait(Duration::from_millis(200));
        }
    }
}
