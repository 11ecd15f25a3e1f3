//! The runtime of hilum: PID 1 of a small machine, and its command-line client, in one static ELF file.
//!
//! It is a library so that tests can run it with a fake kernel (`os/fake.rs`); `main.rs` is the program.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(dead_code, reason = "the tests have a fake kernel, and leave out what needs a real one"))]
#![forbid(unsafe_code)]

mod command;
mod console;
mod doctor;
#[cfg(feature = "engine")]
pub mod engine;
mod init;
mod net;
mod os;
mod storage;
mod update;
mod workload;

use hilum_sys::Arguments;

/// Runs as init if this is PID 1, and does not return. Otherwise runs the command in the arguments, and returns its
/// exit status.
pub fn main(arguments: Arguments) -> i32 {
    let is_process_one = rustix::process::getpid() == rustix::process::Pid::INIT;
    if is_process_one { init::run(arguments, command::prompt) } else { command::run(arguments) }
}
