//! A configuration against the image that it is packed into: what would fail on the board fails here, with its line.

use crate::elf;
use crate::image::Image;
use crate::kernel::Kernel;
use crate::links;
use crate::modules::{self, Modules};
use crate::node::Node;
use anyhow::{Result, bail, ensure};
use hilum::Architecture;
use hilum::config::{self, Config, DeviceSource, Workload};

/// Folders that PID 1 attaches something to in every root filesystem.
const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "run", "tmp"];

/// The file that says which modules are loaded for which device: a line each, `PATTERN MODULE`.
const ALIASES: &str = "lib/modules/aliases";

/// Root filesystems that were packed as image files, by the path that a configuration names them by; each as an image with
/// the root at its own root.
pub type Roots = std::collections::BTreeMap<String, Image>;

/// Checks a configuration by the board's own parser, and every path that it names against the image.
///
/// `name` is the file's name for error messages; `init` is the ELF file that will be PID 1; `roots` are root filesystems
/// that were packed as image files.
///
/// # Errors
/// One line: the file, the line, what is wrong and what to do.
pub fn check(name: &str, bytes: &[u8], init: &[u8], image: &Image, roots: &Roots) -> Result<()> {
    let mut config = Box::new(Config::EMPTY);
    if let Err(error) = config::parse(bytes, &mut config) {
        bail!("{name}:{error}");
    }
    let Some(init) = elf::facts(init) else { bail!("the init is not a 64-bit ELF file") };
    for module in &config.system.modules {
        ensure!(
            modules::has(image, module.name),
            "{name}:{1}:1: module {0}: no /lib/modules/{0}.ko in the image: the kernel has no such module; correct the name",
            module.name,
            line_of_module(bytes, module.name)
        );
    }
    for workload in &config.workloads {
        if let Err(error) = check_workload(&config, workload, init.machine, image, roots) {
            bail!("{name}:{}:1: workload \"{}\": {error}", workload.line, workload.name);
        }
    }
    Ok(())
}

/// The line, from 1, that names a module.
fn line_of_module(bytes: &[u8], name: &str) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let is_it = |line: &str| line.split_whitespace().take(2).eq(["module", name]);
    text.lines().position(is_it).map_or(1, |line| line + 1)
}

/// The modules that devices of a class are served by, whoever made them; a device with a driver of its own has one more.
const CLASSES: [(&str, &[&str]); 6] = [
    ("tty", &["cdc_acm"]),
    ("sound", &["snd_usb_audio"]),
    ("video4linux", &["uvcvideo"]),
    ("hidraw", &["usbhid", "hid_generic"]),
    ("input", &["usbhid", "hid_generic"]),
    ("block", &["usb_storage", "uas", "sd_mod"]),
];

/// Packs the kernel modules that a configuration names, or that its other lines need, and `more`: names, each with
/// parameters behind it or not, which PID 1 loads as well. What is loaded when a device asks for it are `hotplug` and the modules of
/// `device usb=` lines: those that are made for that very device, and those of the line's class.
///
/// # Errors
/// A file that cannot be read, a module of `more` or `hotplug` that there is none of. A configuration that is wrong is found by
/// [`check`].
pub fn add_modules(
    bytes: &[u8],
    kernel: &Kernel,
    more: &[String],
    hotplug: &[String],
    image: &mut Image,
) -> Result<()> {
    let mut config = Box::new(Config::EMPTY);
    if config::parse(bytes, &mut config).is_err() {
        return Ok(());
    }
    let mut modules = Modules::default();
    for module in &config.system.modules {
        modules.add(image, kernel, module.name)?;
    }
    for name in config::needed_modules(&config) {
        modules.add(image, kernel, name)?;
    }
    // A kernel without a list of what it has built in may have anything.
    for mount in config.system.mounts.iter().filter(|_| kernel.has_list()) {
        ensure!(
            modules::has(image, mount.kind),
            "mount {}: the kernel has no filesystem {}, neither built in nor as a module",
            mount.target,
            mount.kind
        );
    }
    for line in more {
        let name = line.split(' ').next().unwrap_or_default();
        modules.add(image, kernel, name)?;
        ensure!(modules::has(image, name), "module {name}: the kernel has no such module");
    }
    let mut by_name: Vec<&str> = hotplug.iter().map(String::as_str).collect();
    let mut lines = std::collections::BTreeSet::new();
    for device in config.workloads.iter().flat_map(|workload| config.pools.of(workload.isolation.devices)) {
        let DeviceSource::Usb(id) = device.source else { continue };
        by_name.extend(CLASSES.iter().filter(|(class, _)| *class == device.class).flat_map(|(_, names)| *names));
        // As it is written in drivers' tables (scripts/mod/file2alias.c).
        let own = format!("usb:v{:04X}p{:04X}", id.vendor, id.product);
        lines.extend(kernel.patterns().iter().filter(|(pattern, _)| pattern.starts_with(&own)));
    }
    let by_name: Vec<String> = by_name.iter().map(|name| name.replace('-', "_")).collect();
    if !by_name.is_empty() {
        lines.extend(kernel.patterns().iter().filter(|(_, module)| by_name.contains(module)));
    }
    let mut text = String::new();
    for (pattern, module) in lines {
        if modules.add(image, kernel, module)? {
            text += &format!("{pattern} {module}\n");
        }
    }
    for name in hotplug {
        modules.add(image, kernel, name)?;
        ensure!(modules::has(image, name), "module {name}: the kernel has no such module");
    }
    if !text.is_empty() {
        image.file(ALIASES, 0o644, text);
    }
    if !more.is_empty() {
        image.file("lib/modules/load", 0o644, more.iter().map(|line| format!("{line}\n")).collect::<String>());
    }
    Ok(())
}

