//! PID 1: the boot in `boot.rs`, then the event loop in `dispatch.rs`, which never ends.
//!
//! After the loop has begun nothing is fatal. This process never exits on a machine: what cannot go on ends in a reboot.

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
mod timeline;
mod token;
mod uevents;
mod watchdog;
mod workload_requests;
mod workloads;

#[cfg(test)]
mod tests;

pub(crate) use prompt::Run as Prompt;

use hilum_sys::Arguments;

/// Boots, and supervises for ever. `prompt` is what the console's prompt does.
///
/// What booting needs of the stack is given back: nothing of it lies below the loop that waits.
pub(crate) fn run(arguments: Arguments, prompt: Prompt) -> ! {
    let mut init = boot::boot(arguments, prompt);
    init.supervise()
}
