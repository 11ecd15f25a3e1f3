//! Loads kernel modules with their dependencies.
//!
//! There is no modprobe. The image builder puts the files directly into /lib/modules, and their dependencies into one
//! file there: a line for each module, with the others in the order in which they are loaded.

use crate::console::Console;
use crate::os::errno::describe;
use crate::os::files::{each, read_text, sys_path, text_of};
use crate::os::path::{access, open};
use core::ffi::CStr;
use hilum::config::{Config, limits, needed_modules};
use hilum::fixed_string::text;
use hilum::modalias::module_of;
use hilum::module_list;
use hilum::split::Split;
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;

/// The file of dependencies.
const NEEDS: &str = "/lib/modules/needs";
/// Bytes of that file: 200 modules with a few dependencies each.
const NEEDS_BYTES: usize = 16 * 1024;

/// The modules that the image's board needs: a line each, a name with optional parameters.
const LOAD: &str = "/lib/modules/load";
/// Bytes of that file.
const LOAD_BYTES: usize = 4 * 1024;

/// The image's modules that devices of the board may request, one line `PATTERN MODULE` each.
const ALIASES: &str = "/lib/modules/aliases";
/// The kernel's devices by bus.
const BUSES: &str = "/sys/bus";

/// Why a module was not loaded, and a hint.
type Failure = (Errno, &'static str);

/// Returns whether there are modules to load.
pub(super) fn has_any(config: &Config<'_>) -> bool {
    let mut has_any = !config.system.modules.is_empty() || access(LOAD, Access::EXISTS).is_ok();
    needed_modules(config, &mut |_| has_any = true);
    has_any
}

/// Loads the modules of `module` lines, and those that other lines need if the image has them; modules that are built
/// into the kernel have no file.
pub(super) fn load_all(config: &Config<'_>, console: &mut Console) {
    if !has_any(config) {
        return;
    }
    let (mut buffer, mut list) = ([0; NEEDS_BYTES], [0; LOAD_BYTES]);
    let needs = read_text(NEEDS, &mut buffer);
    let board = module_list::to_load(read_text(LOAD, &mut list));
    let mut load = |name: &str, parameters: &str| {
        if let Err((errno, hint)) = load_with(needs, name, parameters) {
            let before = if hint.is_empty() { "" } else { ": " };
            console.error(format_args!("module {name}: {}{before}{hint}", describe(errno)));
        }
    };
    config.system.modules.iter().for_each(|module| load(module.name, module.parameters));
    board.for_each(|(name, parameters)| load(name, parameters));
    needed_modules(config, &mut |name| match load_with(needs, name, "") {
        // The processor has no such instructions, for example.
        Ok(()) | Err((Errno::NOENT, MISSING) | (Errno::NODEV, _)) => {}
        Err((errno, _)) => console.error(format_args!("module {name}: {}", describe(errno))),
    });
}

/// Loads a module after its dependencies.
#[inline(never)]
fn load_with(needs: &str, name: &str, parameters: &str) -> Result<(), Failure> {
    let Some(others) = module_list::needs_of(needs, name) else { return Ok(()) };
    for other in others {
        load(other, "")?;
    }
    load(name, parameters)
}

const MISSING: &str = "not in /lib/modules";

/// Loads one module. It may already be loaded or built in under the same name.
fn load(name: &str, parameters: &str) -> Result<(), Failure> {
    // A name has at most 64 bytes, and parameters fit on one line.
    let path = text::<96>(format_args!("/lib/modules/{name}.ko"));
    let text = text::<{ limits::LINE_BYTES }>(format_args!("{parameters}\0"));
    let file = open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let file = file.map_err(|errno| (errno, if errno == Errno::NOENT { MISSING } else { "" }))?;
    let parameters = CStr::from_bytes_with_nul(text.as_bytes()).map_err(|_| (Errno::INVAL, ""))?;
    match rustix::system::finit_module(&file, parameters, 0) {
        Err(Errno::EXIST) => Ok(()),
        Err(Errno::NOENT) => Err((Errno::NOENT, "needs another module; put its line first")),
        Err(Errno::NOEXEC) => Err((Errno::NOEXEC, "built for another kernel")),
        result => result.map_err(|errno| (errno, "")),
    }
}

/// Returns whether the image has modules for devices.
pub(super) fn has_aliases() -> bool {
    access(ALIASES, Access::EXISTS).is_ok()
}

/// Loads the modules for devices without a driver, if the image has them. udev does the same by kmod(8), for each
/// device.
pub(super) fn load_by_alias(console: &mut Console) {
    let mut buffer = [0; NEEDS_BYTES];
    let needs = read_text(NEEDS, &mut buffer);
    let mut load_in = |folder: &str| {
        let _ = each(folder, &mut |device| {
            let at = |name: &str| sys_path(format_args!("{folder}/{device}/{name}"));
            let mut modalias = [0; 512];
            let modalias = read_text(&at("modalias"), &mut modalias);
            if !modalias.is_empty() && access(&at("driver"), Access::EXISTS).is_err() {
                load_for(needs, modalias, console);
            }
            Ok(())
        });
    };
    let _ = each(BUSES, &mut |bus| {
        load_in(&sys_path(format_args!("{BUSES}/{bus}/devices")));
        Ok(())
    });
    // The one class whose devices have a modalias but no bus (drivers/input/input.c).
    load_in("/sys/class/input");
}

/// Loads the modules for one device.
fn load_for(needs: &str, modalias: &str, console: &mut Console) {
    let Ok(file) = open(ALIASES, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return };
    let mut buffer = [0; 4096];
    let mut kept = 0;
    while let Ok(count @ 1..) = rustix::io::read(&file, &mut buffer[kept..]) {
        let length = kept + count;
        let whole = buffer[..length].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in text_of(&buffer, whole).each_line() {
            let Some(name) = module_of(line, modalias) else { continue };
            if access(&sys_path(format_args!("/sys/module/{name}")), Access::EXISTS).is_ok() {
                continue;
            }
            if let Err((errno, hint)) = load_with(needs, name, "") {
                let before = if hint.is_empty() { "" } else { ": " };
                console.error(format_args!("module {name} for {modalias}: {}{before}{hint}", describe(errno)));
            }
        }
        // A line is shorter than the buffer.
        buffer.copy_within(whole..length, 0);
        kept = length - whole;
    }
}
