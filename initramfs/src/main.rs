//! The builder's command line: `image` builds images, `check-elf` checks whether a file can be PID 1.

#![forbid(unsafe_code)]

mod arguments;
mod reporter;

use anyhow::{Context, Result, bail};
use arguments::{Arguments, Command, Sbom};
use clap::Parser;
use hilum_initramfs::build::{CachePlace, Places};
use hilum_initramfs::bundle::{self, Order};
use hilum_initramfs::debian::Index;
use hilum_initramfs::debian::lock::Lock;
use hilum_initramfs::description::{Description, Root};
use hilum_initramfs::kernel_options::{self, Fragment};
use hilum_initramfs::progress::{Event, Progress};
use hilum_initramfs::signing::Signer;
use hilum_initramfs::untrusted::escaped;
use hilum_initramfs::{Compression, Image, clock, elf, messages, sbom};
use reporter::Reporter;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

fn main() {
    if let Err(error) = run(Arguments::parse().command) {
        eprintln!("hilum-initramfs: {}", escaped(&format!("{error:#}")));
        std::process::exit(1);
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Image { descriptions, init, packages, output, cache, cache_mib, sign, kernel, version } => {
            let signer = sign.map(|key| Signer::new(&key)).transpose()?;
            let cache = cache.map(|folder| CachePlace { folder, limit: cache_mib << 20 });
            let places = Places { init, packages, output, cache, signer, kernel, version };
            let mut reporter = Reporter::new();
            for file in hilum_initramfs::build::build(&descriptions, &places, &mut |event| reporter.tell(event))? {
                println!("{}: {} bytes", file.path.display(), file.bytes);
            }
            Ok(())
        }
        Command::Bundle { show: Some(bundle), .. } => told(&mut |progress| {
            let summary = bundle::read(&bundle, progress, &mut |_, _, _| {});
            print!("{}", summary.with_context(|| bundle.display().to_string())?);
            Ok(())
        }),
        Command::Bundle { image, key, since, output, .. } => {
            let order = Order { image: image.unwrap_or_default(), keys: key, since, output };
            told(&mut |progress| {
                let (path, bytes) = bundle::make(&order, progress)?;
                println!("{}: {bytes} bytes", path.display());
                Ok(())
            })
        }
        Command::Packages { descriptions } => {
            let description = Description::read_locked(&descriptions)?;
            let architecture = architecture(&description)?;
            println!("{architecture} {} {}", description.release(), description.packages().join(" "));
            Ok(())
        }
        Command::Lock { descriptions, index, date } => lock(&descriptions, &index, &date),
        Command::Unlocked { descriptions, all } => unlocked(&descriptions, all),
        Command::KernelConfig { descriptions, everything } => kernel_config(&descriptions, everything),
        Command::KernelCheck { fragment, config, source } => {
            let text = |path: &Path| Ok::<_, anyhow::Error>(String::from_utf8_lossy(&read(path)?).into_owned());
            kernel_options::check(&text(&fragment)?, &text(&config)?, &source)
        }
        Command::Site { config, file, output } => site(config.as_deref(), &file, &output),
        Command::Sbom { of } => write_sbom(&of),
        Command::Inspect { image, architecture, reference } => {
            let container = hilum_initramfs::oci::read(&image, architecture, reference.as_deref())?;
            println!("# {} files and folders\n{}", container.tree.iter().count(), container.lines().trim_end());
            Ok(())
        }
        Command::ExplainError { text } => {
            let entry = messages::find(messages::PAGE, &text.join(" "));
            print!("{}", entry.context("no message of docs/messages.md has that text; quote the whole line")?);
            Ok(())
        }
        Command::Sizes { file, largest } => {
            let text = hilum_initramfs::sizes::table(&read(&file)?, largest);
            print!("{}", text.with_context(|| file.display().to_string())?);
            Ok(())
        }
        Command::CheckElf { file, budget, forbid } => check_elf(&file, budget.as_deref(), &forbid),
    }
}

/// Checks the board's ELF file against the bytes in the file `budget`, and for texts that it must not contain.
fn check_elf(file: &Path, budget: Option<&Path>, forbid: &[String]) -> Result<()> {
    let bytes = read(file)?;
    let budget = budget.map(read_budget).transpose()?;
    let faults = elf::faults(&bytes, forbid, budget).with_context(|| file.display().to_string())?;
    if !faults.is_empty() {
        bail!("{}: {}", file.display(), faults.join("; "))
    }
    let limit = budget.map_or_else(String::new, |budget| format!(", budget {budget}"));
    println!("{}: ok, {} bytes{limit}", file.display(), bytes.len());
    Ok(())
}

