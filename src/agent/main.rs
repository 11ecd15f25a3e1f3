//! hilum-agent: a workload that shows a board to the network.
//!
//! PID 1 opens no port and speaks no HTTP. This program does, as a workload like any other: it asks PID 1 over the control socket that a
//! `control status` line gives it. Each service is a thread, and the configuration names those that run.

#![forbid(unsafe_code)]

mod board;
mod config;
mod control;
mod logs;
mod metrics;
mod server;
mod system;
mod tls;
mod updates;

use anyhow::{Context, Result};
use std::process::ExitCode;
use std::sync::Arc;

const USAGE: &str = "usage: hilum-agent [check] FILE | version";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["version"] => {
            println!("hilum-agent {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        ["check", file] => config::Config::read(file).map(|_| println!("{file}: ok")),
        [file] if file != "check" && !file.starts_with('-') => run(file),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hilum-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the services of a configuration until SIGTERM or SIGINT.
fn run(file: &str) -> Result<()> {
    let config = config::Config::read(file)?;
    // As the first process of a PID namespace it gets only signals that it handles.
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])
        .context("signals")?;
    let control = Arc::new(control::Control::new(config.control));
    let logs = config.logs.map(|logs| logs::start(logs, Arc::clone(&control))).transpose()?;
    let updates = config.updates.map(|updates| updates::start(updates, Arc::clone(&control))).transpose()?;
    if let Some(metrics) = config.metrics {
        let page = metrics::Page::new(control, metrics.disks, logs, updates);
        server::start(metrics.listen, Arc::new(move || page.text()))?;
    }
    signals.forever().next();
    Ok(())
}
