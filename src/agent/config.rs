//! The configuration: a TOML file. A key that is not known is an error.

use crate::logs::Logs;
use crate::updates::Updates;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The control socket.
    #[serde(default = "control")]
    pub(crate) control: PathBuf,
    /// What is served to Prometheus; nothing without it.
    pub(crate) metrics: Option<Metrics>,
    /// Where lines go; nowhere without it.
    pub(crate) logs: Option<Logs>,
    /// Where updates come from; nowhere without it.
    pub(crate) updates: Option<Updates>,
}

/// The section `[metrics]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    /// The address and port of the HTTP server.
    pub(crate) listen: SocketAddr,
    /// Folders of mounted disks, as the agent sees them, whose sizes are reported.
    #[serde(default)]
    pub(crate) disks: Vec<PathBuf>,
}

fn control() -> PathBuf {
    hilum_socket().into()
}

/// Returns where PID 1 puts the control socket of a workload.
const fn hilum_socket() -> &'static str {
    "/run/hilum.sock"
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(file: &str) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
        Self::parse(&text).with_context(|| file.to_owned())
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }
}

#[cfg(test)]
mod tests;
