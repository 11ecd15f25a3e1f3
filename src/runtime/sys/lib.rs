//! The only crate with `unsafe` code: entry points, raw system calls, and what rustix lacks.
//!
//! All public items are safe to call. Safe functions of rustix are not duplicated here. rustix's own `runtime` module
//! is not used, because its name and contents change between minor versions.

// The tests of cells and guards run on the host, with threads.
#![cfg_attr(not(test), no_std)]

mod arch;
mod attempt;
mod bpf;
mod call;
mod confine;
mod double_buffer;
mod entry;
#[cfg(all(panic = "abort", not(feature = "hosted")))]
mod fault;
mod kexec;
mod keys;
mod link;
mod memory;
mod mount;
mod namespaces;
mod panic;
mod process;
mod rights;
mod sched;
mod signal;
mod socket;
mod stdio;
mod swap;
mod take_cell;
mod terminal;
mod time;
mod watchdog;

pub use attempt::{Attempt, attempt, attempt_ioctl, enter_mount_namespace, fork, io_priority, scheduler, unshare};
#[cfg(feature = "hosted")]
pub use bpf::replace_device_filter;
pub use bpf::{attach_device_filter, load_device_filter};
pub use confine::{LandlockRules, filter_system_calls, landlock_abi, own_keyring, set_personality};
pub use double_buffer::{Covariant, DoubleBuffer, ReadGuard};
pub use entry::Arguments;
#[cfg(not(target_arch = "aarch64"))]
pub use kexec::load_kernel;
#[cfg(target_arch = "aarch64")]
pub use kexec::{Segment, change_register, load_segments};
pub use keys::Key;
pub use link::{bind_to_link, loopback_up, packet_socket};
pub use memory::release_memory;
pub use mount::{
    DeviceMapper, attach_loop, device_mapper, free_loop, grow_ext4, limit_read_ahead, map_ids, resize_partition,
    restrict_mount,
};
pub use namespaces::{unshare_mount, unshare_network};
pub use panic::{on_panic, panicked, print, print_to};
pub use process::{
    Cloned, clone, close_all_but, close_range, execute, execute_with, exit, hang_forever, kill_everything,
    place_descriptor, set_file_ids, signal_everything,
};
pub use rights::{MESSAGE_FDS, receive_with_fds, send_with_fds};
pub use sched::{set_io_priority, set_scheduler};
#[cfg(feature = "hosted")]
pub use signal::reset_some_signals;
pub use signal::{InitSignal, SignalFd, SignalInfo, SignalSet, mask, reset_signals, signal_of};
pub use socket::peer_user;
pub use stdio::{standard_error, standard_input, standard_output};
pub use swap::swap_on;
pub use take_cell::TakeCell;
pub use terminal::TerminalModes;
pub use time::{Change, boottime_us, change_clock, is_clock_synchronised, monotonic_ms, realtime_us};
pub use watchdog::set_watchdog;

/// Sets the function that `_start` calls: `hilum_sys::entry!(main)` for `fn main(arguments: Arguments) -> i32`.
///
/// Expands to the symbol that the entry code refers to, and to the panic handler. A program has exactly one of each, so
/// this crate defines neither, and its tests use those of the standard library. The function returns the exit status.
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
