//! A root filesystem as an image file: erofs by mkfs.erofs(1), squashfs by sqfstar(1). The same tree gives the same bytes.

use crate::filesystem::uuid;
use crate::tree::Tree;
use crate::untrusted::joined_lines;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// How a root filesystem is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// erofs, compressed by LZ4: mounted in place, and quick to read.
    #[default]
    Erofs,
    /// squashfs, compressed by zstd: smaller, and slower to read.
    Squashfs,
    /// Files of the initramfs itself: all of them lie in memory.
    Folder,
}

/// Packs a tree; `name` becomes the filesystem's label where it can have one.
///
/// # Errors
/// The program's, or that it is not installed.
pub fn pack(tree: &Tree, format: Format, name: &str) -> Result<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let (archive, output) = (scratch.path().join("archive"), scratch.path().join("image"));
    std::fs::write(&archive, tree.to_tar()?)?;
    match format {
        Format::Erofs => {
            let root = scratch.path().join("root");
            std::fs::create_dir(&root)?;
            // mkfs.erofs takes archives from version 1.7 on. Before, it takes a folder, whose owners only root can set, and
            // fakeroot(1) keeps, but no attributes.
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
/// What it said, where it failed; `what` where it is not there.
fn run(mut command: Command, what: &str) -> Result<()> {
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    // What depends on these would be other bytes on another machine.
    command.env("LC_ALL", "C").env("TZ", "UTC").stdout(Stdio::null());
    let output = command.output().with_context(|| what.to_owned())?;
    let program = command.get_program().to_string_lossy().into_owned();
    ensure!(output.status.success(), "{program}: {}", joined_lines(&output.stderr));
    Ok(())
}
