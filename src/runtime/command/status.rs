//! The state of workloads as a table and as JSON.

use super::client::Connection;
use super::keys::Keys;
use super::output::show;
use super::usage::{DONE, FAILED, NOT_RUNNING, misused_as};
use crate::os::wait::timespec_from_ms;
use heapless::{String, Vec};
use hilum::config::limits;
use hilum::fixed_string::text;
use hilum::split::Split;
use hilum::status::{Bytes, Details, Json, Number, Text, Uptime, Usage, counter, state_name};
use hilum::supervise::State;
use hilum::time::STATES;
use hilum::wire::{Command, END, Reply, Request, SystemStatus, TEXTS, WorkloadStatus};
use rustix::event::{PollFd, PollFlags, poll};

/// `status [NAME] [--json]`
pub(super) fn status(socket: &str, words: &[&str]) -> i32 {
    match words {
        [] => table(socket, None),
        ["--json"] => json(socket, None),
        [name, "--json"] | ["--json", name] => json(socket, Some(name)),
        [name] if !name.starts_with('-') => table(socket, Some(name)),
        _ => misused_as("status"),
    }
}

fn connect(socket: &str, name: Option<&str>) -> Option<Connection> {
    let mut request = Request::new(Command::Status);
    // They fit.
    let _ = request.words.push(name.unwrap_or_default());
    request.words.extend(COUNTERS.parts(b' '));
    Connection::ask(socket, &request)
}

/// Returns the exit status: whether the single requested workload runs.
fn running(name: Option<&str>, state: &WorkloadStatus<'_>) -> i32 {
    let is_fine = [State::Ready.number(), State::Finished.number()].contains(&state.state);
    if name.is_none() || is_fine { DONE } else { NOT_RUNNING }
}

fn table(socket: &str, name: Option<&str>) -> i32 {
    let Some(connection) = connect(socket, name) else { return FAILED };
    let (mut found, mut usage) = (DONE, Usage::default());
    let answer = connection.finish(FAILED, &mut |reply| match reply {
        Reply::System(system) => head(system),
        Reply::Status(status) => {
            found |= running(name, status);
            line(status, &usage, None);
        }
        Reply::Event(TEXTS, texts) => usage = self::usage(texts),
        Reply::Event(0, slot) => _ = show(format_args!("{slot}\n")),
        _ => {}
    });
    if answer == DONE { found } else { answer }
}

fn head(system: &SystemStatus) {
    if system.is_going_down {
        show(format_args!("shutting down\n"));
    }
    if system.is_safe {
        show(format_args!("safe mode: only workloads marked safe were started; failed boots: {}\n", system.bad_boots));
    }
    if system.clock == 1 {
        show(format_args!("the clock is not right; see: hilum time\n"));
    }
    show(format_args!(
        "{:<16} {:<11} {:>6} {:>9} {:>8} {:>9} {:>9} {:>5} {:>5} {:<15} {}\n",
        "NAME", "STATE", "PID", "SINCE", "RESTARTS", "MEMORY", "LIMIT", "CPU", "PIDS", "ADDRESS", "LAST EXIT"
    ));
}

/// Prints one workload. `cpu_permille` is its load, if it was measured; otherwise the total processor time is printed.
fn line(status: &WorkloadStatus<'_>, usage: &Usage, cpu_permille: Option<u64>) {
    // Sixteen characters are enough for each value.
    let cpu: String<16> = match (cpu_permille, usage.cpu_us) {
        (Some(permille), _) => text(format_args!("{}.{}%", permille / 10, permille % 10)),
        (None, Some(us)) => text(format_args!("{}.{}s", us / 1_000_000, us / 100_000 % 10)),
        (None, None) => text(format_args!("-")),
    };
    let state = if usage.is_frozen && status.pid > 0 { "frozen" } else { state_name(status.state) };
    let memory = text::<16>(format_args!("{}", Bytes(usage.memory)));
    let limit = text::<16>(format_args!("{}", Bytes(usage.limit.filter(|limit| *limit < u64::MAX))));
    let pids = text::<16>(format_args!("{}", Number(usage.pids, "-")));
    let pid = text::<16>(format_args!("{}", Number(Some(status.pid.into()).filter(|pid| *pid > 0), "-")));
    let since = status.since_ms.map_or(text::<16>(format_args!("-")), |ms| text(format_args!("{}", Uptime(ms))));
    let address = status.addresses.parts(b',').next().unwrap_or_default();
    show(format_args!(
        "{:<16} {state:<11} {pid:>6} {since:>9} {:>8} {memory:>9} {limit:>9} {cpu:>5} {pids:>5} {:<15} {}\n",
        status.name,
        status.restarts,
        if address.is_empty() { "-" } else { address },
        Details(status),
    ));
}

