//! Starts in tests: a process that exists only by name; the test has the other ends of its pipes.

use super::{CgroupState, Failure, LaunchContext, Process};
use crate::os::fake;
use hilum::config::Config;
use rustix::pipe::{PipeFlags, pipe_with};

/// Starts the workload at `index`.
pub(crate) fn spawn(
    config: &Config<'_>,
    index: usize,
    _: &mut LaunchContext,
    _: &mut CgroupState,
    _: bool,
) -> Result<Process, Failure> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
    let ((output, output_writer), (report, report_writer), (pidfd, _)) = (pipe()?, pipe()?, pipe()?);
    let pid = fake::spawn_process(config.workload(index).name, output_writer, report_writer)?;
    Ok(Process {
        pid,
        pidfd,
        output,
        has_writers: true,
        report: Some(report),
        executed_us: None,
        has_failed: false,
        helper: None,
        ready: None,
        notify: None,
        control: None,
        ended: None,
        mount_namespace: None,
    })
}
