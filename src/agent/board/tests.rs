use super::*;
use hilum::wire::WorkloadStatus;

const COMMITTED: &str = r#"{"a":1,"b":2,"running":"b","committed":"a","trial":"b","floor":0,"last":null}"#;

#[test]
fn slots_are_read_from_what_status_has() {
    let slots = Slots::read(COMMITTED).expect("slots");
    let [a, b] = &slots.slots[..] else { panic!("{slots:?}") };
    assert_eq!((&*a.name, a.version, a.is_committed, a.is_running, a.is_on_trial), ("a", 1, true, false, false));
    assert_eq!((&*b.name, b.version, b.is_committed, b.is_running, b.is_on_trial), ("b", 2, false, true, true));
    assert!(!slots.is_rolled_back());
    assert_eq!(Slots::read("null").expect("a board without"), Slots::default());
    Slots::read("{}").expect_err("another form");
}

#[test]
fn trial_that_was_not_committed_is_rolled_back() {
    let with = |last: &str| {
        let text = format!(r#"{{"a":1,"b":0,"running":"a","committed":"a","trial":null,"floor":1,"last":"{last}"}}"#);
        Slots::read(&text).expect("slots")
    };
    let failed = with("version 2 was not healthy in time: web");
    assert_eq!(failed.verdict, Some((2, "was not healthy in time: web".to_owned())));
    assert_eq!((failed.is_rolled_back(), failed.floor, failed.slots[1].version), (true, 1, 0));
    assert!(!with("version 2 is committed").is_rolled_back());
}

/// The library writes what is read here.
#[test]
fn slots_of_the_library_are_read() {
    use hilum::update::{Record, Slot as Name};
    let json = hilum::status::slots::Json(&Record::new("board"), Name::A).to_string();
    let slots = Slots::read(&json).expect("slots");
    assert!(slots.slots[0].is_running && !slots.slots[1].is_running, "{json}");
}

/// A scrape is one request, and one connection, however many workloads there are.
#[test]
fn look_is_one_request() {
    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, accept, bind, listen, recv, send, socket,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let one = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
    bind(&one, &SocketAddrUnix::new(&path).expect("a path")).expect("it is free");
    listen(&one, 8).expect("it listens");
    let names: Vec<String> = (0..hilum::config::limits::WORKLOADS).map(|number| format!("w{number}")).collect();
    let workload = |name| WorkloadStatus {
        name,
        state: 2,
        pid: 7,
        since_ms: None,
        restarts: 0,
        last: None,
        out_of_memory: None,
        is_corrupt: false,
        dropped: 0,
        need: "",
        addresses: "",
        text: "",
    };
    std::thread::scope(|scope| {
        let pid_1 = scope.spawn(|| {
            let mut asked = Vec::new();
            // The last client says that there is no more.
            while let Ok(client) = accept(&one) {
                let mut bytes = [0; hilum::wire::MESSAGE_BYTES];
                let (length, _) = recv(&client, &mut bytes, RecvFlags::empty()).expect("a request");
                let say = |reply: Reply<'_>| _ = send(&client, &reply.message().expect("it fits"), SendFlags::NOSIGNAL);
                let Ok(request) = Request::read(&bytes[..length]) else { break };
                asked.push((request.command, request.words.join(" ")));
                let system = SystemStatus { now_ms: 5, is_going_down: false, is_safe: false, bad_boots: 0, clock: 0 };
                say(Reply::System(system));
                for (number, name) in names.iter().enumerate() {
                    // The last one has no cgroup.
                    if number + 1 < names.len() {
                        say(Reply::Event(TEXTS, &format!("{number}\n\x1e\x1e\x1e\x1euser_usec 3\n\x1e")));
                    }
                    say(Reply::Status(workload(name)));
                }
                say(Reply::Event(0, "slot a: for people"));
                say(Reply::Event(1, COMMITTED));
                say(Reply::Done(0, ""));
            }
            asked
        });
        let board = look(&Control::new(path.clone())).expect("an answer");
        let end = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
        rustix::net::connect(&end, &SocketAddrUnix::new(&path).expect("a path")).expect("it listens");
        send(&end, b"x", SendFlags::NOSIGNAL).expect("it listens");
        let asked = pid_1.join().expect("it does not fail");
        assert_eq!(asked, [(Command::Status, format!(" {}", FILES.join(" ")))]);
        assert_eq!(board.slots, Slots::read(COMMITTED).expect("slots"));
        let last = names.len() - 1;
        for (number, workload) in board.workloads.iter().enumerate() {
            let has = number < last;
            assert_eq!(workload.usage.memory, has.then_some(number as u64), "{}", workload.name);
            assert_eq!((workload.usage.peak, workload.usage.user_us), (None, has.then_some(3)), "{}", workload.name);
        }
    });
}
