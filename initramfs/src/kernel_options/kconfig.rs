//! Checks what the kernel's build made of a fragment: it drops an option without a word if a parent of it is off
//! (Documentation/kbuild/kconfig-language.rst).

use super::tables::OF_ONE_VERSION;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Compares a fragment with the configuration that was made of it. `source` is the folder of the kernel's source, whose Kconfig files
/// say what an option depends on.
///
/// # Errors
/// One line for each option that has another value, with its parents that are off; a file that cannot be read.
pub fn check(fragment: &str, config: &str, source: &Path) -> Result<()> {
    let made = values(config);
    let value = |name: &str| made.get(name).copied().unwrap_or("n");
    let asked = values(fragment);
    let lost: Vec<_> = asked.iter().filter(|(name, wanted)| value(name) != **wanted).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for (name, wanted) in lost {
        let Some(parents) = parents(name, source)? else {
            if OF_ONE_VERSION.split(' ').any(|known| known == *name) {
                continue;
            }
            lines.push(format!("CONFIG_{name}={wanted}: this kernel has no such option"));
            continue;
        };
        let off: Vec<String> =
            parents.into_iter().filter(|parent| value(parent) == "n").map(|name| format!("CONFIG_{name}")).collect();
        let why = if off.is_empty() {
            "another option decides it".to_owned()
        } else {
            format!("it needs {}", off.join(", "))
        };
        lines.push(format!("CONFIG_{name}={wanted}: the kernel made {} of it; {why}", value(name)));
    }
    ensure!(lines.is_empty(), "the kernel's configuration: {}", lines.join("; "));
    Ok(())
}

/// Returns the options of a configuration without `CONFIG_`, with their values.
fn values(config: &str) -> BTreeMap<&str, &str> {
    config.lines().filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('=')).collect()
}

/// Returns the names that occur in the conditions of an option; `None` if no file defines it.
fn parents(name: &str, source: &Path) -> Result<Option<BTreeSet<String>>> {
    let mut found: Option<BTreeSet<String>> = None;
    for entry in walkdir::WalkDir::new(source) {
        let entry = entry?;
        if !entry.file_type().is_file() || !entry.file_name().to_string_lossy().starts_with("Kconfig") {
            continue;
        }
        let text = std::fs::read(entry.path()).with_context(|| entry.path().display().to_string())?;
        if let Some(names) = parents_in(name, &String::from_utf8_lossy(&text)) {
            found.get_or_insert_default().extend(names);
        }
    }
    Ok(found)
}

/// The same for the text of one file.
pub(super) fn parents_in(name: &str, text: &str) -> Option<BTreeSet<String>> {
    let text = text.replace("\\\n", " ");
    // The conditions of `if` and `menu` around the line.
    let mut around: Vec<BTreeSet<String>> = Vec::new();
    let mut found: Option<BTreeSet<String>> = None;
    let (mut is_it, mut is_menu) = (false, false);
    for line in text.lines() {
        let line = line.trim();
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        match word {
            "config" | "menuconfig" => {
                (is_it, is_menu) = (rest.trim() == name, false);
                if is_it {
                    let names = around.iter().flatten().cloned();
                    found.get_or_insert_default().extend(names);
                }
            }
            "if" => {
                (is_it, is_menu) = (false, false);
                around.push(names(rest));
            }
            "menu" | "choice" => {
                (is_it, is_menu) = (false, true);
                around.push(BTreeSet::new());
            }
            "endif" | "endmenu" | "endchoice" => {
                (is_it, is_menu) = (false, false);
                around.pop();
            }
            "source" | "comment" => (is_it, is_menu) = (false, false),
            "depends" if is_it => found.get_or_insert_default().extend(names(rest)),
            "depends" if is_menu => around.iter_mut().last().into_iter().for_each(|last| last.extend(names(rest))),
            _ => {}
        }
    }
    found
}

/// Returns the names of options in a condition.
fn names(condition: &str) -> BTreeSet<String> {
    let condition = condition.split('#').next().unwrap_or_default();
    let words = condition.split(|found: char| !found.is_ascii_alphanumeric() && found != '_');
    words
        .filter(|word| {
            word.len() > 1
                && word.bytes().any(|byte| byte.is_ascii_uppercase())
                && !word.as_bytes()[1].is_ascii_lowercase()
        })
        .map(str::to_owned)
        .collect()
}
