//! The boot in chronological order, up to the event loop.
//!
//! An error prints one line and follows the policy of the kernel command line.

use super::boot_count::BootCount;
use super::context::Context;
use super::dispatch::{Init, Parts};
use super::event_loop::EventLoop;
use super::log_file::LogFile;
use super::reload::Reload;
use super::timeline::{Moment, Timeline};
use super::watchdog::Watchdog;
use super::workloads::Workloads;
use super::{configuration, early, kernel_settings, manifest, prompt, shutdown};
use crate::console::Console;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::hostname;
use hilum::cmdline;
use hilum::config::Config;
use hilum::log::Printable;
use hilum_sys::{Arguments, SignalSet};

/// Bytes of the kernel command line: 2048 on both architectures (COMMAND_LINE_SIZE), and a bootconfig may add to it.
const COMMAND_LINE_BYTES: usize = 4096;

/// Does everything before the event loop. Returns only if the loop can start.
#[inline(never)]
pub(super) fn boot(arguments: Arguments, prompt: prompt::Run) -> Init {
    // First of all, block signals, so that they stay pending until they are read.
    hilum_sys::mask(SignalSet::ALL);
    let mut timeline = Timeline::new();
    timeline.note(Moment::Entered);
    hilum_sys::on_panic(shutdown::after_panic);
    early::open_standard_descriptors();

    let (environment, missing) = early::prepare();
    if environment == Environment::Container {
        // Workloads would inherit ignored signals from the parent. The kernel starts its first process without any.
        hilum_sys::reset_signals();
    }
    timeline.note(Moment::Prepared);
    let mut console = Console::open(environment);
    early::print(&missing, &mut console);

    let mut command_line = [0; COMMAND_LINE_BYTES];
    let mut options = cmdline::parse(early::command_line(environment, &mut command_line));
    if let Some(word) = options.unknown {
        console.error(format_args!("kernel command line: unknown word \"{}\"", Printable(word.as_bytes())));
    }
    if let Some(path) = config_argument(arguments) {
        options.config = path;
    }

    if environment == Environment::Machine && !manifest::is_whole(&mut console) {
        shutdown::give_up(environment, options.fail, &mut console)
    }
    let Some(configuration) = configuration::read(options.config, None, None, &mut |line| console.error(line)) else {
        shutdown::give_up(environment, options.fail, &mut console)
    };
    timeline.note(Moment::Configured);
    let mut watchdog = Watchdog::new();
    let mut boots = BootCount::new(options.safe);
    watchdog.arm(configuration.get().system.watchdog, false, &mut console);
    early::configure(environment, configuration.get(), &mut console);
    let configuration = configuration::with_site(configuration, options.config, &mut |line| console.error(line));
    let config = configuration.get();
    hostname::set(environment, config, None, &mut |line| console.error(line));
    console.configure(&config.system.console);
    console.banner(config, options.config);

    watchdog.arm(config.system.watchdog, true, &mut console);
    boots.count_boot(config.system.boots, &mut console);
    let log_file = LogFile::start(config, &mut console);
    if boots.is_safe() {
        console.error(format_args!("safe mode: starting only workloads marked safe"));
    }
    if options.doctor {
        show_doctor(environment, config, &mut console);
    }
    let entered_us = timeline.entered_us();
    let made = EventLoop::open()
        .and_then(|events| Ok((events, Workloads::new(environment, config, entered_us, &mut console)?)));
    match made {
        Ok((events, workloads)) => {
            let reload = Reload::new(options.config);
            let cx = Context::new(environment, configuration, console, timeline, events);
            Init::new(Parts { cx, workloads, reload, watchdog, boots, log_file }, prompt, options.panic)
        }
        Err(errno) => {
            console.error(format_args!("event loop: {}", describe(errno)));
            shutdown::give_up(environment, options.fail, &mut console)
        }
    }
}

/// Prints what the kernel supports.
fn show_doctor(environment: Environment, config: &Config<'_>, console: &mut Console) {
    if environment == Environment::Machine {
        // Settings that fail are reported later, as at every boot.
        kernel_settings::make(config);
    }
    crate::doctor::doctor(&mut |line| console.error(line));
}

/// Returns the path after `--config`, for a PID 1 that a container engine or a test starts.
fn config_argument(arguments: Arguments) -> Option<&'static str> {
    let mut words = arguments.iter().skip(1);
    words.find(|word| *word == c"--config")?;
    words.next()?.to_str().ok()
}
