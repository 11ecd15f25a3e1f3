//! Packs a root filesystem into an image file: erofs by mkfs.erofs(1), squashfs by sqfstar(1). The output is
//! reproducible.

use crate::cache::Cache;
use crate::filesystem::uuid;
use crate::progress::Progress;
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

/// Packs a tree into a file; `name` becomes the label if the filesystem supports one. `scratch` is a folder for temporary files.
///
/// # Errors
/// Those of the program, or that it is not installed.
pub fn pack(
    tree: &Tree,
    format: Format,
    name: &str,
    output: &Path,
    scratch: &Path,
    progress: &Progress<'_>,
) -> Result<()> {
    let scratch = tempfile::tempdir_in(scratch)?;
    // sqfstar would append to an existing file.
    let _ = std::fs::remove_file(output);
    let (command, what) = match format {
        Format::Erofs => {
            let root = scratch.path().join("root");
            std::fs::create_dir(&root)?;
            // mkfs.erofs reads archives from version 1.7 on. Older versions read a folder; its owners would need root,
            // so fakeroot(1) records them, but not extended attributes.
            let script = "tar -x -p --numeric-owner --xattrs --xattrs-include='*' -C \"$1\" && \
                          exec mkfs.erofs --quiet -zlz4hc -T 0 -U \"$3\" \"$2\" \"$1\"";
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
            command.args(["-c", script, "pack"]).arg(&root).arg(output);
            command.arg(uuid(&format!("erofs {name}")).to_string());
            (command, "fakeroot, tar and mkfs.erofs: install fakeroot and erofs-utils")
        }
        Format::Squashfs => {
            let mut command = Command::new("sqfstar");
            command.args(["-quiet", "-no-progress", "-comp", "zstd", "-mkfs-time", "0", "-all-time", "0"]);
            // By default it uses a quarter of the memory.
            command.args(["-mem", "128M"]).arg(output);
            (command, "sqfstar: install squashfs-tools")
        }
        Format::Folder => unreachable!("a folder is no image file"),
    };
    run(command, what, tree, name, output, scratch.path(), progress)
}

/// Returns the hash of the program that packs a format: another version may make other bytes.
///
/// # Errors
/// A program that cannot be read.
pub fn programs(format: Format, cache: &Cache) -> Result<Vec<u8>> {
    let program = match format {
        Format::Erofs => "mkfs.erofs",
        Format::Squashfs => "sqfstar",
        Format::Folder => return Ok(Vec::new()),
    };
    let path = path();
    let found = path.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.exists());
    Ok(found.map(|found| cache.hash_of(&found)).transpose()?.unwrap_or_default().to_vec())
}

fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// Runs a program to its end, with the tree as an archive on standard input.
///
/// # Errors
/// Its output, if it failed; `what` if it is not installed.
fn run(
    mut command: Command,
    what: &str,
    tree: &Tree,
    name: &str,
    output: &Path,
    scratch: &Path,
    progress: &Progress<'_>,
) -> Result<()> {
    let said = scratch.join("said");
    command.env("PATH", path());
    // Settings that would make the output differ between machines.
    command.env("LC_ALL", "C").env("TZ", "UTC").stdout(Stdio::null());
    command.stdin(Stdio::piped()).stderr(std::fs::File::create(&said)?);
    let mut child = command.spawn().with_context(|| what.to_owned())?;
    let (mut done, total) = (0, tree.bytes());
    let written = child.stdin.take().map_or(Ok(()), |input| {
        let mut input = std::io::BufWriter::with_capacity(1 << 20, input);
        tree.write_tar(&mut input, &mut |more| {
            done += more;
            progress.bytes(&format!("reading {name}"), done, total);
        })
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let size = std::fs::metadata(output).map_or(0, |output| output.len());
        progress.bytes(&format!("packing {name}"), size, 0);
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    progress.end();
    let program = command.get_program().to_string_lossy().into_owned();
    ensure!(status.success(), "{program}: {}", joined_lines(&std::fs::read(&said)?));
    written
}
