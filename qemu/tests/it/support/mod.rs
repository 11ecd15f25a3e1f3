//! Shared helpers of the tests: built files, images, machines, and PID 1 on the host.

mod builder;
mod console;
pub(crate) mod ddi;
pub(crate) mod isolation;
pub(crate) mod real;
pub(crate) mod running;
pub(crate) mod sntp;
pub(crate) mod wire;

pub(crate) use builder::{agent, boot_guest, build, build_signed, build_update};
pub(crate) use console::{at_prompt, fact, facts, has_in_order, has_line, without_prompt};

use hilum_initramfs::{Compression, Image};
use hilum_qemu::{Accelerator, Architecture, Namespace, Options, Terminal, Vm};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The timeout from the start of QEMU to an expected line.
pub(crate) const BOOT: Duration = Duration::from_secs(120);
/// The same for PID 1 on the host.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Returns a file that `make test` built or fetched.
pub(crate) fn built(path: &str) -> PathBuf {
    let build = std::env::var_os("HILUM_BUILD")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../build"), PathBuf::from);
    let file = build.join(path);
    assert!(file.exists(), "{} is missing; run the tests with: make test", file.display());
    file
}

pub(crate) fn hilum(arch: Architecture) -> PathBuf {
    built(&format!("board/{}/hilum", arch.name()))
}

pub(crate) fn probe(arch: Architecture) -> PathBuf {
    built(&format!("board/{}/probe", arch.name()))
}

/// Returns the architecture that the tests themselves run on.
pub(crate) fn host() -> Architecture {
    Architecture::ALL.into_iter().find(|arch| arch.name() == std::env::consts::ARCH).expect("a supported architecture")
}

/// Returns an image with hilum, a configuration, and a root filesystem at /images/probe with the probe and the empty
/// folders.
pub(crate) fn image(arch: Architecture, config: &str) -> Image {
    let mut image = Image::new();
    image.file("init", 0o755, std::fs::read(hilum(arch)).expect("hilum"));
    image.file("etc/hilum.conf", 0o644, config);
    image.file("images/probe/bin/probe", 0o755, std::fs::read(probe(arch)).expect("the probe"));
    for place in ["dev", "proc", "run", "sys", "tmp"] {
        image.folder(&format!("images/probe/{place}"), 0o755);
    }
    image
}

/// The maximum number of parallel machines, because each keeps one processor busy.
static MACHINES: (Mutex<u32>, Condvar) = (Mutex::new(2), Condvar::new());

/// A running machine, and its temporary files.
pub(crate) struct Booted {
    pub(crate) vm: Vm,
    _scratch: tempfile::TempDir,
    _slot: QemuSlot,
}

struct QemuSlot;

impl QemuSlot {
    fn take() -> Self {
        let mut free = MACHINES.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = MACHINES.1.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Self
    }
}

impl Drop for QemuSlot {
    fn drop(&mut self) {
        *MACHINES.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        MACHINES.1.notify_one();
    }
}

/// The Debian release of the default kernel: 6.1.
pub(crate) const USUAL: &str = "bookworm";

/// Debian's kernel of that release even with `HILUM_KERNEL=tailored`: for tests in which modules are missing.
pub(crate) const MODULAR: &str = "bookworm with modules";

/// Releases with the oldest, the default and the newest kernel: 5.10, 6.1 and 6.12.
pub(crate) const RELEASES: [&str; 3] = ["bullseye", USUAL, "trixie"];

/// Returns a file that was fetched from a release of Debian. With `HILUM_KERNEL=tailored` the default kernel is the one that
/// `make kernel-test` has built, which has no modules.
pub(crate) fn fetched(arch: Architecture, release: &str, name: &str) -> PathBuf {
    if release == USUAL && std::env::var_os("HILUM_KERNEL").is_some_and(|kernel| kernel == "tailored") {
        match name {
            "modules" => return built(&format!("kernel/tests-{}", arch.name())),
            "vmlinuz" | "config" => return built(&format!("kernel/tests-{}/{name}", arch.name())),
            _ => {}
        }
    }
    let suffix = if [USUAL, MODULAR].contains(&release) { String::new() } else { format!("-{release}") };
    built(&format!("debian/{}{suffix}/{name}", arch.name()))
}

/// Adds the kernel modules of a release that a configuration needs to an image, as the image builder does.
pub(crate) fn needed_modules(arch: Architecture, release: &str, image: &mut Image, config: &str) {
    let folder = fetched(arch, release, "modules");
    let kernel = hilum_initramfs::kernel::Kernel::of_folder(&folder).expect("modules");
    hilum_initramfs::appliance::add_modules(config.as_bytes(), &kernel, &[], &[], image).expect("modules");
}

