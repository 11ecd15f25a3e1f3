//! From description files to images: everything is checked before anything is written.

use crate::appliance::{self, Roots};
use crate::description::{Data, Description, Extra, Output, Root, STUB_PACKAGE};
use crate::disk::{self, Files, Partition, Table};
use crate::filesystem;
use crate::image::{Compression, Image};
use crate::kernel::Kernel;
use crate::oci;
use crate::pack::{Format, pack};
use crate::tree::{Entry, Kind, Tree};
use anyhow::{Context, Result, bail, ensure};
use hilum::config::{self, Config, OnDamage};
use hilum::storage::Source;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where things are on the machine that builds.
#[derive(Debug)]
pub struct Places {
    /// The ELF file that becomes /init.
    pub init: PathBuf,
    /// The folder with the archives of packages, as initramfs/debian/unpack leaves them.
    pub packages: PathBuf,
    /// The folder that the outputs go to.
    pub output: PathBuf,
}

/// A file that was written.
#[derive(Debug)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}

/// Builds everything that the descriptions ask for; `say` is called with what is going on.
///
/// # Errors
/// One line that says what is wrong, where, and what to do.
pub fn build(descriptions: &[PathBuf], places: &Places, say: &mut dyn FnMut(&str)) -> Result<Vec<Written>> {
    let description = Description::read(descriptions)?;
    let architecture = description
        .architecture
        .as_deref()
        .context("no description says the architecture; add a line: architecture = \"x86_64\"")?;
    ensure!(
        matches!(architecture, "x86_64" | "aarch64"),
        "{}: architecture {architecture}: expected x86_64 or aarch64",
        description.place_of(architecture)
    );
    let config_path = description
        .config
        .as_deref()
        .context("no description names a configuration; add a line: config = \"hilum.conf\"")?;
    let text = std::fs::read(config_path)
        .with_context(|| format!("{}: config {}", description.place_of_key("config"), config_path.display()))?;
    let mut config = Box::new(Config::EMPTY);
    if let Err(error) = config::parse(&text, &mut config) {
        bail!("{}:{error}", config_path.display());
    }
    let kernel = match description.kernel.as_deref() {
        Some(path) if path.contains('/') => Kernel::of_files(Path::new(path), description.kernel_modules.as_deref())?,
        Some(name) => {
            say(&format!("kernel {name}"));
            let archive = package(places, name).with_context(|| description.place_of(name))?;
            Kernel::of_package(&archive)?
        }
        None => bail!("no description names a kernel; add a line: kernel = \"linux-image-amd64\""),
    };
    let mut builder =
        Builder { description: &description, places, config: &config, image: Image::new(), roots: Roots::new() };
    let mut data = Tree::new();
    for root in &description.roots {
        say(&format!("root {}", root.path));
        builder.add_root(root, architecture, &mut data, say).with_context(|| description.place_of(&root.path))?;
    }
    builder.add_files()?;
    builder.add_filesystems()?;
    let Builder { mut image, roots, .. } = builder;
    let mut modules = description.modules.clone();
    // What mounts image files. Whether it is built in, the kernel's own list says.
    let kinds = description.roots.iter().filter_map(|root| match root.format {
        Format::Folder if root.packed.is_none() => None,
        Format::Squashfs => Some("squashfs"),
        _ => Some("erofs"),
    });
    let mut kinds: Vec<String> = kinds.map(str::to_owned).collect();
    kinds.sort();
    kinds.dedup();
    modules.extend((!kinds.is_empty()).then(|| "loop".to_owned()));
    modules.extend(kinds);
    for line in &modules {
        let name = line.split(' ').next().unwrap_or_default();
        let is_known = kernel.module(name)?.is_some() || kernel.is_built_in(&name.replace('-', "_"));
        ensure!(
            is_known,
            "{}: module {name}: the kernel has no such module; correct the name, or take another kernel",
            description.place_of(line)
        );
    }
    appliance::add_modules(&text, &kernel, &modules, &mut image)?;
    let init = std::fs::read(&places.init).with_context(|| places.init.display().to_string())?;
    appliance::check(&config_path.display().to_string(), &text, &init, &image, &roots)?;
    image.file("init", 0o755, init);
    image.file("etc/hilum.conf", 0o644, text.clone());
    // What only some outputs need has to be there as well.
    ensure!(
        description.data.is_some() || data.iter().count() == 1,
        "a root lies on a disk, and no description has [data]"
    );
    if description.outputs.contains(&Output::SdCard) {
        card_files(&description, places, &kernel, &[], "").with_context(|| description.place_of("sd-card"))?;
    }
    if description.outputs.contains(&Output::UefiDisk) {
        stub(places, architecture).with_context(|| description.place_of("uefi-disk"))?;
    }
    image.seal();
    say(&format!("initramfs: {}", shares(&image)));
    let initramfs = image.write(Compression::Zstd)?;
    let words = description.command_line.join(" ");
    std::fs::create_dir_all(&places.output).with_context(|| places.output.display().to_string())?;
    let mut outputs = Outputs { places, written: Vec::new() };
    outputs.write("initramfs", &initramfs)?;
    let partition = description.data.as_ref().map(|partition| data_partition(partition, &data)).transpose()?;
    for output in &description.outputs {
        match output {
            Output::Initramfs => {}
            Output::Direct => {
                outputs.write("vmlinuz", &kernel.image)?;
                outputs.write("command-line", words.as_bytes())?;
                if let Some(partition) = &partition {
                    outputs.write("data.img", partition)?;
                }
            }
            Output::SdCard => {
                say("sd card");
                let files = card_files(&description, places, &kernel, &initramfs, &words)?;
                let boot = disk::fat(&files, "HILUM")?;
                // QEMU takes cards of a power of two alone.
                outputs.disk("sd-card.img", Table::Dos, boot, partition.clone(), u64::next_power_of_two)?;
            }
            Output::UefiDisk => {
                say("uefi disk");
                let stub = stub(places, architecture)?;
                let unified = disk::unified(architecture, &stub, &kernel.image, &initramfs, &words)?;
                let name = if architecture == "x86_64" { "BOOTX64.EFI" } else { "BOOTAA64.EFI" };
                let files = Files::from([(format!("EFI/BOOT/{name}"), Arc::new(unified))]);
                outputs.disk("uefi-disk.img", Table::Gpt, disk::fat(&files, "ESP")?, partition.clone(), |size| size)?;
            }
        }
    }
    Ok(outputs.written)
}

