//! hilum-agent beside a PID 1 on this host, with the programs that it talks to: Prometheus, rsyslog.

mod logs;
mod metrics;

use crate::support::running::{Running, eventually};
use crate::support::{Host, built, free_port};
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts the agent with a configuration in which SOCKET is PID 1's control socket.
fn agent(host: &Host, config: &str) -> Running {
    let file = host.scratch.path().join("agent.toml");
    std::fs::write(&file, format!("control = \"{}\"\n{config}", host.socket().display())).expect("its configuration");
    Running::start(Command::new(built("tools/hilum-agent")).arg(file).stdin(Stdio::null()))
}

/// Returns a file of docs/agent.
fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agent").join(name).canonicalize().expect("an example")
}
