//! Scheduling of a process: CPU and I/O.

use crate::call::call;
use linux_raw_sys::general::{__NR_ioprio_set, __NR_sched_setscheduler};
use rustix::io::Errno;
use rustix::process::Pid;

/// Sets a process's scheduling policy (sched(7)) and its priority; 0 for policies without one.
///
/// # Errors
/// EPERM without CAP_SYS_NICE, EINVAL for a policy that the kernel does not support.
pub fn set_scheduler(pid: Pid, policy: u8, priority: u8) -> Result<(), Errno> {
    let priority = i32::from(priority);
    let (pid, address) = (pid.as_raw_nonzero().get() as usize, &raw const priority);
    // SAFETY: the kernel reads one int, all of `struct sched_param`.
    unsafe { call(__NR_sched_setscheduler, [pid, policy.into(), address as usize, 0, 0, 0]) }.map(|_| ())
}

/// Sets a process's I/O class and level (ioprio_set(2)).
///
/// # Errors
/// EPERM for the class realtime without CAP_SYS_NICE.
pub fn set_io_priority(pid: Pid, value: u16) -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    let pid = pid.as_raw_nonzero().get() as usize;
    // SAFETY: the call takes only numbers.
    unsafe { call(__NR_ioprio_set, [IOPRIO_WHO_PROCESS, pid, value.into(), 0, 0, 0]) }.map(|_| ())
}
