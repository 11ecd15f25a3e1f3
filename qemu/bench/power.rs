//! Time from power-on, the start of QEMU, to the first answer of the demo's web server with status 200, from outside: firmware, kernel,
//! hilum, the network and the workload together. The images are those of `make image`, with Debian's kernel and with tailored ones.

use anyhow::{Context, Result, bail, ensure};
use hilum_qemu::{Accelerator, Architecture, Options, Vm};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// The timeout of one boot.
const BOOT: Duration = Duration::from_secs(60);
/// How long to wait before a page is requested again, and for each answer.
const AGAIN: Duration = Duration::from_millis(20);
const ANSWER: Duration = Duration::from_millis(500);

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
        rows.push(Row { name: board.name, ms, bytes: size(folder.join("vmlinuz")) + size(folder.join("initramfs")) });
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

/// Boots once. Returns the milliseconds from the start of QEMU to the page.
fn boot(board: &Board, folder: &Path) -> Result<u64> {
    let scratch = tempfile::tempdir()?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let network = hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:8080"));
    let network = if board.is_microvm { hilum_qemu::without_pci(network) } else { network };
    let more: Vec<&str> = network.iter().map(String::as_str).collect();
    let options = Options {
        arch: board.arch,
        kernel: &folder.join("vmlinuz"),
        initramfs: &folder.join("initramfs"),
        append: "",
        memory_mib: 256,
        accelerator: Accelerator::Tcg,
        disk: None,
        more: &more,
    };
    let accelerator = Accelerator::Tcg;
    let command = if board.is_microvm { options.on(hilum_qemu::microvm(accelerator)) } else { options.command() };
    let start = Instant::now();
    let vm = Vm::start_command(command, "stdio", scratch.path())?;
    let (sender, answers) = channel();
    while start.elapsed() < BOOT {
        // A connection that was opened before the guest has a network is answered late, so each request is a new one.
        let sender = sender.clone();
        std::thread::spawn(move || ask(port, &sender));
        if let Ok(at) = answers.recv_timeout(AGAIN) {
            return Ok(u64::try_from((at - start).as_millis())?);
        }
    }
    bail!("no page; last lines of the console:\n{}", vm.console.tail())
}

/// Requests the page, and sends the time of an answer with status 200.
fn ask(port: u16, sender: &Sender<Instant>) {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    let _ = stream.set_read_timeout(Some(ANSWER));
    let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let mut start = [0; 12];
    if stream.read_exact(&mut start).is_ok() && &start[8..] == b" 200" {
        // The boot may be over.
        let _ = sender.send(Instant::now());
    }
}

/// Returns the rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "| power-on to HTTP 200 | median ms | minimum | maximum | kernel and initramfs, bytes |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        text += &match &row.ms {
            Ok(ms) => format!(
                "| {} | {} | {} | {} | {} |\n",
                row.name,
                ms[(ms.len() - 1) / 2],
                ms[0],
                ms[ms.len() - 1],
                row.bytes
            ),
            Err(error) => format!("| {} | {error} | | | |\n", row.name),
        };
    }
    text
}
