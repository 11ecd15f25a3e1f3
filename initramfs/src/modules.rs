//! Kernel modules of an image, with their dependencies.
//!
//! The board has no modprobe and resolves nothing: it loads files of one folder in the order that is listed here.

use crate::image::Image;
use crate::kernel::{Kernel, modinfo};
use crate::node::Node;
use anyhow::Result;
use std::collections::BTreeMap;

/// The file of dependencies.
const NEEDS: &str = "lib/modules/needs";

/// The packed modules, each with its dependencies in the order in which they are loaded.
#[derive(Debug, Default)]
pub struct Modules {
    needs: BTreeMap<String, Vec<String>>,
}

/// The mark of a module that is built into the kernel.
const BUILT_IN: &str = "(built in)";

impl Modules {
    /// Packs a module and its dependencies into the image. Returns whether there is a file for it. A dependency without
    /// a file is built into the kernel.
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
        for other in depends(&bytes, kernel) {
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

/// Returns the names in a module's `depends=`, and existing ones of the "pre" part of `softdep=`: without these it
/// fails later, as libcrc32c does without a module for crc32c.
fn depends(module: &[u8], kernel: &Kernel) -> Vec<String> {
    let lists = modinfo(module, "depends");
    let names = lists.iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(|name| name.replace('-', "_")).collect();
    for list in modinfo(module, "softdep") {
        let before = list.split_whitespace().skip_while(|word| *word != "pre:").skip(1);
        let wanted = before.take_while(|word| *word != "post:").map(|name| name.replace('-', "_"));
        names.extend(wanted.filter_map(|name| kernel.resolve(&name).map(str::to_owned)));
    }
    names
}

/// Returns whether the image has a module, or lists it as built in.
pub fn has(image: &Image, name: &str) -> bool {
    let name = name.replace('-', "_");
    let line = format!("{name}: {BUILT_IN}");
    let is_noted = match image.get(NEEDS) {
        Some((_, Node::File(contents))) => contents.text().lines().any(|found| found == line),
        _ => false,
    };
    is_noted || matches!(image.get(&format!("lib/modules/{name}.ko")), Some((_, Node::File(_))))
}

#[cfg(test)]
pub(crate) mod tests;
