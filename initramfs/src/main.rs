//! The builder's command line: `image` builds images, `check-elf` checks whether a file can be PID 1.

#![forbid(unsafe_code)]

mod reporter;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use hilum::Architecture;
use hilum_initramfs::build::{CachePlace, Places};
use hilum_initramfs::bundle::{self, Order};
use hilum_initramfs::debian::Index;
use hilum_initramfs::debian::lock::Lock;
use hilum_initramfs::description::{Description, Root};
use hilum_initramfs::progress::{Event, Progress};
use hilum_initramfs::signing::Signer;
use hilum_initramfs::untrusted::escaped;
use hilum_initramfs::{Compression, Image, clock, elf, messages, sbom};
use reporter::Reporter;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Builds initramfs images for hilum, and checks the board's ELF files.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the outputs of description files.
    Image {
        /// Description files; later ones add to earlier ones.
        #[arg(required = true)]
        descriptions: Vec<PathBuf>,
        /// The ELF file that becomes /init.
        #[arg(long)]
        init: PathBuf,
        /// The folder with the archives of Debian packages.
        #[arg(long)]
        packages: PathBuf,
        /// The folder to write to.
        #[arg(long)]
        output: PathBuf,
        /// A folder that keeps what was made for the next time.
        #[arg(long)]
        cache: Option<PathBuf>,
        /// MiB that the folder may take: what was not used for the longest time goes first.
        #[arg(long, default_value_t = 8192)]
        cache_mib: u64,
        /// Signs the disk for UEFI Secure Boot with this private key (KEY.key), whose certificate is next to it (KEY.crt).
        #[arg(long, value_name = "KEY")]
        sign: Option<PathBuf>,
        /// The version of the update that the image is, in place of that in [update].
        #[arg(long)]
        version: Option<u64>,
    },
    /// Makes a bundle, by which boards are updated, of a disk that `image` has written; or shows one.
    Bundle {
        /// The disk, or the folder that it is in.
        #[arg(required_unless_present = "show")]
        image: Option<PathBuf>,
        /// A private key in PEM that signs the bundle; two of them while boards change from one key to another.
        #[arg(long, value_name = "KEY", required_unless_present = "show")]
        key: Vec<PathBuf>,
        /// A bundle of the version that boards run: leaves out what that one has.
        #[arg(long, value_name = "BUNDLE")]
        since: Option<PathBuf>,
        /// The file to write; FOLDER-VERSION.bundle beside the disk by default.
        #[arg(long)]
        output: Option<PathBuf>,
        /// Shows what is in a bundle, and checks its blocks.
        #[arg(long, value_name = "BUNDLE", conflicts_with_all = ["image", "key", "since", "output"])]
        show: Option<PathBuf>,
    },
    /// Prints the architecture, the release and the Debian packages that description files need.
    Packages {
        /// Description files.
        #[arg(required = true)]
        descriptions: Vec<PathBuf>,
    },
    /// Prints the architecture and the release that description files have no lock file for, if they need one.
    Unlocked {
        /// Description files.
        #[arg(required = true)]
        descriptions: Vec<PathBuf>,
        /// Prints them in any case.
        #[arg(long)]
        all: bool,
    },
    /// Writes the lock file of description files: the newest versions of their packages, and of what these need.
    Lock {
        /// Description files.
        #[arg(required = true)]
        descriptions: Vec<PathBuf>,
        /// A file Packages of the release.
        #[arg(long, required = true)]
        index: Vec<PathBuf>,
        /// Now, such as 20261127T101500Z.
        #[arg(long)]
        date: String,
    },
    /// Packs a configuration and other files of a site, to append to a stock image.
    Site {
        /// The configuration, which replaces that of the image; checked by the board's own parser.
        #[arg(required_unless_present = "file")]
        config: Option<PathBuf>,
        /// A file, and its path on the board, where it replaces that of the image.
        #[arg(long, value_name = "PATH=FILE")]
        file: Vec<String>,
        /// The file to write.
        #[arg(long)]
        output: PathBuf,
    },
    /// Shows a container image's files, and its settings as configuration lines.
    Inspect {
        /// An OCI image layout, or an archive of docker save or podman save.
        image: PathBuf,
        /// The architecture to select.
        #[arg(long, default_value = std::env::consts::ARCH)]
        architecture: Architecture,
        /// The image's name, if the file has several.
        #[arg(long)]
        reference: Option<String>,
    },
    /// Explains an error: what it means, and what to do.
    ExplainError {
        /// The line that was printed, or the id of an entry of docs/messages.md.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Checks that an ELF file can be PID 1.
    CheckElf {
        /// The file.
        file: PathBuf,
        /// A file with the limit in bytes; lines that begin with # are comments.
        #[arg(long)]
        budget: Option<PathBuf>,
        /// A text that it must not contain, such as the build folder.
        #[arg(long)]
        forbid: Vec<String>,
    },
    /// Writes what is in an ELF file or in an image, as a CycloneDX document.
    Sbom {
        #[command(subcommand)]
        of: Sbom,
    },
    /// Shows the sizes of sections and functions of an ELF file with symbols.
    Sizes {
        /// The file.
        file: PathBuf,
        /// How many of the largest functions to show.
        #[arg(long, default_value_t = 25)]
        largest: usize,
    },
}

#[derive(Subcommand)]
enum Sbom {
    /// The crates of a program, and their licences' texts.
    Elf {
        /// The ELF file.
        file: PathBuf,
        /// What cargo metadata prints of the program's workspace for the file's target.
        #[arg(long)]
        metadata: PathBuf,
        /// The lock file of that workspace.
        #[arg(long)]
        lock: PathBuf,
        /// The program's package. Another one than PID 1 contains the whole standard library, and PID 1 only core.
        #[arg(long, default_value = "hilum-runtime")]
        package: String,
        /// A Debian package whose archive (`.a`) is linked into the file.
        #[arg(long, num_args = 2, value_names = ["PACKAGE", "VERSION"])]
        linked: Vec<String>,
        /// A file with what rustc --version prints.
        #[arg(long)]
        rustc: PathBuf,
        /// The name of the ELF file in the release.
        #[arg(long)]
        name: String,
        /// The document to write.
        #[arg(long)]
        output: PathBuf,
        /// The file to write licences' texts to.
        #[arg(long)]
        licenses: PathBuf,
    },
    /// The Debian packages of an image.
    Image {
        /// Description files.
        #[arg(required = true)]
        descriptions: Vec<PathBuf>,
        /// The list of packages with their versions.
        #[arg(long)]
        lock: PathBuf,
        /// The name of the image in the release.
        #[arg(long)]
        name: String,
        /// The document to write.
        #[arg(long)]
        output: PathBuf,
    },
}

fn main() {
    if let Err(error) = run(Arguments::parse().command) {
        eprintln!("hilum-initramfs: {}", escaped(&format!("{error:#}")));
        std::process::exit(1);
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Image { descriptions, init, packages, output, cache, cache_mib, sign, version } => {
            let signer = sign.map(|key| Signer::new(&key)).transpose()?;
            let cache = cache.map(|folder| CachePlace { folder, limit: cache_mib << 20 });
            let places = Places { init, packages, output, cache, signer, version };
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
        Command::Unlocked { descriptions, all } => {
            let description = Description::read(&descriptions)?;
            let (architecture, release) = (architecture(&description)?, description.release());
            let follows = description.roots.iter().any(Root::follows);
            if all || (follows && !Lock::read(&description.lock)?.has(architecture, release)) {
                println!("{architecture} {release}");
            }
            Ok(())
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
