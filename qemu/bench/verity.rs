//! What it costs to verify an image as it is read: the start of a workload beside one whose image is not verified, and reading beside
//! a device that veritysetup(8) has opened on the same image.

use crate::contestants::{GUEST_SOCKET, ask, last_line};
use crate::guest::{Built, COUNTING, guest_lines, source};
use crate::inside::{MARK, become_plain_root};
use anyhow::{Context, Result, ensure};
use hilum::storage::START_BYTES;
use hilum::storage::verity::{BLOCK_BYTES, data_blocks};
use hilum::wire::Command as Asked;
use hilum_initramfs::verity::root_hash;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount};
use std::fs::File;
use std::io::{IoSliceMut, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Bytes of the file that makes the image larger.
const FILE_BYTES: usize = 24 << 20;
/// How often each device is read as a whole.
const READS: usize = 5;

/// The image in the guest, for a workload of the same name.
const IMAGE: &str = "/images/verified.erofs";
/// The device of veritysetup.
const BY_HAND: &str = "by-hand";

/// One thing that was measured.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Row {
    name: String,
    /// Microseconds of a start, or of reading the image once, in ascending order.
    times: Vec<u64>,
    /// Bytes that were read; 0 for a start.
    bytes: u64,
}

/// Measures in a guest whose clock counts instructions.
pub(crate) fn measure(built: &Built, runs: usize) -> Result<Vec<Row>> {
    let folder = built.folder.join("bench/verity");
    std::fs::create_dir_all(&folder)?;
    // Numbers of a generator (xorshift), which compress badly.
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let bytes: Vec<u8> = (0..FILE_BYTES / 8).flat_map(|_| next().to_le_bytes()).collect();
    std::fs::write(folder.join("file"), bytes)?;
    let initramfs = built.initramfs(&[source("qemu/guests/bench/verity.toml")])?;
    guest_lines(built, &initramfs, &format!("bench.runs={runs}"), COUNTING)
}

/// The part of it inside of the guest.
pub(crate) fn inside() -> Result<()> {
    let mut serial = File::options().write(true).open("/dev/ttyS1").context("/dev/ttyS1")?;
    let outcome = measure_inside();
    if let Err(error) = &outcome {
        writeln!(serial, "{MARK}failed: {error:#}")?;
    }
    for row in outcome? {
        writeln!(serial, "{MARK}{}", serde_json::to_string(&row)?)?;
    }
    Ok(serial.flush()?)
}

fn measure_inside() -> Result<Vec<Row>> {
    let runs = become_plain_root()?;
    // With the nodes of devices that appear.
    mount("devtmpfs", "/dev", "devtmpfs", MountFlags::empty(), None).context("/dev")?;
    // PID 1 listens once every workload has a process, and this is one of them.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let result = starts(runs).and_then(|mut rows| {
        rows.extend(reads()?);
        Ok(rows)
    });
    // The board is switched off when nothing runs any more.
    for pid in held()?.filter_map(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    }
    result
}

/// Lets all start in turn, after a start each that does not count.
fn starts(runs: usize) -> Result<Vec<Row>> {
    let names = ["plain", "verified", "plain-busybox", "verified-busybox"];
    let mut rows = names.map(|name| Row { name: name.to_owned(), times: Vec::new(), bytes: 0 });
    for run in 0..=runs {
        for row in &mut rows {
            let passed = ask(Path::new(GUEST_SOCKET), Asked::Start, &row.name).with_context(|| row.name.clone())?;
            if run > 0 {
                row.times.push(passed.as_micros() as u64);
            }
        }
    }
    rows.iter_mut().for_each(|row| row.times.sort_unstable());
    Ok(rows.into())
}

