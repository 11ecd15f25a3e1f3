//! Signal masks, dispositions, and signalfd. Processes read their signals; only faults have handlers (`fault.rs`).

use crate::call::call;
use linux_raw_sys::general::{
    __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_signalfd4, O_CLOEXEC, O_NONBLOCK, SIG_SETMASK, SIGBUS, SIGCHLD,
    SIGILL, SIGINT, SIGPWR, SIGSEGV, SIGTERM, SIGTRAP, kernel_sigaction, kernel_sigset_t,
};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Signal;

/// A set of signals: bit N-1 is signal N, as in the kernel on both architectures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// Every signal, including the real-time ones, except those of faults (`fault.rs`): the kernel kills a process that blocks these.
    /// The kernel itself leaves out SIGKILL and SIGSTOP.
    pub const ALL: Self = Self(!(Self::of(SIGILL).0 | Self::of(SIGTRAP).0 | Self::of(SIGSEGV).0 | Self::of(SIGBUS).0));

    /// Returns the set of the signal with this number, which must be from 1 to 64.
    pub const fn of(number: u32) -> Self {
        Self(1 << (number - 1))
    }

    /// Returns this set with one more signal.
    #[must_use]
    pub const fn and(self, number: u32) -> Self {
        Self(self.0 | Self::of(number).0)
    }
}

/// Replaces the calling thread's signal mask (sigprocmask(2), SIG_SETMASK).
pub fn mask(set: SignalSet) {
    let address = &raw const set.0;
    let size = size_of::<u64>();
    // SAFETY: the kernel reads a set of 8 bytes through the pointer and writes no old set. With these arguments the
    // call cannot fail.
    let _ = unsafe { call(__NR_rt_sigprocmask, [SIG_SETMASK as usize, address as usize, 0, size, 0, 0]) };
}

/// Resets all signals to their default disposition (sigaction(2)): an ignored signal would stay ignored in all child
/// processes.
pub fn reset_signals() {
    // The kernel's struct: SIG_DFL, no flags, an empty mask, all of them zero.
    let action = [0_usize; size_of::<kernel_sigaction>() / size_of::<usize>()];
    let address = action.as_ptr();
    let size = size_of::<kernel_sigset_t>();
    for signal in 1..=64 {
        // SAFETY: the kernel reads one kernel_sigaction through the pointer and writes no old action. It refuses
        // SIGKILL and SIGSTOP, which always have the default disposition.
        let _ = unsafe { call(__NR_rt_sigaction, [signal, address as usize, 0, size, 0, 0]) };
    }
}

/// Resets the signals of a mask, bit N-1 for signal N, to their default disposition, without a call for all the others.
#[cfg(feature = "hosted")]
pub fn reset_some_signals(set: u64) {
    let action = [0_usize; size_of::<kernel_sigaction>() / size_of::<usize>()];
    let address = action.as_ptr();
    let size = size_of::<kernel_sigset_t>();
    for signal in (1..=64).filter(|signal| set & 1 << (signal - 1) != 0) {
        // SAFETY: as in `reset_signals`.
        let _ = unsafe { call(__NR_rt_sigaction, [signal, address as usize, 0, size, 0, 0]) };
    }
}

/// A record of a signalfd (signalfd(2), struct signalfd_siginfo).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignalInfo {
    /// The signal's number.
    pub signal: u32,
    /// The PID of the sender in this process's namespace; 0 for the kernel and for outer namespaces.
    pub sender: u32,
}

/// A signalfd, close-on-exec and non-blocking.
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Opens a signalfd for the signals of `set`, which the caller must have blocked.
    ///
    /// # Errors
    /// Those of signalfd4(2): EMFILE, ENFILE, ENOMEM.
    pub fn open(set: SignalSet) -> Result<Self, Errno> {
        let address = &raw const set.0;
        // SFD_CLOEXEC and SFD_NONBLOCK are these two flags (include/uapi/linux/signalfd.h).
        let flags = (O_CLOEXEC | O_NONBLOCK) as usize;
        // SAFETY: the kernel reads a set of 8 bytes through the pointer; -1 requests a new descriptor.
        let fd = unsafe { call(__NR_signalfd4, [usize::MAX, address as usize, size_of::<u64>(), flags, 0, 0]) }?;
        // SAFETY: the call returned a new descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Returns the descriptor for polling.
    pub fn fd(&self) -> BorrowedFd<'_> {
        use rustix::fd::AsFd;
        self.0.as_fd()
    }

    /// Returns the next pending signal; `None` if there is none.
    pub fn next(&self) -> Option<SignalInfo> {
        let mut record = [0_u8; 128];
        let number = linux_raw_sys::general::__NR_read;
        let address = record.as_mut_ptr();
        // SAFETY: the kernel writes at most 128 bytes into a buffer of 128.
        let length = unsafe { call(number, [self.0.as_raw_fd() as usize, address as usize, 128, 0, 0, 0]) };
        // ssi_signo is the first word, ssi_pid the fourth.
        let word = |at: usize| u32::from_ne_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
        match length {
            Ok(128) => Some(SignalInfo { signal: word(0), sender: word(12) }),
            _ => None,
        }
    }
}

/// The signals that PID 1 reacts to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InitSignal {
    /// SIGCHLD: a child exited.
    Child,
    /// SIGINT: if it is from the kernel, Ctrl-Alt-Del.
    Interrupt,
    /// SIGTERM: sent by container engines.
    Terminate,
    /// SIGPWR: the power is about to fail.
    Power,
}

impl InitSignal {
    /// Returns the signal with this number, or `None` for any other.
    pub fn of(number: u32) -> Option<Self> {
        match number {
            SIGCHLD => Some(Self::Child),
            SIGINT => Some(Self::Interrupt),
            SIGTERM => Some(Self::Terminate),
            SIGPWR => Some(Self::Power),
            _ => None,
        }
    }
}

/// Returns the signal with a number from 1 to 64, real-time signals included (signal(7)); `None` for another number.
pub fn signal_of(number: u8) -> Option<Signal> {
    let number = i32::from(number);
    let real_time = (32..=64).contains(&number);
    // SAFETY: the kernel has this signal, which is not zero. That a C library uses it does not matter to another process.
    Signal::from_named_raw(number).or_else(|| real_time.then(|| unsafe { Signal::from_raw_unchecked(number) }))
}
