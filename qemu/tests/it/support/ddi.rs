//! A server with hawkBit's Direct Device Integration API that offers one bundle at a time, and keeps what a board tells.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the server offers, and what it was told.
#[derive(Default)]
struct State {
    /// The number of the open action, and its bundle.
    offer: Option<(u32, PathBuf)>,
    /// The number of an action, "closed success" or similar, and the details.
    told: Vec<(u32, String, String)>,
}

/// A running server; its threads end with the test.
pub(crate) struct Ddi {
    state: Arc<Mutex<State>>,
}

impl Ddi {
    /// Serves at an address of the network namespace of the calling thread.
    pub(crate) fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let (state, address) = (Arc::<Mutex<State>>::default(), address.to_owned());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (state, address) = (Arc::clone(&shared), address.clone());
                // A board may be cut off in the middle of an answer.
                std::thread::spawn(move || drop(serve(&stream, &state, &address)));
            }
        });
        Self { state }
    }

    /// Opens an action.
    pub(crate) fn offer(&self, number: u32, bundle: &Path) {
        lock(&self.state).offer = Some((number, bundle.into()));
    }

    /// Returns what was told about an action, a line each.
    pub(crate) fn told(&self, number: u32) -> Vec<String> {
        let state = lock(&self.state);
        let of = state.told.iter().filter(|(action, ..)| *action == number);
        of.map(|(_, what, details)| format!("{what}: {details}")).collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request.
fn serve(mut stream: &TcpStream, state: &Mutex<State>, address: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut start = String::new();
    reader.read_line(&mut start)?;
    let (mut length, mut first) = (0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        let number = |text: &str| text.trim().trim_end_matches('-').parse().ok();
        length = line.strip_prefix("content-length:").and_then(number).unwrap_or(length);
        first = line.strip_prefix("range: bytes=").and_then(number).unwrap_or(first);
    }
    let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let path = start.split(' ').nth(1).unwrap_or_default();
    let parts: Vec<&str> = path.split('?').next().unwrap_or_default().split('/').skip(1).collect();
    let mut state = lock(state);
    let answer = match (&parts[..], state.offer.clone()) {
        (["files", _], Some((_, bundle))) => {
            drop(state);
            return download(stream, &bundle, first);
        }
        ([_, "controller", "v1", board], offer) => {
            let mut links = serde_json::Map::new();
            if let Some((number, _)) = offer {
                let href = format!("http://{address}/DEFAULT/controller/v1/{board}/deploymentBase/{number}?c=1");
                links.insert("deploymentBase".to_owned(), serde_json::json!({ "href": href }));
            }
            serde_json::json!({ "config": { "polling": { "sleep": "00:00:01" } }, "_links": links })
        }
        ([.., "deploymentBase", number], Some((_, bundle))) => {
            let size = bundle.metadata()?.len();
            let href = serde_json::json!({ "download-http": { "href": format!("http://{address}/files/{number}") } });
            let artifact = serde_json::json!({ "filename": "board.bundle", "size": size, "_links": href });
            let chunk = serde_json::json!({ "part": "os", "version": "1", "name": "board", "artifacts": [artifact] });
            serde_json::json!({ "id": number, "deployment": { "download": "forced", "update": "forced", "chunks": [chunk] } })
        }
        ([.., "deploymentBase", number, "feedback"], _) => {
            let body: serde_json::Value = serde_json::from_slice(&body)?;
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let status = &body["status"];
            let what = format!("{} {}", text(&status["execution"]), text(&status["result"]["finished"]));
            if what.starts_with("closed") {
                state.offer = None;
            }
            state.told.push((number.parse().unwrap_or(0), what, text(&status["details"][0])));
            serde_json::Value::Null
        }
        _ => serde_json::Value::Null,
    };
    let body = if answer.is_null() { String::new() } else { answer.to_string() };
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Sends a file from an offset on.
fn download(mut stream: &TcpStream, bundle: &Path, first: u64) -> std::io::Result<()> {
    let mut file = std::fs::File::open(bundle)?;
    let size = file.metadata()?.len();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(first))?;
    let status = if first > 0 { "206 Partial Content" } else { "200 OK" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{}/{size}\r\nConnection: close\r\n\r\n",
        size - first,
        size - 1
    )?;
    std::io::copy(&mut file, &mut stream).map(drop)
}
