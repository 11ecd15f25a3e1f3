//! `hilum update` and `hilum rollback`.

use super::client::Connection;
use super::usage::{FAILED, misused_as};
use crate::os::errno::describe;
use crate::os::path::open;
use hilum::wire::{Command, Request};
use hilum_sys::{print, standard_input};
use rustix::fs::{Mode, OFlags};
use rustix::termios::isatty;

/// Sends a bundle, or asks for the state of the slots. Returns the exit status.
pub(super) fn update(socket: &str, words: &[&str]) -> i32 {
    let is_status = words == ["--status"];
    let input = match words {
        ["--status"] => None,
        [] if !isatty(standard_input()) => standard_input().try_clone_to_owned().ok(),
        [] => return misused_as("update"),
        [path] if !path.starts_with('-') => match open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => Some(file),
            Err(errno) => {
                print(format_args!("hilum: {path}: {}\n", describe(errno)));
                return FAILED;
            }
        },
        _ => return misused_as("update"),
    };
    let request = Request::new(if is_status { Command::Slots } else { Command::Update });
    let Some(connection) = Connection::ask_with(socket, &request, input.as_slice()) else { return FAILED };
    // PID 1 has it now; the sender must not wait for this process.
    drop(input);
    connection.show_lines()
}
