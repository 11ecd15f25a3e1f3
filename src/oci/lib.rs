//! hilum-oci: a runtime for podman, containerd and Docker, by the steps that start hilum's workloads.
//!
//! `config.rs` is the file, `refuse.rs` what of it is not done, `plan.rs` the steps of a start; none of them makes a system call.
//! `create.rs` is the parent's side of a start, `child.rs` that of the new process, `state.rs` what is on disk.

#![forbid(unsafe_code)]

pub mod arguments;
pub mod cgroup;
pub mod child;
pub mod commands;
pub mod config;
pub mod control;
pub mod copy_up;
pub mod create;
pub mod error;
pub mod exec;
pub mod files;
pub mod hooks;
pub mod labels;
pub mod mounts;
pub mod names;
pub mod options;
pub mod own_file;
pub mod plan;
pub mod refuse;
pub mod seccomp;
pub mod state;
pub mod template;
pub mod terminal;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

use arguments::{Command, Global};
use error::{At, Log, Result};
use std::path::PathBuf;

const HELP: &str = "hilum-oci [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup]
          [--cgroup-manager cgroupfs|systemd|disabled] COMMAND

create [-b BUNDLE] [--pid-file FILE] [--console-socket SOCKET] [--preserve-fds N] [--no-new-keyring] ID
run    the same, and [-d] [--keep]
exec   [-p FILE] [-d] [-t] [--console-socket SOCKET] [--pid-file FILE] [--preserve-fds N] [-u UID[:GID]] [-g GID]
       [--cwd DIR] [-e NAME=VALUE] [-c CAP] [--no-new-privs] [--ignore-paused] ID [PROGRAM WORD...]
start ID | state ID | kill [--all] ID [SIGNAL] | delete [--force] ID | ps [--format json] ID
pause ID | resume ID | events [--stats] [--interval N] ID
update [-r FILE] [--memory N] [--memory-reservation N] [--memory-swap N] [--pids-limit N] [--cpu-quota N] [--cpu-period N]
       [--cpu-burst N] [--cpu-share N] [--cpu-idle N] [--cpuset-cpus LIST] [--cpuset-mems LIST] [--blkio-weight N] ID
list [--format json] [-q] | spec [-b BUNDLE] | features";

/// Runs the command in the arguments. Returns the exit status.
pub fn main() -> i32 {
    let mut log = Log::default();
    match arguments::parse(std::env::args_os().skip(1)).and_then(|(global, command)| run(&global, &command, &mut log)) {
        Ok(status) => status,
        Err(error) => {
            log.error(&error);
            1
        }
    }
}

fn run(global: &Global, command: &Command, log: &mut Log) -> Result<i32> {
    log.is_json = global.is_json;
    if let Some(path) = &global.log {
        log.file = Some(std::fs::OpenOptions::new().append(true).create(true).open(path).at(path.display())?);
    }
    let root = global.root.clone().unwrap_or_else(|| PathBuf::from("/run/hilum-oci"));
    match command {
        Command::Create(wanted) => {
            own_file::protect()?;
            create::create(&root, wanted, global.manager, None).map(|_| 0)
        }
        Command::Run(wanted) => {
            own_file::protect()?;
            commands::run(&root, wanted, global.manager)
        }
        Command::Exec(wanted) => {
            own_file::protect()?;
            exec::exec(&root, wanted)
        }
        Command::Freeze(id, is_frozen) => control::freeze(&root, id, *is_frozen).map(|()| 0),
        Command::Update(id, resources) => control::update(&root, id, resources).map(|()| 0),
        Command::Events(id, is_once, seconds) => control::events(&root, id, *is_once, *seconds).map(|()| 0),
        Command::Start(id) => commands::start(&root, id).map(|()| 0),
        Command::State(id) => commands::state(&root, id).map(|()| 0),
        Command::Kill(id, signal, is_all) => commands::kill(&root, id, signal, *is_all).map(|()| 0),
        Command::Delete(id, forces) => commands::delete(&root, id, *forces).map(|()| 0),
        Command::List(is_json, is_quiet) => commands::list(&root, *is_json, *is_quiet).map(|()| 0),
        Command::Ps(id, is_json) => commands::ps(&root, id, *is_json).map(|()| 0),
        Command::Spec(bundle) => template::write(bundle).map(|()| 0),
        Command::Features => {
            println!("{}", template::features());
            Ok(0)
        }
        Command::Version => {
            println!("hilum-oci version {}\nspec: {}", env!("CARGO_PKG_VERSION"), state::VERSION);
            Ok(0)
        }
        Command::Help => {
            println!("{HELP}");
            Ok(0)
        }
    }
}
