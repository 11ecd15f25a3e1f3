//! The options of the kernel's configuration that a board and its appliance need, each with what asks for it: a fragment for the
//! kernel's own build. `tables.rs` is the data; `kconfig.rs` checks what the kernel made of a fragment.

mod kconfig;
mod tables;

pub use kconfig::check;

use crate::description::{Description, Output};
use crate::pack::Format;
use anyhow::{Context, Result, ensure};
use hilum::Architecture;
use hilum::config::{KEYS, Section};
use std::fmt::Write;
use tables::{
    ALWAYS, CONSOLES, FORMATS, MODULES, OUTPUTS, Options, PCI, PROTECTION, RULES, SCREEN, UPDATES, of_architecture,
    of_hashes, of_keyboard, of_pci, of_pci_slots, of_protection, of_small,
};

/// A fragment of the kernel's configuration.
#[derive(Debug, Default)]
pub struct Fragment {
    /// In the order in which they were asked for.
    options: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    name: String,
    value: String,
    reasons: Vec<String>,
}

impl Fragment {
    /// Returns the options that descriptions need, together with the configuration that they name.
    ///
    /// # Errors
    /// A description without architecture or configuration; an unknown key; a module or filesystem that the tables do not have.
    pub fn of(description: &Description) -> Result<Self> {
        let mut fragment = Self::of_board(description)?;
        let path = description.config.as_deref().context("no description names a configuration")?;
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        fragment.add_config(&path.display().to_string(), &text)?;
        for root in description.roots.iter() {
            let format = match root.format {
                Format::Folder if root.packed.is_none() => "folder",
                Format::Squashfs => "squashfs",
                _ => "erofs",
            };
            fragment.add(&description.place_of(&root.path), &format!("root {format}"), named(FORMATS, format));
        }
        fragment.add_hashes(description);
        Ok(fragment)
    }

    /// Returns the options of all features, for a board whose configuration is not known yet.
    ///
    /// # Errors
    /// Those of [`Self::of`].
    pub fn of_everything(description: &Description) -> Result<Self> {
        let mut fragment = Self::of_board(description)?;
        let architecture = description.architecture.as_deref().and_then(|name| name.parse().ok());
        for options in [named(CONSOLES, SCREEN), architecture.map(of_keyboard)] {
            fragment.add("every console", SCREEN, options);
        }
        fragment.add("every module", "PCI slots", architecture.map(of_pci_slots));
        for rule in RULES {
            fragment.add("every key", rule.key, Some(rule.options));
        }
        for (name, options) in FORMATS {
            fragment.add("every format", name, Some(options));
        }
        for (name, options) in MODULES.iter().chain(UPDATES) {
            fragment.add("every module", name, Some(options));
        }
        fragment.add_hashes(description);
        Ok(fragment)
    }

    /// Adds what computes the hashes of verified images fast, if there are any.
    fn add_hashes(&mut self, description: &Description) {
        let architecture = description.architecture.as_deref().and_then(|name| name.parse().ok());
        if self.options.iter().any(|asked| asked.name == "DM_VERITY") {
            self.add("verity", "hashes", architecture.map(of_hashes));
        }
    }

    /// Returns the options of the board alone.
    fn of_board(description: &Description) -> Result<Self> {
        let name = description.architecture.as_deref().context("no description sets the architecture")?;
        let architecture: Architecture = name.parse().map_err(anyhow::Error::msg)?;
        let mut fragment = Self::default();
        for (why, options) in ALWAYS {
            fragment.add("every board", why, Some(options));
        }
        fragment.add("every board", name, Some(of_architecture(architecture)));
        fragment.add("every board", PROTECTION, Some(of_protection(architecture)));
        let mut modules = description.modules.iter().chain(&description.hotplug_modules);
        let is_pci = |line: &&String| PCI.contains(&line.split(' ').next().unwrap_or_default());
        match modules.find(is_pci) {
            Some(line) => fragment.add(&description.place_of(line), "PCI", Some(of_pci(architecture))),
            None => fragment.add(&description.board, "without PCI", Some(of_small(architecture))),
        }
        if !description.is_uncompressed() {
            fragment.add(&description.board, "the initramfs is packed by zstd", Some("RD_ZSTD"));
        }
        for word in &description.command_line {
            let Some(console) = word.strip_prefix("console=") else { continue };
            let Some((start, options)) = CONSOLES.iter().find(|(start, _)| console.starts_with(start)) else {
                continue;
            };
            fragment.add(&description.place_of(word), word, Some(options));
            if *start == SCREEN {
                fragment.add(&description.place_of(word), word, Some(of_keyboard(architecture)));
            }
        }
        for line in description.modules.iter().chain(&description.hotplug_modules) {
            fragment.add_module(&description.place_of(line), line)?;
        }
        for output in &description.outputs {
            let name = output_name(*output);
            let options = named(OUTPUTS, name);
            let place = description.place_of(name);
            ensure!(
                options.is_some(),
                "{place}: outputs {name}: no tailored kernel for such boards; name a package in kernel"
            );
            fragment.add(&place, name, options);
            if description.update.is_some() {
                fragment.add(&place, "[update]", named(UPDATES, name));
            }
        }
        for option in &description.kernel_options {
            let place = description.place_of(option);
            let name = option.split('=').next().unwrap_or_default();
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            ensure!(
                !name.is_empty() && name.bytes().all(is_name) && !name.starts_with("CONFIG_") && !option.contains('\n'),
                "{place}: kernel-options {option}: expected a name without CONFIG_, or NAME=VALUE"
            );
            fragment.put(option, format!("{place}: kernel-options"), true);
        }
        Ok(fragment)
    }

