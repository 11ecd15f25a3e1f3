//! Builds images from description files: checks everything before anything is written. `contents.rs` collects the
//! contents of the initramfs; `outputs.rs` writes the outputs.

mod contents;
mod mount_points;
mod outputs;
mod packages;
mod programs;
mod site;
mod slots;
mod sources;
mod users;

pub use outputs::Written;
pub use packages::{CachePlace, Places};

use crate::appliance::{self, Roots};
use crate::cache::Cache;
use crate::clock;
use crate::description::{Description, Output, TAILORED};
use crate::image::{Image, Layout};
use crate::kernel::Kernel;
use crate::pack::Format;
use crate::progress::{Event, Progress};
use crate::tree::Tree;
use crate::verity;
use anyhow::{Context, Result, bail, ensure};
use contents::Contents;
use hilum::Architecture;
use hilum::config::{self, Config};
use outputs::Outputs;
use packages::Tools;
use slots::Updates;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Builds all outputs of the descriptions; calls `tell` with each event.
///
/// # Errors
/// One line with the problem, its place, and the remedy.
pub fn build(descriptions: &[PathBuf], places: &Places, tell: &mut dyn FnMut(Event<'_>)) -> Result<Vec<Written>> {
    let description = Description::read_locked(descriptions)?;
    let tell = RefCell::new(tell);
    let progress = Progress::new(&tell);
    let scratch;
    let cache = match &places.cache {
        Some(CachePlace { folder, limit }) => Cache::open(folder, *limit)?,
        None => {
            scratch = tempfile::tempdir()?;
            Cache::temporary(&scratch)?
        }
    };
    let tools = Tools { places, cache: &cache, progress: &progress };
    let written = build_with(&description, &tools)?;
    cache.shrink()?;
    Ok(written)
}

fn build_with(description: &Description, tools: &Tools<'_>) -> Result<Vec<Written>> {
    let Tools { places, progress, .. } = *tools;
    let architecture = architecture(description)?;
    let (config_path, text) = configuration(description)?;
    let name = config_path.display().to_string();
    users::check(&name, &text)?;
    let kernel = kernel(description, tools)?;
    let (mut trees, mut programs) = (Vec::new(), Vec::new());
    for root in &description.roots {
        progress.say(&format!("root {}", root.path));
        let tree = || sources::tree(root, tools, architecture).with_context(|| format!("root {}", root.path));
        let tree = root.packed.is_none().then(tree).transpose();
        let (tree, lines) = tree.with_context(|| description.place_of(&root.path))?.unzip();
        trees.push(tree);
        programs.push(lines.flatten());
    }
    let (name, text) = programs::resolved(name, text, description, &programs, progress)?;
    let text = users::resolved(&name, &text, description, &trees, progress)?;
    let config = parsed(&name, &text)?;
    Updates::check(description, &name, &text, &config)?;
    let site = site::files(description)?;
    site::check(description, &site, &name, &text, &config)?;
    let mut contents = Contents {
        description,
        tools,
        config: &config,
        image: Image::new(),
        roots: Roots::default(),
        digests: Vec::new(),
    };
    let mut data = Tree::new();
    for (root, tree) in description.roots.iter().zip(trees) {
        contents.add_root(root, tree, &mut data).with_context(|| description.place_of(&root.path))?;
    }
    contents.add_files()?;
    contents.add_filesystems()?;
    let Contents { mut image, roots, digests, .. } = contents;
    let text = filled_in(config_path, &config, text.clone(), &digests)?;
    appliance::add_modules(&text, &kernel, &modules(description, &kernel)?, &description.hotplug_modules, &mut image)?;
    let updates = Updates::new(description, places.version, &mut image)?;
    let init = std::fs::read(&places.init).with_context(|| places.init.display().to_string())?;
    appliance::check(&name, &text, &init, &image, &roots)?;
    image.file("init", 0o755, init);
    image.file("etc/hilum.conf", 0o644, text.clone());
    clock::put(&config, &mut image)?;
    // Requirements of some outputs only.
    ensure!(description.data.is_some() || data.iter().count() == 1, "a root on a disk needs [data] in a description");
    let mut outputs = Outputs {
        description,
        tools,
        architecture,
        kernel: &kernel,
        updates: updates.as_ref(),
        site: &site,
        written: Vec::new(),
    };
    outputs.check()?;
    let (initramfs, memory_mib) = write_initramfs(&mut image, description, tools)?;
    outputs.written.push(initramfs);
    progress.say(&format!("memory of the board: {memory_mib} MiB or more"));
    outputs.write_all(&data, memory_mib)?;
    Ok(outputs.written)
}

/// Writes the initramfs. Returns it, and the memory in MiB that a board needs for it.
fn write_initramfs(image: &mut Image, description: &Description, tools: &Tools<'_>) -> Result<(Written, u64)> {
    let Tools { places, cache, progress } = *tools;
    image.seal();
    progress.say(&format!("initramfs: {}", size_summary(image)));
    std::fs::create_dir_all(&places.output).with_context(|| places.output.display().to_string())?;
    let path = places.output.join("initramfs");
    let new = places.output.join("initramfs.new");
    let bytes = image.write_to(&new, layout(description), cache, progress)?;
    std::fs::rename(&new, &path).with_context(|| path.display().to_string())?;
    let memory_mib = memory_mib(image.unpacked_bytes(), bytes);
    Ok((Written { path, bytes }, memory_mib))
}

fn layout(description: &Description) -> Layout {
    match description.update {
        _ if description.is_uncompressed() => Layout::Plain,
        Some(_) => Layout::Blocks,
        None => Layout::Small,
    }
}

/// Parses the text of a configuration by the parser of the board.
fn parsed<'a>(name: &str, text: &'a [u8]) -> Result<Box<Config<'a>>> {
    let mut config = Box::new(Config::EMPTY);
    match config::parse(text, &mut config) {
        Ok(()) => Ok(config),
        Err(error) => bail!("{name}:{error}"),
    }
}

