//! The only home of `unsafe`: entry per architecture, raw system calls, and what rustix lacks.
//!
//! Everything public here is safe to call. What rustix offers safely is not repeated here; rustix's own `runtime`
//! module is left alone, because its name and contents change between minor versions.

// The tests of the cells and leases run on the host, with threads.
#![cfg_attr(not(test), no_std)]

mod arch;
mod attempt;
mod call;
mod cell;
mod confine;
mod control;
mod entry;
mod lease;
mod link;
mod memory;
mod mount;
mod panic;
mod process;
mod signal;
mod stdio;
mod time;

pub use attempt::{Attempt, attempt, attempt_ioctl, enter_mount_namespace, fork, io_priority, scheduler, unshare};
pub use cell::Once;
pub use confine::{LandlockRules, filter_system_calls, landlock_abi, own_keyring, set_personality};
pub use control::{
    attach_device_filter, enter_namespaces, enter_network_namespace, load_device_filter, load_module,
    own_network_namespace, peer_user, place_descriptor, set_io_priority, set_scheduler, set_watchdog,
};
pub use entry::Arguments;
pub use lease::{Family, Lease, Shelf};
pub use link::{loopback_up, packet_socket};
pub use memory::release_memory;
pub use mount::{attach_loop, free_loop, grow_ext4, map_ids, restrict_mount};
pub use panic::{on_panic, panicked, print, print_to};
pub use process::{
    Cloned, clone, close_all_but, close_range, execute, exit, kill_everything, own_mount_namespace, set_file_ids,
    signal_everything, stop,
};
pub use signal::{Caught, Named, SignalSet, Signals, mask, reset_signals};
pub use stdio::{standard_error, standard_input, standard_output};
pub use time::{boottime_us, monotonic_ms};

/// Names the function that `_start` calls: `hilum_sys::entry!(main)` for `fn main(arguments: Arguments) -> i32`.
///
/// Expands to the one symbol that the entry code refers to and to the panic handler. A program has one of each, so this crate
/// has neither, and its tests run with those of the standard library. What the function returns is the exit status.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "Rust" fn hilum_main(arguments: $crate::Arguments) -> i32 {
            $main(arguments)
        }

        #[panic_handler]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::panicked(info)
        }
    };
}
