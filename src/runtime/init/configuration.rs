//! The current configuration, and reading another one.

use crate::os::errno::describe;
use crate::os::files::read_file;
use core::cell::{Cell, RefCell};
use core::fmt;
use hilum::config::{self, Config, SITE_HEADER, limits};
use hilum_sys::{Covariant, DoubleBuffer, ReadGuard};
use rustix::io::Errno;

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

/// Appends the file of a site, as the section `[site]`, to a configuration of `length` bytes. Returns the new length.
///
/// # Errors
/// Those of open(2) and read(2); EFBIG if it is longer than 4 KiB, or than the rest of the buffer.
fn append_site(site: &str, bytes: &mut [u8], length: usize) -> Result<usize, Errno> {
    let start = length + SITE_HEADER.len();
    bytes.get_mut(length..start).ok_or(Errno::FBIG)?.copy_from_slice(SITE_HEADER);
    let count = read_file(site, &mut bytes[start..])?;
    if count > limits::SITE_BYTES || start + count == bytes.len() {
        return Err(Errno::FBIG);
    }
    config::clean_site(&mut bytes[start..start + count]);
    Ok(start + count)
}

/// Reads and parses the file at `path`, with the file of a site behind it; calls `tell` with an error in one line. A
/// site whose file cannot be read is left out. Workloads of the current configuration keep their ids.
pub(super) fn read(
    path: &str,
    site: Option<&str>,
    in_use: Option<&Configuration>,
    tell: &mut dyn FnMut(fmt::Arguments<'_>),
) -> Option<Configuration> {
    let (tell, above) = (RefCell::new(tell), Cell::new(u32::MAX));
    let filled = buffer().fill(
        |bytes| {
            let length = read_file(path, bytes).map_err(|errno| {
                (tell.borrow_mut())(format_args!("{path}: {}: cannot read the configuration; hilum.config= on the kernel command line selects another", describe(errno)));
            })?;
            let Some(site) = site else { return Ok::<usize, ()>(length) };
            above.set(bytes[..length].iter().filter(|byte| **byte == b'\n').count() as u32 + 2);
            Ok(append_site(site, bytes, length).unwrap_or_else(|errno| {
                (tell.borrow_mut())(format_args!("site {site}: {}: continuing without it", describe(errno)));
                length
            }))
        },
        |bytes, config| {
            config::parse(bytes, config).map_err(|mut error| {
                let mut path = path;
                if let (Some(site), Some(line)) = (site, error.line.checked_sub(above.get())) {
                    (path, error.line) = (site, line);
                }
                (tell.borrow_mut())(format_args!("{path}:{error}"));
            })?;
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

/// Reads the file at `path` again with that of its site, if it has one. Returns the configuration of both, or the one
/// that is given.
pub(super) fn with_site(given: Configuration, path: &str, tell: &mut dyn FnMut(fmt::Arguments<'_>)) -> Configuration {
    let site = given.get().system.site;
    site.and_then(|site| read(path, Some(site), None, tell)).unwrap_or(given)
}
