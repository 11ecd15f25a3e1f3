//! The current configuration, and reading another one.

use crate::os::errno::describe;
use crate::os::files::read_file;
use core::fmt;
use hilum::config::{self, Config, limits};
use hilum_sys::{Covariant, DoubleBuffer, ReadGuard};

/// Bytes of the buffer for a file: one more than the limit, to detect a longer one.
const BYTES: usize = limits::FILE_BYTES + 1;

/// A configuration and the bytes from which its texts are borrowed.
pub(crate) struct ConfigText;

impl Covariant for ConfigText {
    type Of<'a> = Config<'a>;

    fn clear(value: &mut Config<'_>) {
        value.clear();
    }

    fn shorten<'short, 'long: 'short>(value: &'short Config<'long>) -> &'short Config<'short> {
        value
    }
}

/// A configuration in use.
pub(crate) type Configuration = ReadGuard<ConfigText, BYTES>;

static BUFFER: DoubleBuffer<ConfigText, BYTES> = DoubleBuffer::new(Config::EMPTY, Config::EMPTY);

#[cfg(not(test))]
fn buffer() -> &'static DoubleBuffer<ConfigText, BYTES> {
    &BUFFER
}

/// Each test thread has its own buffers.
#[cfg(test)]
fn buffer() -> &'static DoubleBuffer<ConfigText, BYTES> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static BUFFERS: [DoubleBuffer<ConfigText, BYTES>; 32] =
        [const { DoubleBuffer::new(Config::EMPTY, Config::EMPTY) }; 32];
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static OWN: usize = TAKEN.fetch_add(1, Ordering::Relaxed);
    }
    &BUFFERS[OWN.with(|own| *own)]
}

/// Reads and parses the file at `path`; calls `tell` with an error in one line. Workloads of the current configuration
/// keep their ids.
pub(super) fn read(
    path: &str,
    in_use: Option<&Configuration>,
    tell: &mut dyn FnMut(fmt::Arguments<'_>),
) -> Option<Configuration> {
    let tell = core::cell::RefCell::new(tell);
    let filled = buffer().fill(
        |bytes| {
            read_file(path, bytes).map_err(|errno| {
                (tell.borrow_mut())(format_args!("{path}: {}: cannot read the configuration; hilum.config= on the kernel command line selects another", describe(errno)));
            })
        },
        |bytes, config| {
            config::parse(bytes, config).map_err(|error| (tell.borrow_mut())(format_args!("{path}:{error}")))?;
            if let Some(in_use) = in_use {
                config::keep_ids(in_use.get(), config);
                config::keep_slots(in_use.get(), config);
            }
            Ok(())
        },
    );
    if let Err(None) = filled {
        (tell.borrow_mut())(format_args!("{path}: a reload is already in progress"));
    }
    filled.ok()
}
