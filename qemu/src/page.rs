//! The moment at which a machine serves a page, as seen from outside.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// How long to wait before a page is requested again, and for each answer.
const AGAIN: Duration = Duration::from_millis(20);
const ANSWER: Duration = Duration::from_millis(500);

/// Requests the page of a web server at a port of the loopback address every 20 ms. Returns when the first answer with status 200
/// arrived; `None` if none did before `until`.
pub fn first_page(port: u16, until: Instant) -> Option<Instant> {
    let (sender, answers) = channel();
    while Instant::now() < until {
        // QEMU accepts a connection before the guest has a network, and its answer is late, so each request is a new one.
        let sender = sender.clone();
        std::thread::spawn(move || ask(port, &sender));
        if let Ok(at) = answers.recv_timeout(AGAIN) {
            return Some(at);
        }
    }
    None
}

/// Requests the page, and sends the time of an answer with status 200.
fn ask(port: u16, sender: &Sender<Instant>) {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    let _ = stream.set_read_timeout(Some(ANSWER));
    let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let mut start = [0; 12];
    if stream.read_exact(&mut start).is_ok() && &start[8..] == b" 200" {
        // An earlier request may have been answered already.
        let _ = sender.send(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn first_answer_with_status_200_counts() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let start = Instant::now();
        let server = std::thread::spawn(move || {
            for status in ["503 Busy", "200 OK"] {
                let (mut stream, _) = listener.accept().expect("a request");
                let mut request = [0; 18];
                stream.read_exact(&mut request).expect("the request");
                // By one call: the client reads its start, and then closes.
                stream.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes()).expect("an answer");
            }
            Instant::now()
        });
        let at = first_page(port, start + Duration::from_secs(20)).expect("an answer");
        assert!(at >= start + AGAIN, "the first answer was not 200");
        server.join().expect("the server");
        assert_eq!(first_page(port, Instant::now() + Duration::from_millis(50)), None, "nobody listens");
    }
}
