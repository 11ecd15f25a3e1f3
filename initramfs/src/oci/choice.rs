//! Selects an image of a file: by architecture, and by name if there are several.

use super::store::{Store, sha256};
use crate::untrusted::escaped;
use anyhow::{Context, Result, bail, ensure};
use hilum::Architecture;
use oci_spec::image::{Arch, Descriptor, ImageIndex, ImageManifest, MediaType, Os};
use std::collections::BTreeSet;

/// An image's configuration, and the file names of its layers, lowest first.
pub(super) type Parts = (Vec<u8>, Vec<String>);

/// Annotations that contain a name: OCI's own, and containerd's, which docker save writes too. OCI's is ambiguous if
/// two images have the same tag.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// Returns the selected image of an OCI layout.
pub(super) fn from_layout(store: &Store, architecture: Architecture, reference: Option<&str>) -> Result<Parts> {
    /// Maximum nesting of indexes.
    const DEPTH: usize = 4;
    let mut index = ImageIndex::from_reader(store.json("index.json")?.as_slice()).context("index.json")?;
    let mut reference = reference;
    for _ in 0..DEPTH {
        let fits = |descriptor: &&Descriptor| match descriptor.platform() {
            Some(platform) => *platform.architecture() == Arch::from(architecture.oci()) && *platform.os() == Os::Linux,
            None => true,
        };
        // Attestations about an image, such as its provenance, are not images.
        let is_image = |descriptor: &&Descriptor| {
            let annotations = descriptor.annotations().as_ref();
            annotations.is_none_or(|all| !all.contains_key("vnd.docker.reference.type"))
        };
        let mut seen = BTreeSet::new();
        let is_new = |descriptor: &&Descriptor| seen.insert((descriptor.digest().to_string(), names(descriptor)));
        let found: Vec<&Descriptor> = index.manifests().iter().filter(fits).filter(is_image).filter(is_new).collect();
        ensure!(!found.is_empty(), "no image for {} in the index", architecture.name());
        let named: Vec<(&Descriptor, Vec<String>)> = found.iter().map(|one| (*one, names(one))).collect();
        let first = chosen(&named, reference, |one| one.digest().to_string())
            .with_context(|| format!("of the images for {}", architecture.name()))?;
        match first.media_type() {
            MediaType::ImageIndex => {
                index = ImageIndex::from_reader(store.json_blob(first)?.as_slice()).context("an index")?;
            }
            MediaType::Other(name) if name.contains("manifest.list") => {
                index = ImageIndex::from_reader(store.json_blob(first)?.as_slice()).context("an index")?;
            }
            _ => {
                let manifest = ImageManifest::from_reader(store.json_blob(first)?.as_slice());
                let manifest = manifest.context("the manifest")?;
                let layers: Result<Vec<String>> = manifest.layers().iter().map(|layer| store.blob(layer)).collect();
                return Ok((store.json_blob(manifest.config())?, layers?));
            }
        }
        reference = None;
    }
    bail!("an index without an image")
}

fn names(descriptor: &Descriptor) -> Vec<String> {
    let Some(all) = descriptor.annotations().as_ref() else { return Vec::new() };
    NAMES.iter().filter_map(|name| all.get(*name)).cloned().collect()
}

/// Returns the selected image of a docker save archive.
pub(super) fn from_docker(store: &Store, reference: Option<&str>) -> Result<Parts> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Saved {
        config: String,
        #[serde(default)]
        repo_tags: Option<Vec<String>>,
        layers: Vec<String>,
    }
    let saved: Vec<Saved> = serde_json::from_slice(&store.json("manifest.json")?).context("manifest.json")?;
    let named: Vec<(&Saved, Vec<String>)> =
        saved.iter().map(|image| (image, image.repo_tags.clone().unwrap_or_default())).collect();
    let image = chosen(&named, reference, |image| image.config.clone()).context("of manifest.json")?;
    let configuration = store.json(&image.config)?;
    // The name of the configuration is its digest, with or without an extension.
    let name = image.config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    ensure!(name.len() != 64 || sha256(&configuration) == name, "{}: contents do not match", image.config);
    for layer in &image.layers {
        store.file(layer)?;
    }
    Ok((configuration, image.layers.clone()))
}

/// Returns the only image, or the only one with this name. A full name takes precedence over a short one.
fn chosen<'a, T>(
    images: &[(&'a T, Vec<String>)],
    reference: Option<&str>,
    identity: impl Fn(&T) -> String,
) -> Result<&'a T> {
    let Some(reference) = reference else { return only(images, images, "", &identity) };
    let with = |is_it: &dyn Fn(&str) -> bool| -> Vec<(&'a T, Vec<String>)> {
        images.iter().filter(|(_, names)| names.iter().any(|name| is_it(name))).cloned().collect()
    };
    let exact = with(&|name| name == reference);
    let found = if exact.is_empty() { with(&|name| full_name(name) == full_name(reference)) } else { exact };
    only(&found, images, &format!(" with the name {}", escaped(reference)), &identity)
}

/// Returns the only image of `found`; the error lists all of them.
fn only<'a, T>(
    found: &[(&'a T, Vec<String>)],
    all: &[(&'a T, Vec<String>)],
    what: &str,
    identity: &impl Fn(&T) -> String,
) -> Result<&'a T> {
    let different: BTreeSet<String> = found.iter().map(|(one, _)| identity(one)).collect();
    if let (1, Some((one, _))) = (different.len(), found.first()) {
        return Ok(one);
    }
    let list = if found.is_empty() { all } else { found };
    // The first name is the most specific one; an image without a name is listed by digest.
    let names = list.iter().map(|(one, names)| names.first().cloned().unwrap_or_else(|| identity(one)));
    let names: BTreeSet<String> = names.map(|name| escaped(&name)).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    match found.len() {
        0 => bail!("no image{what}; there is: {names}"),
        _ => bail!("several images{what}; choose one by its name (reference): {names}"),
    }
}

/// Completes a name with registry and tag, as docker(1) and podman(1) do.
fn full_name(name: &str) -> String {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").or_else(|| name.strip_prefix("localhost/")).unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}
