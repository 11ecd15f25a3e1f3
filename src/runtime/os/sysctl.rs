//! Kernel settings below /proc/sys (proc_sys(5)). Network settings belong to the network namespace of the process that
//! opens them.

use super::files::read_file;
use super::path::open;
use core::fmt::Write;
use hilum::config::Config;
use hilum::settings::{PATH_BYTES, is_set_by, path};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Reads a setting into `text`. Returns its value without the newline.
///
/// # Errors
/// ENOENT if the kernel has no such setting.
pub(crate) fn get<'a>(name: &str, text: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let path = path(name).ok_or(Errno::NAMETOOLONG)?;
    let length = read_file(&path, text)?;
    Ok(text[..length].trim_ascii_end())
}

/// Writes a setting. `parts` is its path below /proc/sys.
///
/// # Errors
/// ENOENT if the kernel has no such setting, EINVAL for an invalid value.
pub(crate) fn set(parts: &[&str], value: &str) -> Result<(), Errno> {
    let mut path: heapless::String<PATH_BYTES> = heapless::String::new();
    let _ = path.write_str("/proc/sys/");
    for part in parts {
        path.push_str(part).map_err(|_| Errno::NAMETOOLONG)?;
    }
    write(&path, value)
}

/// Writes a setting by its name.
///
/// # Errors
/// Those of [`set`].
pub(crate) fn set_by_name(name: &str, value: &str) -> Result<(), Errno> {
    write(&path(name).ok_or(Errno::NAMETOOLONG)?, value)
}

/// Writes a setting of a link, unless a `sysctl` line sets it. Errors are ignored: the kernel may lack it, or the link
/// may be gone.
pub(crate) fn set_unless_configured(config: &Config<'_>, parts: &[&str], value: &str) {
    let mut name = heapless::String::<64>::new();
    let fits = parts.iter().all(|part| name.push_str(part).is_ok());
    if fits && !is_set_by(&config.system.sysctls, &name) {
        let _ = set_by_name(&name, value);
    }
}

/// Writes a file of the kernel.
///
/// # Errors
/// Those of open(2) and write(2).
pub(crate) fn write(path: &str, value: &str) -> Result<(), Errno> {
    // Tests must not change the host's settings.
    if cfg!(test) {
        return Ok(());
    }
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, value.as_bytes()).map(|_| ())
}
