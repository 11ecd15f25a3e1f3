//! The time.

#[cfg(test)]
pub(crate) use super::fake::{boottime_us, monotonic_ms};
#[cfg(not(test))]
pub(crate) use hilum_sys::{boottime_us, monotonic_ms};
