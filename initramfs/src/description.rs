//! Description files of an image, in TOML; later files add to earlier ones. Usually there is one file for the board and
//! one for the appliance; a single file is also possible.
//!
//! Paths in a file are relative to its folder.

use crate::debian::lock::{self, Lock, Request};
use crate::image::Compression;
use crate::pack::Format;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The combined contents of all files.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Description {
    /// `x86_64` or `aarch64`.
    pub architecture: Option<String>,
    /// The Debian release of packages.
    pub release: Option<String>,
    /// A package such as `linux-image-cloud-arm64`, a path with a `/` in it, or [`TAILORED`].
    pub kernel: Option<String>,
    /// Options of a tailored kernel, besides those that the builder derives: names without `CONFIG_`, or `NAME=VALUE`.
    #[serde(default)]
    pub kernel_options: Vec<String>,
    /// The modules of a kernel that is a file.
    pub kernel_modules: Option<PathBuf>,
    /// Words of the kernel command line.
    #[serde(default)]
    pub command_line: Vec<String>,
    /// hilum.conf
    pub config: Option<PathBuf>,
    /// Modules that PID 1 loads on this board, with parameters.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Kernel modules that PID 1 loads when a device needs them.
    #[serde(default)]
    pub hotplug_modules: Vec<String>,
    /// Root filesystems.
    #[serde(default, rename = "root")]
    pub roots: Vec<Root>,
    /// Further files.
    #[serde(default, rename = "file")]
    pub files: Vec<ExtraFile>,
    /// The compression of the initramfs: `zstd`, or `none`.
    pub compression: Option<Compression>,
    /// The output formats.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// The package with a Raspberry Pi's firmware, and its files for the SD card.
    pub firmware: Option<Firmware>,
    /// Device trees of the kernel's package for the SD card.
    #[serde(default)]
    pub device_trees: Vec<String>,
    /// Lines for a Raspberry Pi's config.txt, besides those for the kernel and the initramfs.
    #[serde(default)]
    pub config_txt: Vec<String>,
    /// The partition for data.
    pub data: Option<Data>,
    /// The folder with the files that people edit on a FAT filesystem of the disk.
    pub site: Option<PathBuf>,
    /// Updates: two slots, and whose bundles the board takes.
    pub update: Option<Update>,
    /// The path of the lock file, beside the last description.
    #[serde(skip)]
    pub lock: PathBuf,
    /// The name of the first file, without its extension: that of the board.
    #[serde(skip)]
    pub board: String,
    /// The names of the files, and their contents.
    #[serde(skip)]
    texts: Vec<(String, String)>,
}

/// A root filesystem. Its sources are combined in the order of the fields; later ones replace files of earlier ones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Root {
    /// The path in the configuration's `root` line. Below a `mount` of the board it is on the data partition.
    pub path: String,
    /// Debian packages.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Whether to add the dependencies of the packages.
    #[serde(default = "yes")]
    pub dependencies: bool,
    /// Dependencies to leave out.
    #[serde(default)]
    pub without: Vec<String>,
    /// Paths to take from the packages, including everything below; all if empty.
    #[serde(default)]
    pub keep: Vec<String>,
    /// Names of files and folders to omit from the packages.
    #[serde(default)]
    pub drop: Vec<String>,
    /// A tar archive, plain or packed by gzip or zstd.
    pub tar: Option<PathBuf>,
    /// A container image: an OCI layout, or an archive of docker save or podman save.
    pub image: Option<PathBuf>,
    /// The image's name, if the file has several.
    pub reference: Option<String>,
    /// A folder.
    pub folder: Option<PathBuf>,
    /// Programs of hilum that are no part of PID 1, such as `hilum-agent`. They lie beside the ELF file of PID 1, and go to /bin.
    #[serde(default)]
    pub programs: Vec<String>,
    /// An existing squashfs or erofs image file; it excludes all other sources.
    pub packed: Option<PathBuf>,
    /// Symbolic links: path and target.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Users to add to its /etc/passwd and /etc/group, with their numbers.
    #[serde(default)]
    pub users: BTreeMap<String, u32>,
    /// Whether programs and their libraries are checked; otherwise errors only show on the board.
    #[serde(default = "yes")]
    pub check: bool,
    /// The format of its image.
    #[serde(default)]
    pub format: Format,
}

fn yes() -> bool {
    true
}

impl Root {
    /// Whether dependencies are added to its packages.
    pub fn follows(&self) -> bool {
        self.dependencies && !self.packages.is_empty()
    }
}