/// Adds kernel modules of a release to an image, and returns the lines that load those that exist as modules.
pub(crate) fn modules(arch: Architecture, release: &str, image: &mut Image, names: &[&str]) -> String {
    let folder = fetched(arch, release, "modules");
    let mut lines = String::new();
    for name in names {
        if let Ok(bytes) = std::fs::read(folder.join(format!("{name}.ko"))) {
            image.file(&format!("lib/modules/{name}.ko"), 0o644, bytes);
            lines += &format!("module {name}\n");
        }
    }
    lines
}

/// Boots an image with more words on the kernel command line.
pub(crate) fn boot(arch: Architecture, image: &Image, append: &str) -> Booted {
    boot_on(arch, USUAL, image, append, None)
}

/// Boots with the kernel of a release, and with a disk.
pub(crate) fn boot_on(arch: Architecture, release: &str, image: &Image, append: &str, disk: Option<&Path>) -> Booted {
    boot_with(arch, release, image, append, disk, &[])
}

/// The same with additional words for QEMU.
pub(crate) fn boot_with(
    arch: Architecture,
    release: &str,
    image: &Image,
    append: &str,
    disk: Option<&Path>,
    more: &[&str],
) -> Booted {
    boot_bytes(arch, release, &image.write(Compression::Zstd).expect("an image"), append, disk, more)
}

/// The same with an initramfs as bytes.
pub(crate) fn boot_bytes(
    arch: Architecture,
    release: &str,
    bytes: &[u8],
    append: &str,
    disk: Option<&Path>,
    more: &[&str],
) -> Booted {
    let slot = QemuSlot::take();
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let initramfs = scratch.path().join("initramfs");
    std::fs::write(&initramfs, bytes).expect("the initramfs");
    let options = Options {
        arch,
        kernel: &fetched(arch, release, "vmlinuz"),
        initramfs: &initramfs,
        append,
        memory_mib: 256,
        accelerator: Accelerator::Tcg,
        disk,
        more,
    };
    let vm = Vm::start(&options, scratch.path()).expect("QEMU");
    Booted { vm, _scratch: scratch, _slot: slot }
}

/// Starts a machine from a prepared command.
pub(crate) fn boot_command(command: std::process::Command, serial: &str) -> Booted {
    let slot = QemuSlot::take();
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let vm = Vm::start_command(command, serial, scratch.path()).expect("QEMU");
    Booted { vm, _scratch: scratch, _slot: slot }
}

/// Boots an image until the machine ends. Returns the console.
pub(crate) fn run(arch: Architecture, image: &Image, append: &str) -> String {
    run_on(arch, USUAL, image, append)
}

/// The same with the kernel of a release.
pub(crate) fn run_on(arch: Architecture, release: &str, image: &Image, append: &str) -> String {
    boot_on(arch, release, image, append, None).vm.wait(BOOT).expect("it ends by itself")
}

/// Fails to compile if an architecture has no module in `on_both!`.
const _: () = match Architecture::OWN {
    Architecture::X86_64 | Architecture::Aarch64 => {}
};

/// Defines the same test for both architectures.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod x86_64 {
            $(#[test] fn $name() { super::$name(hilum_qemu::Architecture::X86_64) })*
        }
        mod aarch64 {
            $(#[test] fn $name() { super::$name(hilum_qemu::Architecture::Aarch64) })*
        }
    };
}

