//! Time from power-on, the start of QEMU, to the first answer of the demo's web server with status 200, from outside: firmware, kernel,
//! hilum, the network and the workload together. The images are those of `make image`, with Debian's kernel and with tailored ones.
//! Beside it, by a clock that counts instructions, the kernel's own time up to the entry of /init, which does not depend on the load.

use crate::boot::number;
use crate::guest::COUNTING;
use anyhow::{Context, Result, bail, ensure};
use hilum_initramfs::Image;
use hilum_qemu::{Accelerator, Architecture, Options, Vm};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The timeout of one boot.
const BOOT: Duration = Duration::from_secs(60);

/// A kernel and a machine.
struct Board {
    name: &'static str,
    image: &'static str,
    arch: Architecture,
    is_microvm: bool,
}

const BOARDS: [Board; 5] = [
    board("x86_64, q35, Debian's kernel", "qemu-x86_64-web", Architecture::X86_64, false),
    board("x86_64, q35, tailored", "qemu-x86_64-web-tailored", Architecture::X86_64, false),
    board("x86_64, microvm, tailored", "microvm-x86_64-web", Architecture::X86_64, true),
    board("aarch64, virt, Debian's kernel", "qemu-aarch64-web", Architecture::Aarch64, false),
    board("aarch64, virt, tailored", "qemu-aarch64-web-tailored", Architecture::Aarch64, false),
];

const fn board(name: &'static str, image: &'static str, arch: Architecture, is_microvm: bool) -> Board {
    Board { name, image, arch, is_microvm }
}

/// The result of one board.
pub(crate) struct Row {
    name: &'static str,
    /// Milliseconds to the page in ascending order; or why there are none.
    ms: Result<Vec<u64>>,
    /// Microseconds from the kernel's start to /init on the clock that counts instructions.
    counted: u64,
    /// Bytes of kernel and initramfs.
    bytes: u64,
}

/// Boots each board that is built this often, in turn.
pub(crate) fn measure(build: &Path, boots: usize) -> Result<Vec<Row>> {
    let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
    let folder = |board: &Board| build.join("image").join(board.image);
    let mut rows: Vec<Row> = Vec::new();
    for board in &BOARDS {
        let folder = folder(board);
        let is_built = folder.join("vmlinuz").exists();
        let ms = if is_built { Ok(Vec::new()) } else { Err(anyhow::anyhow!("not built")) };
        let counted = if is_built { counted(build, board, &folder).with_context(|| board.name)? } else { 0 };
        let bytes = size(folder.join("vmlinuz")) + size(folder.join("initramfs"));
        rows.push(Row { name: board.name, ms, counted, bytes });
    }
    for _ in 0..boots {
        for (board, row) in BOARDS.iter().zip(&mut rows) {
            if let Ok(ms) = &mut row.ms {
                ms.push(boot(board, &folder(board)).with_context(|| board.name)?);
            }
        }
    }
    rows.iter_mut().filter_map(|row| row.ms.as_mut().ok()).for_each(|ms| ms.sort_unstable());
    ensure!(rows.iter().any(|row| row.ms.is_ok()), "no image is built");
    Ok(rows)
}

/// Returns the command that boots an initramfs, with more words for QEMU.
fn command(board: &Board, folder: &Path, initramfs: &Path, append: &str, more: &[&str]) -> Command {
    let accelerator = Accelerator::Tcg;
    let kernel = &folder.join("vmlinuz");
    let options =
        Options { arch: board.arch, kernel, initramfs, append, memory_mib: 256, accelerator, disk: None, more };
    if board.is_microvm { options.on(hilum_qemu::microvm(accelerator)) } else { options.command() }
}

/// Returns the microseconds from the kernel's start to the entry of /init. The kernel starts the probe, which prints the time and
/// executes /init; it is in an archive of its own behind the initramfs, which the kernel unpacks as well.
fn counted(build: &Path, board: &Board, folder: &Path) -> Result<u64> {
    let scratch = tempfile::tempdir()?;
    let mut image = Image::new();
    image.file("entry", 0o755, std::fs::read(build.join("board").join(board.arch.name()).join("probe"))?);
    let initramfs = scratch.path().join("initramfs");
    std::fs::write(&initramfs, image.behind(std::fs::read(folder.join("initramfs"))?)?)?;
    let command = command(board, folder, &initramfs, "rdinit=/entry -- timed-init", COUNTING);
    number(&Vm::start_command(command, "stdio", scratch.path())?, "entered ")
}

/// Boots once. Returns the milliseconds from the start of QEMU to the page.
fn boot(board: &Board, folder: &Path) -> Result<u64> {
    let scratch = tempfile::tempdir()?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let network = hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:8080"));
    let network = if board.is_microvm { hilum_qemu::without_pci(network) } else { network };
    let more: Vec<&str> = network.iter().map(String::as_str).collect();
    let command = command(board, folder, &folder.join("initramfs"), "", &more);
    let start = Instant::now();
    let vm = Vm::start_command(command, "stdio", scratch.path())?;
    let Some(at) = hilum_qemu::first_page(port, start + BOOT) else {
        bail!("no page; last lines of the console:\n{}", vm.console.tail());
    };
    Ok(u64::try_from((at - start).as_millis())?)
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| power-on to HTTP 200 | median ms | minimum | maximum | kernel to /init, thousands of instructions | kernel and \
                    initramfs, bytes |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        text += &match &row.ms {
            Ok(ms) => format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                row.name,
                ms[(ms.len() - 1) / 2],
                ms[0],
                ms[ms.len() - 1],
                row.counted,
                row.bytes
            ),
            Err(error) => format!("| {} | {error} | | | | |\n", row.name),
        };
    }
    text
}
