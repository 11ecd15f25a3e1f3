use super::*;
use crate::os::fake;
use hilum::update::{Contents, Record, hash};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, OFlags, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// A connection whose messages are read one by one, and what was sent on it.
fn sent(messages: usize) -> [OwnedFd; 2] {
    let (reader, writer) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("sockets");
    (0..messages).for_each(|_| assert_eq!(rustix::io::write(&writer, b"x"), Ok(1)));
    [reader, writer]
}

fn filled(reader: &OwnedFd, bytes: usize) -> Result<u64, String> {
    let mut input = Input { file: reader.as_fd(), read: 0 };
    input.fill(&mut vec![0; bytes]).map(|()| input.read).map_err(|why| why.to_string())
}

#[test]
fn sender_that_stops_is_given_up() {
    let [reader, _writer] = sent(0);
    fake::pass_ms_at_each_look(PIECE_MS / 2);
    assert_eq!(filled(&reader, 1), Err("no block came within 60 s".into()));
}

#[test]
fn sender_that_sends_a_byte_now_and_then_is_given_up() {
    let [reader, _writer] = sent(100);
    fake::pass_ms_at_each_look(PIECE_MS / 100);
    assert_eq!(filled(&reader, 100), Err("no block came within 60 s".into()));
    // What is left of the 100 bytes comes in time.
    fake::pass_ms_at_each_look(PIECE_MS / 1_000);
    assert_eq!(filled(&reader, 40), Ok(40));
}

#[test]
fn first_block_is_read_back_as_well() {
    let blocks = 3;
    let start = 1 << 20;
    let mut contents = vec![[0; BLOCK_BYTES]; blocks];
    contents[0].fill(7);
    let (salt, mut node) = ([3; 32], [0; BLOCK_BYTES]);
    for (index, block) in contents.iter().enumerate() {
        node[index * 32..index * 32 + 32].copy_from_slice(&hash(&salt, block));
    }
    let order = Contents {
        version: 1,
        floor: 0,
        board: "b",
        size: (blocks * BLOCK_BYTES) as u64,
        parts: Parts::default(),
        hashes: [hash(&salt, &node), salt],
    };
    let header = order.block();
    let bundle = Bundle::read(&header).expect("a bundle");
    let mut map = [0xff; MAP_BYTES];
    (1..blocks).for_each(|index| map[index * 4..index * 4 + 4].copy_from_slice(&Source::Zero.bytes()));
    let stream = [&node[..], &map, &contents[0]].concat();
    let mut record = Record::new("b");
    record.set_place(Slot::B, start as u64, 1 << 20, 2, [0; 16]);
    let source = memfd_create("stream", MemfdFlags::CLOEXEC).expect("a file");
    rustix::io::pwrite(&source, &stream, 0).expect("a stream");
    // A file that appends what is written anywhere (BUGS in pwrite(2)) is a disk that loses its writes: zeros stay zeros.
    let received = |flags: OFlags| {
        let [file, direct] = ["file", "direct"].map(|name| memfd_create(name, MemfdFlags::CLOEXEC).expect("a file"));
        rustix::io::pwrite(&direct, &vec![0; start + (1 << 20)], 0).expect("room");
        rustix::fs::fcntl_setfl(&direct, flags).expect("flags");
        let disk = Disk::of(file, direct, record.clone());
        rustix::fs::seek(&source, rustix::fs::SeekFrom::Start(0)).expect("the start");
        // Without optimization its buffers are several times on the stack; a test's has 2 MiB, a helper's 8.
        std::thread::scope(|scope| {
            let run = || {
                let mut input = Input { file: source.as_fd(), read: 0 };
                write(&mut input, &bundle, &disk, Slot::B, &mut |_, _| {}).map_err(|why| why.to_string())
            };
            let thread = std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, run);
            thread.expect("a thread").join().expect("it returns")
        })
    };
    assert_eq!(received(OFlags::empty()), Ok(()));
    assert_eq!(received(OFlags::APPEND), Err("the other slot: EIO (input/output error)".into()));
}
