//! Creates ext4 filesystems by mke2fs(8): images of partitions, and blueprints from which a board formats its own.
//!
//! The output depends only on name, id and size, not on the time.

use crate::contents::Contents;
use anyhow::{Context, Result, ensure};
use hilum::storage::Blueprint;
use sha2::Digest;
use std::path::Path;
use std::process::Command;
use uuid::Uuid;

/// Bytes of a blueprint's filesystem: enough for its journal and the inodes of one group.
const BLUEPRINT_BYTES: u64 = 16 << 20;
/// Bytes of a block.
const BLOCK: usize = 4096;

/// The features that mke2fs.conf of e2fsprogs 1.47.0 enables for ext4, and that every kernel from 4.4 on can mount and
/// grow. That file is not used, because hosts may have other versions. The later features `metadata_csum_seed` and
/// `orphan_file` are omitted, as in Debian 12.
const FEATURES: &str = "sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr,has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize";

/// Returns a UUID that depends only on a text (version 8, RFC 9562 5.8).
pub fn uuid(text: &str) -> Uuid {
    let hash = sha2::Sha256::digest(text);
    Uuid::new_v8(std::array::from_fn(|index| hash[index]))
}

/// Creates an ext4 filesystem with this label and size in an existing file.
///
/// # Errors
/// Those of mke2fs, or that it is not installed.
pub fn make_ext4(file: &Path, label: &str, bytes: u64) -> Result<()> {
    ensure!(label.len() <= 16, "label {label} is longer than the 16 bytes of ext4");
    let id = uuid(&format!("ext4 {label}")).to_string();
    let extended =
        format!("lazy_itable_init=0,lazy_journal_init=0,nodiscard,resize=16777216,root_owner=0:0,hash_seed={id}");
    let mut command = Command::new("mke2fs");
    command.args(["-F", "-q", "-t", "ext4", "-O", FEATURES, "-b", "4096", "-N"]);
    // The same number for each 128 MiB by which it grows.
    command.arg((8192 * bytes.div_ceil(128 << 20)).to_string());
    command.args(["-I", "256", "-J", "size=4", "-m", "0", "-E", &extended, "-U", &id, "-L", label]);
    command.arg(file).arg((bytes / BLOCK as u64).to_string());
    command.env("E2FSPROGS_FAKE_TIME", "1").env("MKE2FS_CONFIG", "/dev/null");
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    let made = command.output().context("mke2fs: install e2fsprogs")?;
    ensure!(made.status.success(), "mke2fs: {}", crate::untrusted::joined_lines(&made.stderr));
    Ok(())
}

/// Creates a folder of user 0 in an ext4 filesystem in a file.
///
/// # Errors
/// Those of debugfs.
pub fn make_folder(file: &Path, path: &str) -> Result<()> {
    debugfs(file, &[&format!("mkdir {path}")])
}

/// Adds a file of user 0 to an ext4 filesystem in a file; `scratch` is a folder for debugfs(8)'s input.
///
/// # Errors
/// Those of debugfs, such as a lack of space.
pub fn put(file: &Path, path: &str, contents: &Contents, scratch: &Path) -> Result<()> {
    let source = scratch.join("contents");
    // Without holes, because their places would change the result.
    contents.write(&mut std::fs::File::create(&source)?, &mut |_| {})?;
    let inode = |field: &str, value: &str| format!("sif {path} {field} {value}");
    debugfs(
        file,
        &[
            &format!("write {} {path}", source.display()),
            &inode("mode", "0100644"),
            &inode("uid", "0"),
            &inode("gid", "0"),
        ],
    )
}

/// Runs commands in debugfs(8), which reports failures on standard error.
fn debugfs(file: &Path, commands: &[&str]) -> Result<()> {
    for command in commands {
        let mut debugfs = Command::new("debugfs");
        debugfs.args(["-w", "-R", command]).arg(file).env("E2FSPROGS_FAKE_TIME", "1").env("DEBUGFS_PAGER", "cat");
        debugfs.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        let output = debugfs.output().context("debugfs: install e2fsprogs")?;
        // The first line is its version.
        let said = String::from_utf8_lossy(&output.stderr).lines().skip(1).collect::<Vec<_>>().join("; ");
        ensure!(output.status.success() && said.is_empty(), "debugfs {command}: {said}");
    }
    Ok(())
}

/// Returns the blueprint of an ext4 filesystem with this label.
///
/// # Errors
/// Those of mke2fs.
pub fn blueprint(label: &str) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    // Bytes that mke2fs writes are the same in both, others are not: a board's device is not empty either.
    let mut made = [0_u8, 0xff].map(|filler| (filler, Vec::new()));
    for (filler, bytes) in &mut made {
        let file = folder.path().join("filesystem");
        std::fs::write(&file, vec![*filler; BLUEPRINT_BYTES as usize])?;
        make_ext4(&file, label, BLUEPRINT_BYTES)?;
        *bytes = std::fs::read(&file)?;
    }
    let [(_, first), (_, second)] = made;
    let mut parts: Vec<(u64, Vec<u8>, bool)> = Vec::new();
    for (number, (block, other)) in (0..).zip(first.chunks(BLOCK).zip(second.chunks(BLOCK))) {
        if block != other {
            continue;
        }
        let (at, is_zero) = (number * BLOCK as u64, block.iter().all(|byte| *byte == 0));
        match parts.last_mut() {
            Some((start, bytes, was_zero)) if *was_zero == is_zero && *start + bytes.len() as u64 == at => {
                bytes.extend(block);
            }
            _ => parts.push((at, block.to_vec(), is_zero)),
        }
    }
    let mut file = Blueprint::head(BLUEPRINT_BYTES).to_vec();
    for (at, bytes, is_zero) in parts {
        let length = u32::try_from(bytes.len())?;
        // Zeros at the end are omitted as well.
        let kept = if is_zero { 0 } else { bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1) };
        file.extend(Blueprint::part_head(at, length, u32::try_from(kept)?));
        file.extend(&bytes[..kept]);
    }
    ensure!(Blueprint::read(&file).is_some(), "cannot read the blueprint back");
    Ok(file)
}

#[cfg(test)]
mod tests;
