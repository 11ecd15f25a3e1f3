//! Formats event lines: decisions of the supervisor, and reports of set-ups.

use crate::console::Console;
use crate::console::plural;
use crate::os::memory;
use crate::workload::{OutOfMemory, Report};
use hilum::config::{Config, LimitAction, Workload};
use hilum::plan::plan;
use hilum::supervise::Notice;

/// Prints a decision of the supervisor.
pub(super) fn print(console: &mut Console, config: &Config<'_>, notice: Notice) {
    let name = |index: usize| config.workload(index).name;
    match notice {
        Notice::Restart(index, count, delay_ms) => {
            console.info(format_args!("workload \"{}\": restart {count} in {delay_ms} ms", name(index)));
        }
        Notice::Ready(index) => console.info(format_args!("workload \"{}\": ready", name(index))),
        Notice::NotReady(index) => {
            let within_ms = config.workload(index).supervision.ready_within_ms;
            let name = name(index);
            console.info(format_args!("workload \"{name}\": not ready within {within_ms} ms; see: hilum log {name}"));
        }
        Notice::ExitedEarly(index) => console.info(format_args!(
            "workload \"{}\": exited before it was ready; if it daemonizes, keep it in the foreground (httpd -f)",
            name(index)
        )),
        Notice::Unhealthy(index, failures) => {
            let ending = plural(failures.into());
            let name = name(index);
            console.info(format_args!(
                "workload \"{name}\": unhealthy: {failures} failed check{ending}; see: hilum log {name}"
            ));
        }
        Notice::RestartWithNeed(index, need) => {
            console.info(format_args!(
                "workload \"{}\": restarting, because \"{}\" keeps failing",
                name(index),
                name(need)
            ));
        }
        Notice::LimitReached(index) => limit(console, config.workload(index)),
        Notice::NeedFailed(index, need) => {
            let (name, need) = (name(index), name(need));
            console.info(format_args!("workload \"{name}\": not started: \"{need}\" failed; see: hilum log {need}"));
        }
        Notice::NotKilled(index) => {
            console.error(format_args!(
                "workload \"{}\": still running after SIGKILL, continuing without it",
                name(index)
            ));
        }
        Notice::ShutDown(_, count) if count > 0 => {
            console.info(format_args!("stopping {count} workload{}", plural(count)));
        }
        Notice::ShutDown(..) => {}
    }
}

/// Prints the memory that PID 1 uses.
pub(super) fn memory(console: &mut Console, config: &Config<'_>) {
    let workloads = config.workloads.len();
    if let Some(memory) = memory::own() {
        let (resident, anonymous) = (memory.resident_kb, memory.anonymous_kb);
        console.info(format_args!(
            "memory of pid 1: VmRSS {resident} kB, RssAnon {anonymous} kB, {workloads} workload{}",
            plural(workloads)
        ));
    }
}

/// Prints which step of a workload's set-up failed, its object, and a hint.
pub(super) fn failed_step(console: &mut Console, config: &Config<'_>, index: usize, report: Report) {
    let workload = config.workload(index);
    let plan = plan(workload, &config.pools);
    // The child made the same plan from the same workload, so the index is valid.
    let Some(step) = plan.steps.get(report.step) else { return };
    let hint = step.hint(report.errno.0);
    let (before, hint) = hint.as_deref().map_or(("", ""), |hint| (": ", hint));
    console.info(format_args!("workload \"{}\": {step}: {}{before}{hint}", workload.name, report.errno));
}

/// Prints which signal killed a workload, and the reason if it was the OOM killer.
pub(super) fn killed(console: &mut Console, name: &str, signal: u8, out_of_memory: Option<&OutOfMemory>) {
    const SIGSYS: u8 = 31;
    let signal_name = hilum::config::Signal(signal);
    match out_of_memory {
        Some(OutOfMemory { peak: Some(peak), limit }) => console.info(format_args!(
            "workload \"{name}\": killed by {signal_name}: out of memory, peak {} of limit {} KiB",
            peak >> 10,
            limit >> 10
        )),
        Some(OutOfMemory { peak: None, limit }) => console.info(format_args!(
            "workload \"{name}\": killed by {signal_name}: out of memory, limit {} KiB",
            limit >> 10
        )),
        None if signal == SIGSYS => console.info(format_args!(
            "workload \"{name}\": killed by {signal_name}: system call of another architecture (seccomp)"
        )),
        None => console.info(format_args!("workload \"{name}\": killed by {signal_name}")),
    }
}

fn limit(console: &mut Console, workload: &Workload<'_>) {
    let Some(limit) = workload.restart.limit else { return };
    let then = match limit.on_limit {
        LimitAction::Stop => "stopped until the next start",
        LimitAction::Reboot => "reboot",
        LimitAction::Poweroff => "power off",
    };
    let (name, count, seconds) = (workload.name, limit.count, limit.period_ms / 1_000);
    let ending = plural(count as usize);
    console.info(format_args!("workload \"{name}\": gave up after {count} restart{ending} in {seconds} s: {then}"));
}
