//! Restarts on this machine: how long one takes with a network and without, and how long PID 1 answers nothing meanwhile.

use crate::contestants::ask;
use crate::guest::Built;
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use hilum::wire::Command as Asked;
use hilum_qemu::Namespace;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// The workloads: what each is, its name, and its lines. `capability net_raw` makes PID 1 give each run a new network
/// namespace; the kept ones have none.
const WORKLOADS: [(&str, &str, &str); 4] = [
    ("without a network", "alone", ""),
    ("without a network, new namespace", "alone-new", "capability net_raw\n"),
    ("veth and a published port", "linked", "link veth br0 10.77.0.2/24 via 10.77.0.1\npublish 9000:80/tcp\n"),
    (
        "veth and a published port, new namespace",
        "linked-new",
        "link veth br0 10.77.0.3/24 via 10.77.0.1\npublish 9001:80/tcp\ncapability net_raw\n",
    ),
];

/// The result of one workload.
struct Row {
    name: &'static str,
    /// Microseconds from the request until the workload is ready again, in ascending order.
    times: Vec<u64>,
    /// The longest time to the answer of a `status` meanwhile, in microseconds.
    worst_answer: u64,
}

/// Measures, and reports the table.
pub(crate) fn run(built: &Built, runs: usize, report: &Report) -> Result<()> {
    report.table("restart", &format!("This machine, {runs} restarts each"), &table(&measure(built, runs)?))
}

/// Restarts each workload this often, and asks for its status all the time.
fn measure(built: &Built, runs: usize) -> Result<Vec<Row>> {
    let scratch = tempfile::tempdir()?;
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755))?;
    let root = scratch.path().join("root");
    for folder in ["bin", "dev", "etc", "proc", "run", "tmp"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::copy(built.board("probe"), root.join("bin/probe"))?;
    let (file, socket) = (scratch.path().join("hilum.conf"), scratch.path().join("socket"));
    let mut config = format!("hilum 1\n[system]\ncontrol {}\nconsole log\nbridge br0 10.77.0.1/24\n", socket.display());
    for (_, name, lines) in WORKLOADS {
        config += &format!("[workload {name}]\nroot {}\nexec /bin/probe on-term\nlog quiet\n{lines}", root.display());
    }
    std::fs::write(&file, config)?;
    let namespace = Namespace::start(&built.board("hilum"), &file, &["unshare", "--net"])?;
    let until = Instant::now() + DEADLINE;
    while WORKLOADS.iter().any(|(_, name, _)| ask(&socket, Asked::Start, name).is_err()) {
        ensure!(Instant::now() < until, "the workloads do not start:\n{}", namespace.console.text());
        std::thread::sleep(Duration::from_millis(50));
    }
    WORKLOADS.iter().map(|(what, name, _)| restarts(&socket, what, name, runs)).collect()
}

fn restarts(socket: &Path, what: &'static str, name: &str, runs: usize) -> Result<Row> {
    let is_over = AtomicBool::new(false);
    let answers = || -> Result<u64> {
        let mut worst = Duration::ZERO;
        while !is_over.load(Ordering::Relaxed) {
            worst = worst.max(ask(socket, Asked::Status, name)?);
            // Some thousand questions a second would be a load of their own.
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(worst.as_micros() as u64)
    };
    std::thread::scope(|scope| {
        let asking = scope.spawn(answers);
        // The first one does not count.
        let times: Result<Vec<u64>> = (0..=runs)
            .map(|_| {
                let passed = ask(socket, Asked::Restart, name)?;
                // So that what a restart leaves to do is no part of the next one.
                std::thread::sleep(Duration::from_millis(20));
                Ok(passed.as_micros() as u64)
            })
            .collect();
        is_over.store(true, Ordering::Relaxed);
        let worst_answer = asking.join().ok().context("the questions")??;
        let mut times = times?.split_off(1);
        times.sort_unstable();
        Ok(Row { name: what, times, worst_answer })
    })
}

/// Returns the rows as a table.
fn table(rows: &[Row]) -> String {
    let mut text = "| restart until ready | median us | 10th percentile | 90th percentile | longest answer of PID 1 meanwhile, us |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for Row { name, times, worst_answer } in rows {
        let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
        text += &format!("| {name} | {} | {} | {} | {worst_answer} |\n", at(50), at(10), at(90));
    }
    text
}
