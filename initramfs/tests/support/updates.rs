//! A small appliance with updates: a kernel and modules that are only bytes, and a key.

use hilum_initramfs::build::{CachePlace, Places, build};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with the appliance.
pub(crate) struct Appliance {
    pub(crate) scratch: tempfile::TempDir,
}

/// Returns the output of a program that must succeed.
pub(crate) fn tool(program: &str, words: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(words).env("PATH", path).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Returns bytes that do not compress, and differ for each seed.
pub(crate) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    // xorshift64 (Marsaglia 2003).
    let mut state = seed * 2 + 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

impl Appliance {
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        let one = Self { scratch };
        one.write("hilum.conf", "hilum 1\n[system]\nupdate\n");
        one.write("plain.conf", "hilum 1\n");
        let mut kernel = b"Linux version 6.1.0-50 (x)\0".to_vec();
        kernel.extend(noise(3_000_001, 1));
        one.write("vmlinuz", kernel);
        std::fs::create_dir(one.at("modules")).expect("a folder");
        one.write("modules/builtin", "efivarfs\n");
        one.write("first", noise(1_500_000, 2));
        one.key("update");
        one
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.at(name), contents).expect("a file");
    }

    /// Makes a key and its certificate.
    pub(crate) fn key(&self, name: &str) {
        let [key, certificate] = ["key", "crt"].map(|kind| self.at(&format!("{name}.{kind}")));
        let request = ["req", "-x509", "-nodes", "-subj", "/CN=hilum test", "-days", "2", "-newkey", "rsa:2048"];
        tool("openssl", &[&request[..], &["-keyout", text(&key), "-out", text(&certificate)]].concat());
    }

    /// Builds it for a board with this output; `update` are the lines of `[update]`.
    pub(crate) fn build(&self, output: &str, update: &str, version: Option<u64>) -> anyhow::Result<()> {
        let more = match output {
            "sd-card" => "[firmware]\npackage = \"raspi-firmware\"\nfiles = [\"bootcode.bin\", \"start.elf\"]\n",
            _ => "",
        };
        let arch = if output == "sd-card" { "aarch64" } else { "x86_64" };
        self.write(
            "board-1.toml",
            format!(
                "architecture = \"{arch}\"\nkernel = \"./vmlinuz\"\nkernel-modules = \"modules\"\nconfig = \"hilum.conf\"\n\
                 command-line = [\"console=ttyS0\", \"quiet\", \"panic=10\"]\noutputs = [\"{output}\"]\n[update]\n{update}\n\
                 [[file]]\npath = \"/first\"\nfrom = \"first\"\n[data]\nlabel = \"data\"\nsize-mib = 32\n{more}"
            ),
        );
        self.build_of("board-1.toml", arch, version)
    }

    /// Builds it with the folder `site`.
    #[allow(dead_code, reason = "not every test has a site")]
    pub(crate) fn build_site(&self, output: &str, update: &str) -> anyhow::Result<()> {
        self.build(output, update, None)?;
        let arch = if output == "sd-card" { "aarch64" } else { "x86_64" };
        let board = std::fs::read_to_string(self.at("board-1.toml"))?;
        self.write("board-1.toml", format!("site = \"site\"\n{board}"));
        self.build_of("board-1.toml", arch, None)
    }

    /// Builds a description of the folder.
    pub(crate) fn build_of(&self, description: &str, arch: &str, version: Option<u64>) -> anyhow::Result<()> {
        let init = built(&format!("board/{arch}/hilum"));
        let packages = built(&format!("debian/packages/{arch}-bookworm"));
        let places = Places { version, ..Places::new(init, packages, self.at("output")) };
        build(&[self.at(description)], &places, &mut |_| {}).map(|_| ())
    }

    /// Builds the appliance.toml of the folder for a board of the project, with the packages in a folder of it.
    #[allow(dead_code, reason = "not every test has such an appliance")]
    pub(crate) fn build_with(&self, board: &Path, version: u64, packages: &str) -> anyhow::Result<()> {
        let _ = std::fs::remove_dir_all(self.at("output"));
        let places = Places {
            cache: Some(CachePlace { folder: self.at("cache"), limit: u64::MAX }),
            version: Some(version),
            ..Places::new(built("board/x86_64/hilum"), self.at(packages), self.at("output"))
        };
        build(&[board.to_owned(), self.at("appliance.toml")], &places, &mut |_| {}).map(|_| ())
    }
}

/// Returns a file that `make test` built or fetched.
pub(crate) fn built(path: &str) -> PathBuf {
    let build = std::env::var_os("HILUM_BUILD")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../build"), PathBuf::from);
    let file = build.join(path);
    assert!(file.exists(), "{} is missing; run the tests with: make test", file.display());
    file
}
