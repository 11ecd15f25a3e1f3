//! Container images: OCI image layouts (a folder, or a tar archive of one), and archives of `docker save` and
//! `podman save`.
//!
//! Every blob is compared with its digest before anything of it is used, and every layer with the digest of its contents
//! that the image's configuration gives. What it says about running it, `lines.rs` puts into words of the board.

mod lines;

use crate::tree::Tree;
use anyhow::{Context, Result, bail, ensure};
use hilum::Architecture;
use oci_spec::image::{Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a manifest, an index or a configuration; real ones have some thousand.
const JSON_BYTES: u64 = 4 << 20;

/// A container image: its root filesystem, and what it says about running it.
#[derive(Debug)]
pub struct Container {
    /// The root filesystem.
    pub tree: Tree,
    /// Its configuration.
    pub configuration: ImageConfiguration,
}

/// Where files of an image are.
enum Store {
    Folder(PathBuf),
    /// Files of an archive by name, and the names that are links to others.
    Archive {
        file: PathBuf,
        places: BTreeMap<String, (u64, u64)>,
        links: BTreeMap<String, String>,
    },
}

impl Store {
    fn open(path: &Path) -> Result<Self> {
        let metadata = path.metadata()?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let mut archive = tar::Archive::new(File::open(path)?);
        let (mut places, mut links) = (BTreeMap::new(), BTreeMap::new());
        for entry in archive.entries_with_seek().context("no tar archive")? {
            let entry = entry.context("the archive is damaged")?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
            match (entry.header().entry_type(), entry.link_name_bytes()) {
                (tar::EntryType::Symlink | tar::EntryType::Link, Some(target)) => {
                    links.insert(name, String::from_utf8_lossy(&target).into_owned());
                }
                _ => {
                    places.insert(name, (entry.raw_file_position(), entry.size()));
                }
            }
        }
        Ok(Self::Archive { file: path.to_owned(), places, links })
    }

    /// Opens a file of the image.
    fn file(&self, name: &str) -> Result<Box<dyn Read>> {
        ensure!(!name.starts_with('/') && name.split('/').all(|part| part != ".."), "{name}: a name that climbs");
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                // A link in a layout could name any file of this machine.
                let kind =
                    path.symlink_metadata().with_context(|| format!("{name}: it is not in the image"))?.file_type();
                ensure!(kind.is_file(), "{name}: no regular file");
                Ok(Box::new(File::open(path)?))
            }
            Self::Archive { file, places, links } => {
                // docker(1) of old has layers that are links to those of other images: ../DIGEST/layer.tar
                let target = links.get(name).map_or(name, |target| target.trim_start_matches("../"));
                let (at, size) = places.get(target).with_context(|| format!("{name}: it is not in the image"))?;
                let mut file = File::open(file)?;
                std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(*at))?;
                Ok(Box::new(file.take(*size)))
            }
        }
    }

    fn json(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(name)?.take(JSON_BYTES + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= JSON_BYTES, "{name}: more than {} MiB", JSON_BYTES >> 20);
        Ok(bytes)
    }

    /// A blob of an OCI layout, compared with its digest and its size.
    fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = descriptor.digest().to_string();
        let hex = digest.strip_prefix("sha256:").with_context(|| format!("{digest}: only sha256 is known"))?;
        ensure!(hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}: no digest");
        let mut bytes = Vec::new();
        let size = descriptor.size();
        self.file(&format!("blobs/sha256/{hex}"))?.take(size.saturating_add(1)).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 == size, "{digest}: it has not the {size} bytes that are said of it");
        ensure!(sha256(&bytes) == hex, "{digest}: its contents are others");
        Ok(bytes)
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads an image for an architecture. `reference` chooses one of several by its name.
///
/// # Errors
/// A file that is no image, lacks this architecture, or is not what its digests say.
pub fn read(path: &Path, architecture: Architecture, reference: Option<&str>) -> Result<Container> {
    read_from(path, architecture, reference).with_context(|| path.display().to_string())
}

fn read_from(path: &Path, architecture: Architecture, reference: Option<&str>) -> Result<Container> {
    let store = Store::open(path)?;
    let (configuration, layers) = if store.file("index.json").is_ok() && store.file("oci-layout").is_ok() {
        from_layout(&store, architecture, reference)?
    } else if store.file("manifest.json").is_ok() {
        from_docker(&store, reference)?
    } else {
        bail!("neither an OCI image layout (index.json) nor an archive of docker save (manifest.json)")
    };
    let configuration = ImageConfiguration::from_reader(configuration.as_slice()).context("the configuration")?;
    let (is, needed) = (configuration.architecture(), Arch::from(architecture.oci()));
    ensure!(*is == needed, "the image is for {is}, the board is {needed}");
    ensure!(*configuration.os() == Os::Linux, "the image is for {}", configuration.os());
    let digests = configuration.rootfs().diff_ids();
    ensure!(digests.len() == layers.len(), "{} layers, and digests of {}", layers.len(), digests.len());
    let mut tree = Tree::new();
    for (number, (layer, digest)) in (1..).zip(layers.into_iter().zip(digests)) {
        let mut layer = unpacked(layer).with_context(|| format!("layer {number}"))?;
        let found = format!("sha256:{}", sha256(&layer));
        ensure!(found == *digest, "layer {number}: its contents are not those of {digest}");
        // umoci(1) leaves the last block short. Its contents are what they should be: the digest was right.
        layer.resize(layer.len().next_multiple_of(512), 0);
        tree.apply(layer.as_slice(), true).with_context(|| format!("layer {number}"))?;
    }
    Ok(Container { tree, configuration })
}

