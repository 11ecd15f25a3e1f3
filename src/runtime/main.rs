//! hilum: PID 1 of a small machine, and its own command-line client, in one static ELF file.
//!
//! The kernel, or a container engine, starts it as process 1: then it is the init. Started as any other process it is
//! a command that talks to a person.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod command;
mod helper;
mod init;
mod net;
mod path;
mod storage;
mod turn;
mod workload;

use hilum_sys::Arguments;

hilum_sys::entry!(main);

fn main(arguments: Arguments) -> i32 {
    let is_process_one = rustix::process::getpid() == rustix::process::Pid::INIT;
    if is_process_one { init::run(arguments) } else { command::run(arguments) }
}