/// A file of the initramfs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExtraFile {
    /// Its path.
    pub path: String,
    /// Its source on this machine, or in the package.
    pub from: PathBuf,
    /// The package that contains it.
    pub package: Option<String>,
    /// Its permission bits, in octal digits.
    #[serde(default)]
    pub mode: Option<String>,
}

/// Firmware of a Raspberry Pi.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Firmware {
    /// The package.
    pub package: String,
    /// Names of its files.
    pub files: Vec<String>,
}

/// The partition for the board's data.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Data {
    /// The filesystem's label.
    pub label: String,
    /// Its size, in MiB.
    pub size_mib: u32,
}

/// Updates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Update {
    /// The version of the contents, at least 1.
    pub version: u64,
    /// The certificates of the keys that sign bundles for this board, in PEM: one or two.
    pub keys: Vec<PathBuf>,
    /// The size of a slot in MiB; half as much again as its contents without one.
    pub slot_size_mib: Option<u32>,
    /// The board takes no version below it.
    #[serde(default)]
    pub floor: u64,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Only the initramfs.
    Initramfs,
    /// Kernel, initramfs, command line and data disk for QEMU.
    Direct,
    /// An SD card for a Raspberry Pi.
    SdCard,
    /// A disk for UEFI machines.
    UefiDisk,
}

impl Description {
    /// Like [`Self::read`], and adds the dependencies of packages from the lock file.
    ///
    /// # Errors
    /// Those of [`Self::read`]; no lock file, or one for other packages.
    pub fn read_locked(files: &[PathBuf]) -> Result<Self> {
        let mut all = Self::read(files)?;
        let arch = all.architecture.as_deref().unwrap_or_default();
        let lists = Lock::read(&all.lock).and_then(|lock| lock.packages(arch, all.release(), &all.requests()));
        let lists = lists.with_context(|| all.lock.display().to_string())?;
        for (root, list) in all.roots.iter_mut().filter(|root| root.follows()).zip(lists) {
            root.packages = list;
        }
        all.check_names()?;
        Ok(all)
    }