/// The same for tests of a minute or more, and for those in which nothing depends on the processor: PID 1's decisions, its timers, disks
/// and networks behind the same drivers. Those of the named architecture are part of every run, and `make long` runs the others.
macro_rules! on_both_long {
    (x86_64: $($name:ident),*) => { on_both_long!(x86_64, X86_64, aarch64, Aarch64, $($name),*); };
    (aarch64: $($name:ident),*) => { on_both_long!(aarch64, Aarch64, x86_64, X86_64, $($name),*); };
    ($often:ident, $first:ident, $rarely:ident, $second:ident, $($name:ident),*) => {
        mod long {
            mod $often {
                $(#[test] fn $name() { super::super::$name(hilum_qemu::Architecture::$first) })*
            }
            mod $rarely {
                $(#[test] #[ignore = "make long runs it"] fn $name() { super::super::$name(hilum_qemu::Architecture::$second) })*
            }
        }
    };
}

/// Returns the host, or ends the test if namespaces are not available.
macro_rules! host_or_return {
    () => {
        match $crate::support::Host::new() {
            Some(host) => host,
            None => return,
        }
    };
}

/// Returns one workload with these lines; the board powers off when it has finished.
pub(crate) fn one(lines: &str) -> String {
    format!("hilum 1\n[system]\nidle poweroff\n[workload a]\nroot ROOT\n{lines}\n")
}

/// A workload that exits on SIGTERM.
pub(crate) const STAY: &str = "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe on-term\nstop TERM 2s\n";

/// PID 1 on the host, with its configuration and root filesystem in a scratch folder.
pub(crate) struct Host {
    pub(crate) scratch: tempfile::TempDir,
}

impl Host {
    /// Creates a root filesystem with the probe and the empty folders. Prints a notice and returns `None` if namespaces
    /// are not available.
    pub(crate) fn new() -> Option<Self> {
        if !Namespace::is_possible() {
            assert!(std::env::var_os("CI").is_none(), "these tests need root and namespaces, and CI is set");
            eprintln!("SKIPPED: namespaces cannot be made here; run the tests as root");
            return None;
        }
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let root = scratch.path().join("root");
        for place in ["bin", "dev", "proc", "run", "sys", "tmp"] {
            std::fs::create_dir_all(root.join(place)).expect("a folder");
        }
        std::fs::copy(probe(host()), root.join("bin/probe")).expect("the probe");
        // The scratch folder is private, and a workload may run as any user.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(scratch.path(), open).expect("its mode");
        Some(Self { scratch })
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    /// Starts PID 1 with a configuration in which ROOT is replaced by the root filesystem.
    pub(crate) fn start(&self, config: &str) -> Namespace {
        self.start_wrapped(config, &[])
    }

    pub(crate) fn start_wrapped(&self, config: &str, wrap: &[&str]) -> Namespace {
        Namespace::start(&hilum(host()), &self.configure(config), wrap).expect("unshare")
    }

    /// The same on a terminal, as the leader of its session.
    pub(crate) fn start_on_terminal(&self, config: &str) -> Terminal {
        let mut command = std::process::Command::new("setsid");
        command.args(["unshare", "--pid", "--fork", "--mount", "--kill-child=KILL", "--"]);
        command.arg(hilum(host())).arg("--config").arg(self.configure(config));
        Terminal::start(command, 24, 80).expect("a terminal")
    }

    /// Writes the configuration, and returns its path. SOCKET is replaced by the control socket of [`Self::command`].
    pub(crate) fn configure(&self, config: &str) -> PathBuf {
        let file = self.scratch.path().join("hilum.conf");
        let config = config.replace("ROOT", self.root().to_str().expect("UTF-8"));
        std::fs::write(&file, config.replace("SOCKET", self.socket().to_str().expect("UTF-8"))).expect("the config");
        file
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.scratch.path().join("socket")
    }

    /// Returns a command for the PID 1 whose configuration has `control SOCKET`.
    pub(crate) fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(hilum(host()));
        command.arg("--socket").arg(self.socket()).args(words);
        command
    }

    /// Runs such a command. Returns its exit status and output.
    pub(crate) fn ask(&self, words: &[&str]) -> (i32, String) {
        let output = self.command(words).output().expect("hilum");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }

    /// Returns the status of one workload, as JSON.
    pub(crate) fn status(&self, name: &str) -> serde_json::Value {
        let (_, text) = self.ask(&["status", name, "--json"]);
        // It does not listen yet, or there is no such workload: there is no state.
        let all: serde_json::Value = serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
        all["workloads"][0].clone()
    }

    /// Waits until a workload is in this state.
    pub(crate) fn expect_state(&self, name: &str, state: &str) {
        let until = std::time::Instant::now() + SOON;
        while self.status(name)["state"] != state {
            assert!(std::time::Instant::now() < until, "{name} is not {state}: {}", self.status(name));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Runs it until PID 1 exits. Returns its status and the console.
    pub(crate) fn run(&self, config: &str) -> (std::process::ExitStatus, String) {
        self.start(config).wait(SOON).expect("it ends by itself")
    }
}

/// Returns the processor time of a process so far, in hundredths of a second (proc(5)).
pub(crate) fn processor_ticks(pid: i32) -> u32 {
    ticks_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its state"))
}

/// The same from the contents of /proc/PID/stat.
pub(crate) fn ticks_in(stat: &str) -> u32 {
    let fields = stat.rsplit(')').next().expect("what follows its name").split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u32>().expect("ticks")).sum()
}

/// Returns a free port of this machine.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address").port()
}

/// Returns the reply of a web server at a port of this machine; empty if there is none.
pub(crate) fn page(port: u16, path: &str) -> String {
    use std::io::{Read, Write};
    let until = std::time::Instant::now() + SOON;
    loop {
        let mut text = String::new();
        if let Ok(mut stream) = std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = write!(stream, "GET {path} HTTP/1.0\r\n\r\n");
            // Data before an error counts.
            let _ = stream.read_to_string(&mut text);
        }
        if !text.is_empty() || std::time::Instant::now() > until {
            return text;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
