//! Endless floods: more than PID 1 can read in a turn of its loop, for each source that a workload has.

use crate::{action, tell};
use hilum_sys::{Arguments, Cloned, standard_output};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::WaitOptions;

/// Keeps the pipe at descriptor `number` full of bytes without a newline, after enlarging it to the maximum.
pub(crate) fn descriptor(number: u32) {
    const LARGEST: usize = 1024 * 1024;
    let result = opened(number).and_then(|pipe| {
        rustix::pipe::fcntl_setpipe_size(&pipe, LARGEST)?;
        tell(format_args!("flooding"));
        loop {
            match rustix::io::write(&pipe, &[b'x'; 65_536]) {
                Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&pipe, PollFlags::OUT)], None)),
                result => drop(result?),
            }
        }
    });
    let _: Result<(), Errno> = result.inspect_err(|errno| tell(format_args!("flood: errno {}", errno.raw_os_error())));
}

fn opened(number: u32) -> Result<OwnedFd, Errno> {
    let mut path: heapless::String<24> = heapless::String::new();
    let _ = core::fmt::Write::write_fmt(&mut path, format_args!("/proc/self/fd/{number}"));
    open(path.as_str(), OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty())
}

/// Writes empty lines.
pub(crate) fn lines() {
    tell(format_args!("flooding"));
    while rustix::io::write(standard_output().as_fd(), &[b'\n'; 4096]).is_ok() {}
}

/// Creates orphans.
pub(crate) fn orphans() {
    tell(format_args!("flooding"));
    loop {
        match hilum_sys::fork() {
            Ok(Cloned::Child) => {
                for _ in 0..8 {
                    if let Ok(Cloned::Child) = hilum_sys::fork() {
                        hilum_sys::exit(0)
                    }
                }
                hilum_sys::exit(0)
            }
            Ok(Cloned::Parent { .. }) => drop(rustix::process::wait(WaitOptions::empty())),
            // As many as the limit allows.
            Err(_) => {}
        }
    }
}

/// Sends notifications.
pub(crate) fn notify(arguments: Arguments) {
    tell(format_args!("flooding"));
    loop {
        let _ = action::notify(arguments, "STATUS=again");
    }
}
