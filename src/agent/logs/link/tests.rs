use super::*;
use std::net::TcpListener;

/// Connects to a server that does something with the connection; returns what `finish` says after a message was sent.
fn ends(serve: impl FnOnce(TcpStream) + Send + 'static, wait: Duration) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = Server::new(&listener.local_addr()?.to_string(), None)?;
    let thread = std::thread::spawn(move || serve(listener.accept().expect("a connection").0));
    let mut link = server.connect()?;
    link.write(&[b'a'; 10_000])?;
    std::thread::sleep(wait);
    let result = link.finish();
    thread.join().expect("it serves");
    result
}

fn read_all(mut socket: &TcpStream) -> usize {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("it reads")
}

#[test]
fn server_that_reads_to_the_end_has_everything() {
    ends(|socket| assert_eq!(read_all(&socket), 10_000), Duration::ZERO).expect("it is confirmed");
}

#[test]
fn server_that_ends_earlier_may_lack_something() {
    // It reads all there is, and closes before it was told the end.
    let early = |mut socket: TcpStream| socket.read_exact(&mut [0; 10_000]).expect("it reads");
    ends(early, Duration::ZERO).expect_err("while the link is quiet");
    ends(early, Duration::from_millis(300)).expect_err("before");
    // It is killed with bytes that it has not read, before and after the end.
    ends(|mut socket| drop(socket.read_exact(&mut [0; 100])), Duration::ZERO).expect_err("it has read a part");
    let late = |socket: TcpStream| {
        std::thread::sleep(3 * QUIET);
        drop(socket);
    };
    ends(late, Duration::ZERO).expect_err("it has read nothing");
}

#[test]
fn server_that_does_not_end_is_not_waited_for_for_ever() {
    let slow = |socket: TcpStream| {
        read_all(&socket);
        std::thread::sleep(2 * PATIENCE);
    };
    ends(slow, Duration::ZERO).expect_err("it does not close");
}
