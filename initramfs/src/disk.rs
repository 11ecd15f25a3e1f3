//! Disks and cards: boot partitions by mkfs.vfat(8) and mtools(1), partition tables by sfdisk(8), unified kernel images
//! by objcopy(1) around systemd's stub (systemd-stub(7)). The same parts give the same bytes.

use crate::filesystem::uuid;
use crate::pack::run;
use anyhow::{Context, Result, ensure};
use hilum::Architecture;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Bytes of a mebibyte, to which partitions are aligned.
const MIB: u64 = 1 << 20;
/// 1980-01-01, before which FAT has no time; and the same for faketime(1).
const FAT_EPOCH: u64 = 315_532_800;
const CLOCK: &str = "1980-01-01 00:00:00";

/// Files of a boot partition by their paths.
pub type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// A FAT filesystem with these files, as large as they need and half as much again for the next version.
///
/// # Errors
/// The programs', or that they are not installed.
pub fn fat(files: &Files, label: &str) -> Result<Vec<u8>> {
    let bytes: u64 = files.values().map(|bytes| bytes.len() as u64 + 64 * 1024).sum();
    // FAT32, which every firmware reads, has at least 65,525 clusters of 512 bytes.
    let size = (bytes + bytes / 2).next_multiple_of(MIB).max(40 * MIB);
    let scratch = tempfile::tempdir()?;
    let image = scratch.path().join("fat");
    File::create(&image)?.set_len(size)?;
    let serial = &uuid(&format!("fat {label}")).replace('-', "")[..8];
    let mut command = Command::new("mkfs.vfat");
    command.args(["--invariant", "-F", "32", "-s", "1", "-n", label, "-i", serial]).arg(&image);
    run(command, "mkfs.vfat: install dosfstools")?;
    let tree = scratch.path().join("tree");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(FAT_EPOCH);
    let mut folders: Vec<String> = Vec::new();
    for (path, bytes) in files {
        let file = tree.join(path);
        for (at, _) in path.match_indices('/') {
            if !folders.iter().any(|known| *known == path[..at]) {
                folders.push(path[..at].to_owned());
            }
        }
        std::fs::create_dir_all(file.parent().context("a folder")?)?;
        let mut written = File::create(&file)?;
        written.write_all(bytes)?;
        written.set_modified(time)?;
    }
    // mtools write down when they made a file, and this version knows no other clock than the machine's.
    let mtools = |words: &[&str], paths: &[&Path], target: &str| {
        let mut command = Command::new("faketime");
        command.args(["-f", CLOCK]).args(words).arg("-i").arg(&image).args(paths).arg(target);
        command.env("MTOOLS_SKIP_CHECK", "1");
        run(command, "faketime and mtools: install faketime and mtools")
    };
    for folder in &folders {
        mtools(&["mmd"], &[], &format!("::{folder}"))?;
    }
    for path in files.keys() {
        mtools(&["mcopy", "-m"], &[&tree.join(path)], &format!("::{path}"))?;
    }
    std::fs::read(&image).context("the boot partition")
}

/// A partition: its type as sfdisk knows it, its name, and its bytes.
pub struct Partition {
    /// A type such as `uefi` or `linux`.
    pub kind: &'static str,
    /// Its name in a GPT.
    pub name: &'static str,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// How partitions are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// A GUID partition table.
    Gpt,
    /// A DOS table, which the Raspberry Pi's firmware reads on every model.
    Dos,
}

/// Writes a disk with these partitions; its size is `size`, or what they need. Gives its size.
///
/// # Errors
/// The program's, or that a file cannot be written.
pub fn disk(output: &Path, table: Table, name: &str, partitions: &[Partition], size: Option<u64>) -> Result<u64> {
    let id = uuid(&format!("disk {name}"));
    let mut script = match table {
        Table::Gpt => format!("label: gpt\nlabel-id: {id}\n"),
        Table::Dos => format!("label: dos\nlabel-id: 0x{}\n", &id[..8]),
    };
    let (mut at, mut places) = (MIB, Vec::new());
    for partition in partitions {
        let bytes = (partition.bytes.len() as u64).next_multiple_of(MIB);
        script += &format!("start={}, size={}, type={}", at / 512, bytes / 512, partition.kind);
        if table == Table::Gpt {
            script += &format!(", name={}, uuid={}", partition.name, uuid(&format!("{name} {}", partition.name)));
        }
        script += "\n";
        places.push(at);
        at += bytes;
    }
    // A GPT has a copy of itself at the end.
    let size = size.unwrap_or(at + MIB);
    ensure!(size > at, "{} bytes do not fit on a disk of {size}", at + MIB);
    let mut file = File::create(output).with_context(|| output.display().to_string())?;
    file.set_len(size)?;
    let scratch = tempfile::NamedTempFile::new()?;
    std::fs::write(scratch.path(), script)?;
    let mut command = Command::new("sfdisk");
    command.args(["--quiet", "--no-reread", "--no-tell-kernel"]).arg(output).stdin(File::open(scratch.path())?);
    run(command, "sfdisk: install fdisk")?;
    for (partition, at) in partitions.iter().zip(places) {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&partition.bytes)?;
    }
    Ok(size)
}

/// A unified kernel image: the stub with kernel, initramfs and command line as sections of it.
///
/// # Errors
/// The program's, or that it is not installed.
pub fn unified(
    architecture: Architecture,
    stub: &[u8],
    kernel: &[u8],
    initramfs: &[u8],
    words: &str,
) -> Result<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let place = |name: &str| scratch.path().join(name);
    let release = "ID=hilum\nNAME=hilum\nPRETTY_NAME=hilum\n";
    let parts: [(&str, &[u8]); 4] =
        [(".osrel", release.as_bytes()), (".cmdline", words.as_bytes()), (".linux", kernel), (".initrd", initramfs)];
    // The header has the time of linking, and a checksum over it.
    let mut command = Command::new("faketime");
    command.args(["-f", CLOCK]);
    let is_own = architecture.name() == std::env::consts::ARCH;
    command.arg(if is_own { "objcopy".to_owned() } else { format!("{}-objcopy", architecture.multiarch()) });
    // Above the stub's own sections, each behind the one before it.
    let mut address = 0x200_0000_u64;
    for (name, bytes) in parts {
        let file = place(name.trim_start_matches('.'));
        std::fs::write(&file, bytes)?;
        command.arg("--add-section").arg(format!("{name}={}", file.display()));
        command.arg("--change-section-vma").arg(format!("{name}={address:#x}"));
        address = (address + bytes.len() as u64 + 1).next_multiple_of(0x10_0000);
    }
    std::fs::write(place("stub"), stub)?;
    command.arg("--enable-deterministic-archives").arg(place("stub")).arg(place("unified"));
    run(command, "faketime and objcopy: install faketime, binutils, and binutils-aarch64-linux-gnu for aarch64")?;
    std::fs::read(place("unified")).context("the unified kernel image")
}
