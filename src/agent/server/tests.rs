use super::*;

fn started(page: Make) -> SocketAddr {
    start("127.0.0.1:0".parse().expect("an address"), page).expect("a port")
}

fn hello() -> SocketAddr {
    started(Arc::new(|| Arc::new(b"hello\n".to_vec())))
}

fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(request).expect("it is read");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("a reply");
    String::from_utf8(reply).expect("UTF-8")
}

#[test]
fn page_is_served_and_nothing_else() {
    let address = hello();
    let page = ask(address, b"GET /metrics HTTP/1.1\r\nHost: board\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\nhello\n"), "{page}");
    assert!(page.contains("Content-Length: 6\r\n") && page.contains("version=0.0.4"), "{page}");
    let head = ask(address, b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.contains("Content-Length: 6\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask(address, b"GET /metrics?name=web HTTP/1.0\r\n\r\n").contains("200 OK"));
    assert!(ask(address, b"GET / HTTP/1.1\r\n\r\n").contains("404"));
    assert!(ask(address, b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").contains("405"));
    assert!(ask(address, b"\0\x01\x02\r\n\r\n").contains("400"));
}

#[test]
fn long_request_is_refused() {
    let address = hello();
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(2 * HEAD_BYTES));
    assert!(ask(address, long.as_bytes()).contains("431"));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(HEADERS + 1));
    assert!(ask(address, many.as_bytes()).contains("431"));
}

#[test]
fn request_byte_by_byte_is_read_and_a_slow_one_is_cut() {
    let address = hello();
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("an option");
    for byte in b"GET /metrics HTTP/1.1\r\n\r\n" {
        stream.write_all(&[*byte]).expect("it is read");
    }
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    assert!(reply.ends_with("hello\n"), "{reply}");
    let mut slow = TcpStream::connect(address).expect("a connection");
    slow.write_all(b"GET /metrics").expect("it is read");
    slow.set_read_timeout(Some(4 * PATIENCE)).expect("a timeout");
    let start = Instant::now();
    // Each byte begins no new deadline.
    while slow.write_all(b" ").is_ok() && start.elapsed() < 4 * PATIENCE {
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(start.elapsed() < 4 * PATIENCE, "it is cut off");
}

#[test]
fn connections_above_the_limit_are_told_so_and_the_others_are_served() {
    let address = hello();
    let idle: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    let until = Instant::now() + PATIENCE;
    let mut reply = String::new();
    // The threads of the idle ones may not be counted yet.
    while !reply.contains("503") && Instant::now() < until {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        reply.clear();
        let _ = stream.read_to_string(&mut reply);
    }
    assert!(reply.contains("503"), "{reply}");
    drop(idle);
    let until = Instant::now() + 2 * PATIENCE;
    while !ask(address, b"GET /metrics HTTP/1.1\r\n\r\n").ends_with("hello\n") {
        assert!(Instant::now() < until, "nobody is served after they are gone");
        std::thread::sleep(Duration::from_millis(20));
    }
}
