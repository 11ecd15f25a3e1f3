//! Kernel modules of an image, with everything that they need.
//!
//! The board has no modprobe and looks nothing up: it loads files of one folder in the order that is written down here.

use crate::image::{Image, Node};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The file that says what each module needs.
const NEEDS: &str = "lib/modules/needs";

/// Modules that are packed, each with those that it needs in the order in which they are loaded.
#[derive(Debug, Default)]
pub struct Modules {
    needs: BTreeMap<String, Vec<String>>,
}

/// What is said of a module that is built into the kernel.
const BUILT_IN: &str = "(built in)";

impl Modules {
    /// Packs a module of `folder` and what it needs into the image; gives whether the folder has it. What it needs and
    /// the folder does not have is built into the kernel.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn add(&mut self, image: &mut Image, folder: &Path, name: &str) -> Result<bool> {
        let file = folder.join(format!("{name}.ko"));
        if self.needs.contains_key(name) {
            return Ok(true);
        }
        if !file.exists() {
            return self.note_built_in(image, folder, name);
        }
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let mut order = Vec::new();
        for other in depends(&bytes) {
            if self.add(image, folder, &other)? {
                let before = self.needs[&other].iter().chain([&other]);
                let new: Vec<String> = before.filter(|name| !order.contains(*name)).cloned().collect();
                order.extend(new);
            }
        }
        image.file(&format!("lib/modules/{name}.ko"), 0o644, bytes);
        self.needs.insert(name.to_owned(), order);
        self.write(image);
        Ok(true)
    }

    /// Writes down that a module needs no file, where the folder's list of what is built in says so.
    fn note_built_in(&mut self, image: &mut Image, folder: &Path, name: &str) -> Result<bool> {
        let list = folder.join("builtin");
        if list.exists() {
            let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
            if text.lines().any(|line| line.replace('-', "_") == name) {
                self.needs.insert(name.to_owned(), vec![BUILT_IN.to_owned()]);
                self.write(image);
            }
        }
        Ok(false)
    }

    fn write(&self, image: &mut Image) {
        let lines = self.needs.iter().filter(|(_, order)| !order.is_empty());
        let text: String = lines.map(|(name, order)| format!("{name}: {}\n", order.join(" "))).collect();
        image.file(NEEDS, 0o644, text);
    }
}

/// The names in a module's own `depends=` (its section .modinfo holds NAME=VALUE strings, each with a NUL behind it).
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = value.split(|byte| *byte == b',').filter(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).replace('-', "_")).collect()
}

/// Whether the image has a module, or says that it needs no file.
pub fn has(image: &Image, name: &str) -> bool {
    let line = format!("{name}: {BUILT_IN}");
    let is_noted = match image.get(NEEDS) {
        Some((_, Node::File(text))) => String::from_utf8_lossy(text).lines().any(|found| found == line),
        _ => false,
    };
    is_noted || matches!(image.get(&format!("lib/modules/{name}.ko")), Some((_, Node::File(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(depends: &str) -> Vec<u8> {
        [b"\x7fELF author=A\0depends=", depends.as_bytes(), b"\0vermagic=6.1\0"].concat()
    }

    #[test]
    fn what_a_module_needs_is_packed_and_loaded_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, needs) in [("a", "b,c"), ("b", "c,built_in"), ("c", ""), ("other", "")] {
            std::fs::write(folder.path().join(format!("{name}.ko")), module(needs)).expect("a file");
        }
        let (mut image, mut modules) = (Image::new(), Modules::default());
        assert!(modules.add(&mut image, folder.path(), "a").expect("it is there"));
        assert!(!modules.add(&mut image, folder.path(), "built_in").expect("nothing is wrong"));
        assert!(has(&image, "c") && !has(&image, "other") && !has(&image, "built_in"));
        let Some((_, Node::File(text))) = image.get(NEEDS) else { panic!("what needs what") };
        assert_eq!(String::from_utf8_lossy(text), "a: c b\nb: c\n");
        std::fs::write(folder.path().join("builtin"), "x\nbuilt-in\n").expect("a file");
        assert!(!modules.add(&mut image, folder.path(), "built_in").expect("nothing is wrong"));
        assert!(has(&image, "built_in"));
    }
}
