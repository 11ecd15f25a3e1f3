//! Time from the entry of /init to the first instruction of the first workload. Compared are hilum with the demo's
//! configuration; a busybox script that mounts what crun needs and starts it; and floor.c, which performs hilum's
//! mounts and one start without any decisions. Kernel, machine and program are the same.
//!
//! Both times are measured by the program itself: the kernel starts the probe, which prints the time and executes
//! /init; as the workload, it prints the time again. Both are microseconds since the kernel's start.

use crate::contestants;
use crate::guest::{Built, source};
use anyhow::{Context, Result};
use hilum_initramfs::tree::{Kind, Tree};
use hilum_initramfs::{Compression, Image};
use hilum_qemu::Vm;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The timeout of a boot.
const BOOT: Duration = Duration::from_secs(120);

/// The name of the alternative.
const PEERS: &str = "busybox script, crun";

/// The time that the kernel itself needs.
const FLOOR: &str = "floor.c as /init";

/// The packages of the alternative, and the files taken from them.
const PACKAGES: [&str; 12] = [
    "busybox-static",
    "crun",
    "libc6",
    "libcap2",
    "libgcrypt20",
    "libgpg-error0",
    "liblz4-1",
    "liblzma5",
    "libseccomp2",
    "libsystemd0",
    "libyajl2",
    "libzstd1",
];
const KEEP: [&str; 5] = ["lib/", "lib64/", "usr/lib/", "bin/busybox", "usr/bin/crun"];
const DROP: [&str; 3] = ["gconv", "audit", "systemd"];

/// A script that mounts everything and starts crun, which cannot pivot the root of an initramfs by itself.
const SCRIPT: &str = "#!/bin/busybox sh
/bin/busybox mount -a
/usr/bin/crun run --no-pivot --bundle /bundle first
/bin/busybox sleep 60
";
const FSTAB: &str = "proc /proc proc defaults 0 0
sysfs /sys sysfs defaults 0 0
devtmpfs /dev devtmpfs defaults 0 0
tmpfs /run tmpfs defaults 0 0
cgroup2 /sys/fs/cgroup cgroup2 defaults 0 0
";

/// The result of one alternative.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Microseconds from /init to the workload, in ascending order; or why there are none.
    pub(crate) times: Result<Vec<u64>>,
    /// The kernel's own time before that.
    pub(crate) kernel_us: u64,
    /// Size of the initramfs in bytes.
    pub(crate) bytes: usize,
}

/// Measures boots of all alternatives in turn, with additional words for QEMU.
pub(crate) fn measure(built: &Built, boots: usize, more: &[&str]) -> Result<Vec<Row>> {
    let names = ["hilum, the demo", PEERS, FLOOR];
    let images = [ours(built), peers(built), floor(built)];
    let mut rows = Vec::new();
    for (name, image) in names.into_iter().zip(&images) {
        let times = image.as_ref().map(|_| Vec::new()).map_err(|error| anyhow::anyhow!("{error:#}"));
        let bytes = image.as_ref().map_or(0, Vec::len);
        rows.push(Row { name: name.to_owned(), times, kernel_us: 0, bytes });
    }
    for _ in 0..boots {
        for (row, image) in rows.iter_mut().zip(&images) {
            let (Ok(image), Ok(times)) = (image, row.times.as_mut()) else { continue };
            let network = hilum_qemu::network("");
            let words: Vec<&str> = network.iter().map(String::as_str).chain(more.iter().copied()).collect();
            let guest = built.boot(image, "rdinit=/entry -- timed-init", "stdio", &words)?;
            let (entered, began) = (number(&guest.vm, "entered ")?, number(&guest.vm, "now ")?);
            times.push(began - entered);
            row.kernel_us = entered;
        }
    }
    rows.iter_mut().filter_map(|row| row.times.as_mut().ok()).for_each(|times| times.sort_unstable());
    Ok(rows)
}