    /// Returns the packages whose dependencies are added, for each root that has some.
    pub fn requests(&self) -> Vec<Request<'_>> {
        let roots = self.roots.iter().filter(|root| root.follows());
        roots.map(|root| Request { root: &root.path, packages: &root.packages, without: &root.without }).collect()
    }

    /// Returns whether the initramfs is not compressed, for machines on which unpacking takes longer than reading.
    pub fn is_uncompressed(&self) -> bool {
        self.compression == Some(Compression::None)
    }

    /// Returns the Debian release of all packages.
    pub fn release(&self) -> &str {
        self.release.as_deref().unwrap_or("bookworm")
    }

    /// Reads files; later ones add to earlier ones, and replace single values.
    ///
    /// # Errors
    /// A file that cannot be read or contains something unknown, with its line.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut all = Self::default();
        for file in files {
            let read = std::fs::read_to_string(file);
            let text = read.with_context(|| format!("{}: cannot read the description", file.display()))?;
            let one: Self = toml::from_str(&text).map_err(|error| {
                let at = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
                anyhow::anyhow!("{}:{at}: {}", file.display(), error.message().replace('\n', "; "))
            })?;
            let folder = file.parent().unwrap_or_else(|| Path::new(""));
            all.add(one.relative_to(folder));
            all.texts.push((file.display().to_string(), text));
            all.lock = lock::path_of(file);
            if all.board.is_empty() {
                all.board = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            }
        }
        for root in &all.roots {
            let sources = root.packages.len() + usize::from(root.tar.is_some()) + usize::from(root.image.is_some());
            let sources =
                sources + usize::from(root.folder.is_some()) + usize::from(root.packed.is_some()) + root.programs.len();
            let name = format!("{}: root {}", all.place_of(&root.path), root.path);
            let has_packages = !root.packages.is_empty();
            ensure!(has_packages || root.without.is_empty(), "{name}: without has no packages to leave out of");
            ensure!(sources > 0, "{name}: no source; add packages, tar, image, folder, programs or packed");
            ensure!(root.packed.is_none() || sources == 1, "{name}: packed excludes other sources; remove them");
            ensure!(root.path.starts_with('/'), "{name}: not an absolute path; begin it with /");
        }
        all.check_names()?;
        Ok(all)
    }

    /// Checks names that are passed to other programs: packages (Debian policy, 5.6.7), and the release.
    fn check_names(&self) -> Result<()> {
        let without = self.roots.iter().flat_map(|root| root.without.iter().map(String::as_str));
        for name in self.packages().into_iter().chain(self.release.as_deref()).chain(without) {
            let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
            let is_good = name.bytes().all(is_name) && name.starts_with(|first: char| first.is_ascii_alphanumeric());
            ensure!(is_good, "{}: {name:?}: not a name of a Debian package or release", self.place_of(name));
        }
        Ok(())
    }

    /// Returns the place of a value as `FILE:LINE`: the first line that contains it in quotes.
    pub fn place_of(&self, value: &str) -> String {
        let quoted = format!("\"{value}\"");
        for (name, text) in &self.texts {
            if let Some(line) = text.lines().position(|line| line.contains(&quoted) && !line.starts_with('#')) {
                return format!("{name}:{}", line + 1);
            }
        }
        self.texts.last().map_or_else(String::new, |(name, _)| name.clone())
    }

    /// Returns the place of a key as `FILE:LINE`.
    pub fn place_of_key(&self, key: &str) -> String {
        let is_it = |line: &str| line.split_once('=').is_some_and(|(before, _)| before.trim() == key);
        let mut texts = self.texts.iter().rev();
        let found = texts.find_map(|(name, text)| Some(format!("{name}:{}", text.lines().position(is_it)? + 1)));
        found.unwrap_or_default()
    }

    fn relative_to(mut self, folder: &Path) -> Self {
        let at = |path: &mut PathBuf| *path = folder.join(&path);
        self.kernel_modules.iter_mut().for_each(at);
        self.config.iter_mut().for_each(at);
        self.site.iter_mut().for_each(at);
        for root in &mut self.roots {
            [&mut root.tar, &mut root.image, &mut root.folder, &mut root.packed].into_iter().flatten().for_each(at);
        }
        self.update.iter_mut().flat_map(|update| &mut update.keys).for_each(at);
        self.files.iter_mut().filter(|file| file.package.is_none()).for_each(|file| at(&mut file.from));
        if let Some(kernel) = self.kernel.as_mut().filter(|kernel| kernel.contains('/')) {
            *kernel = folder.join(&*kernel).display().to_string();
        }
        self
    }

    fn add(&mut self, other: Self) {
        fn replace<T>(place: &mut Option<T>, other: Option<T>) {
            if other.is_some() {
                *place = other;
            }
        }
        replace(&mut self.architecture, other.architecture);
        replace(&mut self.release, other.release);
        replace(&mut self.kernel, other.kernel);
        replace(&mut self.compression, other.compression);
        replace(&mut self.kernel_modules, other.kernel_modules);
        replace(&mut self.config, other.config);
        replace(&mut self.site, other.site);
        replace(&mut self.firmware, other.firmware);
        replace(&mut self.data, other.data);
        replace(&mut self.update, other.update);
        self.kernel_options.extend(other.kernel_options);
        self.command_line.extend(other.command_line);
        self.modules.extend(other.modules);
        self.hotplug_modules.extend(other.hotplug_modules);
        self.roots.extend(other.roots);
        self.files.extend(other.files);
        self.outputs.extend(other.outputs);
        self.device_trees.extend(other.device_trees);
        self.config_txt.extend(other.config_txt);
    }

    /// Returns the names of hilum's programs that are in a root filesystem, sorted.
    pub fn programs(&self) -> Vec<&str> {
        let names = self.roots.iter().flat_map(|root| root.programs.iter().map(String::as_str));
        names.collect::<std::collections::BTreeSet<&str>>().into_iter().collect()
    }

    /// Returns the required packages.
    pub fn packages(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        names.extend(self.kernel.as_deref().filter(|kernel| !kernel.contains('/') && *kernel != TAILORED));
        names.extend(self.roots.iter().flat_map(|root| root.packages.iter().map(String::as_str)));
        names.extend(self.files.iter().filter_map(|file| file.package.as_deref()));
        names.extend(self.firmware.as_ref().map(|firmware| firmware.package.as_str()));
        if self.outputs.contains(&Output::UefiDisk) {
            names.push(STUB_PACKAGE);
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The kernel that is built for a board and an appliance, in place of a package.
pub const TAILORED: &str = "tailored";

/// The package with systemd's stub for unified kernel images (systemd-stub(7)).
pub const STUB_PACKAGE: &str = "systemd-boot-efi";

#[cfg(test)]
mod tests;