/// Returns the memory in MiB that a board needs to unpack and run an initramfs. The archive is in memory until it is
/// unpacked, and the files may use half of the rest (the limit of the tmpfs that is the first root filesystem).
fn memory_mib(unpacked: u64, archive: u64) -> u64 {
    /// For the kernel, and the minimum for programs.
    const REST: u64 = 64 << 20;
    (2 * unpacked + archive + REST).div_ceil(1 << 20).next_multiple_of(16)
}

/// Returns the configuration with the digests of the packed images filled in.
///
/// # Errors
/// A line needs the digest of an image that no description creates.
fn filled_in(path: &Path, config: &Config<'_>, text: Vec<u8>, digests: &[(String, String)]) -> Result<Vec<u8>> {
    for workload in &config.workloads {
        let is_open = workload.verity.is_some_and(|verity| verity.digest == verity::PLACEHOLDER);
        ensure!(
            !is_open || digests.iter().any(|(path, _)| path == workload.root),
            "{}: workload \"{}\": root {} verity={}: no [[root]] makes an image at that path; add one, or write the digest",
            path.display(),
            workload.name,
            workload.root,
            verity::PLACEHOLDER
        );
    }
    if digests.is_empty() {
        return Ok(text);
    }
    let text = String::from_utf8(text).context("a configuration that is not UTF-8")?;
    Ok(digests.iter().fold(text, |text, (path, digest)| verity::fill_in(&text, path, digest)).into_bytes())
}

fn architecture(description: &Description) -> Result<Architecture> {
    let name = description
        .architecture
        .as_deref()
        .context("no description sets the architecture; add a line: architecture = \"x86_64\"")?;
    let known = name.parse::<Architecture>().map_err(anyhow::Error::msg);
    known.with_context(|| format!("{}: architecture {name}", description.place_of(name)))
}

/// Returns the configuration's path and its contents.
fn configuration(description: &Description) -> Result<(&Path, Vec<u8>)> {
    let path = description
        .config
        .as_deref()
        .context("no description names a configuration; add a line: config = \"hilum.conf\"")?;
    let text = std::fs::read(path)
        .with_context(|| format!("{}: config {}", description.place_of_key("config"), path.display()))?;
    Ok((path, text))
}

fn kernel(description: &Description, tools: &Tools<'_>) -> Result<Kernel> {
    if let Some(folder) = &tools.places.kernel {
        // Machines that are started directly take the uncompressed kernel by its PVH entry.
        let is_direct = description.outputs.iter().all(|output| [Output::Direct, Output::Initramfs].contains(output));
        return Kernel::of_build(folder, is_direct);
    }
    match description.kernel.as_deref() {
        Some(TAILORED) => bail!(
            "{}: kernel {TAILORED}: no kernel; build one with make kernel, and name its folder by --kernel",
            description.place_of(TAILORED)
        ),
        Some(path) if path.contains('/') => Kernel::of_files(Path::new(path), description.kernel_modules.as_deref()),
        Some(name) => {
            tools.progress.say(&format!("kernel {name}"));
            let tree = tools.package(name).with_context(|| description.place_of(name))?;
            Kernel::of_package(&tree).with_context(|| format!("package {name}"))
        }
        None => bail!("no description names a kernel; add a line: kernel = \"linux-image-amd64\""),
    }
}

/// Returns the modules of the descriptions, and those that mount the image files.
fn modules(description: &Description, kernel: &Kernel) -> Result<Vec<String>> {
    let mut modules = description.modules.clone();
    // The kernel's list says whether they are built in.
    let kinds = description.roots.iter().filter_map(|root| match root.format {
        Format::Folder if root.packed.is_none() => None,
        Format::Squashfs => Some("squashfs"),
        _ => Some("erofs"),
    });
    let mut kinds: Vec<String> = kinds.map(str::to_owned).collect();
    kinds.sort();
    kinds.dedup();
    modules.extend((!kinds.is_empty()).then(|| "loop".to_owned()));
    // The variables of the firmware say which slot it starts.
    let has_variables = description.update.is_some() && description.outputs.contains(&Output::UefiDisk);
    modules.extend(has_variables.then(|| "efivarfs".to_owned()));
    modules.extend(kinds);
    for line in &modules {
        let name = line.split(' ').next().unwrap_or_default();
        let is_known = kernel.module(name)?.is_some() || kernel.is_built_in(&name.replace('-', "_"));
        ensure!(
            is_known,
            "{}: module {name}: the kernel has no such module; correct the name, or use another kernel",
            description.place_of(line)
        );
    }
    Ok(modules)
}

/// Formats the size of an initramfs by its contents, in bytes before compression.
fn size_summary(image: &Image) -> String {
    let mut shares = [("init", 0_u64, 0_usize), ("modules", 0, 0), ("root filesystems", 0, 0), ("other files", 0, 0)];
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

#[cfg(test)]
mod tests;
