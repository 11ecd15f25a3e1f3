//! A kernel, the modules that belong to it, and what else its package has: from a Debian package, or from files.

use crate::tree::{Kind, Tree};
use anyhow::{Context, Result, ensure};
use lzma_rust2::XzReader;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// A kernel and its modules.
#[derive(Debug, Clone, Default)]
pub struct Kernel {
    /// The file that is booted.
    pub image: Vec<u8>,
    /// What uname(2) will say, such as `6.1.0-50-arm64`. `None` if the image does not tell.
    pub release: Option<String>,
    /// Device trees by file name.
    pub device_trees: BTreeMap<String, Arc<Vec<u8>>>,
    /// Modules by name, each with its file's name.
    modules: BTreeMap<String, (String, Arc<Vec<u8>>)>,
    built_in: BTreeSet<String>,
    /// What modules are called besides their names, made when it is asked for.
    aliases: OnceCell<BTreeMap<String, String>>,
    /// The patterns of modalias that modules are for, each with its module: of depmod's list, or made when it is asked for.
    patterns: OnceCell<Vec<(String, String)>>,
}

/// Where a kernel has the modules of devices that are plugged in, in the folders of its source.
const PLUGGED: [&str; 5] = ["/usb/", "/hid/", "/bluetooth/", "/input/", "/scsi/"];

/// Reads modules.alias of depmod(8): `alias PATTERN MODULE` on each line.
fn read_patterns(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("alias ")?.rsplit_once(' '));
    lines.map(|(pattern, module)| (pattern.to_owned(), module.replace('-', "_"))).collect()
}

/// Returns a module's name: what stands before `.ko`, with `_` for `-`, as the kernel does. `None` for what would be more than a word of
/// the lists that the board reads.
fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let name = file.strip_suffix(".ko").or_else(|| file.strip_suffix(".ko.xz"))?;
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_word.then(|| name.replace('-', "_"))
}

impl Kernel {
    /// Reads the archive of a package `linux-image-...`.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no kernel.
    pub fn of_package(archive: &Path) -> Result<Self> {
        let place = || archive.display().to_string();
        let mut tree = Tree::new();
        tree.apply(std::fs::File::open(archive).with_context(place)?, false).with_context(place)?;
        let mut kernel = Self::default();
        for (path, entry) in tree.iter() {
            let Kind::File(bytes) = &entry.kind else { continue };
            if path.starts_with("boot/vmlinuz-") {
                kernel.image = bytes.to_vec();
            } else if path.ends_with(".dtb") {
                let name = path.rsplit('/').next().unwrap_or_default();
                kernel.device_trees.insert(name.to_owned(), Arc::clone(bytes));
            } else if path.ends_with("/modules.builtin") {
                let text = String::from_utf8_lossy(bytes);
                kernel.built_in.extend(text.lines().filter_map(module_name));
            } else if path.ends_with("/modules.alias") {
                let _ = kernel.patterns.set(read_patterns(&String::from_utf8_lossy(bytes)));
            } else if let Some(name) = module_name(path) {
                kernel.modules.insert(name, (path.to_owned(), Arc::clone(bytes)));
            }
        }
        ensure!(!kernel.image.is_empty(), "{}: no /boot/vmlinuz-... in it", place());
        kernel.release = release(&kernel.image);
        Ok(kernel)
    }

    /// Takes a kernel's file and a folder with modules, flat or in folders, which may hold a list `builtin` or
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

