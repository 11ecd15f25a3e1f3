//! The packages and files on this machine from which an image is built.

use crate::tree::{Kind, Tree};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::sync::Arc;

/// Paths on the build machine.
#[derive(Debug)]
pub struct Places {
    /// The ELF file that becomes /init.
    pub init: PathBuf,
    /// The folder of package archives, as created by initramfs/debian/unpack.
    pub packages: PathBuf,
    /// The output folder.
    pub output: PathBuf,
}

/// Returns the path of a package's archive.
pub(super) fn package(places: &Places, name: &str) -> Result<PathBuf> {
    let archive = places.packages.join(format!("{name}.tar"));
    ensure!(
        archive.exists(),
        "package {name}: {} not found; fetch it with: initramfs/debian/unpack ARCH RELEASE {name}",
        archive.display()
    );
    Ok(archive)
}

pub(super) fn package_tree(places: &Places, name: &str) -> Result<Tree> {
    let archive = package(places, name)?;
    let mut tree = Tree::new();
    let place = || archive.display().to_string();
    tree.apply(std::fs::File::open(&archive).with_context(place)?, false).with_context(place)?;
    Ok(tree)
}

pub(super) fn file_of<'a>(tree: &'a Tree, path: &str) -> Option<&'a Arc<Vec<u8>>> {
    match &tree.get(path)?.kind {
        Kind::File(bytes) => Some(bytes),
        _ => None,
    }
}
