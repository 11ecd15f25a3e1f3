//! A program with its arguments and environment: the last step of the new process.

use crate::os::path::access;
use core::ffi::CStr;
use hilum::config::{Check, Variable, Workload, limits};
use hilum::plan::NOTIFY;
use hilum::split::Split;
use hilum_sys::TakeCell;
use rustix::fs::Access;
use rustix::io::Errno;

/// The environment of a program whose workload sets no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes of the program's strings: all words of `exec` and all variables.
const STRINGS_BYTES: usize = limits::LINE_BYTES * (limits::VARIABLES + 2);
static STRINGS: TakeCell<[u8; STRINGS_BYTES]> = TakeCell::new([0; STRINGS_BYTES]);

/// A program and its environment.
pub(crate) struct Program<'a> {
    /// Its path, or only its name, and its arguments.
    pub(crate) words: &'a [&'a str],
    /// Its environment.
    pub(crate) variables: &'a [Variable<'a>],
    /// The type of its terminal; `None` if it has none.
    pub(crate) term: Option<&'a str>,
}

impl Program<'_> {
    /// Executes the program; returns only on failure.
    pub(crate) fn execute(&self, workload: &Workload<'_>) -> Errno {
        let Some(memory) = STRINGS.take() else { return Errno::NOMEM };
        let mut strings = Strings { free: memory };
        let mut arguments = [None; limits::EXEC_WORDS + 1];
        for (place, word) in arguments.iter_mut().zip(self.words) {
            *place = strings.add(&[word]);
        }
        let mut environment = [None; limits::VARIABLES + 5];
        let mut places = environment.iter_mut();
        let mut set = |parts: &[&str]| {
            if let Some(place) = places.next() {
                *place = strings.add(parts);
            }
        };
        self.variables.iter().for_each(|variable| set(&[variable.name, "=", variable.value]));
        let path = self.variables.iter().find(|variable| variable.name == "PATH").map(|variable| variable.value);
        if path.is_none() {
            set(&["PATH=", DEFAULT_PATH]);
        }
        if let Some(term) = self.term {
            set(&["TERM=", term]);
        } else if workload.supervision.has_notify() {
            set(&["NOTIFY_SOCKET=", NOTIFY]);
            if let Some(health) = workload.supervision.health.as_ref().filter(|health| health.check == Check::Notify) {
                // Fourteen digits fit.
                let number = hilum::fixed_string::text::<20>(format_args!("{}", u64::from(health.interval_ms) * 1_000));
                set(&["WATCHDOG_USEC=", &number]);
            }
        }
        let count = |list: &[Option<&CStr>]| list.iter().take_while(|string| string.is_some()).count();
        let (words, variables) = (count(&arguments), count(&environment));
        let (Some(Some(program)), Some(name)) = (arguments.first(), self.words.first()) else { return Errno::INVAL };
        let (arguments, environment) = (&arguments[..=words], &environment[..=variables]);
        if name.place_of(b'/').is_none() {
            let mut errno = Errno::NOENT;
            for folder in path.unwrap_or(DEFAULT_PATH).parts(b':') {
                let mut path = Strings { free: core::mem::take(&mut strings.free) };
                if let Some(program) = path.add(&[folder, "/", name]) {
                    errno = hilum_sys::execute(program, arguments, environment);
                }
                strings.free = path.free;
                if errno != Errno::NOENT && errno != Errno::NOTDIR {
                    break;
                }
            }
            return errno;
        }
        let errno = hilum_sys::execute(program, arguments, environment);
        // The kernel also returns ENOENT if the dynamic loader is missing.
        if errno == Errno::NOENT && access(name, Access::EXISTS).is_ok() { Errno::LIBACC } else { errno }
    }
}

/// Memory for C strings.
struct Strings {
    free: &'static mut [u8],
}

impl Strings {
    /// Concatenates the parts into a C string. `None` if they do not fit or contain a NUL, which the parser excludes.
    fn add(&mut self, parts: &[&str]) -> Option<&'static CStr> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        let free = core::mem::take(&mut self.free);
        let (memory, rest) = free.split_at_mut_checked(length)?;
        self.free = rest;
        let mut at = 0;
        for part in parts {
            memory[at..at + part.len()].copy_from_slice(part.as_bytes());
            at += part.len();
        }
        CStr::from_bytes_with_nul(memory).ok()
    }
}
