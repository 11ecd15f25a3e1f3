//! Guests of the benchmark: built from descriptions by the image builder, booted under QEMU's TCG.

use crate::inside::MARK;
use crate::starts::Row;
use anyhow::{Context, Result, bail, ensure};
use hilum_initramfs::build::{Places, build};
use hilum_qemu::{Accelerator, Architecture, Options, Vm};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The timeout of a guest's starts; those of runc take a second each.
const STARTS: Duration = Duration::from_secs(900);

/// The files below build/ for this machine's architecture.
pub(crate) struct Built {
    pub(crate) folder: PathBuf,
    pub(crate) arch: Architecture,
}

impl Built {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let arch = Architecture::ALL.into_iter().find(|arch| arch.name() == std::env::consts::ARCH);
        Ok(Self { folder: folder.to_owned(), arch: arch.context("unsupported architecture")? })
    }

    /// Returns a file below board/, of this architecture.
    pub(crate) fn board(&self, name: &str) -> PathBuf {
        self.folder.join("board").join(self.arch.name()).join(name)
    }

    /// Returns a file below debian/, of this architecture.
    pub(crate) fn debian(&self, name: &str) -> PathBuf {
        self.folder.join("debian").join(self.arch.name()).join(name)
    }

    /// Returns the archives of packages.
    pub(crate) fn packages(&self) -> PathBuf {
        self.folder.join(format!("debian/packages/{}-bookworm", self.arch.name()))
    }

    /// Returns the initramfs of an appliance on QEMU's machine.
    pub(crate) fn initramfs(&self, appliance: &[PathBuf]) -> Result<Vec<u8>> {
        let output = tempfile::tempdir()?;
        let output_path = output.path().to_owned();
        let places = Places::new(self.board("hilum"), self.packages(), output_path);
        let mut descriptions = vec![source(&format!("initramfs/boards/qemu-{}.toml", self.arch.name()))];
        descriptions.extend_from_slice(appliance);
        build(&descriptions, &places, &mut |_| {})?;
        Ok(std::fs::read(output.path().join("initramfs"))?)
    }

    /// Starts a guest with Debian's kernel, with additional words for QEMU.
    pub(crate) fn boot(&self, initramfs: &[u8], append: &str, serial: &str, more: &[&str]) -> Result<Guest> {
        let scratch = tempfile::tempdir()?;
        let file = scratch.path().join("initramfs");
        std::fs::write(&file, initramfs)?;
        let options = Options {
            arch: self.arch,
            kernel: &self.debian("vmlinuz"),
            initramfs: &file,
            append,
            memory_mib: 512,
            accelerator: Accelerator::Tcg,
            disk: None,
            more,
        };
        let vm = Vm::start_command(options.command(), serial, scratch.path())?;
        Ok(Guest { vm, _scratch: scratch })
    }
}

/// A running guest, and its temporary files.
pub(crate) struct Guest {
    pub(crate) vm: Vm,
    _scratch: tempfile::TempDir,
}

/// Returns a file of the sources.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Words for a guest whose clock counts instructions, one per nanosecond, and jumps while it sleeps. The results do not
/// depend on the load of this machine, but ignore caches and the cost of translation.
pub(crate) const COUNTING: &[&str] = &["-icount", "shift=0,sleep=off"];

/// Measures starts to exit in a guest with one processor, with hilum as PID 1 and additional words for QEMU.
pub(crate) fn starts(built: &Built, runs: usize, more: &[&str]) -> Result<Vec<Row>> {
    let initramfs = built.initramfs(&[source("qemu/guests/bench/starts.toml")])?;
    guest_lines(built, &initramfs, &format!("bench.runs={runs}"), more)
}

/// Boots a guest until it is off. Returns the results that its workload prints.
pub(crate) fn guest_lines<T: DeserializeOwned>(
    built: &Built,
    initramfs: &[u8],
    append: &str,
    more: &[&str],
) -> Result<Vec<T>> {
    // The workload prints to a second serial port, which the other machine does not have.
    match built.arch {
        Architecture::X86_64 => {}
        Architecture::Aarch64 => bail!("this guest is of x86_64"),
    }
    let log = tempfile::NamedTempFile::new()?;
    let serial = format!("file:{} -serial stdio", log.path().display());
    let mut guest = built.boot(initramfs, append, &serial, more)?;
    let text = guest.vm.wait(STARTS).with_context(|| std::fs::read_to_string(log.path()).unwrap_or_default())?;
    let mut rows = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(MARK)) {
        match serde_json::from_str(line) {
            Ok(row) => rows.push(row),
            Err(_) => bail!("the guest: {line}"),
        }
    }
    ensure!(!rows.is_empty(), "the guest measured nothing:\n{}", std::fs::read_to_string(log.path())?);
    Ok(rows)
}
