//! Kernel modules of an image, with everything that they need.
//!
//! The board has no modprobe and looks nothing up: it loads files of one folder in the order that is written down here.

use crate::image::{Image, Node};
use crate::kernel::{Kernel, information};
use anyhow::Result;
use std::collections::BTreeMap;

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
    /// Packs a module and what it needs into the image; gives whether there is a file of it. What it needs and has no
    /// file is built into the kernel.
    ///
    /// # Errors
    /// A file that cannot be read, or was built for another kernel.
    pub fn add(&mut self, image: &mut Image, kernel: &Kernel, name: &str) -> Result<bool> {
        let name = &name.replace('-', "_");
        if self.needs.contains_key(name) {
            return Ok(true);
        }
        let Some(bytes) = kernel.module(name)? else {
            if kernel.is_built_in(name) {
                self.needs.insert(name.to_owned(), vec![BUILT_IN.to_owned()]);
                self.write(image);
            }
            return Ok(false);
        };
        let mut order = Vec::new();
        for other in depends(&bytes) {
            if self.add(image, kernel, &other)? {
                let before = self.needs[&other].iter().filter(|name| *name != BUILT_IN).chain([&other]);
                let new: Vec<String> = before.filter(|name| !order.contains(*name)).cloned().collect();
                order.extend(new);
            }
        }
        image.file(&format!("lib/modules/{name}.ko"), 0o644, bytes);
        self.needs.insert(name.to_owned(), order);
        self.write(image);
        Ok(true)
    }

    fn write(&self, image: &mut Image) {
        let lines = self.needs.iter().filter(|(_, order)| !order.is_empty());
        let text: String = lines.map(|(name, order)| format!("{name}: {}\n", order.join(" "))).collect();
        image.file(NEEDS, 0o644, text);
    }
}

/// The names in a module's own `depends=`.
fn depends(module: &[u8]) -> Vec<String> {
    let names = information(module, "depends").unwrap_or_default();
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

/// Whether the image has a module, or says that it needs no file.
pub fn has(image: &Image, name: &str) -> bool {
    let name = name.replace('-', "_");
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
        let kernel = Kernel::of_folder(folder.path()).expect("files");
        assert!(modules.add(&mut image, &kernel, "a").expect("it is there"));
        assert!(!modules.add(&mut image, &kernel, "built_in").expect("nothing is wrong"));
        assert!(has(&image, "c") && !has(&image, "other") && !has(&image, "built_in"));
        let Some((_, Node::File(text))) = image.get(NEEDS) else { panic!("what needs what") };
        assert_eq!(String::from_utf8_lossy(text), "a: c b\nb: c\n");
        std::fs::write(folder.path().join("builtin"), "x\nbuilt-in\n").expect("a file");
        let kernel = Kernel::of_folder(folder.path()).expect("files");
        assert!(!modules.add(&mut image, &kernel, "built_in").expect("nothing is wrong"));
        assert!(has(&image, "built_in"));
    }
}
