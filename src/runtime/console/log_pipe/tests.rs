use super::*;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::string::String;
use std::vec;

/// A pipe that has room for two pages, and its other end.
fn pipe() -> (OwnedFd, LogPipe) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
    assert_eq!(fcntl_setpipe_size(&writer, 2 * 4096), Ok(2 * 4096));
    (reader, LogPipe::new(writer))
}

fn read(reader: &OwnedFd) -> String {
    let mut bytes = vec![0; 4 * 4096];
    let length = rustix::io::read(reader, &mut bytes[..]).expect("lines");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Returns the lines without their times.
fn texts(read: &str) -> vec::Vec<&str> {
    read.lines().map(|line| line.split_once(' ').map_or(line, |(_, text)| text)).collect()
}

#[test]
fn line_whose_end_did_not_fit_into_the_pipe_is_marked_and_the_next_one_is_whole() {
    let (reader, mut pipe) = pipe();
    pipe.write(&[b'a'; 3_000]);
    // Its first part takes the second page, and its end finds no room.
    pipe.write(&[b'b'; 4_090]);
    let torn = read(&reader);
    assert!(torn.ends_with('b'), "{torn}");
    pipe.write(b"next");
    assert_eq!(texts(&read(&reader)), ["...", "next"]);
}

#[test]
fn lines_that_did_not_fit_are_counted() {
    let (reader, mut pipe) = pipe();
    for _ in 0..5 {
        pipe.write(&[b'a'; 3_000]);
    }
    assert_eq!(read(&reader).lines().count(), 2);
    pipe.write(b"next");
    assert_eq!(texts(&read(&reader)), ["lines lost)", "next"]);
}
