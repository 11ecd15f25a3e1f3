//! PID 1: the boot in the order in which it happens, then the event loop, which never ends.
//!
//! Before the loop an error prints one line and follows the policy of the kernel command line; after it has begun
//! nothing is fatal. This process never exits on a machine: what cannot go on ends in a reboot.

mod asked;
mod board;
mod configuration;
mod console;
mod control;
mod ends;
mod guard;
mod in_time;
mod leave;
mod lifecycle;
mod log_file;
mod logs;
mod machine;
mod manifest;
mod memory;
mod modules;
mod note;
mod preparation;
mod prompt;
mod reload;
mod requests;
pub(crate) mod settings;
mod source;
mod tell;
mod timeline;
mod wait;
mod watch;

pub(crate) use console::Console;
pub(crate) use control::USUAL as CONTROL;
pub(crate) use in_time::in_time;
pub(crate) use machine::{Kind, fill_standard_descriptors};
pub(crate) use wait::{becomes, becomes_until, milliseconds, pause};

use board::Board;
use guard::Guard;
use hilum::cmdline;
use hilum::log::Printable;
use hilum_sys::{Arguments, SignalSet};
use rustix::io::Errno;
use timeline::{Moment, Timeline};

/// Bytes of the kernel's command line: both architectures have 2048 (COMMAND_LINE_SIZE), and a bootconfig may add to them.
const COMMAND_LINE_BYTES: usize = 4096;

/// Boots, and supervises for ever.
///
/// What booting needs of the stack is given back: nothing of it lies below the loop that waits.
pub(crate) fn run(arguments: Arguments) -> ! {
    let mut board = boot(arguments);
    board.supervise()
}

/// Everything before the event loop; comes back only if that can begin.
#[inline(never)]
fn boot(arguments: Arguments) -> Board {
    // First of all: from here on a signal waits until it is read, instead of being lost.
    hilum_sys::mask(SignalSet::ALL);
    let mut timeline = Timeline::new();
    timeline.note(Moment::Entered);
    hilum_sys::on_panic(leave::after_panic);
    machine::open_standard_descriptors();

    let (kind, missing) = machine::prepare();
    if kind == Kind::Container {
        // What whoever started it ignores, workloads would ignore as well. The kernel starts its first process clean.
        hilum_sys::reset_signals();
    }
    timeline.note(Moment::Prepared);
    let mut console = Console::open(kind);
    machine::tell(&missing, &mut console);

    let mut command_line = [0; COMMAND_LINE_BYTES];
    let mut options = cmdline::parse(machine::command_line(kind, &mut command_line));
    if let Some(word) = options.unknown {
        console.say(format_args!("kernel command line: unknown word \"{}\"", Printable(word.as_bytes())));
    }
    if let Some(path) = config_argument(arguments) {
        options.config = path;
    }

    if kind == Kind::Machine && !manifest::is_whole(&mut console) {
        leave::give_up(kind, options.fail, &mut console)
    }
    let Some(configuration) = configuration::read(options.config, None, &mut |line| console.say(line)) else {
        leave::give_up(kind, options.fail, &mut console)
    };
    let config = configuration.get();
    timeline.note(Moment::Configured);
    let mut guard = Guard::new(options.safe);
    guard.arm(config.system.watchdog, false, &mut console);
    machine::configure(kind, config, &mut console);
    console.configure(&config.system.console);
    console.banner(config.workloads.len(), options.config);

    guard.arm(config.system.watchdog, true, &mut console);
    guard.count_boot(config.system.boots, &mut console);
    console.log_to(config);
    if guard.is_safe {
        console.say(format_args!("safe mode: only workloads that are marked safe start"));
    }
    if options.doctor {
        if kind == Kind::Machine {
            // What could not be made is told later on, as at every boot.
            settings::make(config);
        }
        crate::command::doctor(&mut |line| console.say(line));
    }
    match Board::new(kind, configuration, options.config, console, guard, timeline) {
        Ok(mut board) => {
            board.panics_once = options.panic;
            board
        }
        Err((mut console, errno)) => {
            console.say(format_args!("event loop: {}", words(errno)));
            leave::give_up(kind, options.fail, &mut console)
        }
    }
}

/// The path behind `--config`, for a PID 1 that a container engine or a test started.
fn config_argument(arguments: Arguments) -> Option<&'static str> {
    let mut words = arguments.iter().skip(1);
    words.find(|word| *word == c"--config")?;
    words.next()?.to_str().ok()
}

/// Reads a file into `buffer`, as much as fits; gives the number of bytes.
pub(crate) fn read_file(path: &str, buffer: &mut [u8]) -> Result<usize, Errno> {
    use crate::path::open;
    use rustix::fs::{Mode, OFlags};
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?;
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(&file, rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(length)
}

/// An errno of rustix in the words of the library.
pub(crate) fn words(errno: Errno) -> hilum::errno::Errno {
    hilum::errno::Errno(u16::try_from(errno.raw_os_error()).unwrap_or_default())
}
