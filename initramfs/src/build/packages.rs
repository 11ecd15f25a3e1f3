//! The packages and files on this machine from which an image is built.

use crate::cache::Cache;
use crate::contents::Contents;
use crate::progress::Progress;
use crate::signing::Signer;
use crate::tree::{Kind, Stored, Tree};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;

/// Paths on the build machine.
#[derive(Debug)]
pub struct Places {
    /// The ELF file that becomes /init.
    pub init: PathBuf,
    /// The folder of package archives, as created by initramfs/debian/unpack.
    pub packages: PathBuf,
    /// The output folder.
    pub output: PathBuf,
    /// The cache; without one, everything is made anew.
    pub cache: Option<CachePlace>,
    /// What signs the files that a firmware with Secure Boot starts.
    pub signer: Option<Signer>,
    /// The folder of a tailored kernel, as created by initramfs/debian/kernel, in place of the description's.
    pub kernel: Option<PathBuf>,
    /// The version of an update, in place of that in the description.
    pub version: Option<u64>,
}

impl Places {
    /// Returns these places, for a build without a cache, a signer, and a version other than the description's.
    pub fn new(init: impl Into<PathBuf>, packages: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        let (init, packages, output) = (init.into(), packages.into(), output.into());
        Self { init, packages, output, cache: None, signer: None, kernel: None, version: None }
    }
}

/// The folder of a cache.
#[derive(Debug, Clone)]
pub struct CachePlace {
    /// Its path.
    pub folder: PathBuf,
    /// The limit for the size of all entries in bytes.
    pub limit: u64,
}

/// What all steps of a build use.
pub(super) struct Tools<'a> {
    pub(super) places: &'a Places,
    pub(super) cache: &'a Cache,
    pub(super) progress: &'a Progress<'a>,
}

impl Tools<'_> {
    /// Returns the files of a package.
    ///
    /// # Errors
    /// Its archive does not exist or is damaged.
    pub(super) fn package(&self, name: &str) -> Result<Tree> {
        let archive = self.places.packages.join(format!("{name}.tar"));
        ensure!(
            archive.exists(),
            "package {name}: {} not found; fetch it with: initramfs/debian/unpack ARCH RELEASE {name}",
            archive.display()
        );
        let place = || archive.display().to_string();
        let source = self.cache.source(&archive)?;
        let key = self.cache.key("tar", &[&source.id()]);
        let stored = Stored::by(self.cache, &key, self.progress, Some(&source), &mut |spool| {
            let mut tree = Tree::new();
            tree.apply_to(std::io::BufReader::new(std::fs::File::open(&archive)?), false, spool)?;
            Ok(Stored { tree, notes: String::new() })
        });
        Ok(stored.with_context(place)?.tree)
    }
}

pub(super) fn file_of<'a>(tree: &'a Tree, path: &str) -> Option<&'a Contents> {
    match &tree.get(path)?.kind {
        Kind::File(contents) => Some(contents),
        _ => None,
    }
}
