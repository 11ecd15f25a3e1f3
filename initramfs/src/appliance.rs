//! Checks a configuration against its image: what would fail on the board fails here, with the line.

use crate::elf;
use crate::image::Image;
use crate::kernel::Kernel;
use crate::links;
use crate::modules::{self, Modules};
use crate::node::Node;
use anyhow::{Result, bail, ensure};
use hilum::Architecture;
use hilum::config::{self, Config, DeviceSource, Workload};
use hilum::namespaces::Namespaces;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Mount points that PID 1 needs in every root filesystem.
const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "run", "tmp"];

/// The list of modules to load for devices, with lines `PATTERN MODULE`.
const ALIASES: &str = "lib/modules/aliases";

/// The root filesystems that were packed.
#[derive(Debug, Default)]
pub struct Roots {
    /// Those that are image files, by the path in the configuration. Each is an `Image` whose root is the filesystem's
    /// root.
    pub images: BTreeMap<String, Image>,
    /// Paths of root filesystems whose programs are not checked (`check = false`).
    pub unchecked: BTreeSet<String>,
}

/// Parses a configuration as the board does, and checks every path in it against the image.
///
/// `name` is the file's name in error messages; `init` is the ELF file for PID 1; `roots` are the root filesystems that
/// were packed as image files.
///
/// # Errors
/// One line: the file, the line, the problem and the remedy.
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

/// Returns the line, from 1, that names a module.
fn line_of_module(bytes: &[u8], name: &str) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let is_it = |line: &str| line.split_whitespace().take(2).eq(["module", name]);
    text.lines().position(is_it).map_or(1, |line| line + 1)
}

/// Generic modules for a class of devices; a device may have a specific driver besides.
const CLASSES: [(&str, &[&str]); 6] = [
    ("tty", &["cdc_acm"]),
    ("sound", &["snd_usb_audio"]),
    ("video4linux", &["uvcvideo"]),
    ("hidraw", &["usbhid", "hid_generic"]),
    ("input", &["usbhid", "hid_generic", "evdev"]),
    ("block", &["usb_storage", "uas", "sd_mod"]),
];

/// Packs the kernel modules that a configuration names or needs, and those in `more`: names with optional parameters,
/// which PID 1 loads as well. Modules that are loaded on demand are those in `hotplug` and those of `device usb=`
/// lines: the drivers of that device, and those of the line's class.
///
/// # Errors
/// A file that cannot be read, a missing module of `more` or `hotplug`. Errors in the configuration are reported by
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
    let mut needed = Vec::new();
    config::needed_modules(&config, &mut |name| needed.push(name));
    for name in needed {
        modules.add(image, kernel, name)?;
    }
    // A kernel without a list of built-in modules may have any of them built in.
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
        // The form of modaliases in drivers' tables (scripts/mod/file2alias.c).
        let own = format!("usb:v{}p{}", id.vendor.to_ascii_uppercase(), id.product.to_ascii_uppercase());
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
    list_modules(&config, more, image);
    Ok(())
}

/// Writes the list of modules with parameters that PID 1 loads besides those of the configuration.
fn list_modules(config: &Config<'_>, more: &[String], image: &mut Image) {
    let mut lines: Vec<&str> = more.iter().map(String::as_str).collect();
    let is_in_file = matches!(image.get("lib/modules/dm_verity.ko"), Some((_, Node::File(_))));
    let is_named = config.system.modules.iter().any(|module| module.name == "dm_verity");
    if is_in_file && !is_named && !lines.iter().any(|line| line.starts_with("dm_verity")) {
        lines.push(VERITY);
    }
    if !lines.is_empty() {
        image.file("lib/modules/load", 0o644, lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    }
}

/// The module of verified images, with a parameter: it reads 16 KiB of hashes before those that it needs are there, for 2 MiB of data,
/// instead of 256 KiB, most of which a start does not need (drivers/md/dm-verity-target.c).
const VERITY: &str = "dm_verity prefetch_cluster=16384";

/// Files that are added to every image after the checks.
const ALWAYS: [&str; 2] = ["/init", "/etc/hilum.conf"];

/// Returns whether a path is in a filesystem that the kernel fills itself.
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
    // The contents of a disk are checked when it is mounted.
    let is_here = |path: &str| !is_made_at_boot(path) && config.mount_of(path).is_none();
    for bind in config.pools.of(workload.isolation.mounts).iter().filter(|bind| is_here(bind.source)) {
        ensure!(
            image.get(bind.source).is_some() || ALWAYS.contains(&bind.source),
            "mount {}: not in the image; add it, or mount a disk there",
            bind.source
        );
    }
    let packed = roots.images.get(workload.root);
    let (image, root) = packed.map_or((image, workload.root.trim_matches('/')), |packed| (packed, ""));
    let is_disk = workload.root.starts_with("/dev/") || !workload.root.starts_with('/') || !is_here(workload.root);
    match image.get(root) {
        _ if packed.is_some() => {}
        // The contents are checked when it is mounted.
        Some((_, Node::File(_))) => return Ok(()),
        None if is_disk => return Ok(()),
        Some((_, Node::Folder)) => {}
        _ => bail!("root {}: no such folder or image file in the image; add a [[root]] with that path", workload.root),
    }
    check_places(config, workload, image, root)?;
    if roots.unchecked.contains(workload.root) {
        return Ok(());
    }
    check_owners(workload, image, root)?;
    check_program(config, workload, machine, image, root)
}