type Parts = (Vec<u8>, Vec<Vec<u8>>);

fn from_layout(store: &Store, architecture: Architecture, reference: Option<&str>) -> Result<Parts> {
    /// An index that names another one, and perhaps once more.
    const DEPTH: usize = 4;
    const NAME: &str = "org.opencontainers.image.ref.name";
    let mut index = ImageIndex::from_reader(store.json("index.json")?.as_slice()).context("index.json")?;
    let mut reference = reference;
    for _ in 0..DEPTH {
        let is_named = |descriptor: &&Descriptor| match reference {
            Some(name) => {
                let annotations = descriptor.annotations().as_ref();
                annotations.and_then(|all| all.get(NAME)).is_some_and(|found| found == name)
            }
            None => true,
        };
        let fits = |descriptor: &&Descriptor| match descriptor.platform() {
            Some(platform) => *platform.architecture() == Arch::from(architecture.oci()) && *platform.os() == Os::Linux,
            None => true,
        };
        let mut found = index.manifests().iter().filter(is_named).filter(fits);
        let Some(first) = found.next() else {
            let name = reference.map_or_else(String::new, |name| format!(" with the name {name}"));
            bail!("no image for {}{name} in the index", architecture.name());
        };
        if found.next().is_some() && reference.is_none() {
            bail!("several images; choose one by its name");
        }
        let bytes = store.blob(first)?;
        match first.media_type() {
            MediaType::ImageIndex => index = ImageIndex::from_reader(bytes.as_slice()).context("an index")?,
            MediaType::Other(name) if name.contains("manifest.list") => {
                index = ImageIndex::from_reader(bytes.as_slice()).context("an index")?;
            }
            _ => {
                let manifest = ImageManifest::from_reader(bytes.as_slice()).context("the manifest")?;
                let layers: Result<Vec<Vec<u8>>> = manifest.layers().iter().map(|layer| store.blob(layer)).collect();
                return Ok((store.blob(manifest.config())?, layers?));
            }
        }
        reference = None;
    }
    bail!("an index that leads to no image")
}

fn from_docker(store: &Store, reference: Option<&str>) -> Result<Parts> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Saved {
        config: String,
        #[serde(default)]
        repo_tags: Option<Vec<String>>,
        layers: Vec<String>,
    }
    let saved: Vec<Saved> = serde_json::from_slice(&store.json("manifest.json")?).context("manifest.json")?;
    let has_name =
        |image: &&Saved| reference.is_none_or(|name| image.repo_tags.iter().flatten().any(|tag| tag == name));
    let mut found = saved.iter().filter(has_name);
    let image = found.next().context("no image with that name in manifest.json")?;
    ensure!(found.next().is_none(), "several images; choose one by its name");
    let configuration = store.json(&image.config)?;
    // The name of the configuration is its digest, with or without an ending.
    let name = image.config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    ensure!(name.len() != 64 || sha256(&configuration) == name, "{}: its contents are others", image.config);
    let layer = |name: &String| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        store.file(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let layers: Result<Vec<Vec<u8>>> = image.layers.iter().map(layer).collect();
    Ok((configuration, layers?))
}

/// Unpacks a layer by what its first bytes say: gzip, zstd, or nothing.
pub fn unpacked(bytes: Vec<u8>) -> Result<Vec<u8>> {
    /// A layer that unpacks to more is an attack, or fits no board.
    const BYTES: u64 = 16 << 30;
    let mut plain = Vec::new();
    match bytes.get(..4) {
        Some([0x1f, 0x8b, ..]) => {
            flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(BYTES + 1).read_to_end(&mut plain)
        }
        Some([0x28, 0xb5, 0x2f, 0xfd]) => zstd::Decoder::new(bytes.as_slice())?.take(BYTES + 1).read_to_end(&mut plain),
        _ => return Ok(bytes),
    }
    .context("it cannot be unpacked")?;
    ensure!(plain.len() as u64 <= BYTES, "it unpacks to more than {} GiB", BYTES >> 30);
    Ok(plain)
}

#[cfg(test)]
mod tests;
