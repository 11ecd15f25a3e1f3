//! Ways in which programs misbehave or exit.

use crate::tell;
use hilum_sys::{Cloned, InitSignal, SignalFd, SignalSet, print_to, standard_output};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// Sleeps.
pub(crate) fn sleep(milliseconds: u64) {
    let time = Timespec { tv_sec: (milliseconds / 1_000) as i64, tv_nsec: (milliseconds % 1_000 * 1_000_000) as i64 };
    let _ = poll(&mut [], Some(&time));
}

/// Sleeps until a file exists.
pub(crate) fn wait_for(path: &str) -> Result<(), Errno> {
    while rustix::fs::stat(path).is_err() {
        sleep(50);
    }
    Ok(())
}

/// Blocks all signals and sleeps.
pub(crate) fn ignore_signals() {
    hilum_sys::mask(SignalSet::ALL);
    tell(format_args!("ready"));
    loop {
        sleep(60_000);
    }
}

/// Waits for SIGTERM and exits with success.
pub(crate) fn exit_on_term() -> i32 {
    hilum_sys::mask(SignalSet::ALL);
    let Ok(signals) = SignalFd::open(SignalSet::ALL) else { return 1 };
    tell(format_args!("ready"));
    loop {
        let _ = poll(&mut [PollFd::new(&signals.fd(), PollFlags::IN)], None);
        if let Some(caught) = signals.next()
            && InitSignal::of(caught.signal) == Some(InitSignal::Terminate)
        {
            tell(format_args!("got TERM"));
            return 0;
        }
    }
}

/// Leaves `count` orphans behind that exit at once, which PID 1 has to reap.
pub(crate) fn leave_orphans(count: u32) {
    for _ in 0..count {
        match hilum_sys::fork() {
            Ok(Cloned::Child) => {
                if let Ok(Cloned::Child) = hilum_sys::fork() {
                    hilum_sys::exit(0);
                }
                hilum_sys::exit(0)
            }
            Ok(Cloned::Parent { .. }) => {
                let _ = rustix::process::wait(rustix::process::WaitOptions::empty());
            }
            Err(errno) => return tell(format_args!("clone: errno {}", errno.raw_os_error())),
        }
    }
    tell(format_args!("left {count} orphans"));
}

/// Writes this many lines as fast as it can.
pub(crate) fn flood(lines: u32) {
    for number in 0..lines {
        let _ = print_to(standard_output(), format_args!("flood line {number} of {lines}\n"));
    }
}

/// Kills all visible processes, and PID 1.
pub(crate) fn kill_all() {
    hilum_sys::kill_everything();
    let _ = kill_process(Pid::INIT, Signal::KILL);
    tell(format_args!("killed all"));
}

/// Forks until that fails, prints the number of processes, and kills them.
pub(crate) fn fork_bomb() {
    let mut count = 0;
    let errno = loop {
        match hilum_sys::fork() {
            Ok(Cloned::Child) => hilum_sys::hang_forever(),
            Ok(Cloned::Parent { .. }) => count += 1,
            Err(errno) => break errno,
        }
    };
    tell(format_args!("forked {count} times, then errno {}", errno.raw_os_error()));
    hilum_sys::kill_everything();
}

/// Uses this much memory in MiB, page by page.
pub(crate) fn eat(mebibytes: u32) {
    use rustix::fs::{MemfdFlags, memfd_create};
    // A memfd is charged to the cgroup like other memory, and needs no heap here.
    let Ok(file) = memfd_create(c"eaten", MemfdFlags::CLOEXEC) else { return };
    let page = [1; 4096];
    for number in 1..=mebibytes * 256 {
        if rustix::io::write(&file, &page).is_err() {
            return tell(format_args!("could not eat"));
        }
        if number % 256 == 0 {
            tell(format_args!("ate {} MiB", number / 256));
        }
    }
}

/// Waits for SIGTERM, and uses two processors from then on.
pub(crate) fn hog() -> ! {
    exit_on_term();
    let _ = hilum_sys::fork();
    loop {
        core::hint::spin_loop();
    }
}

/// Uses a processor for two seconds, and prints the processor time.
pub(crate) fn spin() {
    use rustix::time::{ClockId, clock_gettime};
    let now = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000
    };
    let (begin, used) = (now(ClockId::Monotonic), now(ClockId::ProcessCPUTime));
    while now(ClockId::Monotonic) < begin + 2_000 {}
    tell(format_args!("spun {} ms of 2000", now(ClockId::ProcessCPUTime) - used));
}

/// Prints the type of its terminal, and echoes what is typed.
pub(crate) fn use_terminal() {
    use hilum_sys::standard_input;
    use rustix::termios::{isatty, tcgetsid, tcgetwinsize};
    let input = standard_input();
    if !isatty(input) {
        return tell(format_args!("no terminal"));
    }
    let owner = rustix::fs::fstat(input).map_or(u32::MAX, |found| found.st_uid);
    let mut path = [core::mem::MaybeUninit::uninit(); 64];
    let path = rustix::fs::readlinkat_raw(rustix::fs::CWD, "/proc/self/fd/0", &mut path);
    let path = path.ok().and_then(|(path, _)| core::str::from_utf8(path).ok()).unwrap_or("?");
    tell(format_args!("terminal {path} owner {owner}"));
    let is_own = tcgetsid(input) == rustix::process::getsid(None);
    let size = tcgetwinsize(input).map_or((0, 0), |size| (size.ws_row, size.ws_col));
    tell(format_args!("terminal {} {} session {}", size.0, size.1, if is_own { "own" } else { "another's" }));
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = rustix::io::read(input, &mut bytes) {
        tell(format_args!("heard {}", core::str::from_utf8(&bytes[..count]).unwrap_or("?").trim_end()));
    }
}

/// Writes lines into the kernel's log without end.
pub(crate) fn storm() {
    use rustix::fs::{Mode, OFlags, open};
    let Ok(log) = open("/dev/kmsg", OFlags::WRONLY, Mode::empty()) else {
        tell(format_args!("no kernel log"));
        return;
    };
    tell(format_args!("storm begins"));
    loop {
        // A line that the kernel does not accept now is repeated.
        let _ = rustix::io::write(&log, b"a line of a storm that says nothing at all");
    }
}

/// Executes /init with a filter that makes the system call with this number fail with EPERM.
pub(crate) fn become_init_without(call: u32) {
    /// Returns a classic BPF instruction (struct sock_filter).
    fn instruction(code: u16, skip_otherwise: u8, value: u32) -> [u8; 8] {
        let ([a, b], [c, d, e, f]) = (code.to_le_bytes(), value.to_le_bytes());
        [a, b, 0, skip_otherwise, c, d, e, f]
    }
    // Load the number; is it this one; SECCOMP_RET_ERRNO with EPERM; SECCOMP_RET_ALLOW.
    let program = [
        instruction(0x20, 0, 0),
        instruction(0x15, 1, call),
        instruction(0x06, 0, 0x0005_0001),
        instruction(0x06, 0, 0x7fff_0000),
    ];
    if let Err(errno) = hilum_sys::filter_system_calls(&program) {
        crate::tell(format_args!("filter {}", errno.raw_os_error()));
    }
    become_init();
}

/// Executes /init, and prints the time before.
pub(crate) fn become_timed_init() {
    crate::tell(format_args!("entered {}", hilum_sys::boottime_us()));
    become_init();
}

fn become_init() {
    let errno = hilum_sys::execute(c"/init", &[Some(c"/init"), None], &[None]);
    crate::tell(format_args!("exec /init {}", errno.raw_os_error()));
}