/// Reads hilum's device and one of veritysetup in turn, past the page cache, and the loop device below the first one.
fn reads() -> Result<Vec<Row>> {
    let (hilum, below) = find_device()?;
    let image = File::open(IMAGE).context(IMAGE)?;
    let mut start = [0; START_BYTES];
    image.read_exact_at(&mut start, 0)?;
    let blocks = data_blocks(&start).context("an image")?;
    let bytes = blocks * BLOCK_BYTES;
    let output = Command::new("/sbin/veritysetup")
        .args(["open", "--no-superblock", "--format=1", "--hash=sha256", "--salt=-"])
        .args([format!("--data-blocks={blocks}"), format!("--hash-offset={bytes}")])
        .args(["--data-block-size=4096", "--hash-block-size=4096"])
        // It makes loop devices of its own: hilum's is in use.
        .args([IMAGE, BY_HAND, IMAGE])
        .arg(root_hash(&image)?)
        .env("DM_DISABLE_UDEV", "1")
        .output()
        .context("veritysetup")?;
    ensure!(output.status.success(), "veritysetup: {}", last_line(&output.stderr));
    let by_hand = Path::new("/dev/mapper").join(BY_HAND);
    let devices =
        [("veritysetup's device", &by_hand), ("hilum's device", &hilum), ("the loop device below it", &below)];
    let mut rows = devices.map(|(name, _)| Row { name: name.to_owned(), times: Vec::new(), bytes });
    for run in 0..=READS {
        for (row, (name, path)) in rows.iter_mut().zip(devices) {
            let passed = read(path, bytes).with_context(|| name.to_owned())?;
            if run > 0 {
                row.times.push(passed);
            }
        }
    }
    rows.iter_mut().for_each(|row| row.times.sort_unstable());
    Ok(rows.into())
}

/// Returns the device of the workload `held`, and the one below it.
fn find_device() -> Result<(PathBuf, PathBuf)> {
    let pid = held()?.next().context("a process of held")?;
    let number = std::fs::metadata(format!("/proc/{pid}/root"))?.dev();
    let folder = format!("/sys/dev/block/{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
    let node = std::fs::canonicalize(&folder)?;
    let below = std::fs::read_dir(node.join("slaves"))?.next().context("a device below")??.file_name();
    Ok((Path::new("/dev").join(node.file_name().context("a name")?), Path::new("/dev").join(below)))
}

/// Returns the processes of the workload `held`.
fn held() -> Result<impl Iterator<Item = i32>> {
    let lines = std::fs::read_to_string("/sys/fs/cgroup/workload/held/cgroup.procs").context("the workload held")?;
    Ok(lines.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>().into_iter())
}

/// Returns the microseconds that it takes to read a device, by 1 MiB at once and past the page cache.
fn read(path: &Path, bytes: u64) -> Result<u64> {
    const PIECE: usize = 1 << 20;
    const ALIGNED: usize = 4096;
    let device = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = vec![0_u8; PIECE + ALIGNED];
    let skipped = buffer.as_ptr().align_offset(ALIGNED);
    let piece = &mut buffer[skipped..][..PIECE];
    let (begin, mut at) = (Instant::now(), 0);
    while at < bytes {
        let wanted = (bytes - at).min(PIECE as u64) as usize;
        let read = rustix::io::preadv(&device, &mut [IoSliceMut::new(&mut piece[..wanted])], at)?;
        ensure!(read == wanted, "{read} bytes of {wanted}");
        at += read as u64;
    }
    Ok(begin.elapsed().as_micros() as u64)
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| | median us | minimum | maximum | MiB/s |\n|---|---|---|---|---|\n".to_owned();
    for Row { name, times, bytes } in rows {
        let (Some(low), Some(high)) = (times.first(), times.last()) else { continue };
        let median = times[(times.len() - 1) / 2];
        let (what, speed) = match bytes {
            0 => ("start of the workload", "-".to_owned()),
            bytes => ("reading", format!("{:.1}", *bytes as f64 / f64::from(1 << 20) / (median as f64 / 1e6))),
        };
        text += &format!("| {what} {name} | {median} | {low} | {high} | {speed} |\n");
    }
    text
}
