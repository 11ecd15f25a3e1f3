//! `make bench`: measures hilum side by side with other tools, reproducibly.

#![forbid(unsafe_code)]

mod agent;
mod boot;
mod chart;
mod contestants;
mod guest;
mod inside;
mod kernel_memory;
mod memory;
mod others;
mod parallel;
mod power;
mod report;
mod restart;
mod sizes;
mod starts;
mod timeline;
mod verity;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use contestants::Place;
use guest::Built;
use report::Report;
use std::path::PathBuf;

/// Measures hilum side by side with other tools.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Starts in a guest.
    Guest,
    /// The same by a count of instructions.
    Counted,
    /// Starts on this machine.
    Host,
    /// Restarts on this machine.
    Restart,
    /// From /init to the first workload.
    Boot,
    /// From power-on to the page of the demo.
    Power,
    /// Memory of PID 1.
    Memory,
    /// Many workloads at the same time.
    Parallel,
    /// Many mounts.
    Mounts,
    /// Verified images.
    Verity,
    /// Bytes.
    Sizes,
    /// hilum-agent.
    Agent,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, and prints tables.
    Run {
        /// The build folder.
        #[arg(long)]
        build: PathBuf,
        /// Number of starts of each contestant.
        #[arg(long, default_value_t = 100)]
        runs: usize,
        /// Number of boots, and of parallel starts.
        #[arg(long, default_value_t = 5)]
        boots: usize,
        /// Writes the tables into bench.md of this folder and comparison.md above it, a figure of README, and the charts.
        #[arg(long)]
        docs: Option<PathBuf>,
        /// The parts; all by default.
        parts: Vec<Part>,
    },
    /// Boots the demo and draws its timeline.
    Timeline {
        /// The build folder.
        #[arg(long)]
        build: PathBuf,
        /// The files to write.
        outputs: Vec<PathBuf>,
    },
    /// Measures starts on this machine, in the current mount namespace; `run` calls it.
    Starts {
        /// The build folder.
        #[arg(long)]
        build: PathBuf,
        /// Number of starts of each contestant.
        #[arg(long)]
        runs: usize,
        /// Further mounts in the namespace.
        #[arg(long)]
        mounts: usize,
        /// The contestants; all by default.
        names: Vec<String>,
    },
    /// Measures parallel starts of floor.c in the current mount namespace; `run` calls it.
    Floor {
        /// The build folder.
        #[arg(long)]
        build: PathBuf,
        /// How often.
        #[arg(long)]
        runs: usize,
    },
    /// Measures starts in a guest; its workload `bench` calls it.
    Inside,
    /// Measures verified images in a guest; its workload `bench` calls it.
    InsideVerity,
    /// Prints the packages that the boots take, and those whose bytes are compared.
    Packages,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run { build, runs, boots, docs, parts } => {
            ensure!(rustix::process::geteuid().is_root(), "namespaces and mounts need root");
            let parts = if parts.is_empty() { Part::value_variants() } else { &parts };
            let built = Built::new(&build)?;
            let report = Report::new(docs);
            let mut failed = 0;
            for part in parts {
                // A part that fails, for example because a guest does not boot, does not affect the others.
                if let Err(error) = measure(*part, &built, runs, boots, &report) {
                    eprintln!("hilum-bench: {part:?}: {error:#}");
                    failed += 1;
                }
            }
            ensure!(failed == 0, "{failed} of {} parts failed", parts.len());
            Ok(())
        }
        Command::Timeline { build, outputs } => timeline::run(&Built::new(&build)?, &outputs),
        Command::Starts { build, runs, mounts, names } => {
            starts::in_namespace(&host_place(&Built::new(&build)?)?, &names, runs, mounts)
        }
        Command::Floor { build, runs } => {
            let us = parallel::floor(&host_place(&Built::new(&build)?)?, runs)?;
            println!("{}", serde_json::to_string(&us)?);
            Ok(())
        }
        Command::Inside => inside::run(),
        Command::InsideVerity => verity::inside(),
        Command::Packages => {
            println!("{} {}", boot::packages(), others::PACKAGES);
            Ok(())
        }
    }
}

fn host_place(built: &Built) -> Result<Place> {
    Place::host(
        &built.board("hilum"),
        &built.debian("busybox"),
        &built.folder.join("bench/floor"),
        &built.board("probe"),
    )
}

fn measure(part: Part, built: &Built, runs: usize, boots: usize, report: &Report) -> Result<()> {
    match part {
        Part::Guest => {
            let rows = guest::starts(built, runs, &[])?;
            report.start_chart(&rows)?;
            let title = format!("Guest with one processor, Linux 6.1 of Debian 12, QEMU's TCG, {runs} starts each");
            report.table("guest", &title, &starts::table(&rows))
        }
        Part::Counted => {
            let runs = runs.div_ceil(10);
            let rows = guest::starts(built, runs, guest::COUNTING)?;
            report.table("counted", &format!("The same guest, {runs} starts each"), &starts::table(&rows))
        }
        Part::Host => {
            let rows = starts::on_host(&built.folder, &[], runs, 0)?;
            report.table("host", &format!("This machine, {runs} starts each"), &starts::table(&rows))
        }
        Part::Restart => restart::run(built, runs, report),
        Part::Boot => {
            let rows = boot::measure(built, boots, &[])?;
            report.boot_chart(&rows)?;
            report.table("boot", &format!("The same guest, {boots} boots each"), &boot::table(&rows))?;
            let rows = boot::measure(built, boots.div_ceil(3), guest::COUNTING)?;
            let title = format!("On the clock that counts instructions, {} boots each", boots.div_ceil(3));
            report.table("boot-counted", &title, &boot::table(&rows))
        }
        Part::Power => {
            let title = format!("QEMU's TCG, 256 MiB, one processor, {boots} boots each");
            report.table("power", &title, &power::table(&power::measure(&built.folder, boots)?))
        }
        Part::Memory => {
            let rows = memory::measure(built)?;
            report.memory_chart(&rows)?;
            report.table("memory", "PID namespaces of this machine", &memory::table(&rows))?;
            report.table("kernel-memory", kernel_memory::TITLE, &kernel_memory::table(&kernel_memory::measure(built)?))
        }
        Part::Parallel => {
            let rows = [
                parallel::on_host(built, boots)?,
                parallel::floor_on_host(built, boots)?,
                parallel::in_guest(built, boots.div_ceil(2))?,
            ];
            report.table("parallel", &format!("Medians of {boots}"), &parallel::table(&rows))
        }
        Part::Mounts => {
            let rows = starts::with_mounts(&built.folder, runs.div_ceil(4))?;
            report.table("mounts", &format!("This machine, {} starts each", runs.div_ceil(4)), &rows)
        }
        Part::Agent => report.table("agent", "This machine", &agent::table(&agent::measure(built)?)),
        Part::Verity => {
            let runs = runs.div_ceil(10);
            let title = format!("Guest of the same kind, on the clock that counts instructions, {runs} starts each");
            report.table("verity", &title, &verity::table(&verity::measure(built, runs)?))
        }
        Part::Sizes => {
            let rows = sizes::measure(&built.folder)?;
            report.table("sizes", "As built", &sizes::table(&rows))?;
            report.figure("docs/dev/bench.md#bytes", rows[0].elf)?;
            report.comparison("others", &others::table(&others::measure(&built.folder)?))
        }
    }
}