/// The files with the counters.
const COUNTERS: &str = "memory.current memory.peak memory.max cpu.stat pids.current cgroup.events";

/// Returns the counters in the texts of these files.
fn usage(texts: &str) -> Usage {
    let mut numbers = [None; 6];
    for (place, (number, text)) in numbers.iter_mut().zip(texts.parts(END)).enumerate() {
        let key = match place {
            3 => "usage_usec ",
            5 => "frozen ",
            _ => "",
        };
        *number = counter(text, key);
    }
    let [memory, peak, limit, cpu_us, pids, frozen] = numbers;
    Usage { memory, peak, limit, cpu_us, pids, is_frozen: frozen == Some(1) }
}

fn json(socket: &str, name: Option<&str>) -> i32 {
    let Some(connection) = connect(socket, name) else { return FAILED };
    let (mut found, mut count, mut usage) = (DONE, 0, Usage::default());
    let answer = connection.finish(FAILED, &mut |reply| match reply {
        Reply::System(system) => {
            show(format_args!(
                "{{\"going_down\":{},\"safe\":{},\"bad_boots\":{},\"uptime_ms\":{},\"clock\":{},\"workloads\":[",
                system.is_going_down,
                system.is_safe,
                system.bad_boots,
                system.now_ms,
                Text(STATES.get(usize::from(system.clock)).copied().unwrap_or_default()),
            ));
        }
        Reply::Status(status) => {
            found |= running(name, status);
            count += 1;
            show(format_args!("{}{}", if count > 1 { "," } else { "" }, Json(status, &usage)));
        }
        Reply::Event(TEXTS, texts) => usage = self::usage(texts),
        Reply::Event(1, slots) => _ = show(format_args!("],\"slots\":{slots}}}\n")),
        _ => {}
    });
    if answer == DONE { found } else { answer }
}

/// `top [-n TIMES]`: runs until a key is pressed, if standard input is a terminal.
pub(super) fn top(socket: &str, words: &[&str]) -> i32 {
    const PERIOD_MS: u64 = 1_000;
    let times: u32 = match words {
        [] => u32::MAX,
        ["-n", times] => match hilum::number::number(times) {
            Some(times) => times,
            None => return misused_as("top"),
        },
        _ => return misused_as("top"),
    };
    let typed = Keys::new();
    let mut before: Vec<u64, { limits::WORKLOADS }> = Vec::new();
    for turn in 0..times {
        let Some(connection) = connect(socket, None) else { return FAILED };
        // Move the cursor home, and clear the screen.
        show(format_args!("\x1b[H\x1b[J"));
        let mut now: Vec<u64, { limits::WORKLOADS }> = Vec::new();
        let mut usage = Usage::default();
        let answer = connection.finish(FAILED, &mut |reply| match reply {
            Reply::System(system) => head(system),
            Reply::Status(status) => {
                let cpu_us = usage.cpu_us.unwrap_or(0);
                let passed_us = before.get(now.len()).map_or(0, |before| cpu_us.saturating_sub(*before));
                line(status, &usage, Some(passed_us / PERIOD_MS));
                // There are as many as workloads.
                let _ = now.push(cpu_us);
            }
            Reply::Event(TEXTS, texts) => usage = self::usage(texts),
            _ => {}
        });
        if answer != DONE {
            return answer;
        }
        before = now;
        let mut keys = [PollFd::from_borrowed_fd(hilum_sys::standard_input(), PollFlags::IN)];
        let waited = if typed.is_some() { &mut keys[..] } else { &mut [] };
        if turn + 1 < times && poll(waited, Some(&timespec_from_ms(PERIOD_MS))) == Ok(1) {
            // Discard the key that ended it.
            if let Some(typed) = &typed {
                typed.read();
            }
            return DONE;
        }
    }
    DONE
}