    /// Modules of a folder without their kernel.
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
                let bytes = Arc::new(std::fs::read(entry.path()).with_context(|| place.clone())?);
                self.modules.insert(name, (place, bytes));
            }
        }
        Ok(())
    }

    /// Returns a module's bytes, unpacked. `None` if there is no such file.
    ///
    /// # Errors
    /// It was built for another kernel, or cannot be unpacked.
    pub fn module(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((path, bytes)) = self.modules.get(&name.replace('-', "_")) else { return Ok(None) };
        let bytes = if path.ends_with(".xz") { unpack(bytes).with_context(|| path.clone())? } else { bytes.to_vec() };
        if let (Some(release), Some(magic)) = (&self.release, modinfo(&bytes, "vermagic").into_iter().next()) {
            let built_for = magic.split(' ').next().unwrap_or_default();
            ensure!(built_for == release, "module {name}: built for {built_for}, the kernel is {release}");
        }
        Ok(Some(bytes))
    }

    /// Returns the module that a name or an alias means: of several the general one, which every machine can use.
    pub fn resolve(&self, name: &str) -> Option<&str> {
        if let Some((name, _)) = self.modules.get_key_value(name) {
            return Some(name);
        }
        let aliases = self.aliases.get_or_init(|| {
            let mut aliases: BTreeMap<String, String> = BTreeMap::new();
            for (name, (path, bytes)) in &self.modules {
                // Aliases of hardware are patterns, and nobody asks for them here.
                if !path.contains("/crypto/") {
                    continue;
                }
                let unpacked = if path.ends_with(".xz") { unpack(bytes).unwrap_or_default() } else { bytes.to_vec() };
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

    /// Returns the patterns of modalias (modules.alias, depmod(8)) with their modules. A package has no such list, because depmod
    /// makes it where the package is installed; then the modules say it themselves, those of what is plugged in.
    pub fn patterns(&self) -> &[(String, String)] {
        self.patterns.get_or_init(|| {
            let mut patterns = Vec::new();
            for (name, (path, bytes)) in &self.modules {
                if path.contains("/kernel/") && !PLUGGED.iter().any(|place| path.contains(place)) {
                    continue;
                }
                let unpacked = if path.ends_with(".xz") { unpack(bytes).unwrap_or_default() } else { bytes.to_vec() };
                let found = modinfo(&unpacked, "alias").into_iter().filter(|alias| alias.contains(':'));
                patterns.extend(found.map(|alias| (alias, name.clone())));
            }
            patterns
        })
    }

    /// Returns whether it came with a list of what is built in.
    pub fn has_list(&self) -> bool {
        !self.built_in.is_empty()
    }

    /// Returns whether a module needs no file.
    pub fn is_built_in(&self, name: &str) -> bool {
        self.built_in.contains(name)
    }
}

/// Returns the values of this name in a module's .modinfo section, which holds NAME=VALUE strings, each with a NUL behind it.
pub(crate) fn modinfo(module: &[u8], name: &str) -> Vec<String> {
    use object::{Object, ObjectSection};
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(module).ok();
    let section = file.as_ref().and_then(|file| file.section_by_name(".modinfo")?.data().ok());
    let strings = section.unwrap_or_default().split(|byte| *byte == 0);
    let values = strings.filter_map(|text| text.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

/// What a kernel's file says of its release: the header of x86 (Documentation/arch/x86/boot.rst, kernel_version), and the
/// banner in an image that is not compressed.
fn release(image: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    let at = match image.get(0x202..0x206) {
        Some(b"HdrS") => usize::from(u16::from_le_bytes([*image.get(0x20e)?, *image.get(0x20f)?])) + 0x200,
        // Only what looks like a version: the text stands elsewhere as well.
        _ => {
            let mut banners = image.windows(BANNER.len() + 1).enumerate();
            banners.find(|(_, text)| text.starts_with(BANNER) && text[BANNER.len()].is_ascii_digit())?.0 + BANNER.len()
        }
    };
    let text = image.get(at..)?.split(|byte| matches!(byte, b' ' | 0)).next()?;
    (text.len() < 64).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Returns what xz(1) packed.
fn unpack(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    XzReader::new(bytes, true).read_to_end(&mut plain).context("cannot unpack it")?;
    Ok(plain)
}

#[cfg(test)]
mod tests;