/// Checks the mount points and the working directory.
fn check_places(config: &Config<'_>, workload: &Workload<'_>, image: &Image, root: &str) -> Result<()> {
    let at = |path: &str| image.get(&format!("{root}/{path}"));
    for place in MOUNT_POINTS {
        match at(place) {
            Some((_, Node::Folder)) => {}
            Some((_, Node::Link(target))) => {
                bail!("root {}: /{place} is a symbolic link to {target}; make it a folder", workload.root)
            }
            _ => bail!("root {} needs an empty folder /{place}", workload.root),
        }
    }
    let volumes = config.pools.of(workload.isolation.volumes).iter().map(|volume| volume.bind());
    let mounts: Vec<_> = config.pools.of(workload.isolation.mounts).iter().copied().chain(volumes).collect();
    let has_resolv = matches!(at("etc/resolv.conf"), Some((_, Node::File(_))));
    ensure!(
        has_resolv || !workload.network.has_resolv,
        "resolv: /etc/resolv.conf of {} is no file; put an empty file there",
        workload.root
    );
    for bind in &mounts {
        let place = followed(image, root, bind.target)?;
        let is_there = at(&place).is_some();
        let target = bind.target.trim_matches('/');
        // The board does not follow links to mount points.
        ensure!(
            place == target || !is_there,
            "mount {}: leads over a symbolic link to /{place}; write that path",
            bind.target
        );
        ensure!(is_there, "mount {}: not in {}; create a mount point there", bind.target, workload.root);
        let is_in_memory = ["run/", "tmp/"].iter().any(|memory| target.starts_with(memory));
        ensure!(
            !is_in_memory || matches!(at(&place), Some((_, Node::Folder))),
            "mount {}: of what {} has below /run and /tmp, the board has the folders alone; mount a folder there",
            bind.target,
            workload.root
        );
    }
    let directory = followed(image, root, workload.directory)?;
    let is_below = |place: &str| {
        let rest = directory.strip_prefix(place.trim_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_made = is_made_at_boot(&format!("/{directory}")) && at(&directory).is_none() && !is_below("run");
    let is_there = is_made || mounts.iter().any(|bind| is_below(bind.target));
    ensure!(
        is_there || directory.is_empty() || matches!(at(&directory), Some((_, Node::Folder))),
        "directory {}: no such folder in {}; correct the line, or make it",
        workload.directory,
        workload.root
    );
    Ok(())
}

/// Refuses owners without a mapped id in the workload: nobody could use their files.
fn check_owners(workload: &Workload<'_>, image: &Image, root: &str) -> Result<()> {
    if workload.isolation.shared & Namespaces::USER != 0 {
        return Ok(());
    }
    let below = format!("{root}/");
    let is_inside = |path: &str| root.is_empty() || path.starts_with(&below);
    let last = config::limits::IDS - 1;
    if let Some((path, (uid, gid))) = image.owners().find(|(path, (uid, gid))| is_inside(path) && *uid.max(gid) > last)
    {
        let path = if root.is_empty() { path } else { &path[below.len()..] };
        bail!(
            "root {}: /{path} belongs to {uid}:{gid}, and the ids of a workload end at {last}; change its owner, or \
               write: share user",
            workload.root
        );
    }
    Ok(())
}

/// Checks whether the program can be executed: mode, machine, interpreter, libraries.
fn check_program(config: &Config<'_>, workload: &Workload<'_>, machine: u16, image: &Image, root: &str) -> Result<()> {
    let program = config.pools.of(workload.exec)[0];
    let Some((mode, contents)) = find(image, root, program) else {
        bail!("exec {program}: no such file in {}; write its path inside of it", workload.root);
    };
    ensure!(mode & 0o111 != 0, "exec {program}: not executable; set its mode to 755");
    let interpreter = if let Some(facts) = elf::facts(&contents) {
        let (is, needed) = (elf::machine_name(facts.machine), elf::machine_name(machine));
        ensure!(
            facts.machine == machine,
            "exec {program}: built for {is}, the board is {needed}; use one for {needed}"
        );
        facts.interpreter
    } else if let Some(line) = contents.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // The kernel takes the CR as a part of the name (ENOENT).
        ensure!(!line.ends_with(b"\r"), "exec {program}: its lines end in CR LF; save it with LF alone");
        String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned)
    } else {
        bail!("exec {program}: neither an ELF file nor a script with #!");
    };
    if let Some(interpreter) = interpreter {
        let is_there = find(image, root, &interpreter).is_some();
        ensure!(is_there, "exec {program}: its interpreter {interpreter} is not in {}; add it", workload.root);
    }
    let env = config.pools.of(workload.env).iter().find(|variable| variable.name == "LD_LIBRARY_PATH");
    let env = env.map_or("", |variable| variable.value);
    if let Some(library) = elf::facts(&contents).and_then(|facts| missing_library(image, root, env, &facts)) {
        bail!(
            "exec {program}: the library {library} is not in {}; add it, or, if the program finds it elsewhere, write in its \
             [[root]]: check = false",
            workload.root
        );
    }
    Ok(())
}