/// What an initramfs consists of, in bytes before it is compressed.
fn shares(image: &Image) -> String {
    let mut shares = [("init", 0_usize, 0_usize), ("modules", 0, 0), ("root filesystems", 0, 0), ("other files", 0, 0)];
    for (path, bytes) in image.files() {
        let place = match path {
            "init" => 0,
            _ if path.starts_with("lib/modules/") => 1,
            _ if path.starts_with("images/") => 2,
            _ => 3,
        };
        shares[place].1 += bytes;
        shares[place].2 += 1;
    }
    let words: Vec<String> =
        shares.iter().map(|(name, bytes, files)| format!("{name} {bytes} bytes in {files}")).collect();
    words.join(", ")
}

/// The archive of a package.
fn package(places: &Places, name: &str) -> Result<PathBuf> {
    let archive = places.packages.join(format!("{name}.tar"));
    ensure!(
        archive.exists(),
        "package {name}: {} is not there; fetch it with: initramfs/debian/unpack ARCH RELEASE {name}",
        archive.display()
    );
    Ok(archive)
}

fn package_tree(places: &Places, name: &str) -> Result<Tree> {
    let archive = package(places, name)?;
    let mut tree = Tree::new();
    let place = || archive.display().to_string();
    tree.apply(std::fs::File::open(&archive).with_context(place)?, false).with_context(place)?;
    Ok(tree)
}