    /// Adds the options that the lines of a configuration need.
    fn add_config(&mut self, file: &str, text: &str) -> Result<()> {
        let mut section = None;
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
            let Some(key) = words.first() else { continue };
            let place = format!("{file}:{}", index + 1);
            match *key {
                "[system]" => section = Some(Section::System),
                "[workload" => section = Some(Section::Workload),
                // The first line, which has the version.
                _ if section.is_none() => {}
                key => self.add_line(&place, section, key, &words)?,
            }
        }
        Ok(())
    }

    fn add_line(&mut self, place: &str, section: Option<Section>, key: &str, words: &[&str]) -> Result<()> {
        let is_known = KEYS.iter().any(|known| Some(known.section) == section && known.name == key);
        ensure!(is_known, "{place}: unknown key {key:?}; hilum check explains it");
        for rule in RULES.iter().filter(|rule| Some(rule.section) == section && rule.key == key) {
            if rule.word.is_empty() || words[1..].iter().any(|word| is_about(word, rule.word)) {
                self.add(place, &format!("{key} {}", rule.word), Some(rule.options));
            }
        }
        match (section, key, words) {
            (Some(Section::System), "module", [_, name, ..]) => self.add_module(place, name),
            // By its kind; it stands behind a label that may have blanks.
            (Some(Section::System), "mount", [_, ..]) => {
                let is_kind =
                    |word: &&&str| ["ext4", "xfs", "f2fs", "vfat", "exfat", "erofs", "squashfs"].contains(word);
                let found = words.iter().find(is_kind);
                ensure!(
                    found.is_some(),
                    "{place}: mount: no option is known for its filesystem; add it to kernel-options"
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Adds the options of a module; `line` is its name, with parameters behind it.
    fn add_module(&mut self, place: &str, line: &str) -> Result<()> {
        let name = line.split(' ').next().unwrap_or_default().replace('-', "_");
        let options = named(MODULES, &name);
        ensure!(
            options.is_some(),
            "{place}: module {name}: no option is known for it; remove it, and write its option in kernel-options"
        );
        self.add(place, &format!("module {name}"), options);
        Ok(())
    }

    fn add(&mut self, place: &str, why: &str, options: Option<Options>) {
        for option in options.unwrap_or_default().split_whitespace() {
            self.put(option, format!("{place}: {}", why.trim_end()), false);
        }
    }

    /// Adds one option, or one more reason for it. `is_last` replaces an earlier value.
    fn put(&mut self, option: &str, reason: String, is_last: bool) {
        let (name, value) = option.split_once('=').unwrap_or((option, "y"));
        match self.options.iter_mut().find(|asked| asked.name == name) {
            Some(asked) => {
                if is_last {
                    asked.value = value.to_owned();
                }
                if !asked.reasons.contains(&reason) {
                    asked.reasons.push(reason);
                }
            }
            None => self.options.push(Asked { name: name.to_owned(), value: value.to_owned(), reasons: vec![reason] }),
        }
    }

    /// Returns the fragment as text for the kernel's build: above each group of options a comment with what asks for it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut before: &[String] = &[];
        for asked in &self.options {
            if asked.reasons != before {
                let more = asked.reasons.len().saturating_sub(REASONS);
                let more = if more > 0 { format!("; {more} more") } else { String::new() };
                let reasons: Vec<&str> = asked.reasons.iter().take(REASONS).map(String::as_str).collect();
                let _ = writeln!(text, "# {}{more}", reasons.join("; "));
                before = &asked.reasons;
            }
            let _ = writeln!(text, "CONFIG_{}={}", asked.name, asked.value);
        }
        text
    }
}

/// How many reasons a comment has.
const REASONS: usize = 3;

/// Returns whether a word of a line is `wanted`, alone or in front of a value.
fn is_about(word: &str, wanted: &str) -> bool {
    word.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

fn named(table: &[(&str, Options)], name: &str) -> Option<Options> {
    table.iter().find(|(known, _)| *known == name).map(|(_, options)| *options)
}

const fn output_name(output: Output) -> &'static str {
    match output {
        Output::Initramfs => "initramfs",
        Output::Direct => "direct",
        Output::SdCard => "sd-card",
        Output::UefiDisk => "uefi-disk",
    }
}

#[cfg(test)]
mod tests;
