//! `make bench`: hilum side by side with other tools, in figures that anyone can have again.

#![forbid(unsafe_code)]

mod contestants;
mod guest;
mod inside;
mod starts;

use anyhow::Result;
use clap::{Parser, Subcommand};
use contestants::Place;
use guest::Built;
use std::path::PathBuf;

/// Measures hilum side by side with other tools.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, and prints tables.
    Run {
        /// The folder that everything was built into.
        #[arg(long)]
        build: PathBuf,
        /// How often each contestant starts.
        #[arg(long, default_value_t = 100)]
        runs: usize,
    },
    /// Starts on this machine, in the mount namespace that it finds: what `run` runs.
    Starts {
        /// The folder that everything was built into.
        #[arg(long)]
        build: PathBuf,
        /// How often each contestant starts.
        #[arg(long)]
        runs: usize,
        /// Further mounts in the namespace.
        #[arg(long)]
        mounts: usize,
        /// The contestants; all where none is named.
        names: Vec<String>,
    },
    /// Starts in a guest: what its workload `bench` runs.
    Inside,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run { build, runs } => {
            let built = Built::new(&build)?;
            println!("{}", starts::table(&starts::on_host(&build, &[], runs, 0)?));
            println!("{}", starts::table(&guest::starts(&built, runs)?));
            Ok(())
        }
        Command::Starts { build, runs, mounts, names } => {
            let built = Built::new(&build)?;
            let place = Place::host(&built.board("hilum"), &built.debian("busybox"), &build.join("bench/floor"))?;
            starts::in_namespace(&place, &names, runs, mounts)
        }
        Command::Inside => inside::run(),
    }
}
