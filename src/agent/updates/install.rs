//! Hands a bundle to PID 1 while it is downloaded.

use super::ddi::Client;
use crate::control::{Control, finish, message};
use anyhow::{Context, Result};
use hilum::wire::{Command, Reply, Request};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// How long a download may stand still. PID 1 gives a sender a minute for each block.
const STILL: Duration = Duration::from_secs(50);
/// The delay before a download goes on.
const DELAY: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 1_000 });

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// PID 1 has all of it, and restarts the board.
    Done,
    /// PID 1 refuses it, or the download stood still for too long.
    Failed(String),
    /// It was cancelled before PID 1 had all of it.
    Cancelled,
}

/// Downloads `size` bytes from `url`, and hands them in. `is_cancelled` is asked often.
///
/// # Errors
/// PID 1 does not answer.
pub(super) fn install(
    control: &Control,
    client: &Client,
    url: &str,
    size: u64,
    is_cancelled: &mut dyn FnMut() -> bool,
) -> Result<End> {
    let (reader, writer) = std::io::pipe()?;
    let socket = control.hand_in(&message(&Request::new(Command::Update))?, &reader)?;
    // PID 1 has it now.
    drop(reader);
    std::thread::scope(|scope| {
        let answer = scope.spawn(move || {
            finish(&socket, &mut |reply| {
                if let Reply::Event(_, text) = reply {
                    println!("hilum-agent: update: {text}");
                }
            })
        });
        let copied = copy(client, url, size, writer, is_cancelled);
        let answer = answer.join().map_err(|_| anyhow::anyhow!("a thread has failed"))?;
        Ok(match (copied, answer) {
            (Ok(true), _) => End::Cancelled,
            (_, Ok(())) => End::Done,
            // What PID 1 says about a bundle that is not complete is not why.
            (Err(error), Err(_)) => End::Failed(format!("{error:#}")),
            (Ok(false), Err(why)) => End::Failed(format!("{why:#}")),
        })
    })
}

/// Copies the download into the pipe, and continues where it broke off. Returns whether it was cancelled.
fn copy(
    client: &Client,
    url: &str,
    size: u64,
    mut pipe: std::io::PipeWriter,
    is_cancelled: &mut dyn FnMut() -> bool,
) -> Result<bool> {
    let (mut done, mut last) = (0, Instant::now());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut part = || -> Result<Option<bool>> {
            let mut download = client.download(url, done)?;
            while done < size {
                if is_cancelled() {
                    return Ok(Some(true));
                }
                let most = buffer.len().min(usize::try_from(size - done).unwrap_or(usize::MAX));
                let read = download.read(&mut buffer[..most])?;
                if read == 0 {
                    return Ok(None);
                }
                match pipe.write_all(&buffer[..read]) {
                    Ok(()) => {}
                    // PID 1 has had enough, and says why.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Some(false)),
                    Err(error) => return Err(error.into()),
                }
                done += read as u64;
                last = Instant::now();
            }
            Ok(Some(false))
        };
        let result = part();
        if let Ok(Some(is_cancelled)) = result {
            return Ok(is_cancelled);
        }
        if last.elapsed() > STILL {
            return result.map(|_| false).and_then(|_| anyhow::bail!("it ends")).with_context(|| {
                format!("the download has stood still for {} s after {done} of {size} bytes", STILL.as_secs())
            });
        }
        std::thread::sleep(DELAY);
    }
}
