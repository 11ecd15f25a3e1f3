//! What goes into an initramfs: root filesystems from all their sources, files, blueprints of filesystems.

use super::packages::{Places, file_of, package_tree};
use crate::appliance::Roots;
use crate::compression;
use crate::description::{Description, ExtraFile, Root};
use crate::filesystem;
use crate::image::Image;
use crate::oci;
use crate::pack::{Format, pack};
use crate::tree::{Entry, Kind, Tree};
use anyhow::{Context, Result, ensure};
use hilum::Architecture;
use hilum::config::Source;
use hilum::config::{Config, OnDamage};
use std::sync::Arc;

/// What is gathered for the initramfs, and what of it other parts look at.
pub(super) struct Contents<'a> {
    pub(super) description: &'a Description,
    pub(super) places: &'a Places,
    pub(super) config: &'a Config<'a>,
    pub(super) image: Image,
    pub(super) roots: Roots,
}

impl Contents<'_> {
    /// Puts one root filesystem where the configuration looks for it.
    pub(super) fn add_root(
        &mut self,
        root: &Root,
        architecture: Architecture,
        data: &mut Tree,
        progress: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let place = || format!("root {}", root.path);
        let bytes = if let Some(packed) = &root.packed {
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
            let mut tree = self.tree(root, architecture, progress).with_context(place)?;
            self.add_mount_points(root, &mut tree).with_context(place)?;
            if root.format == Format::Folder {
                ensure!(
                    self.config.mount_of(&root.path).is_none(),
                    "root {}: only an image file can be on a disk",
                    root.path
                );
                return self.image.add_tree(&tree, &root.path).with_context(place);
            }
            let mut view = Image::default();
            // Devices and pipes of an image file are nothing that the checks look at.
            let mut plain = Tree::new();
            for (path, entry) in tree.iter().filter(|(_, entry)| !matches!(entry.kind, Kind::Block(..) | Kind::Pipe)) {
                plain.add(path, entry.clone())?;
            }
            view.add_tree(&plain, "")?;
            self.roots.insert(root.path.clone(), view);
            let name = root.path.rsplit('/').next().unwrap_or_default();
            pack(&tree, root.format, name).with_context(place)?
        };
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

    /// The files of a root filesystem, from all its sources.
    fn tree(&self, root: &Root, architecture: Architecture, progress: &mut dyn FnMut(&str)) -> Result<Tree> {
        let mut tree = Tree::new();
        for name in &root.packages {
            let package = package_tree(self.places, name)?;
            let is_kept = |path: &str| {
                root.keep.iter().any(|kept| {
                    let kept = kept.trim_matches('/');
                    path.strip_prefix(kept).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
            };
            for (path, entry) in package.iter().filter(|(path, _)| !path.is_empty()) {
                // Documentation is for people, and takes half of many packages.
                let is_text =
                    ["usr/share/doc", "usr/share/man", "usr/share/locale"].iter().any(|text| path.starts_with(text));
                let is_dropped = path.split('/').any(|part| root.drop.iter().any(|dropped| dropped == part));
                let is_wanted = !is_dropped && if root.keep.is_empty() { !is_text } else { is_kept(path) };
                if is_wanted {
                    if entry.kind == Kind::Folder && tree.get(path).is_some() {
                        continue;
                    }
                    tree.add(path, entry.clone())?;
                }
            }
        }
        if let Some(archive) = &root.tar {
            let place = || archive.display().to_string();
            let file = std::fs::File::open(archive).with_context(place)?;
            tree.apply(compression::unpacked(file).with_context(place)?, false).with_context(place)?;
            let is_image = tree.get("oci-layout").is_some() || tree.get("manifest.json").is_some();
            ensure!(
                !is_image || tree.get("etc").is_some(),
                "{}: a container image, and no root filesystem: name it by the key image instead of tar",
                place()
            );
        }
        if let Some(path) = &root.image {
            let container = oci::read(path, architecture, root.reference.as_deref())?;
            let lines = container.lines();
            progress(&format!("{} configures:", path.display()));
            lines.lines().for_each(&mut *progress);
            for (path, entry) in container.tree.iter() {
                tree.add(path, entry.clone())?;
            }
        }
        if let Some(folder) = &root.folder {
            let files = Tree::read_folder(folder)?;
            for (path, entry) in files.iter().filter(|(path, _)| !path.is_empty()) {
                if entry.kind != Kind::Folder || tree.get(path).is_none() {
                    tree.add(path, entry.clone())?;
                }
            }
        }
        for (path, target) in &root.links {
            tree.add(path, Entry::of_root(0o777, Kind::Link(target.clone())))?;
        }
        Ok(tree)
    }

    /// Adds what PID 1 attaches something to and the root filesystem does not have: it cannot be made at run time.
    fn add_mount_points(&self, root: &Root, tree: &mut Tree) -> Result<()> {
        for place in ["dev", "proc", "run", "sys", "tmp"] {
            tree.add_folder(place)?;
        }
        for workload in self.config.workloads.iter().filter(|workload| workload.root == root.path) {
            for volume in self.config.pools.of(workload.isolation.volumes) {
                tree.add_folder(volume.target)?;
            }
            let mut files = Vec::new();
            if workload.network.has_resolv {
                files.push("etc/resolv.conf");
            }
            if workload.network.addresses(&self.config.pools).next().is_some() {
                files.push("etc/hosts");
            }
            for file in files.into_iter().filter(|file| tree.get(file).is_none()).collect::<Vec<_>>() {
                tree.add(file, Entry::of_root(0o644, Kind::File(Arc::default())))?;
            }
        }
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

    /// Blueprints of the filesystems that a board may have to make.
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
