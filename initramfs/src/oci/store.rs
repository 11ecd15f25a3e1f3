//! Access to the files of an image, in a folder or in a tar archive, plain or compressed.

use crate::compression::{self, Packing};
use crate::contents::PartReader;
use crate::tar_reader::{MemberKind, Reader};
use crate::untrusted::escaped;
use anyhow::{Context, Result, bail, ensure};
use oci_spec::image::Descriptor;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum bytes of a manifest, an index or a configuration; real ones have some thousand.
const JSON_BYTES: u64 = 4 << 20;

/// The files of an image.
pub(super) enum Store {
    Folder(PathBuf),
    /// Files of an archive by name, and names that are links to others.
    Archive {
        file: Arc<File>,
        places: BTreeMap<String, (u64, u64)>,
        links: BTreeMap<String, String>,
    },
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.metadata()?.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        file.by_ref().take(6).read_to_end(&mut start)?;
        if Packing::of(&start)? != Packing::Plain {
            // Its parts are not read in the order of the archive.
            let mut plain = tempfile::tempfile()?;
            io::copy(&mut compression::unpacked(File::open(path)?)?, &mut plain)?;
            file = plain;
        }
        let file = Arc::new(file);
        let mut archive = Reader::new(BufReader::new(PartReader::new(Arc::clone(&file), 0, u64::MAX)));
        let (mut places, mut links) = (BTreeMap::new(), BTreeMap::new());
        while let Some(member) = archive.next_member()? {
            let name = member.path.trim_start_matches(['.', '/']).trim_end_matches('/').to_owned();
            match member.kind {
                MemberKind::Link | MemberKind::HardLink => drop(links.insert(name, member.target)),
                MemberKind::File => {
                    let place = member.place.with_context(|| format!("{}: a file with holes", escaped(&name)))?;
                    places.insert(name, (place, member.size));
                }
                _ => {}
            }
        }
        Ok(Self::Archive { file, places, links })
    }

    /// Returns whether it is an archive that looks like a root filesystem.
    pub(super) fn is_root_filesystem(&self) -> bool {
        let is_one = |name: &String| {
            let first = name.split('/').next().unwrap_or_default();
            ["bin", "etc", "lib", "usr", "sbin", ".dockerenv"].contains(&first)
        };
        match self {
            Self::Folder(_) => false,
            Self::Archive { places, links, .. } => places.keys().chain(links.keys()).any(is_one),
        }
    }

    /// Opens a file of the image.
    pub(super) fn file(&self, name: &str) -> Result<Box<dyn Read>> {
        ensure!(
            !name.starts_with('/') && name.split('/').all(|part| part != ".."),
            "{name}: a path that leaves the image"
        );
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                // A link in a layout could refer to any file of this machine.
                let kind = path.symlink_metadata().with_context(|| format!("{name}: not in the image"))?.file_type();
                ensure!(kind.is_file(), "{name}: not a regular file");
                Ok(Box::new(File::open(path)?))
            }
            Self::Archive { file, places, links } => {
                // Old versions of docker(1) have layers that are links to those of other images: ../DIGEST/layer.tar
                let target = links.get(name).map_or(name, |target| target.trim_start_matches("../"));
                let (at, left) = *places.get(target).with_context(|| format!("{name}: not in the image"))?;
                Ok(Box::new(PartReader::new(Arc::clone(file), at, left)))
            }
        }
    }

    pub(super) fn json(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(name)?.take(JSON_BYTES + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= JSON_BYTES, "{name}: more than {} MiB", JSON_BYTES >> 20);
        Ok(bytes)
    }

    /// Returns the name of a blob's file after verifying digest and size.
    pub(super) fn blob(&self, descriptor: &Descriptor) -> Result<String> {
        let digest = descriptor.digest().to_string();
        let hex = digest.strip_prefix("sha256:").with_context(|| format!("{digest}: only sha256 is supported"))?;
        ensure!(hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}: not a digest");
        let name = format!("blobs/sha256/{hex}");
        let size = descriptor.size();
        let mut contents = Digesting::new(self.file(&name)?.take(size.saturating_add(1)));
        let found = contents.drain()?;
        ensure!(found == size, "{digest}: not {size} bytes as declared");
        ensure!(contents.digest() == hex, "{digest}: contents do not match");
        Ok(name)
    }

    /// Returns a JSON blob.
    pub(super) fn json_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.json(&self.blob(descriptor)?)
    }
}

/// Input whose digest is made while it is read.
pub(super) struct Digesting<R> {
    input: R,
    digest: Sha256,
}

impl<R: Read> Digesting<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, digest: Sha256::new() }
    }

    /// Reads the rest, and returns its size.
    pub(super) fn drain(&mut self) -> Result<u64> {
        Ok(io::copy(self, &mut io::sink())?)
    }

    /// Returns the SHA-256 digest of what was read, in hexadecimal digits.
    pub(super) fn digest(self) -> String {
        hex(&self.digest.finalize())
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.input.read(buffer)?;
        self.digest.update(&buffer[..found]);
        Ok(found)
    }
}

/// Returns the SHA-256 digest of bytes, in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns an error that says why a file is not an image, and what to do.
pub(super) fn no_image(store: &Store) -> Result<std::convert::Infallible> {
    if store.is_root_filesystem() {
        bail!("a root filesystem, as docker export writes it, and no image: name it by the key tar instead of image");
    }
    bail!("neither an OCI image layout (index.json) nor an archive of docker save (manifest.json)")
}
