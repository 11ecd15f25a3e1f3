//! A scripted time server: it says what chrony would not.

use super::wire::within;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// Returns the answer of a server of stratum 2, whose clock is so many milliseconds ahead of this host's.
pub(crate) fn answer(request: &[u8], ahead_ms: i64) -> Vec<u8> {
    let mut packet = vec![0; 48];
    (packet[0], packet[1]) = (0x24, 2);
    packet[24..32].copy_from_slice(&request[40..48]);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_micros();
    let us = i64::try_from(since).expect("a time") + ahead_ms * 1_000;
    let seconds = (us.div_euclid(1_000_000) + 2_208_988_800) as u32;
    let fraction = (us.rem_euclid(1_000_000) as u64) << 32;
    for at in [32, 40] {
        packet[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
        packet[at + 4..at + 8].copy_from_slice(&((fraction / 1_000_000) as u32).to_be_bytes());
    }
    packet
}

/// Returns a kiss-o'-death with this code.
pub(crate) fn kiss(request: &[u8], code: &[u8; 4]) -> Vec<u8> {
    let mut packet = answer(request, 0);
    packet[1] = 0;
    packet[12..16].copy_from_slice(code);
    packet
}

/// A running server.
pub(crate) struct Sntp {
    asked: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sntp {
    /// Answers at an address in the network namespace of a process, with the packets that `script` returns for each request.
    pub(crate) fn start(
        pid: u32,
        at: &str,
        mut script: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let at = format!("{at}:123");
        let socket = within(pid, move || UdpSocket::bind(&at).unwrap_or_else(|error| panic!("{at}: {error}")));
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let (asked, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (asked.clone(), is_over.clone());
        let thread = std::thread::spawn(move || {
            let mut request = [0; 100];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut request) else { continue };
                assert_eq!((length, request[0]), (48, 0x23), "a request of version 4, without extensions");
                for packet in script(&request[..48], from) {
                    // The client may be gone already.
                    let _ = socket.send_to(&packet, from);
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { asked, is_over, thread: Some(thread) }
    }

    /// Returns how often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Sntp {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let over = thread.join();
            assert!(over.is_ok() || std::thread::panicking(), "the server has met a wrong request");
        }
    }
}
