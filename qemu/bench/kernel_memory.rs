//! Kernel memory of one more workload: what the kernel's own counters grow by, for each of several that sleep.

use crate::contestants::{bundle, make_root};
use crate::guest::Built;
use anyhow::{Context, Result, ensure};
use hilum_qemu::Namespace;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The title of the table.
pub(crate) const TITLE: &str = "This machine, without cgroups, 30 more than one, medians of 3";

/// How many are compared with one.
const FURTHER: usize = 30;
/// How often that is repeated; the median counts.
const REPEATS: usize = 3;
/// How long the kernel has for what it frees later.
const QUIET: Duration = Duration::from_millis(2_500);

/// The counters of /proc/meminfo that are memory of the kernel itself (proc_meminfo(5)).
const COUNTERS: [&str; 4] = ["Slab:", "KernelStack:", "PageTables:", "Percpu:"];

/// The kernel memory of one more.
pub(crate) struct Row {
    name: &'static str,
    kb: i64,
}

/// Measures hilum with and without network namespaces of their own, bubblewrap and crun on this machine, without cgroups.
pub(crate) fn measure(built: &Built) -> Result<Vec<Row>> {
    let scratch = tempfile::tempdir()?;
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755))?;
    let root = scratch.path().join("root");
    make_root(&root, &built.debian("busybox"))?;
    let hilum = |line: &'static str| {
        let root = root.clone();
        move |count: usize| with_hilum(built, scratch_config(count, line, &root))
    };
    let bubblewrap = |count: usize| {
        let words = "--unshare-all --unshare-user --uid 0 --gid 0 --cap-drop ALL --proc /proc --dev /dev --tmpfs /tmp --tmpfs /run \
                     --new-session --die-with-parent --ro-bind";
        let sleepers: Result<Vec<Sleeper>> = (0..count)
            .map(|_| {
                let mut command = Command::new("bwrap");
                command.args(words.split_whitespace()).arg(&root).args(["/", "/bin/busybox", "sleep", "100000"]);
                let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("bwrap")?;
                Ok(Sleeper(child))
            })
            .collect();
        let sleepers = sleepers?;
        let found = settled();
        drop(sleepers);
        found
    };
    let folder = scratch.path().join("crun");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("config.json"), bundle("crun", &root, &["/bin/busybox", "sleep", "100000"], None)?)?;
    let crun = |count: usize| with_crun(&folder, count);
    Ok(vec![
        Row { name: "hilum", kb: further(hilum(""))? },
        Row { name: "hilum, `share net`", kb: further(hilum("share net"))? },
        Row { name: "crun", kb: further(crun)? },
        Row { name: "bubblewrap", kb: further(bubblewrap)? },
    ])
}

/// Returns the median of what one more takes, in KiB; `with` returns the kernel's memory while so many sleep.
fn further(with: impl Fn(usize) -> Result<i64>) -> Result<i64> {
    // The first one makes what all share.
    with(1 + FURTHER)?;
    let mut each = Vec::new();
    for _ in 0..REPEATS {
        let one = with(1)?;
        each.push((with(1 + FURTHER)? - one) / FURTHER as i64);
    }
    each.sort_unstable();
    Ok(each[REPEATS / 2])
}

fn scratch_config(count: usize, line: &str, root: &Path) -> String {
    let section = |number: usize| {
        format!("[workload w{number}]\nroot {}\nexec /bin/busybox sleep 100000\n{line}\n", root.display())
    };
    format!("hilum 1\n[system]\nconsole log\n{}", (0..count).map(section).collect::<String>())
}

fn with_hilum(built: &Built, config: String) -> Result<i64> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("hilum.conf");
    std::fs::write(&file, config)?;
    let namespace = Namespace::start(&built.board("hilum"), &file, &[])?;
    let found = settled();
    drop(namespace);
    found
}

const CRUN: &str = "umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup; \
                    exec crun --cgroup-manager=disabled --root \"$0\" \"$@\"";

fn with_crun(folder: &Path, count: usize) -> Result<i64> {
    let crun = |words: &[&str]| -> Result<()> {
        // It looks for cgroups even if it is not to use them, and refuses those of this machine if both versions are mounted.
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", CRUN]).arg(folder.join("state")).args(words);
        // The container keeps what it gets, so it gets no pipe.
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(status.context("unshare")?.success(), "crun {}", words[0]);
        Ok(())
    };
    let names: Vec<String> = (0..count).map(|number| format!("hilum-bench-{number}")).collect();
    let bundle = folder.display().to_string();
    let started = names.iter().try_for_each(|name| crun(&["run", "--detach", "--bundle", &bundle, name]));
    let found = started.and_then(|()| settled());
    let ended = names.iter().map(|name| crun(&["delete", "--force", name])).fold(Ok(()), Result::and);
    found.and_then(|found| ended.map(|()| found))
}

/// A process that is killed when this is dropped.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the kernel's memory in KiB when it is quiet, without what it can free.
fn settled() -> Result<i64> {
    std::thread::sleep(QUIET);
    // Directory entries and inodes (proc_sys_vm(5)).
    std::fs::write("/proc/sys/vm/drop_caches", "2").context("drop_caches")?;
    std::thread::sleep(QUIET / 5);
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let counter = |name: &str| -> Result<i64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    COUNTERS.into_iter().map(counter).sum()
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let lines: String = rows.iter().map(|row| format!("| {} | {} |\n", row.name, row.kb)).collect();
    format!("| one more of | kernel memory, KiB |\n|---|---|\n{lines}")
}
