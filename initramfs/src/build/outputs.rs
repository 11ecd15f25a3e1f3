//! What is written: the initramfs with its kernel, cards, disks, and the data partition that they have.

use super::packages::{Places, file_of, package_tree};
use crate::description::{Data, Description, Output, STUB_PACKAGE};
use crate::disk::{self, Partition, Role, Table};
use crate::fat::{Files, fat};
use crate::filesystem;
use crate::kernel::Kernel;
use crate::tree::{Kind, Tree};
use crate::unified::unified;
use anyhow::{Context, Result};
use hilum::Architecture;
use std::path::PathBuf;
use std::sync::Arc;

/// A file that was written.
#[derive(Debug)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}

/// Looks whether what the outputs need is there, before anything is written.
pub(super) fn check(
    description: &Description,
    places: &Places,
    kernel: &Kernel,
    architecture: Architecture,
) -> Result<()> {
    if description.outputs.contains(&Output::SdCard) {
        card_files(description, places, kernel, &[], "").with_context(|| description.place_of("sd-card"))?;
    }
    if description.outputs.contains(&Output::UefiDisk) {
        stub(places, architecture).with_context(|| description.place_of("uefi-disk"))?;
    }
    Ok(())
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
fn stub(places: &Places, architecture: Architecture) -> Result<Vec<u8>> {
    let tree = package_tree(places, STUB_PACKAGE)?;
    let path = format!("usr/lib/systemd/boot/efi/{}", architecture.efi_stub());
    Ok(file_of(&tree, &path).with_context(|| format!("package {STUB_PACKAGE} has no /{path}"))?.to_vec())
}

/// The outputs of one build, and what they are made of.
pub(super) struct Outputs<'a> {
    pub(super) description: &'a Description,
    pub(super) places: &'a Places,
    pub(super) architecture: Architecture,
    pub(super) kernel: &'a Kernel,
    pub(super) initramfs: &'a [u8],
    pub(super) written: Vec<Written>,
}

impl Outputs<'_> {
    /// Writes everything that the descriptions ask for; `data` is what lies on the data partition.
    pub(super) fn write_all(&mut self, data: &Tree, progress: &mut dyn FnMut(&str)) -> Result<()> {
        let Self { description, places, architecture, kernel, initramfs, .. } = *self;
        let words = description.command_line.join(" ");
        self.write("initramfs", initramfs)?;
        let partition = description.data.as_ref().map(|partition| data_partition(partition, data)).transpose()?;
        for output in &description.outputs {
            match output {
                Output::Initramfs => {}
                Output::Direct => {
                    self.write("vmlinuz", &kernel.image)?;
                    self.write("command-line", words.as_bytes())?;
                    if let Some(partition) = &partition {
                        self.write("data.img", partition)?;
                    }
                }
                Output::SdCard => {
                    progress("sd card");
                    let files = card_files(description, places, kernel, initramfs, &words)?;
                    let boot = fat(&files, "HILUM")?;
                    // QEMU takes cards of a power of two alone.
                    self.disk("sd-card.img", Table::Dos, boot, partition.clone(), u64::next_power_of_two)?;
                }
                Output::UefiDisk => {
                    progress("uefi disk");
                    let stub = stub(places, architecture)?;
                    let unified = unified(&stub, &kernel.image, initramfs, &words)?;
                    let files =
                        Files::from([(format!("EFI/BOOT/{}", architecture.efi_boot_file()), Arc::new(unified))]);
                    self.disk("uefi-disk.img", Table::Gpt, fat(&files, "ESP")?, partition.clone(), |size| size)?;
                }
            }
        }
        Ok(())
    }

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
        let mut partitions = vec![Partition { role: Role::Boot, bytes: boot }];
        partitions.extend(data.map(|bytes| Partition { role: Role::Data, bytes }));
        let needed: u64 = partitions.iter().map(|partition| partition.bytes.len() as u64 + (1 << 20)).sum();
        let bytes = disk::disk(&path, table, name, &partitions, Some(round(needed + (2 << 20))))?;
        self.written.push(Written { path, bytes });
        Ok(())
    }
}
