//! Collects the contents of an initramfs: root filesystems from all sources, files, blueprints of filesystems.

use super::mount_points;
use super::packages::{Places, file_of, package_tree};
use crate::appliance::Roots;
use crate::description::{Description, ExtraFile, Root};
use crate::filesystem;
use crate::image::Image;
use crate::pack::{Format, pack};
use crate::tree::{Entry, Kind, Tree};
use crate::verity;
use anyhow::{Context, Result, ensure};
use hilum::config::Source;
use hilum::config::{Config, OnDamage};
use std::sync::Arc;

/// The collected contents, and what other parts need to know about them.
pub(super) struct Contents<'a> {
    pub(super) description: &'a Description,
    pub(super) places: &'a Places,
    pub(super) config: &'a Config<'a>,
    pub(super) image: Image,
    pub(super) roots: Roots,
    /// Paths of verified images, with their root hashes.
    pub(super) digests: Vec<(String, String)>,
}

impl Contents<'_> {
    /// Adds one root filesystem at the path in the configuration. `tree` is its contents; `None` for an existing image
    /// file.
    pub(super) fn add_root(
        &mut self,
        root: &Root,
        tree: Option<Tree>,
        data: &mut Tree,
        progress: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let place = || format!("root {}", root.path);
        if !root.check {
            self.roots.unchecked.insert(root.path.clone());
        }
        let mut bytes = if let Some(packed) = &root.packed {
            let bytes = std::fs::read(packed).with_context(|| packed.display().to_string())?;
            let kind = hilum::storage::Superblock::read(&bytes).map(|found| found.kind.name());
            ensure!(
                matches!(kind, Some("erofs" | "squashfs" | "ext4")),
                "root {}: {} is not an erofs, squashfs or ext4 image",
                root.path,
                packed.display()
            );
            bytes
        } else {
            let mut tree = tree.unwrap_or_default();
            mount_points::add(self.config, root, &mut tree, progress).with_context(place)?;
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
            let name = root.path.rsplit('/').next().unwrap_or_default();
            pack(&tree, root.format, name).with_context(place)?
        };
        self.add_tree(root, &mut bytes).with_context(place)?;
        match self.config.mount_of(&root.path) {
            Some(mount) => {
                let below = root.path.strip_prefix(mount.target.trim_end_matches('/')).unwrap_or_default();
                data.add(below, Entry::of_root(0o644, Kind::File(Arc::new(bytes)))).map(|_| ())
            }
            None => {
                self.image.file(&root.path, 0o644, bytes);
                Ok(())
            }
        }
    }

    /// Appends a hash tree to an image that a workload verifies.
    ///
    /// # Errors
    /// The workload's digest is that of another image.
    fn add_tree(&mut self, root: &Root, bytes: &mut Vec<u8>) -> Result<()> {
        let workloads = self.config.workloads.iter().filter(|workload| workload.root == root.path);
        let wanted: Vec<&str> = workloads.filter_map(|workload| Some(workload.verity?.digest)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let digest = verity::add_tree(bytes)?;
        for other in wanted.into_iter().filter(|wanted| *wanted != verity::PLACEHOLDER) {
            ensure!(
                other.eq_ignore_ascii_case(&digest),
                "verity={other}: the digest of this image is {digest}; write verity={} to have it filled in",
                verity::PLACEHOLDER
            );
        }
        self.digests.push((root.path.clone(), digest));
        Ok(())
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
                let tree = package_tree(self.places, name)?;
                let path = file.from.to_str().context("a path is not UTF-8")?;
                let found = file_of(&tree, path);
                found.with_context(|| format!("file {}: package {name} has no /{path}", file.path))?.to_vec()
            }
            None => {
                std::fs::read(&file.from).with_context(|| format!("file {}: {}", file.path, file.from.display()))?
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