/// Does something whose progress is printed.
fn told(work: &mut dyn FnMut(&Progress<'_>) -> Result<()>) -> Result<()> {
    let mut reporter = Reporter::new();
    let mut tell = |event: Event<'_>| reporter.tell(event);
    let tell = RefCell::new(&mut tell as &mut dyn FnMut(Event<'_>));
    work(&Progress::new(&tell))
}

fn architecture(description: &Description) -> Result<&str> {
    description.architecture.as_deref().context("no description sets the architecture")
}

/// Prints the architecture and the release of descriptions without a lock file; of `all` in any case.
fn unlocked(descriptions: &[PathBuf], all: bool) -> Result<()> {
    let description = Description::read(descriptions)?;
    let (architecture, release) = (architecture(&description)?, description.release());
    let follows = description.roots.iter().any(Root::follows);
    if all || (follows && !Lock::read(&description.lock)?.has(architecture, release)) {
        println!("{architecture} {release}");
    }
    Ok(())
}

/// Prints the options of a kernel.
fn kernel_config(descriptions: &[PathBuf], everything: bool) -> Result<()> {
    let description = Description::read(descriptions)?;
    let of = if everything { Fragment::of_everything } else { Fragment::of };
    print!("{}", of(&description)?.text());
    Ok(())
}

/// Renews the lock file of descriptions.
fn lock(descriptions: &[PathBuf], index: &[PathBuf], date: &str) -> Result<()> {
    let description = Description::read(descriptions)?;
    let mut all = Index::default();
    for file in index {
        all.add(&String::from_utf8_lossy(&read(file)?));
    }
    let path = &description.lock;
    let mut lock = Lock::read(path)?;
    lock.renew(architecture(&description)?, description.release(), &description.requests(), &all, date)?;
    let new = path.with_extension("lock.new");
    std::fs::write(&new, lock.text()).with_context(|| new.display().to_string())?;
    std::fs::rename(&new, path).with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    Ok(())
}

fn write_sbom(of: &Sbom) -> Result<()> {
    let string = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let write = |path: &Path, text: &str| std::fs::write(path, text).with_context(|| path.display().to_string());
    match of {
        Sbom::Elf { file, metadata, lock, package, linked, rustc, name, output, licenses } => {
            let mut crates = sbom::Crates::read(&string(metadata)?, &string(lock)?, package)?;
            crates.add_library(if package == "hilum-runtime" { "core" } else { "std" }, &string(rustc)?)?;
            linked.chunks_exact(2).for_each(|linked| crates.add_linked(&linked[0], &linked[1]));
            write(licenses, &crates.licenses()?)?;
            let whole = sbom::whole("firmware", name, Some(file))?;
            write(output, &sbom::document(&whole, &crates.components, Some(&crates))?)
        }
        Sbom::Image { descriptions, lock, name, output } => {
            let description = Description::read_locked(descriptions)?;
            let (architecture, release) = (architecture(&description)?, description.release());
            // What a description has locked itself comes first.
            let own = Lock::read(&description.lock)?.text();
            let lock = own + &string(lock)?;
            let mut parts = sbom::packages(&lock, architecture, release, &description.packages())?;
            // What is in that one, its own document says.
            parts.push(sbom::whole("firmware", &format!("hilum-{architecture}"), None)?);
            for program in description.programs() {
                parts.push(sbom::whole("application", &format!("{program}-{architecture}"), None)?);
            }
            write(output, &sbom::document(&sbom::whole("firmware", name, None)?, &parts, None)?)
        }
    }
}

/// Writes an archive with only a configuration, which the kernel unpacks over the previous archive.
fn site(config: Option<&Path>, files: &[String], output: &Path) -> Result<()> {
    let mut image = Image::default();
    if let Some(config) = config {
        let text = read(config)?;
        let mut parsed = Box::new(hilum::config::Config::EMPTY);
        if let Err(error) = hilum::config::parse(&text, &mut parsed) {
            bail!("{}:{error}", config.display());
        }
        image.file("etc/hilum.conf", 0o644, text.clone());
        clock::put(&parsed, &mut image)?;
    }
    for file in files {
        let place = file.split_once('=').filter(|(path, _)| {
            let mut parts = path.strip_prefix('/').unwrap_or_default().split('/');
            parts.all(|part| !["", ".", ".."].contains(&part))
        });
        let Some((path, from)) = place else { bail!("--file {file}: expected an absolute path, = and a file") };
        image.file(&path[1..], 0o644, read(Path::new(from))?);
    }
    let mut bytes = image.write(Compression::Zstd)?;
    // The kernel expects the next archive at a multiple of four bytes.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    std::fs::write(output, &bytes).with_context(|| output.display().to_string())?;
    println!("{}: {} bytes", output.display(), bytes.len());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn read_budget(path: &Path) -> Result<usize> {
    let text = String::from_utf8(read(path)?).with_context(|| path.display().to_string())?;
    let number = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    number.unwrap_or_default().parse().with_context(|| format!("{}: expected a number of bytes", path.display()))
}
