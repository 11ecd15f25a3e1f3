//! The HTTP server of the metrics: `GET /metrics`, and nothing else.
//!
//! It is reached from the network, so everything is bounded: connections, the bytes of a request, and its time. Small servers of
//! crates.io leave some of that open (`tiny_http` has no timeouts and no limit of a header), and hyper brings an executor for one
//! page; a crate reads the head, the rest is here.

use anyhow::{Context, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Connections at the same time. A further one is told to come back later.
const CONNECTIONS: usize = 8;
/// Bytes of a request.
const HEAD_BYTES: usize = 8 * 1024;
/// Headers of a request.
const HEADERS: usize = 64;
/// The time for a request and its reply.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });
/// The stack of a connection's thread, which holds its head.
const STACK_BYTES: usize = 128 * 1024;

/// Makes the page.
pub(crate) type Make = Arc<dyn Fn() -> Arc<Vec<u8>> + Send + Sync>;

/// Starts the server. Returns the address that it listens at.
///
/// # Errors
/// The address cannot be used.
pub(crate) fn start(address: SocketAddr, page: Make) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).with_context(|| format!("listen = \"{address}\""))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("metrics".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || serve(&listener, &page))?;
    Ok(address)
}

fn serve(listener: &TcpListener, page: &Make) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((mut stream, _)) = listener.accept() else {
            // No descriptors, or no memory: it will not help to try at once.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        if open.load(Ordering::Acquire) >= CONNECTIONS {
            let _ = stream.set_write_timeout(Some(Duration::from_millis(10)));
            let _ = stream.write_all(&reply("503 Service Unavailable", "too many connections\n".as_bytes(), true));
            continue;
        }
        open.fetch_add(1, Ordering::AcqRel);
        let guard = Guard(Arc::clone(&open));
        let page = Arc::clone(page);
        let handle = move || {
            let _guard = guard;
            let _ = answer(&mut stream, &page);
        };
        // If there is no thread for it, the connection is closed.
        let _ = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(handle);
    }
}

/// Counts a connection until it is dropped.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn answer(stream: &mut TcpStream, page: &Make) -> std::io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let reply = match request(stream, until)? {
        Request::Page { has_body } => reply("200 OK", &page(), has_body),
        Request::Other => reply("404 Not Found", b"see /metrics\n", true),
        Request::Method => reply("405 Method Not Allowed", b"only GET\n", true),
        Request::Malformed => reply("400 Bad Request", b"malformed request\n", true),
        Request::Long => reply("431 Request Header Fields Too Large", b"request too long\n", true),
    };
    let mut rest = &reply[..];
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match stream.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // A close with bytes that nobody read resets the connection, and the reply may be lost. What is left of a long request is bounded.
    let mut rest = [0; 1024];
    for _ in 0..64 {
        stream.set_read_timeout(Some(left(until)?))?;
        if stream.read(&mut rest)? == 0 {
            break;
        }
    }
    Ok(())
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Page { has_body: bool },
    Other,
    Method,
    Malformed,
    Long,
}

/// Reads a request up to the end of its head.
fn request(stream: &mut TcpStream, until: Instant) -> std::io::Result<Request> {
    let mut head = [0; HEAD_BYTES];
    let mut length = 0;
    loop {
        if length == HEAD_BYTES {
            return Ok(Request::Long);
        }
        stream.set_read_timeout(Some(left(until)?))?;
        length += match stream.read(&mut head[length..])? {
            0 => return Ok(Request::Malformed),
            read => read,
        };
        if let Some(request) = parse(&head[..length]) {
            return Ok(request);
        }
    }
}

/// Parses a head; `None` if it is not complete.
fn parse(head: &[u8]) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(head) {
        Ok(status) if status.is_partial() => return None,
        Ok(_) => {}
        Err(httparse::Error::TooManyHeaders) => return Some(Request::Long),
        Err(_) => return Some(Request::Malformed),
    }
    let path = parsed.path.unwrap_or_default().split('?').next();
    Some(match (parsed.method, path) {
        (Some("GET" | "HEAD"), Some("/metrics")) => Request::Page { has_body: parsed.method == Some("GET") },
        (Some("GET" | "HEAD"), _) => Request::Other,
        _ => Request::Method,
    })
}

/// Returns the time that is left.
fn left(until: Instant) -> std::io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn reply(status: &str, body: &[u8], has_body: bool) -> Vec<u8> {
    let length = body.len();
    let mut reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    if has_body {
        reply.extend_from_slice(body);
    }
    reply
}

#[cfg(test)]
mod tests;
