//! The builder's command: `build` makes an initramfs, `check-elf` says whether a file may be PID 1.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use hilum_initramfs::appliance::Roots;
use hilum_initramfs::build::Places;
use hilum_initramfs::description::Description;
use hilum_initramfs::kernel::Kernel;
use hilum_initramfs::{Compression, Image, appliance, elf};
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
    /// Packs PID 1, a configuration and root filesystems into an initramfs.
    Build {
        /// The ELF file that becomes /init.
        #[arg(long)]
        init: PathBuf,
        /// The configuration that becomes /etc/hilum.conf; it is checked by the board's own parser.
        #[arg(long)]
        config: PathBuf,
        /// A folder of this machine and where it goes in the image, as FOLDER:PATH; later ones add to earlier ones.
        #[arg(long = "tree", value_parser = tree)]
        trees: Vec<(PathBuf, String)>,
        /// A folder with the kernel's modules, flat: what the configuration needs of them is packed.
        #[arg(long)]
        modules: Option<PathBuf>,
        /// How the image is compressed.
        #[arg(long, value_enum, default_value = "zstd")]
        compression: Compression,
        /// The file to write.
        #[arg(long)]
        output: PathBuf,
    },
    /// Builds everything that description files ask for.
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
    },
    /// Prints the architecture, the release and the Debian packages that description files need.
    Packages {
        /// Description files.
        #[arg(required = true)]
        descriptions: Vec<PathBuf>,
    },
    /// Packs a configuration alone, to be appended to a stock image.
    Site {
        /// The configuration; it is checked by the board's own parser.
        config: PathBuf,
        /// The file to write.
        #[arg(long)]
        output: PathBuf,
    },
    /// Shows a container image's files, and what it says of itself as lines of a configuration.
    Inspect {
        /// An OCI image layout, or an archive of docker save or podman save.
        image: PathBuf,
        /// The architecture that is wanted of it.
        #[arg(long, default_value = std::env::consts::ARCH)]
        architecture: String,
        /// Its name, where the file has several.
        #[arg(long)]
        reference: Option<String>,
    },
    /// Says what keeps an ELF file from being PID 1.
    CheckElf {
        /// The file.
        file: PathBuf,
        /// A file with the limit in bytes; lines that begin with # are comments.
        #[arg(long)]
        budget: Option<PathBuf>,
        /// A text that may not be inside, such as the folder of the build.
        #[arg(long)]
        forbid: Vec<String>,
    },
}

fn tree(text: &str) -> Result<(PathBuf, String), String> {
    let (source, at) = text.rsplit_once(':').ok_or("expected FOLDER:PATH")?;
    Ok((source.into(), at.to_owned()))
}

fn main() {
    if let Err(error) = run(Arguments::parse().command) {
        eprintln!("hilum-initramfs: {error:#}");
        std::process::exit(1);
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Build { init, config, trees, modules, compression, output } => {
            build(&init, &config, &trees, modules.as_deref(), compression, &output)
        }
        Command::Image { descriptions, init, packages, output } => {
            let started = std::time::Instant::now();
            let places = Places { init, packages, output };
            let mut say = |text: &str| eprintln!("{:6.1} s  {text}", started.elapsed().as_secs_f32());
            for file in hilum_initramfs::build::build(&descriptions, &places, &mut say)? {
                println!("{}: {} bytes", file.path.display(), file.bytes);
            }
            Ok(())
        }
        Command::Packages { descriptions } => {
            let description = Description::read(&descriptions)?;
            let architecture = description.architecture.as_deref().context("no description says the architecture")?;
            let release = description.release.as_deref().unwrap_or("bookworm");
            println!("{architecture} {release} {}", description.packages().join(" "));
            Ok(())
        }
        Command::Site { config, output } => site(&config, &output),
        Command::Inspect { image, architecture, reference } => {
            let container = hilum_initramfs::oci::read(&image, &architecture, reference.as_deref())?;
            println!("{} files and folders\n{}", container.tree.iter().count(), container.lines()?.trim_end());
            Ok(())
        }
        Command::CheckElf { file, budget, forbid } => {
            let bytes = read(&file)?;
            let budget = budget.as_deref().map(read_budget).transpose()?;
            let faults = elf::faults(&bytes, &forbid, budget).with_context(|| file.display().to_string())?;
            if faults.is_empty() {
                let limit = budget.map_or_else(String::new, |budget| format!(", budget {budget}"));
                println!("{}: good, {} bytes{limit}", file.display(), bytes.len());
                return Ok(());
            }
            bail!("{}: {}", file.display(), faults.join("; "))
        }
    }
}

fn build(
    init: &Path,
    config: &Path,
    trees: &[(PathBuf, String)],
    modules: Option<&Path>,
    compression: Compression,
    output: &Path,
) -> Result<()> {
    let (init, text) = (read(init)?, read(config)?);
    let mut image = Image::new();
    for (source, at) in trees {
        image.tree(source, at)?;
    }
    if let Some(folder) = modules {
        appliance::add_modules(&text, &Kernel::of_folder(folder)?, &[], &mut image)?;
    }
    appliance::check(&config.display().to_string(), &text, &init, &image, &Roots::new())?;
    image.file("init", 0o755, init);
    image.file("etc/hilum.conf", 0o644, text);
    image.seal();
    let bytes = image.write(compression)?;
    std::fs::write(output, &bytes).with_context(|| output.display().to_string())?;
    println!("{}: {} bytes, {} entries", output.display(), bytes.len(), image.len());
    Ok(())
}

/// An archive with nothing but a configuration: the kernel lays it over what it is appended to.
fn site(config: &Path, output: &Path) -> Result<()> {
    let text = read(config)?;
    let mut parsed = Box::new(hilum::config::Config::EMPTY);
    if let Err(error) = hilum::config::parse(&text, &mut parsed) {
        bail!("{}:{error}", config.display());
    }
    let mut image = Image::default();
    image.file("etc/hilum.conf", 0o644, text.clone());
    let mut bytes = image.write(Compression::Zstd)?;
    // The kernel looks for the next archive at a multiple of four.
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