/// Returns the number after these words on a complete line of the console.
pub(crate) fn number(vm: &Vm, words: &str) -> Result<u64> {
    let until = Instant::now() + BOOT;
    loop {
        let text = vm.console.text();
        let found = text.split_once(words).and_then(|(_, rest)| rest.split_once('\n')).map(|(number, _)| number.trim());
        if let Some(number) = found {
            return number.parse().with_context(|| format!("{words:?} in\n{text}"));
        }
        anyhow::ensure!(Instant::now() < until, "no {words:?} in\n{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the demo with the probe as its first workload.
fn ours(built: &Built) -> Result<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let config = std::fs::read_to_string(source("initramfs/appliances/web/hilum.conf"))?;
    let changed = config.replace("/bin/clock", "/bin/probe now");
    anyhow::ensure!(changed != config, "the demo has no clock");
    std::fs::write(scratch.path().join("hilum.conf"), changed)?;
    let bin = scratch.path().join("root/bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::copy(built.board("probe"), bin.join("probe"))?;
    let more = format!(
        "config = \"hilum.conf\"\n[[root]]\npath = \"/images/busybox\"\nfolder = \"root\"\nformat = \"folder\"\n\
         [[file]]\npath = \"/entry\"\nfrom = \"{}\"\nmode = \"755\"\n",
        built.board("probe").display()
    );
    let description = scratch.path().join("appliance.toml");
    std::fs::write(&description, more)?;
    built.initramfs(&[source("initramfs/appliances/web/appliance.toml"), description])
}

/// Returns the alternative: a script as /init, crun with its libraries, a bundle.
fn peers(built: &Built) -> Result<Vec<u8>> {
    let mut tree = Tree::new();
    for name in PACKAGES {
        let archive = built.packages().join(format!("{name}.tar"));
        let mut package = Tree::new();
        package.apply(File::open(&archive).with_context(|| archive.display().to_string())?, false)?;
        for (path, entry) in package.iter() {
            let is_wanted = KEEP.iter().any(|kept| path.starts_with(kept))
                && !path.split('/').any(|part| DROP.contains(&part))
                && !(entry.kind == Kind::Folder && tree.get(path).is_some());
            if is_wanted {
                tree.add(path, entry.clone())?;
            }
        }
    }
    let mut image = Image::new();
    image.add_tree(&tree, "")?;
    add_probe(built, &mut image)?;
    image.file("init", 0o755, SCRIPT);
    image.file("etc/fstab", 0o644, FSTAB);
    let bundle = contestants::bundle("crun", Path::new("/images/first"), &["/bin/probe", "now"], None)?;
    image.file("bundle/config.json", 0o644, bundle);
    image.write(Compression::Zstd)
}

/// Adds what is common to images not made by our builder: empty folders, the program that prints when /init was
/// entered, and the workload's root filesystem.
fn add_probe(built: &Built, image: &mut Image) -> Result<()> {
    for place in ["dev", "proc", "run", "sys", "tmp"] {
        image.folder(place, 0o755);
        image.folder(&format!("images/first/{place}"), 0o755);
    }
    let probe = std::fs::read(built.board("probe"))?;
    image.file("entry", 0o755, probe.clone());
    image.file("images/first/bin/probe", 0o755, probe);
    Ok(())
}

/// Returns the lower bound: the same mounts and the same start, by a program that does nothing else.
fn floor(built: &Built) -> Result<Vec<u8>> {
    let mut image = Image::new();
    add_probe(built, &mut image)?;
    image.file("init", 0o755, std::fs::read(built.folder.join("bench/floor"))?);
    image.write(Compression::Zstd)
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| /init to the first workload | median us | minimum | maximum | the kernel before it, us | initramfs bytes |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        text += &match &row.times {
            Ok(times) => format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                row.name,
                times[(times.len() - 1) / 2],
                times[0],
                times[times.len() - 1],
                row.kernel_us,
                row.bytes
            ),
            Err(error) => format!("| {} | cannot be built here: {error} | | | | |\n", row.name),
        };
    }
    text
}

/// Returns the packages' names, for the Makefile to fetch.
pub(crate) fn packages() -> String {
    PACKAGES.join(" ")
}

/// Where a demo's initramfs is, once `make image` has built it.
pub(crate) fn demo(build: &Path, arch: &str) -> PathBuf {
    build.join(format!("image/qemu-{arch}-web/initramfs"))
}
