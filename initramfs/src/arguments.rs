//! The arguments of the builder's command line.

use clap::{Parser, Subcommand};
use hilum::Architecture;
use std::path::PathBuf;

/// Builds initramfs images for hilum, and checks the board's ELF files.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
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
        /// A tailored kernel: the folder that `make kernel` prints, in place of the kernel of the description files.
        #[arg(long, value_name = "FOLDER")]
        kernel: Option<PathBuf>,
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
    /// Prints the options of the kernel's configuration that description files need, each with what asks for it.
    KernelConfig {
        /// Description files.
        #[arg(required = true)]
        descriptions: Vec<PathBuf>,
        /// The options of all features, for a board whose configuration is not known yet.
        #[arg(long)]
        everything: bool,
    },
    /// Checks that a kernel's configuration has every option of a fragment.
    KernelCheck {
        /// What `kernel-config` printed.
        fragment: PathBuf,
        /// The configuration that the kernel's build made of it.
        config: PathBuf,
        /// The kernel's source.
        source: PathBuf,
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
pub(crate) enum Sbom {
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
