//! Container images: OCI image layouts (a folder, or a tar archive of one), and archives of `docker save` and `podman
//! save`.
//!
//! Every blob is verified by its digest before it is used, and every layer by the digest of its contents in the image's
//! configuration. `lines.rs` translates the settings for running it into configuration lines.

mod choice;
mod lines;
mod store;

use crate::compression::unpacked;
use crate::tree::{Spool, Tree};
use anyhow::{Context, Result, ensure};
use choice::{from_docker, from_layout};
use hilum::Architecture;
use oci_spec::image::{Arch, ImageConfiguration, Os};
use std::io::{BufReader, Read};
use std::path::Path;
use store::{Digesting, Store, no_image};

/// A container image: its root filesystem, and its settings.
#[derive(Debug)]
pub struct Container {
    /// The root filesystem.
    pub tree: Tree,
    /// Its configuration.
    pub configuration: ImageConfiguration,
    /// Docker's health check extension, if it can be parsed.
    pub healthcheck: Option<Healthcheck>,
}

/// A health check (Docker's image specification 1.2, "Healthcheck").
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `CMD` and words, `CMD-SHELL` and a text, or `NONE`.
    #[serde(default)]
    pub test: Vec<String>,
    /// Nanoseconds between checks; 0 means 30 s.
    #[serde(default)]
    pub interval: u64,
    /// Consecutive failures until it is unhealthy; 0 means 3.
    #[serde(default)]
    pub retries: u64,
}

/// Returns the health check in an image's configuration.
fn healthcheck(configuration: &[u8]) -> Option<Healthcheck> {
    let mut whole: serde_json::Value = serde_json::from_slice(configuration).ok()?;
    serde_json::from_value(whole.get_mut("config")?.get_mut("Healthcheck")?.take()).ok()
}

/// Reads an image for an architecture. `reference` selects one of several by name.
///
/// # Errors
/// A file that is not an image, does not support this architecture, or does not match its digests.
pub fn read(path: &Path, architecture: Architecture, reference: Option<&str>) -> Result<Container> {
    read_to(path, architecture, reference, &mut Spool::temporary()?, &mut |_| {})
}

/// Like [`read`], with the contents of files in a spool; calls `advance` with the number of bytes of layers that were read.
///
/// # Errors
/// As [`read`].
pub fn read_to(
    path: &Path,
    architecture: Architecture,
    reference: Option<&str>,
    spool: &mut Spool,
    advance: &mut dyn FnMut(u64),
) -> Result<Container> {
    read_from(path, architecture, reference, spool, advance).with_context(|| path.display().to_string())
}

fn read_from(
    path: &Path,
    architecture: Architecture,
    reference: Option<&str>,
    spool: &mut Spool,
    advance: &mut dyn FnMut(u64),
) -> Result<Container> {
    let store = Store::open(path)?;
    let (configuration, layers) = if store.file("index.json").is_ok() && store.file("oci-layout").is_ok() {
        from_layout(&store, architecture, reference)?
    } else if store.file("manifest.json").is_ok() {
        from_docker(&store, reference)?
    } else {
        match no_image(&store)? {}
    };
    let healthcheck = healthcheck(&configuration);
    let configuration = ImageConfiguration::from_reader(configuration.as_slice()).context("the configuration")?;
    let (is, needed) = (configuration.architecture(), Arch::from(architecture.oci()));
    ensure!(*is == needed, "the image is for {is}, the board is {needed}");
    ensure!(*configuration.os() == Os::Linux, "the image is for {}", configuration.os());
    let digests = configuration.rootfs().diff_ids();
    ensure!(digests.len() == layers.len(), "{} layers, and digests of {}", layers.len(), digests.len());
    let mut tree = Tree::new();
    for (number, (layer, digest)) in (1..).zip(layers.iter().zip(digests)) {
        apply(&store, layer, digest, &mut tree, spool, advance).with_context(|| format!("layer {number}"))?;
    }
    Ok(Container { tree, configuration, healthcheck })
}

/// Applies a layer to the tree. Its digest can only be verified when all of it was read; until then nobody uses the
/// tree.
fn apply(
    store: &Store,
    layer: &str,
    digest: &str,
    tree: &mut Tree,
    spool: &mut Spool,
    advance: &mut dyn FnMut(u64),
) -> Result<()> {
    let contents = unpacked(store.file(layer)?)?;
    let mut contents = Digesting::new(Counted { input: BufReader::with_capacity(1 << 18, contents), advance });
    let applied = tree.apply_to(&mut contents, true, spool);
    contents.drain()?;
    let found = format!("sha256:{}", contents.digest());
    ensure!(found == *digest, "its contents are not those of {digest}");
    applied
}

/// A reader that reports how many bytes were read.
struct Counted<'a, R> {
    input: R,
    advance: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let found = self.input.read(buffer)?;
        (self.advance)(found as u64);
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
