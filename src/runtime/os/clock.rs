//! The time.

#[cfg(test)]
pub(crate) use super::fake::{boottime_us, monotonic_ms};
pub(crate) use hilum_sys::realtime_us;
#[cfg(not(test))]
pub(crate) use hilum_sys::{boottime_us, monotonic_ms};