/// Returns the first shared library of a program, directly or through other libraries, that is in none of the loader's
/// folders (ld.so(8)). `more` are the folders of LD_LIBRARY_PATH. A program with its own search path is not checked.
fn missing_library(image: &Image, root: &str, more: &str, program: &elf::Facts) -> Option<String> {
    let known = Architecture::ALL.into_iter().find(|known| known.elf_machine() == program.machine);
    let folders = ["usr/lib", "lib", "usr/local/lib", "usr/lib64", "lib64"].into_iter().flat_map(|folder| {
        let multiarch = known.map(|known| format!("{folder}/{}", known.multiarch()));
        multiarch.into_iter().chain([folder.to_owned()])
    });
    let named = more.split([':', ';']).map(str::to_owned).chain(configured_folders(image, root));
    let folders: Vec<String> = named.filter(|folder| folder.starts_with('/')).chain(folders).collect();
    let mut seen = std::collections::BTreeSet::new();
    let mut rest = if program.has_own_path { Vec::new() } else { program.libraries.clone() };
    while let Some(name) = rest.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let found = folders.iter().find_map(|folder| find(image, root, &format!("{folder}/{name}")));
        let Some((_, bytes)) = found else { return Some(name) };
        match elf::facts(&bytes) {
            Some(facts) if !facts.has_own_path => rest.extend(facts.libraries),
            _ => {}
        }
    }
    None
}

/// Returns the folders in the loader's configuration: /etc/ld.so.conf, the files next to it, and musl's.
fn configured_folders(image: &Image, root: &str) -> Vec<String> {
    let prefix = if root.is_empty() { String::new() } else { format!("{root}/") };
    let is_one = |path: &str| {
        let inside = path.strip_prefix(&prefix).and_then(|inside| inside.strip_prefix("etc/ld"));
        inside
            .is_some_and(|name| name.starts_with(".so.conf") || (name.starts_with("-musl-") && name.ends_with(".path")))
    };
    let files = image.files().map(|(path, _)| path).filter(|path| is_one(path));
    let texts = files.filter_map(|path| match image.get(path) {
        Some((_, Node::File(contents))) => Some(contents.text()),
        _ => None,
    });
    let texts: Vec<String> = texts.collect();
    texts.iter().flat_map(|text| text.split(['\n', ':'])).map(|line| line.trim().to_owned()).collect()
}

/// Resolves symbolic links as a process with that root would.
fn followed(image: &Image, root: &str, path: &str) -> Result<String> {
    links::follow(path, &mut |here| {
        Ok(match image.get(&format!("{root}/{here}")) {
            Some((_, Node::Link(target))) => Some(target.clone()),
            _ => None,
        })
    })
}

/// Finds the file at `path` as a process in the root filesystem at `root` would.
fn find<'a>(image: &'a Image, root: &str, path: &str) -> Option<(u32, Cow<'a, [u8]>)> {
    let place = links::follow(path, &mut |here| match image.get(&format!("{root}/{here}")) {
        Some((_, Node::Link(target))) => Ok(Some(target.clone())),
        Some(_) => Ok(None),
        None => bail!("/{here}: not in {root}"),
    });
    match image.get(&format!("{root}/{}", place.ok()?))? {
        (mode, Node::File(contents)) => Some((mode, contents.read().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
