//! Collects the contents of an initramfs: root filesystems from all sources, files, blueprints of filesystems.

use super::mount_points;
use super::packages::{Tools, file_of};
use crate::appliance::Roots;
use crate::contents::{Contents as FileContents, Source as FileSource};
use crate::description::{Description, ExtraFile, Root};
use crate::filesystem;
use crate::image::Image;
use crate::pack::{self, Format, pack};
use crate::tree::{Entry, Kind, Tree};
use crate::verity;
use anyhow::{Context, Result, ensure};
use hilum::config::Source;
use hilum::config::{Config, OnDamage};
use hilum::storage::START_BYTES;
use std::sync::Arc;

/// The collected contents, and what other parts need to know about them.
pub(super) struct Contents<'a> {
    pub(super) description: &'a Description,
    pub(super) tools: &'a Tools<'a>,
    pub(super) config: &'a Config<'a>,
    pub(super) image: Image,
    pub(super) roots: Roots,
    /// Paths of verified images, with their root hashes.
    pub(super) digests: Vec<(String, String)>,
}

impl Contents<'_> {
    /// Adds one root filesystem at the path in the configuration. `tree` is its contents; `None` for an existing image
    /// file.
    pub(super) fn add_root(&mut self, root: &Root, tree: Option<Tree>, data: &mut Tree) -> Result<()> {
        let place = || format!("root {}", root.path);
        if !root.check {
            self.roots.unchecked.insert(root.path.clone());
        }
        let image = if let Some(packed) = &root.packed {
            let source = self.tools.cache.source(packed)?;
            let image = whole(&source)?;
            let kind = hilum::storage::Superblock::read(&image.start(START_BYTES)?).map(|found| found.kind.name());
            ensure!(
                matches!(kind, Some("erofs" | "squashfs" | "ext4")),
                "root {}: {} is not an erofs, squashfs or ext4 image",
                root.path,
                packed.display()
            );
            image
        } else {
            let mut tree = tree.unwrap_or_default();
            mount_points::add(self.config, root, &mut tree, self.tools.progress).with_context(place)?;
            if root.format == Format::Folder {
                ensure!(
                    self.config.mount_of(&root.path).is_none(),
                    "root {}: only an image file can be on a disk",
                    root.path
                );
                return self.image.add_tree(&tree, &root.path).with_context(place);
            }
            let mut view = Image::default();
            // The checks do not need devices and pipes of an image file.
            let mut plain = Tree::new();
            for (path, entry) in tree.iter().filter(|(_, entry)| !matches!(entry.kind, Kind::Block(..) | Kind::Pipe)) {
                plain.add(path, entry.clone())?;
            }
            view.add_tree(&plain, "")?;
            self.roots.images.insert(root.path.clone(), view);
            self.packed(root, &tree).with_context(place)?
        };
        let image = self.with_hash_tree(root, image).with_context(place)?;
        match self.config.mount_of(&root.path) {
            Some(mount) => {
                // Another version would run an image that it was not built with.
                let mut workloads = self.config.workloads.iter().filter(|workload| workload.root == root.path);
                ensure!(
                    self.description.update.is_none() || workloads.all(|workload| workload.verity.is_some()),
                    "root {}: an update does not bring what is on a disk; use a path in the initramfs, or verity=image",
                    root.path
                );
                let below = root.path.strip_prefix(mount.target.trim_end_matches('/')).unwrap_or_default();
                data.add(below, Entry::of_root(0o644, Kind::File(image))).map(|_| ())
            }
            None => {
                self.image.file(&root.path, 0o644, image);
                Ok(())
            }
        }
    }

    /// Packs a tree, or returns the image of an equal tree from the cache.
    fn packed(&self, root: &Root, tree: &Tree) -> Result<FileContents> {
        let Tools { cache, progress, .. } = *self.tools;
        let name = root.path.rsplit('/').next().unwrap_or_default();
        let format = format!("{:?} {name}", root.format);
        let key =
            cache.key("packed", &[format.as_bytes(), &pack::programs(root.format, cache)?, tree.identity().as_slice()]);
        whole(
            &cache.entry(&key, progress, &mut |output| {
                pack(tree, root.format, name, output, cache.scratch(), progress)
            })?,
        )
    }

    /// Appends a hash tree to an image that a workload verifies.
    ///
    /// # Errors
    /// The workload's digest is that of another image.
    fn with_hash_tree(&mut self, root: &Root, image: FileContents) -> Result<FileContents> {
        let workloads = self.config.workloads.iter().filter(|workload| workload.root == root.path);
        let wanted: Vec<&str> = workloads.filter_map(|workload| Some(workload.verity?.digest)).collect();
        if wanted.is_empty() {
            return Ok(image);
        }
        let Tools { cache, progress, .. } = *self.tools;
        let source = cache.entry(&cache.key("verity", &[&image.identity()]), progress, &mut |path| {
            let file = std::fs::File::options().read(true).write(true).open(path)?;
            image.copy(&file, 0)?;
            verity::add_tree_to(&file)
        })?;
        let digest = verity::root_hash(&*source.file()?)?;
        for other in wanted.into_iter().filter(|wanted| *wanted != verity::PLACEHOLDER) {
            ensure!(
                other.eq_ignore_ascii_case(&digest),
                "verity={other}: the digest of this image is {digest}; write verity={} to have it filled in",
                verity::PLACEHOLDER
            );
        }
        self.digests.push((root.path.clone(), digest));
        whole(&source)
    }

    pub(super) fn add_files(&mut self) -> Result<()> {
        for file in &self.description.files {
            self.add_file(file).with_context(|| self.description.place_of(&file.path))?;
        }
        Ok(())
    }

    fn add_file(&mut self, file: &ExtraFile) -> Result<()> {
        let bytes = match &file.package {
            Some(name) => {
                let tree = self.tools.package(name)?;
                let path = file.from.to_str().context("a path is not UTF-8")?;
                let found = file_of(&tree, path);
                found.with_context(|| format!("file {}: package {name} has no /{path}", file.path))?.clone()
            }
            None => {
                let source = self.tools.cache.source(&file.from);
                whole(&source.with_context(|| format!("file {}", file.path))?)?
            }
        };
        let mode = file.mode.as_deref().unwrap_or("644");
        let mode = u32::from_str_radix(mode, 8).with_context(|| format!("file {}: mode {mode}", file.path))?;
        ensure!(mode <= 0o7777, "file {}: mode {mode:o}", file.path);
        self.image.file(&file.path, mode, bytes);
        Ok(())
    }

    /// Adds blueprints of filesystems that a board may have to create.
    pub(super) fn add_filesystems(&mut self) -> Result<()> {
        for mount in &self.config.system.mounts {
            if mount.check == OnDamage::Reformat && mount.kind == "ext4" {
                let label = match Source::of(mount.source) {
                    Some(Source::Label(label)) => label,
                    _ => mount.target.rsplit('/').find(|part| !part.is_empty()).unwrap_or("data"),
                };
                let blueprint = filesystem::blueprint(label)?;
                self.image.file(&format!("lib/filesystems{}", mount.target), 0o644, blueprint);
            }
        }
        Ok(())
    }
}

/// Returns the contents of a whole file.
pub(super) fn whole(source: &Arc<FileSource>) -> Result<FileContents> {
    Ok(FileContents::part(source, 0, source.file()?.metadata()?.len()))
}
