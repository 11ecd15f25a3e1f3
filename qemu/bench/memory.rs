//! Memory of an idle PID 1: hilum and others, each in a PID namespace of this machine.

use crate::contestants::make_root;
use crate::guest::Built;
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// The compared PID 1 programs, and how many programs each supervises.
const PEERS: [(&str, usize); 8] = [
    ("tini", 1),
    ("catatonit", 1),
    ("runit (runsvdir)", 0),
    ("runit (runsvdir)", 8),
    ("runit (runsvdir)", 32),
    ("s6 (s6-svscan)", 0),
    ("s6 (s6-svscan)", 8),
    ("s6 (s6-svscan)", 32),
];
const COUNTS: [usize; 3] = [0, 8, 32];

/// Kilobytes of memory (/proc/PID/smaps_rollup, proc(5)).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Everything resident, pages of files included.
    pub(crate) resident_kb: u64,
    /// Memory that is private and was written.
    pub(crate) dirty_kb: u64,
}

/// The result of one PID 1.
pub(crate) struct Row {
    pub(crate) name: String,
    /// The number of supervised programs.
    pub(crate) programs: usize,
    /// Its own memory; or why it could not be measured.
    pub(crate) own: Result<Memory>,
    /// The same including its helper processes, one for each program.
    pub(crate) all: Memory,
}

/// Measures all of them.
pub(crate) fn measure(built: &Built) -> Result<Vec<Row>> {
    let scratch = tempfile::tempdir()?;
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755))?;
    let root = scratch.path().join("root");
    make_root(&root, &built.debian("busybox"))?;
    let ours = COUNTS.into_iter().map(|programs| ("hilum", programs));
    let mut rows = Vec::new();
    for (name, programs) in ours.chain(PEERS) {
        let found = command(name, programs, scratch.path(), built).and_then(|words| look(&words, programs));
        let (own, all) = found.map_or_else(|error| (Err(error), Memory::default()), |(own, all)| (Ok(own), all));
        rows.push(Row { name: name.to_owned(), programs, own, all });
    }
    Ok(rows)
}

/// Returns the command line of a PID 1 with sleeping programs.
fn command(name: &str, programs: usize, scratch: &Path, built: &Built) -> Result<Vec<String>> {
    let busybox = scratch.join("root/bin/busybox").display().to_string();
    let folder = scratch.join(format!("{}-{programs}", name.split(' ').next().unwrap_or_default()));
    std::fs::create_dir_all(&folder)?;
    let place = folder.display().to_string();
    let words = match name {
        "hilum" => {
            let root = scratch.join("root");
            let mut lines = "hilum 1\n[system]\nconsole log\n".to_owned();
            for number in 0..programs {
                lines += &format!("[workload w{number}]\nroot {}\nexec /bin/busybox sleep 100000\n", root.display());
            }
            let config = folder.join("hilum.conf");
            std::fs::write(&config, lines)?;
            vec![built.board("hilum").display().to_string(), "--config".to_owned(), config.display().to_string()]
        }
        "tini" | "catatonit" => [name, "--", &busybox, "sleep", "100000"].map(str::to_owned).into(),
        _ => {
            for number in 0..programs {
                let service = folder.join(format!("w{number}"));
                std::fs::create_dir_all(&service)?;
                let run = service.join("run");
                std::fs::write(&run, format!("#!/bin/sh\nexec {busybox} sleep 100000\n"))?;
                std::fs::set_permissions(&run, PermissionsExt::from_mode(0o755))?;
            }
            let program = if name.starts_with("runit") { "runsvdir" } else { "s6-svscan" };
            vec![program.to_owned(), place]
        }
    };
    Ok(words)
}

/// A PID namespace, which is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // unshare kills its child (--kill-child), and PID 1's death kills the namespace.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it until its programs are started, and a moment longer. Returns the memory of PID 1, and that of everything
/// except the programs.
fn look(words: &[String], programs: usize) -> Result<(Memory, Memory)> {
    let installed = std::env::var("PATH").unwrap_or_default();
    let is_there =
        words[0].contains('/') || installed.split(':').any(|folder| Path::new(folder).join(&words[0]).exists());
    ensure!(is_there, "{} is not installed", words[0]);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child=KILL", "--"]).args(words);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("unshare")?;
    let running = Running(child);
    let until = Instant::now() + DEADLINE;
    loop {
        let family = descendants(running.0.id());
        let is_program = |pid: &u32| name_of(*pid) == "busybox";
        let count = family.iter().filter(|pid| is_program(pid)).count();
        if count == programs && family.first().is_some_and(|pid| words[0].ends_with(&name_of(*pid))) {
            std::thread::sleep(Duration::from_millis(700));
            let mut all = Memory::default();
            for pid in descendants(running.0.id()).iter().filter(|pid| !is_program(pid)) {
                let memory = memory(*pid)?;
                all.resident_kb += memory.resident_kb;
                all.dirty_kb += memory.dirty_kb;
            }
            return Ok((memory(family[0])?, all));
        }
        ensure!(Instant::now() < until, "{count} of {programs} programs run");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns all descendants of a process, the nearest first.
fn descendants(pid: u32) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    let mut next = vec![pid];
    while let Some(pid) = next.pop() {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children: Vec<u32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        found.extend(&children);
        next.extend(children);
    }
    found
}

fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// Returns the memory of a process.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).context("smaps_rollup")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok(Memory { resident_kb: field("Rss:")?, dirty_kb: field("Private_Dirty:")? })
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text =
        "| PID 1 | programs | resident KiB | private dirty KiB | with its helpers: resident | private dirty |\n\
                    |---|---|---|---|---|---|\n"
            .to_owned();
    for Row { name, programs, own, all } in rows {
        text += &match own {
            Ok(own) => format!(
                "| {name} | {programs} | {} | {} | {} | {} |\n",
                own.resident_kb, own.dirty_kb, all.resident_kb, all.dirty_kb
            ),
            Err(error) => format!("| {name} | {programs} | does not run here: {error:#} | | | |\n"),
        };
    }
    text
}
