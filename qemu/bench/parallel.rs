//! Many workloads at once: the time from the first start to the last exit, according to PID 1's timeline.

use crate::contestants::{FRESH_FLOOR, Place, make_root};
use crate::guest::Built;
use anyhow::{Context, Result, ensure};
use hilum_initramfs::{Compression, Image};
use hilum_qemu::Namespace;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The numbers of parallel workloads.
pub(crate) const COUNTS: [usize; 3] = [1, 8, 32];

const DEADLINE: Duration = Duration::from_secs(120);

/// The medians of one alternative, in microseconds, for each number.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) us: [u64; COUNTS.len()],
}

fn config(count: usize, head: &str, root: &str) -> String {
    let workload =
        |number| format!("[workload w{number}]\nroot {root}\nexec /bin/busybox true\nrestart never\nlog quiet\n");
    format!("hilum 1\n[system]\n{head}\n{}", (0..count).map(workload).collect::<String>())
}

/// Returns the time from the first start to the last exit, once that many have exited.
fn span(timeline: &str, count: usize) -> Option<u64> {
    let events: Vec<(u64, &str)> = timeline.lines().filter_map(event).collect();
    let ended: Vec<u64> = events.iter().filter(|(_, text)| text.ends_with(": ended")).map(|(us, _)| *us).collect();
    let begin = events.iter().find(|(_, text)| text.ends_with(": start"))?.0;
    (ended.len() == count).then(|| ended.iter().max().map(|end| end - begin)).flatten()
}

/// Parses a line of `hilum timeline`: microseconds since the kernel's start, and the event.
pub(crate) fn event(line: &str) -> Option<(u64, &str)> {
    let (time, rest) = line.trim_start_matches("hilum> ").trim_start().split_once(" s ")?;
    let (seconds, micros) = time.split_once('.')?;
    let us = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    Some((us, rest.trim_start().split_once(" us  ")?.1))
}

fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times[(times.len() - 1) / 2]
}

/// Measures hilum on this machine, without cgroups.
pub(crate) fn on_host(built: &Built, repeats: usize) -> Result<Row> {
    let scratch = tempfile::tempdir()?;
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755))?;
    let root = scratch.path().join("root");
    make_root(&root, &built.debian("busybox"))?;
    let (file, socket) = (scratch.path().join("hilum.conf"), scratch.path().join("socket"));
    let mut us = [0; COUNTS.len()];
    for (place, count) in us.iter_mut().zip(COUNTS) {
        let mut times = Vec::new();
        for _ in 0..repeats {
            std::fs::write(
                &file,
                config(count, &format!("control {}", socket.display()), &root.display().to_string()),
            )?;
            let namespace = Namespace::start(&built.board("hilum"), &file, &[])?;
            let until = Instant::now() + DEADLINE;
            times.push(loop {
                let asked = Command::new(built.board("hilum")).arg("--socket").arg(&socket).arg("timeline").output()?;
                if let Some(us) = span(&String::from_utf8_lossy(&asked.stdout), count) {
                    break us;
                }
                ensure!(Instant::now() < until, "{count} workloads did not exit:\n{}", namespace.console.text());
                std::thread::sleep(Duration::from_millis(20));
            });
            drop(namespace);
            let _ = std::fs::remove_file(&socket);
        }
        *place = median(times);
    }
    Ok(Row { name: "hilum, this machine".to_owned(), us })
}

/// Measures hilum in a guest with two processors, with cgroups.
pub(crate) fn in_guest(built: &Built, repeats: usize) -> Result<Row> {
    let mut us = [0; COUNTS.len()];
    for (place, count) in us.iter_mut().zip(COUNTS) {
        let mut image = Image::new();
        image.file("init", 0o755, std::fs::read(built.board("hilum"))?);
        image.file("etc/hilum.conf", 0o644, config(count, "console prompt", "/images/true"));
        image.file("images/true/bin/busybox", 0o755, std::fs::read(built.debian("busybox"))?);
        for folder in ["dev", "proc", "run", "sys", "tmp"] {
            image.folder(&format!("images/true/{folder}"), 0o755);
        }
        let bytes = image.write(Compression::Zstd)?;
        let mut times = Vec::new();
        for _ in 0..repeats {
            let mut guest = built.boot(&bytes, "", "stdio", &["-smp", "2"])?;
            guest.vm.console.expect("hilum> ", DEADLINE)?;
            let until = Instant::now() + DEADLINE;
            times.push(loop {
                guest.vm.type_text("timeline\r")?;
                std::thread::sleep(Duration::from_secs(2));
                let text = guest.vm.console.text().replace("\x1b[K", "");
                // The last reply.
                if let Some(us) = text.rsplit_once("kernel started").and_then(|(_, answer)| span(answer, count)) {
                    break us;
                }
                ensure!(Instant::now() < until, "{count} workloads did not exit:\n{text}");
            });
        }
        *place = median(times);
    }
    Ok(Row { name: "hilum, guest with two processors".to_owned(), us })
}

/// Measures floor.c, as many in parallel, each newly executed, as a lower bound of the kernel; in a mount namespace of
/// its own.
pub(crate) fn floor(place: &Place, repeats: usize) -> Result<[u64; COUNTS.len()]> {
    let words = place.words(FRESH_FLOOR, None)?;
    let mut us = [0; COUNTS.len()];
    for (median_us, count) in us.iter_mut().zip(COUNTS) {
        let mut times = Vec::new();
        for _ in 0..repeats {
            let begin = Instant::now();
            let started: std::io::Result<Vec<_>> =
                (0..count).map(|_| place.command(&words, "").stdin(Stdio::null()).spawn()).collect();
            for mut child in started? {
                ensure!(child.wait()?.success(), "floor.c failed");
            }
            times.push(begin.elapsed().as_micros() as u64);
        }
        *median_us = median(times);
    }
    Ok(us)
}

/// Measures the same by this program itself in a mount namespace.
pub(crate) fn floor_on_host(built: &Built, repeats: usize) -> Result<Row> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe()?).arg("floor");
    command.arg("--build").arg(&built.folder).args(["--runs", &repeats.to_string()]);
    let output = command.stderr(Stdio::inherit()).output().context("unshare")?;
    ensure!(output.status.success(), "floor.c on this machine failed");
    Ok(Row { name: format!("{FRESH_FLOOR}, this machine"), us: serde_json::from_slice(&output.stdout)? })
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| starts at the same time, us | 1 | 8 | 32 | 32 of 1 |\n|---|---|---|---|---|\n".to_owned();
    for Row { name, us: [one, eight, many] } in rows {
        text += &format!("| {name} | {one} | {eight} | {many} | {:.1} |\n", *many as f64 / *one as f64);
    }
    text
}

#[cfg(test)]
mod tests;
