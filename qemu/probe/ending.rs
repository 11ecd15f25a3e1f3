//! The ways in which programs live and end badly.

use crate::tell;
use hilum_sys::{Cloned, Named, SignalSet, Signals, print_to, standard_output};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

/// Does nothing for a while.
pub(crate) fn sleep(milliseconds: u64) {
    let time = Timespec { tv_sec: (milliseconds / 1_000) as i64, tv_nsec: (milliseconds % 1_000 * 1_000_000) as i64 };
    let _ = poll(&mut [], Some(&time));
}

/// Blocks every signal and stays.
pub(crate) fn ignore_signals() {
    hilum_sys::mask(SignalSet::ALL);
    tell(format_args!("ready"));
    loop {
        sleep(60_000);
    }
}

/// Waits for SIGTERM and ends well.
pub(crate) fn exit_on_term() -> i32 {
    hilum_sys::mask(SignalSet::ALL);
    let Ok(signals) = Signals::open(SignalSet::ALL) else { return 1 };
    tell(format_args!("ready"));
    loop {
        let _ = poll(&mut [PollFd::new(&signals.fd(), PollFlags::IN)], None);
        if let Some(caught) = signals.next()
            && Named::of(caught.signal) == Some(Named::Terminate)
        {
            tell(format_args!("got TERM"));
            return 0;
        }
    }
}

/// Leaves `count` grandchildren behind that end at once: whoever is process 1 has to reap them.
pub(crate) fn leave_orphans(count: u32) {
    for _ in 0..count {
        match hilum_sys::clone(0, None) {
            Ok(Cloned::Child) => {
                if let Ok(Cloned::Child) = hilum_sys::clone(0, None) {
                    hilum_sys::exit(0);
                }
                hilum_sys::exit(0)
            }
            Ok(Cloned::Parent { .. }) => {
                let _ = rustix::process::wait(rustix::process::WaitOptions::empty());
            }
            Err(errno) => tell(format_args!("clone: errno {}", errno.raw_os_error())),
        }
    }
    tell(format_args!("left {count} orphans"));
}

/// Writes so many lines as fast as it can.
pub(crate) fn flood(lines: u32) {
    for number in 0..lines {
        let _ = print_to(standard_output(), format_args!("flood line {number} of {lines}\n"));
    }
}

/// Kills whatever it can see, and process 1.
pub(crate) fn kill_all() {
    hilum_sys::kill_everything();
    let _ = kill_process(Pid::INIT, Signal::KILL);
    tell(format_args!("killed all"));
}
