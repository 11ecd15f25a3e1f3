//! Packs a root filesystem into an image file: erofs by mkfs.erofs(1), squashfs by sqfstar(1). The output is
//! reproducible.

use crate::filesystem::uuid;
use crate::tree::Tree;
use crate::untrusted::joined_lines;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// The format of a packed root filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// erofs, compressed by LZ4: fast to read.
    #[default]
    Erofs,
    /// squashfs, compressed by zstd: smaller, and slower to read.
    Squashfs,
    /// Files in the initramfs itself, which are all in memory.
    Folder,
}

/// Packs a tree; `name` becomes the label if the filesystem supports one.
///
/// # Errors
/// Those of the program, or that it is not installed.
pub fn pack(tree: &Tree, format: Format, name: &str) -> Result<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let (archive, output) = (scratch.path().join("archive"), scratch.path().join("image"));
    std::fs::write(&archive, tree.to_tar()?)?;
    match format {
        Format::Erofs => {
            let root = scratch.path().join("root");
            std::fs::create_dir(&root)?;
            // mkfs.erofs reads archives from version 1.7 on. Older versions read a folder; its owners would need root,
            // so fakeroot(1) records them, but not extended attributes.
            let script = "tar -x -p --numeric-owner --xattrs --xattrs-include='*' -C \"$1\" -f \"$2\" && \
                          exec mkfs.erofs --quiet -zlz4hc -T 0 -U \"$4\" \"$3\" \"$1\"";
            let is_root = rustix::process::geteuid().is_root();
            let has_attributes = tree.iter().any(|(_, entry)| !entry.xattrs.is_empty());
            ensure!(
                is_root || !has_attributes,
                "{name}: files with extended attributes: pack it as squashfs, or build as root"
            );
            let mut command = Command::new(if is_root { "sh" } else { "fakeroot" });
            if !is_root {
                command.arg("sh");
            }
            command.args(["-c", script, "pack"]).arg(&root).arg(&archive).arg(&output);
            command.arg(uuid(&format!("erofs {name}")).to_string());
            run(command, "fakeroot, tar and mkfs.erofs: install fakeroot and erofs-utils")?;
        }
        Format::Squashfs => {
            let mut command = Command::new("sqfstar");
            command.args(["-quiet", "-no-progress", "-comp", "zstd", "-mkfs-time", "0", "-all-time", "0"]);
            command.arg(&output).stdin(std::fs::File::open(&archive)?);
            run(command, "sqfstar: install squashfs-tools")?;
        }
        Format::Folder => unreachable!("a folder is no image file"),
    }
    read(&output)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// Runs a program to its end.
///
/// # Errors
/// Its output, if it failed; `what` if it is not installed.
fn run(mut command: Command, what: &str) -> Result<()> {
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    // Settings that would make the output differ between machines.
    command.env("LC_ALL", "C").env("TZ", "UTC").stdout(Stdio::null());
    let output = command.output().with_context(|| what.to_owned())?;
    let program = command.get_program().to_string_lossy().into_owned();
    ensure!(output.status.success(), "{program}: {}", joined_lines(&output.stderr));
    Ok(())
}