/// Whether a path is below what the kernel fills by itself.
fn is_made_at_boot(path: &str) -> bool {
    let below = |place: &&str| path.strip_prefix(*place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ["/dev", "/proc", "/sys", "/run"].iter().any(below)
}

fn check_workload(
    config: &Config<'_>,
    workload: &Workload<'_>,
    machine: u16,
    image: &Image,
    roots: &Roots,
) -> Result<()> {
    // What is on a disk shows when it is mounted.
    let is_here = |path: &str| !is_made_at_boot(path) && config.mount_of(path).is_none();
    for bind in config.pools.of(workload.isolation.mounts).iter().filter(|bind| is_here(bind.source)) {
        ensure!(
            image.get(bind.source).is_some(),
            "mount {}: not in the image; add it, or mount a disk there",
            bind.source
        );
    }
    let packed = roots.get(workload.root);
    let (image, root) = packed.map_or((image, workload.root.trim_matches('/')), |packed| (packed, ""));
    let is_disk = workload.root.starts_with("/dev/") || !workload.root.starts_with('/') || !is_here(workload.root);
    match image.get(root) {
        _ if packed.is_some() => {}
        // What is inside shows when it is mounted.
        Some((_, Node::File(_))) => return Ok(()),
        None if is_disk => return Ok(()),
        Some((_, Node::Folder)) => {}
        _ => bail!("root {}: no such folder or image file in the image; add a [[root]] with that path", workload.root),
    }
    let is_folder = |path: &str| matches!(image.get(path), Some((_, Node::Folder)));
    for place in MOUNT_POINTS {
        ensure!(is_folder(&format!("{root}/{place}")), "root {} needs an empty folder /{place}", workload.root);
    }
    let volumes = config.pools.of(workload.isolation.volumes).iter().map(|volume| volume.bind());
    for bind in config.pools.of(workload.isolation.mounts).iter().copied().chain(volumes) {
        let is_there = image.get(&format!("{root}{}", bind.target)).is_some();
        ensure!(is_there, "mount {}: not in {}; create a mount point there", bind.target, workload.root);
    }
    let program = config.pools.of(workload.exec)[0];
    let Some((mode, contents)) = find(image, root, program) else {
        bail!("exec {program}: no such file in {}; write its path inside of it", workload.root);
    };
    ensure!(mode & 0o111 != 0, "exec {program}: not executable; set its mode to 755");
    let interpreter = if let Some(facts) = elf::facts(contents) {
        let (is, needed) = (elf::machine_name(facts.machine), elf::machine_name(machine));
        ensure!(
            facts.machine == machine,
            "exec {program}: built for {is}, the board is {needed}; use one for {needed}"
        );
        facts.interpreter
    } else if let Some(line) = contents.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned)
    } else {
        bail!("exec {program}: neither an ELF file nor a script with #!");
    };
    if let Some(interpreter) = interpreter {
        let is_there = find(image, root, &interpreter).is_some();
        ensure!(is_there, "exec {program}: its interpreter {interpreter} is not in {}; add it", workload.root);
    }
    if let Some(library) = elf::facts(contents).and_then(|facts| missing_library(image, root, &facts)) {
        bail!("exec {program}: the library {library} is not in {}; add it", workload.root);
    }
    Ok(())
}

/// The first shared library that a program needs, or that one of its libraries needs, and that is nowhere where loaders
/// look. What says itself where its libraries are is taken at its word.
fn missing_library(image: &Image, root: &str, program: &elf::Facts) -> Option<String> {
    let known = Architecture::ALL.into_iter().find(|known| known.elf_machine() == program.machine);
    let folders = ["usr/lib", "lib", "usr/local/lib", "usr/lib64", "lib64"].into_iter().flat_map(|folder| {
        let multiarch = known.map(|known| format!("{folder}/{}", known.multiarch()));
        multiarch.into_iter().chain([folder.to_owned()])
    });
    let folders: Vec<String> = folders.collect();
    let mut seen = std::collections::BTreeSet::new();
    let mut rest = if program.has_own_path { Vec::new() } else { program.libraries.clone() };
    while let Some(name) = rest.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let found = folders.iter().find_map(|folder| find(image, root, &format!("{folder}/{name}")));
        let Some((_, bytes)) = found else { return Some(name) };
        match elf::facts(bytes) {
            Some(facts) if !facts.has_own_path => rest.extend(facts.libraries),
            _ => {}
        }
    }
    None
}

/// The file at `path` inside of the root filesystem at `root`, as a process with that root would find it.
fn find<'a>(image: &'a Image, root: &str, path: &str) -> Option<(u32, &'a [u8])> {
    let place = links::follow(path, &mut |here| match image.get(&format!("{root}/{here}")) {
        Some((_, Node::Link(target))) => Ok(Some(target.clone())),
        Some(_) => Ok(None),
        None => bail!("/{here}: not in {root}"),
    });
    match image.get(&format!("{root}/{}", place.ok()?))? {
        (mode, Node::File(contents)) => Some((mode, contents)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
