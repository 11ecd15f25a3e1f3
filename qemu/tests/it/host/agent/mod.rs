//! hilum-agent beside a PID 1 on this host, with the programs that it talks to: Prometheus, rsyslog.

mod logs;
mod metrics;

use crate::support::{Host, SOON, built, free_port};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program that is ended with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Starts the agent with a configuration in which SOCKET is PID 1's control socket.
fn agent(host: &Host, config: &str) -> Running {
    let file = host.scratch.path().join("agent.toml");
    std::fs::write(&file, format!("control = \"{}\"\n{config}", host.socket().display())).expect("its configuration");
    Running::start(Command::new(built("tools/hilum-agent")).arg(file))
}

/// Returns a file of docs/agent.
fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agent").join(name).canonicalize().expect("an example")
}

/// Waits until `done` returns something.
#[track_caller]
fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + SOON;
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(std::time::Instant::now() < until, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
