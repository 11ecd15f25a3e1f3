//! A kernel with its modules and device trees, from a Debian package or from files.

use crate::contents::Contents;
use crate::tree::{Kind, Tree};
use anyhow::{Context, Result, ensure};
use lzma_rust2::XzReader;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// A kernel and its modules.
#[derive(Debug, Clone, Default)]
pub struct Kernel {
    /// The kernel image.
    pub image: Vec<u8>,
    /// The release that uname(2) returns, such as `6.1.0-50-arm64`; `None` if it cannot be determined.
    pub release: Option<String>,
    /// Device trees by file name.
    pub device_trees: BTreeMap<String, Contents>,
    /// Modules by name, each with its file's name.
    modules: BTreeMap<String, (String, Contents)>,
    built_in: BTreeSet<String>,
    /// Aliases of modules, computed on first use.
    aliases: OnceCell<BTreeMap<String, String>>,
    /// Modalias patterns with their modules: from depmod's list, or computed on first use.
    patterns: OnceCell<Vec<(String, String)>>,
}

/// Folders of the kernel's source that contain modules of pluggable devices.
const PLUGGED: [&str; 5] = ["/usb/", "/hid/", "/bluetooth/", "/input/", "/scsi/"];

/// Parses modules.alias of depmod(8): lines of `alias PATTERN MODULE`.
fn read_patterns(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("alias ")?.rsplit_once(' '));
    lines.map(|(pattern, module)| (pattern.to_owned(), module.replace('-', "_"))).collect()
}

/// Returns a module's name: the part before `.ko`, with `_` for `-`, as in the kernel. `None` if it is not a single
/// word, which the board's lists require.
fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let name = file.strip_suffix(".ko").or_else(|| file.strip_suffix(".ko.xz"))?;
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_word.then(|| name.replace('-', "_"))
}

impl Kernel {
    /// Reads the files of a package `linux-image-...`.
    ///
    /// # Errors
    /// A file that cannot be read; no kernel among them.
    pub fn of_package(tree: &Tree) -> Result<Self> {
        let mut kernel = Self::default();
        for (path, entry) in tree.iter() {
            let Kind::File(contents) = &entry.kind else { continue };
            if path.starts_with("boot/vmlinuz-") {
                kernel.image = contents.read()?.into_owned();
            } else if path.ends_with(".dtb") {
                let name = path.rsplit('/').next().unwrap_or_default();
                kernel.device_trees.insert(name.to_owned(), contents.clone());
            } else if path.ends_with("/modules.builtin") {
                kernel.built_in.extend(contents.text().lines().filter_map(module_name));
            } else if path.ends_with("/modules.alias") {
                let _ = kernel.patterns.set(read_patterns(&contents.text()));
            } else if let Some(name) = module_name(path) {
                kernel.modules.insert(name, (path.to_owned(), contents.clone()));
            }
        }
        ensure!(!kernel.image.is_empty(), "no /boot/vmlinuz-... in it");
        kernel.release = release(&kernel.image);
        Ok(kernel)
    }