fn file_of<'a>(tree: &'a Tree, path: &str) -> Option<&'a Arc<Vec<u8>>> {
    match &tree.get(path)?.kind {
        Kind::File(bytes) => Some(bytes),
        _ => None,
    }
}

struct Builder<'a> {
    description: &'a Description,
    places: &'a Places,
    config: &'a Config<'a>,
    image: Image,
    roots: Roots,
}

impl Builder<'_> {
    /// Puts one root filesystem where the configuration looks for it.
    fn add_root(&mut self, root: &Root, architecture: &str, data: &mut Tree, say: &mut dyn FnMut(&str)) -> Result<()> {
        let place = || format!("root {}", root.path);
        let bytes = if let Some(packed) = &root.packed {
            let bytes = std::fs::read(packed).with_context(|| packed.display().to_string())?;
            let kind = hilum::storage::Superblock::read(&bytes).map(|found| found.kind.name());
            ensure!(
                matches!(kind, Some("erofs" | "squashfs" | "ext4")),
                "root {}: {} is no image of erofs, squashfs or ext4",
                root.path,
                packed.display()
            );
            bytes
        } else {
            let mut tree = self.tree(root, architecture, say).with_context(place)?;
            self.add_places(root, &mut tree).with_context(place)?;
            if root.format == Format::Folder {
                ensure!(
                    self.config.mount_of(&root.path).is_none(),
                    "root {}: only an image file can lie on a disk",
                    root.path
                );
                return tree.add_to(&mut self.image, &root.path).with_context(place);
            }
            let mut view = Image::default();
            // Devices and pipes of an image file are nothing that the checks look at.
            let mut plain = Tree::new();
            for (path, entry) in tree.iter().filter(|(_, entry)| !matches!(entry.kind, Kind::Block(..) | Kind::Pipe)) {
                plain.add(path, entry.clone())?;
            }
            plain.add_to(&mut view, "")?;
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
    fn tree(&self, root: &Root, architecture: &str, say: &mut dyn FnMut(&str)) -> Result<Tree> {
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
            let bytes = oci::unpacked(std::fs::read(archive).with_context(place)?).with_context(place)?;
            tree.apply(bytes.as_slice(), false).with_context(place)?;
        }
        if let Some(path) = &root.image {
            let container = oci::read(path, architecture, root.reference.as_deref())?;
            let lines = container.lines().with_context(|| path.display().to_string())?;
            say(&format!("{} says of itself:\n{}", path.display(), lines.trim_end()));
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
    fn add_places(&self, root: &Root, tree: &mut Tree) -> Result<()> {
        for place in ["dev", "proc", "run", "sys", "tmp"] {
            tree.add_folder(place)?;
        }
        for workload in self.config.workloads.iter().filter(|workload| workload.root == root.path) {
            for volume in &workload.isolation.volumes {
                tree.add_folder(volume.target)?;
            }
            let mut files = Vec::new();
            if workload.network.has_resolv {
                files.push("etc/resolv.conf");
            }
            if workload.network.addresses().next().is_some() {
                files.push("etc/hosts");
            }
            for file in files.into_iter().filter(|file| tree.get(file).is_none()).collect::<Vec<_>>() {
                tree.add(file, Entry::of_root(0o644, Kind::File(Arc::default())))?;
            }
        }
        Ok(())
    }

    fn add_files(&mut self) -> Result<()> {
        for file in &self.description.files {
            self.add_file(file).with_context(|| self.description.place_of(&file.path))?;
        }
        Ok(())
    }

    fn add_file(&mut self, file: &Extra) -> Result<()> {
        let bytes = match &file.package {
            Some(name) => {
                let tree = package_tree(self.places, name)?;
                let path = file.from.to_str().context("a path that is not UTF-8")?;
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
    fn add_filesystems(&mut self) -> Result<()> {
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

/// The data partition: an ext4 filesystem with what lies on it from the start.
fn data_partition(partition: &Data, data: &Tree) -> Result<Vec<u8>> {
    let bytes = u64::from(partition.size_mib) << 20;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("data");
    std::fs::File::create(&file)?.set_len(bytes)?;
    filesystem::make_ext4(&file, &partition.label, bytes)?;
    for (path, entry) in data.iter().filter(|(path, _)| !path.is_empty()) {
        match &entry.kind {
            Kind::File(contents) => filesystem::put(&file, path, contents, folder.path())?,
            _ => filesystem::make_folder(&file, path)?,
        }
    }
    Ok(std::fs::read(&file)?)
}

/// The boot partition of a Raspberry Pi's card (config.txt as in the documentation of the firmware).
fn card_files(
    description: &Description,
    places: &Places,
    kernel: &Kernel,
    initramfs: &[u8],
    words: &str,
) -> Result<Files> {
    let firmware = description.firmware.as_ref().context("an sd card needs [firmware]")?;
    let tree = package_tree(places, &firmware.package)?;
    let mut files = Files::new();
    for name in &firmware.files {
        let found = tree.iter().find(|(path, _)| path.rsplit('/').next() == Some(name));
        let bytes = found.and_then(|(path, _)| file_of(&tree, path));
        let bytes = bytes.with_context(|| format!("package {} has no file {name}", firmware.package))?;
        files.insert(name.clone(), Arc::clone(bytes));
    }
    for name in &description.device_trees {
        let bytes = kernel.device_trees.get(name).with_context(|| format!("the kernel has no device tree {name}"))?;
        files.insert(name.clone(), Arc::clone(bytes));
    }
    let mut lines = vec![
        "# Made by hilum's image builder.".to_owned(),
        "arm_64bit=1".to_owned(),
        "kernel=vmlinuz".to_owned(),
        "initramfs initramfs followkernel".to_owned(),
    ];
    lines.extend(description.config_txt.iter().cloned());
    files.insert("config.txt".into(), Arc::new(format!("{}\n", lines.join("\n")).into_bytes()));
    files.insert("cmdline.txt".into(), Arc::new(format!("{words}\n").into_bytes()));
    files.insert("vmlinuz".into(), Arc::new(kernel.image.clone()));
    files.insert("initramfs".into(), Arc::new(initramfs.to_vec()));
    Ok(files)
}

/// Systemd's stub for this architecture.
fn stub(places: &Places, architecture: &str) -> Result<Vec<u8>> {
    let name = if architecture == "x86_64" { "linuxx64.efi.stub" } else { "linuxaa64.efi.stub" };
    let tree = package_tree(places, STUB_PACKAGE)?;
    let path = format!("usr/lib/systemd/boot/efi/{name}");
    Ok(file_of(&tree, &path).with_context(|| format!("package {STUB_PACKAGE} has no /{path}"))?.to_vec())
}

struct Outputs<'a> {
    places: &'a Places,
    written: Vec<Written>,
}

impl Outputs<'_> {
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.places.output.join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        self.written.push(Written { path, bytes: bytes.len() as u64 });
        Ok(())
    }

    fn disk(
        &mut self,
        name: &str,
        table: Table,
        boot: Vec<u8>,
        data: Option<Vec<u8>>,
        round: fn(u64) -> u64,
    ) -> Result<()> {
        let path = self.places.output.join(name);
        let boot_kind = if table == Table::Gpt { "uefi" } else { "c" };
        let data_kind = if table == Table::Gpt { "linux" } else { "83" };
        let mut partitions = vec![Partition { kind: boot_kind, name: "boot", bytes: boot }];
        partitions.extend(data.map(|bytes| Partition { kind: data_kind, name: "data", bytes }));
        let needed: u64 = partitions.iter().map(|partition| partition.bytes.len() as u64 + (1 << 20)).sum();
        let bytes = disk::disk(&path, table, name, &partitions, Some(round(needed + (2 << 20))))?;
        self.written.push(Written { path, bytes });
        Ok(())
    }
}
