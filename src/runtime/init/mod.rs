//! PID 1: the boot in `boot.rs`, then the event loop in `dispatch.rs`, which never ends.
//!
//! Once the loop runs, no error is fatal. On a machine this process never exits: if it cannot continue, it reboots.

mod boot;
mod boot_count;
mod boot_tasks;
mod client;
mod configuration;
mod context;
mod control;
mod devices;
mod disks;
mod dispatch;
mod early;
mod event_lines;
mod event_loop;
mod kernel_settings;
mod log_file;
mod logs;
mod manifest;
mod modules;
mod prompt;
mod reload;
mod requests;
mod shutdown;
mod time;
mod timeline;
mod token;
mod uevents;
mod updates;
mod watchdog;
mod workload_requests;
mod workloads;

#[cfg(test)]
mod tests;

pub(crate) use prompt::Run as Prompt;

use hilum_sys::Arguments;

/// Boots, and supervises for ever. `prompt` is the function of the console's prompt.
///
/// The stack that the boot uses is returned before the loop.
pub(crate) fn run(arguments: Arguments, prompt: Prompt) -> ! {
    let mut init = boot::boot(arguments, prompt);
    init.supervise()
}
