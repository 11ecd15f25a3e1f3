//! The standard descriptors of a program, and what a process that is left behind can still do with them.

use crate::tell;
use hilum_sys::{Cloned, print_to, standard_error, standard_input, standard_output};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::isatty;

/// The file that a process left behind waits for.
const GO: &str = "/tmp/go";
const LEFT: &str = "/tmp/left";

/// Prints the types of the three, reads the first one to its end, and leaves a process behind that uses them later.
pub(crate) fn tell_all() -> i32 {
    let three = [standard_input(), standard_output(), standard_error()];
    for (number, stream) in three.iter().enumerate() {
        let found = rustix::fs::fstat(stream);
        let (kind, place) = found.map_or((0, 0), |found| (found.st_mode >> 12, found.st_ino));
        tell(format_args!("stream {number} kind {kind:o} place {place} terminal {}", u8::from(isatty(stream))));
    }
    let _ = print_to(standard_error(), format_args!("an error\n"));
    drain();
    if let Ok(Cloned::Child) = hilum_sys::fork() {
        let _ = rustix::process::setsid();
        hilum_sys::mask(hilum_sys::SignalSet::ALL);
        // It is not waited for.
        if let Ok(Cloned::Child) = hilum_sys::fork() {
            use_later(&three);
        }
        hilum_sys::exit(0)
    }
    let _ = rustix::process::wait(rustix::process::WaitOptions::empty());
    7
}

/// Reads standard input to its end; prints the number of bytes and their sum.
pub(crate) fn drain() {
    let mut bytes = [0; 4096];
    let (mut count, mut sum) = (0_u64, 0_u64);
    while let Ok(length @ 1..) = rustix::io::read(standard_input(), &mut bytes) {
        count += length as u64;
        sum = bytes[..length].iter().fold(sum, |sum, byte| (sum * 31 + u64::from(*byte)) % 1_000_003);
    }
    tell(format_args!("drained {count} sum {sum}"));
}

/// Writes this many bytes, which count up, to standard output, and to standard error if requested.
pub(crate) fn pour(count: u32, is_on_both: bool) -> i32 {
    let mut bytes = [0; 4096];
    let mut written = 0;
    while written < count {
        let length = bytes.len().min((count - written) as usize);
        for (place, number) in bytes[..length].iter_mut().zip(written..) {
            *place = (number % 251) as u8;
        }
        let streams = [Some(standard_output()), is_on_both.then(standard_error)];
        if streams.into_iter().flatten().any(|stream| write_all(stream, &bytes[..length]).is_err()) {
            return 1;
        }
        written += length as u32;
    }
    0
}

/// Copies standard input to standard output.
pub(crate) fn pass_on() -> i32 {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = rustix::io::read(standard_input(), &mut bytes) {
        if write_all(standard_output(), &bytes[..length]).is_err() {
            return 1;
        }
    }
    0
}

fn write_all(stream: BorrowedFd<'_>, mut rest: &[u8]) -> Result<(), Errno> {
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(stream, rest)?..];
    }
    Ok(())
}

/// When the file appears, writes to everything that it has or can open, reads from it, and stores the results in a
/// file.
fn use_later(three: &[BorrowedFd<'_>; 3]) -> ! {
    while rustix::fs::access(GO, rustix::fs::Access::EXISTS).is_err() {
        crate::ending::sleep(5);
    }
    let mut text: heapless::String<512> = heapless::String::new();
    let mut note = |what: &str, result: Result<usize, Errno>| {
        use core::fmt::Write;
        let _ = match result {
            Ok(count) => write!(text, "{what} {count}; "),
            Err(errno) => write!(text, "{what} errno {}; ", errno.raw_os_error()),
        };
    };
    let own = open("/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::empty());
    note("own", own.as_ref().map(|_| 1).map_err(|errno| *errno));
    for stream in three.iter().copied().chain(own.iter().map(AsFd::as_fd)) {
        note("wrote", rustix::io::write(stream, b"\x1b[31mESCAPED\n"));
    }
    // Inject input into a terminal (TIOCSTI).
    for stream in three {
        note("typed", hilum_sys::attempt_ioctl(*stream, 0x5412).map(|()| 1));
    }
    let _ = rustix::io::ioctl_fionbio(three[0], true);
    note("read", rustix::io::read(three[0], &mut [0; 64]));
    let file = open("/tmp/new", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU);
    let _ = file.map(|file| rustix::io::write(file, text.as_bytes()));
    let _ = rustix::fs::rename("/tmp/new", LEFT);
    hilum_sys::exit(0)
}
