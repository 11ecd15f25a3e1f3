//! Metrics from PID 1: of workloads, of the board, of the slots.

use super::format::Families;
use crate::board::{Board, Slots, Usage, Workload};
use hilum::supervise::{ExitReason, State};

/// Adds them.
pub(super) fn add(families: &mut Families, board: &Board) {
    cgroups(families, &board.workloads);
    supervision(families, &board.workloads);
    let system = &board.system;
    families.gauge("hilum_uptime_seconds", "Seconds since the kernel started.", [([], system.now_ms as f64 / 1_000.0)]);
    families.gauge("hilum_going_down", "Whether the board shuts down.", [([], f64::from(system.is_going_down))]);
    let safe = f64::from(system.is_safe);
    families.gauge("hilum_safe_mode", "Whether only workloads marked safe were started.", [([], safe)]);
    let bad = f64::from(system.bad_boots);
    families.gauge("hilum_bad_boots", "Failed boots in a row before this one.", [([], bad)]);
    let clock = hilum::time::STATES
        .iter()
        .enumerate()
        .map(|(number, state)| ([("state", *state)], f64::from(usize::from(system.clock) == number)));
    families.gauge("hilum_clock_state", "1 for what the clock is worth, 0 for the others.", clock);
    slots(families, &board.slots);
}

type Value = fn(&Usage) -> Option<f64>;

fn seconds(us: Option<u64>) -> Option<f64> {
    us.map(|us| us as f64 / 1e6)
}

fn number(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}

/// Counters of cgroups.
const COUNTERS: [(&str, &str, Value); 5] = [
    ("container_cpu_usage_seconds_total", "Processor time of a workload.", |usage| seconds(usage.cpu_us)),
    ("container_cpu_user_seconds_total", "The part of it in user mode.", |usage| seconds(usage.user_us)),
    ("container_cpu_system_seconds_total", "The part of it in the kernel.", |usage| seconds(usage.system_us)),
    ("container_cpu_cfs_throttled_seconds_total", "Time for which its cpu line held it back.", |usage| {
        seconds(usage.throttled_us)
    }),
    ("container_oom_events_total", "Processes that were killed because its memory was full.", |usage| {
        number(usage.oom_kills)
    }),
];

/// Gauges of cgroups.
const GAUGES: [(&str, &str, Value); 6] = [
    ("container_memory_usage_bytes", "Memory of a workload, with its files in the page cache.", |usage| {
        number(usage.memory)
    }),
    ("container_memory_working_set_bytes", "The part of it that cannot be dropped at once.", |usage| {
        Some(usage.memory?.saturating_sub(usage.inactive_file?) as f64)
    }),
    ("container_memory_max_usage_bytes", "Most memory that a workload has had.", |usage| number(usage.peak)),
    ("container_spec_memory_limit_bytes", "Its limit; 0 for none, as in cAdvisor.", |usage| {
        number(usage.limit.map(|limit| if limit == u64::MAX { 0 } else { limit }))
    }),
    ("container_threads", "Threads of a workload, counting each process as one at least.", |usage| {
        number(usage.threads)
    }),
    ("hilum_workload_frozen", "Whether its processes are frozen.", |usage| number(usage.is_frozen)),
];

fn cgroups(families: &mut Families, workloads: &[Workload]) {
    let values = |value: Value| {
        let one = move |workload: &'_ Workload| Some((workload.name.clone(), value(&workload.usage)?));
        workloads.iter().filter_map(one).collect::<Vec<_>>()
    };
    for (name, help, value) in COUNTERS {
        families.counter(name, help, values(value).iter().map(|(name, value)| ([("name", &**name)], *value)));
    }
    for (name, help, value) in GAUGES {
        families.gauge(name, help, values(value).iter().map(|(name, value)| ([("name", &**name)], *value)));
    }
}

fn supervision(families: &mut Families, workloads: &[Workload]) {
    let each = |value: fn(&Workload) -> Option<f64>| {
        workloads.iter().filter_map(move |workload| Some(([("name", &*workload.name)], value(workload)?)))
    };
    families.gauge(
        "hilum_workload_state",
        "1 for the state that a workload is in, 0 for the others.",
        workloads.iter().flat_map(|workload| {
            State::NAMES.split(' ').enumerate().map(|(number, state)| {
                let is_in = f64::from(usize::from(workload.state) == number);
                ([("name", &*workload.name), ("state", state)], is_in)
            })
        }),
    );
    families.gauge(
        "hilum_workload_ready",
        "Whether a workload is ready, or finished with success.",
        each(|workload| Some(f64::from(workload.is_ready()))),
    );
    families.gauge(
        "hilum_workload_healthy",
        "0 if a workload is unhealthy, backing-off, failed or lost.",
        each(|workload| Some(f64::from(workload.is_healthy()))),
    );
    families.gauge(
        "hilum_workload_state_seconds",
        "Seconds since a workload entered its state.",
        each(|workload| Some(workload.since_ms? as f64 / 1_000.0)),
    );
    families.counter(
        "hilum_workload_restarts_total",
        "Restarts of a workload since the boot.",
        each(|workload| Some(workload.restarts.into())),
    );
    families.gauge(
        "hilum_workload_exit_status",
        "The exit status of its last run; 128 plus the number of the signal that ended it.",
        each(|workload| match workload.last? {
            ExitReason::Exit(status) => Some(status.into()),
            ExitReason::Signal(signal) => Some(128.0 + f64::from(signal)),
            _ => None,
        }),
    );
    families.gauge(
        "hilum_workload_out_of_memory",
        "Whether its last run ended because its memory was full.",
        each(|workload| Some(f64::from(workload.is_out_of_memory))),
    );
    families.gauge(
        "hilum_workload_corrupt",
        "Whether a block of its verified image did not match its hash.",
        each(|workload| Some(f64::from(workload.is_corrupt))),
    );
    families.counter(
        "hilum_workload_dropped_lines_total",
        "Lines of a workload that PID 1 dropped.",
        each(|workload| Some(workload.dropped.into())),
    );
}

fn slots(families: &mut Families, slots: &Slots) {
    let each = |value: fn(&crate::board::Slot) -> f64| {
        slots.slots.iter().map(move |slot| ([("slot", &*slot.name)], value(slot)))
    };
    families.gauge("hilum_slot_version", "The version in a slot; 0 for none.", each(|slot| slot.version as f64));
    families.gauge("hilum_slot_committed", "Whether a slot is committed.", each(|slot| slot.is_committed.into()));
    families.gauge("hilum_slot_running", "Whether a slot runs.", each(|slot| slot.is_running.into()));
    families.gauge("hilum_slot_trial", "Whether a slot is on trial.", each(|slot| slot.is_on_trial.into()));
    if slots.slots.is_empty() {
        return;
    }
    families.gauge("hilum_update_floor", "No version below this one is taken.", [([], slots.floor as f64)]);
    families.gauge(
        "hilum_update_rolled_back",
        "The version that was on trial last, if it was not committed, otherwise 0.",
        [([], slots.verdict.as_ref().filter(|_| slots.is_rolled_back()).map_or(0.0, |(version, _)| *version as f64))],
    );
}