    /// Reads a kernel file and a folder with modules, flat or in subfolders, which may contain a list `builtin` or
    /// `modules.builtin`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of_files(image: &Path, modules: Option<&Path>) -> Result<Self> {
        let bytes = std::fs::read(image).with_context(|| image.display().to_string())?;
        let mut kernel = Self { release: release(&bytes), image: bytes, ..Self::default() };
        if let Some(folder) = modules {
            kernel.add_folder(folder)?;
        }
        Ok(kernel)
    }

    /// Reads a kernel without modules that initramfs/debian/kernel built: `vmlinux` if it is wanted uncompressed and there is one,
    /// otherwise `vmlinuz`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of_build(folder: &Path, is_uncompressed: bool) -> Result<Self> {
        let plain = folder.join("vmlinux");
        let image = if is_uncompressed && plain.exists() { plain } else { folder.join("vmlinuz") };
        let mut kernel = Self::of_files(&image, None)?;
        let list = folder.join("modules.builtin");
        let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
        kernel.built_in = text.lines().filter_map(module_name).collect();
        Ok(kernel)
    }

    /// Reads the modules of a folder without a kernel.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of_folder(folder: &Path) -> Result<Self> {
        let mut kernel = Self::default();
        kernel.add_folder(folder)?;
        Ok(kernel)
    }

    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry?;
            let place = entry.path().display().to_string();
            if !entry.file_type().is_file() {
                continue;
            }
            if matches!(entry.file_name().to_str(), Some("builtin" | "modules.builtin")) {
                let text = std::fs::read_to_string(entry.path()).context(place)?;
                self.built_in.extend(text.lines().filter_map(|line| {
                    module_name(line).or_else(|| Some(line.replace('-', "_")).filter(|name| !name.is_empty()))
                }));
            } else if entry.file_name() == "modules.alias" {
                let text = std::fs::read_to_string(entry.path()).context(place)?;
                let _ = self.patterns.set(read_patterns(&text));
            } else if let Some(name) = module_name(&place) {
                let bytes = std::fs::read(entry.path()).with_context(|| place.clone())?.into();
                self.modules.insert(name, (place, bytes));
            }
        }
        Ok(())
    }

    /// Returns a module's bytes, unpacked; `None` if there is no such file.
    ///
    /// # Errors
    /// It was built for another kernel, or cannot be unpacked.
    pub fn module(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((path, bytes)) = self.modules.get(&name.replace('-', "_")) else { return Ok(None) };
        let bytes = unpacked(path, bytes).with_context(|| path.clone())?;
        if let (Some(release), Some(magic)) = (&self.release, modinfo(&bytes, "vermagic").into_iter().next()) {
            let built_for = magic.split(' ').next().unwrap_or_default();
            ensure!(built_for == release, "module {name}: built for {built_for}, the kernel is {release}");
        }
        Ok(Some(bytes))
    }

    /// Returns the module for a name or an alias; if there are several, the generic one, which works on every machine.
    pub fn resolve(&self, name: &str) -> Option<&str> {
        if let Some((name, _)) = self.modules.get_key_value(name) {
            return Some(name);
        }
        let aliases = self.aliases.get_or_init(|| {
            let mut aliases: BTreeMap<String, String> = BTreeMap::new();
            for (name, (path, bytes)) in &self.modules {
                // Hardware aliases are patterns, which are not looked up here.
                if !path.contains("/crypto/") {
                    continue;
                }
                let unpacked = unpacked(path, bytes).unwrap_or_default();
                for alias in modinfo(&unpacked, "alias") {
                    if name.ends_with("_generic") || !aliases.contains_key(&alias) {
                        aliases.insert(alias, name.clone());
                    }
                }
            }
            aliases
        });
        aliases.get(name).map(String::as_str)
    }

    /// Returns the modalias patterns (modules.alias, depmod(8)) with their modules. A package lacks that list, because
    /// depmod creates it at installation. In that case they are read from the modules of pluggable devices.
    pub fn patterns(&self) -> &[(String, String)] {
        self.patterns.get_or_init(|| {
            let mut patterns = Vec::new();
            for (name, (path, bytes)) in &self.modules {
                if path.contains("/kernel/") && !PLUGGED.iter().any(|place| path.contains(place)) {
                    continue;
                }
                let unpacked = unpacked(path, bytes).unwrap_or_default();
                let found = modinfo(&unpacked, "alias").into_iter().filter(|alias| alias.contains(':'));
                patterns.extend(found.map(|alias| (alias, name.clone())));
            }
            patterns
        })
    }

    /// Returns whether there is a list of built-in modules.
    pub fn has_list(&self) -> bool {
        !self.built_in.is_empty()
    }

    /// Returns whether a module is built in.
    pub fn is_built_in(&self, name: &str) -> bool {
        self.built_in.contains(name)
    }
}

/// Returns the values of this key in a module's .modinfo section, which contains NAME=VALUE strings, each terminated by
/// a NUL.
pub(crate) fn modinfo(module: &[u8], name: &str) -> Vec<String> {
    use object::{Object, ObjectSection};
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(module).ok();
    let section = file.as_ref().and_then(|file| file.section_by_name(".modinfo")?.data().ok());
    let strings = section.unwrap_or_default().split(|byte| *byte == 0);
    let values = strings.filter_map(|text| text.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

/// Returns the release in a kernel image: from the x86 header (Documentation/arch/x86/boot.rst, kernel_version), or
/// from the banner in an uncompressed image.
fn release(image: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    let at = match image.get(0x202..0x206) {
        Some(b"HdrS") => usize::from(u16::from_le_bytes([*image.get(0x20e)?, *image.get(0x20f)?])) + 0x200,
        // Only what looks like a version, because the text also occurs elsewhere.
        _ => {
            let mut banners = image.windows(BANNER.len() + 1).enumerate();
            banners.find(|(_, text)| text.starts_with(BANNER) && text[BANNER.len()].is_ascii_digit())?.0 + BANNER.len()
        }
    };
    let text = image.get(at..)?.split(|byte| matches!(byte, b' ' | 0)).next()?;
    (text.len() < 64).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Returns the bytes of a module, without xz(1) compression.
fn unpacked(path: &str, contents: &Contents) -> Result<Vec<u8>> {
    if !path.ends_with(".xz") {
        return Ok(contents.read()?.into_owned());
    }
    let mut plain = Vec::new();
    XzReader::new(contents.reader()?, true).read_to_end(&mut plain).context("cannot unpack it")?;
    Ok(plain)
}

#[cfg(test)]
mod tests;
