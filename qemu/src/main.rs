//! `hilum-qemu`: boots an initramfs on this terminal, and draws pictures of consoles.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use hilum::Architecture;
use hilum_qemu::{Accelerator, End, Options, Vm, firmware};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long a kernel may take to print its first line before the accelerator counts as hung.
const PROBE: Duration = Duration::from_secs(10);

/// How long to wait for a page whose time is wanted.
const PAGE: Duration = Duration::from_secs(300);

/// How often a guest with slots may restart.
const RESTARTS: u32 = 100;

/// Runs hilum in QEMU.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boots an initramfs on this terminal until the guest powers off.
    Run {
        /// The guest's architecture.
        #[arg(long, value_parser = architectures())]
        arch: Architecture,
        /// The folder with the kernel (vmlinuz), the initramfs and perhaps a disk, as the image builder writes them. From a disk
        /// with slots (disk.img) the committed slot is booted, and again when the guest restarts.
        #[arg(long)]
        image: PathBuf,
        /// The machine is QEMU's microvm, and the kernel one for it.
        #[arg(long)]
        microvm: bool,
        /// The accelerator.
        #[arg(long, value_enum, default_value = "tcg")]
        accel: Accelerator,
        /// The guest's memory in MiB.
        #[arg(long, default_value_t = 256)]
        memory: u32,
        /// More words for the kernel command line.
        #[arg(long, default_value = "", allow_hyphen_values = true)]
        append: String,
        /// Forwards a port of this machine to one of the guest, as PORT:PORT. Uses another port of this machine if it is in
        /// use.
        #[arg(long, value_parser = ports)]
        publish: Option<(u16, u16)>,
        /// Prints how long after the start of QEMU the published port answered a request for / with status 200.
        #[arg(long, requires = "publish")]
        time: bool,
        /// Waits at this machine's port 1234 for gdb before the first instruction.
        #[arg(long)]
        gdb: bool,
        /// A file that the guest sees as a further disk, read-only: a bundle for `hilum update /dev/vdb`.
        #[arg(long)]
        bundle: Option<PathBuf>,
        /// Ends the guest after this many seconds.
        #[arg(long)]
        deadline: Option<u64>,
    },
    /// Prints an SVG picture of a recorded console.
    Picture {
        /// The recorded bytes of the console.
        transcript: PathBuf,
    },
}

/// Parses the name of an architecture, and lists all of them in the help text.
fn architectures() -> impl TypedValueParser<Value = Architecture> {
    PossibleValuesParser::new(Architecture::ALL.map(Architecture::name)).try_map(|name| name.parse())
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let ports = text.split_once(':').and_then(|(port, guest)| Some((port.parse().ok()?, guest.parse().ok()?)));
    ports.ok_or_else(|| "expected PORT:PORT".to_owned())
}

/// Returns this port of the loopback address, or another one if it is in use.
fn free_port(port: u16) -> Result<u16> {
    let bind = |port: u16| std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port));
    let listener = bind(port).or_else(|_| bind(0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn main() {
    if let Err(error) = run(Arguments::parse().command) {
        eprintln!("hilum-qemu: {error:#}");
        std::process::exit(1);
    }
}

fn run(command: Command) -> Result<()> {
    let Command::Run { arch, image, microvm, accel, memory, append, publish, time, gdb, bundle, deadline } = command
    else {
        return picture(command);
    };
    let (kernel, initramfs) = (image.join("vmlinuz"), image.join("initramfs"));
    for file in [&kernel, &initramfs] {
        if !file.is_file() {
            bail!("{}: no such file; run: make image ARCH={}", file.display(), arch.name());
        }
    }
    check_memory(&image, memory)?;
    let forwarded = publish.map(|(port, guest)| free_port(port).map(|port| (port, guest))).transpose()?;
    let network =
        forwarded.map(|(port, guest)| hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:{guest}")));
    let mut words: Vec<String> = network.into_iter().flatten().collect();
    // A disk with slots, or that of the data alone.
    let (slots, data) = (image.join("disk.img"), image.join("data.img"));
    if let Some(disk) = [&slots, &data].into_iter().find(|disk| disk.exists()) {
        words.extend(hilum_qemu::writable_disk(disk));
    }
    if let Some(bundle) = bundle {
        let drive = format!("file={},format=raw,if=none,id=bundle,readonly=on", bundle.display());
        words.extend(["-drive", &drive, "-device", "virtio-blk-pci,drive=bundle"].map(str::to_owned));
    }
    if gdb {
        words.extend(["-gdb", "tcp:127.0.0.1:1234", "-S"].map(str::to_owned));
    }
    let (words, append) = match microvm {
        true => (hilum_qemu::without_pci(words), format!("reboot=t {append}")),
        false => (words, append),
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let options = Options {
        arch,
        kernel: &kernel,
        initramfs: &initramfs,
        append: &append,
        memory_mib: memory,
        accelerator: accel,
        disk: None,
        more: &words,
    };
    if accel == Accelerator::Kvm {
        probe(&options)?;
    }
    let name = if accel == Accelerator::Kvm { "KVM" } else { "TCG" };
    println!("starting {} under {name}; quit with Ctrl-A X", arch.name());
    if let Some((port, _)) = forwarded {
        println!("the guest's port is at http://localhost:{port}/");
    }
    if gdb {
        println!("waiting for gdb: target remote localhost:1234");
    }
    if let Some((port, _)) = forwarded.filter(|_| time) {
        std::thread::spawn(move || print_time(port));
    }
    let until = deadline.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let command = if microvm { options.on(hilum_qemu::microvm(accel)) } else { options.command() };
    if slots.exists() { run_slots(&options, &slots, until) } else { boot(command, until) }
}

/// Prints when a page was served, if it ever is, on a terminal in raw mode.
fn print_time(port: u16) {
    let start = Instant::now();
    if let Some(at) = hilum_qemu::first_page(port, start + PAGE) {
        println!("the page was served {} ms after the start of QEMU\r", (at - start).as_millis());
    }
}

/// Boots the committed slot of a disk, and again when the guest restarts.
fn run_slots(options: &Options<'_>, disk: &Path, until: Option<Instant>) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    for _ in 0..=RESTARTS {
        let start = firmware::direct(disk, None, scratch.path())?;
        println!("slot {}", start.slot.name());
        let mut command = hilum_qemu::command(options.arch, options.accelerator);
        command.arg("-m").arg(options.memory_mib.to_string()).args(options.more);
        start.add_to(&mut command, options.append);
        let events = scratch.path().join("events");
        let _ = std::fs::remove_file(&events);
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", events.display()));
        let end = hilum_qemu::watch(events);
        boot(command, until)?;
        if end.join().unwrap_or(End::Off) == End::Off {
            return Ok(());
        }
    }
    bail!("the guest restarted more than {RESTARTS} times")
}

/// Runs QEMU on this terminal until it ends.
fn boot(mut qemu: std::process::Command, until: Option<Instant>) -> Result<()> {
    qemu.args(["-nographic", "-serial", "mon:stdio"]);
    // QEMU puts a terminal into raw mode; other input would only cause an end of file.
    if !rustix::termios::isatty(rustix::stdio::stdin()) {
        qemu.stdin(Stdio::null());
    }
    let mut child = qemu.spawn().with_context(|| format!("{:?}: install QEMU", qemu.get_program()))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return if status.success() { Ok(()) } else { bail!("QEMU exited with {status}") };
        }
        if until.is_some_and(|until| Instant::now() > until) {
            child.kill()?;
            child.wait()?;
            bail!("the guest did not power off within its deadline");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Refuses less memory, in MiB, than the image needs according to the builder.
fn check_memory(image: &Path, memory: u32) -> Result<()> {
    let needed = std::fs::read_to_string(image.join("memory")).ok().and_then(|text| text.trim().parse().ok());
    if let Some(needed) = needed.filter(|needed: &u32| memory < *needed) {
        // The kernel would stop unpacking before it prints anything.
        bail!("{}: needs {needed} MiB of memory, not {memory}; run: make run MEMORY={needed}", image.display());
    }
    Ok(())
}

fn picture(command: Command) -> Result<()> {
    if let Command::Picture { transcript } = command {
        let bytes = std::fs::read(&transcript).with_context(|| transcript.display().to_string())?;
        print!("{}", hilum_qemu::picture::svg(&bytes));
    }
    Ok(())
}

/// Boots the same kernel for a moment: in nested machines /dev/kvm often opens and then hangs.
fn probe(options: &Options<'_>) -> Result<()> {
    if !Path::new("/dev/kvm").exists() {
        bail!("no /dev/kvm; use ACCEL=tcg");
    }
    let scratch = std::env::temp_dir().join(format!("hilum-qemu-{}", std::process::id()));
    std::fs::create_dir(&scratch)?;
    // Without `quiet` the kernel prints at once.
    let talking = Options { append: "loglevel=7", ..options.clone() };
    let answer = Vm::start(&talking, &scratch).and_then(|vm| vm.console.expect("Linux version", PROBE));
    std::fs::remove_dir_all(&scratch)?;
    match answer {
        Ok(_) => Ok(()),
        Err(_) => bail!("KVM does not work here: no output from the guest within {} s; use ACCEL=tcg", PROBE.as_secs()),
    }
}
