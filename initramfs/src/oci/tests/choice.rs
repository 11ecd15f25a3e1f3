//! Files with several images.

use super::*;

/// Repeats a layout's only manifest in its index, with these annotations on each copy; each is another image.
fn with_names(folder: &Path, names: &[Value]) {
    std::fs::create_dir_all(folder).expect("a folder");
    let mut manifests = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let plain = [layer(&[("etc/number", &number.to_string())])];
        layout_of(folder, configuration(&plain), &plain, |_, bytes| bytes);
        let index = std::fs::read(folder.join("index.json")).expect("a file");
        let mut index: Value = serde_json::from_slice(&index).expect("JSON");
        let mut manifest = index["manifests"][0].take();
        manifest["annotations"] = name.clone();
        manifests.push(manifest);
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": manifests});
    std::fs::write(folder.join("index.json"), serde_json::to_vec(&index).expect("JSON")).expect("a file");
}

/// Returns which image was selected, or the error.
fn number(folder: &Path, reference: Option<&str>) -> String {
    match read(folder, Architecture::X86_64, reference) {
        Ok(container) => match &container.tree.get("etc/number").expect("a file").kind {
            crate::tree::Kind::File(contents) => contents.text(),
            other => panic!("{other:?}"),
        },
        Err(error) => format!("{error:#}").split_once(": ").expect("the file's name").1.to_owned(),
    }
}

#[test]
fn two_images_with_one_tag_cause_an_error_with_their_names() {
    let name = |name: &str| serde_json::json!({"org.opencontainers.image.ref.name": "latest", "io.containerd.image.name": name});
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["docker.io/library/nginx:latest", "docker.io/me/web:latest", "quay.io/nginx:latest"];
    with_names(folder.path(), &names.map(name));
    let list = names.join(", ");
    let wanted = "of the images for x86_64: several images";
    let choose = "choose one by its name (reference)";
    assert_eq!(number(folder.path(), None), format!("{wanted}; {choose}: {list}"));
    assert_eq!(number(folder.path(), Some("latest")), format!("{wanted} with the name latest; {choose}: {list}"));
    let none = format!("of the images for x86_64: no image with the name redis; there is: {list}");
    assert_eq!(number(folder.path(), Some("redis")), none);
    for (reference, expected) in [
        ("docker.io/library/nginx:latest", "0"),
        ("nginx", "0"),
        ("nginx:latest", "0"),
        ("me/web", "1"),
        ("docker.io/me/web:latest", "1"),
        ("quay.io/nginx", "2"),
    ] {
        assert_eq!(number(folder.path(), Some(reference)), expected, "{reference}");
    }
}

#[test]
fn image_with_two_names_counts_once_and_attestations_do_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let statement = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    with_names(
        folder.path(),
        &[serde_json::json!({"org.opencontainers.image.ref.name": "localhost/web:1"}), statement],
    );
    assert_eq!(number(folder.path(), None), "0");
    assert_eq!(number(folder.path(), Some("web:1")), "0");
    let index = std::fs::read(folder.path().join("index.json")).expect("a file");
    let mut index: Value = serde_json::from_slice(&index).expect("JSON");
    let mut again = index["manifests"][0].clone();
    again["annotations"]["org.opencontainers.image.ref.name"] = "localhost/web:2".into();
    index["manifests"][1] = again;
    std::fs::write(folder.path().join("index.json"), serde_json::to_vec(&index).expect("JSON")).expect("a file");
    assert_eq!(number(folder.path(), None), "0");
    assert_eq!(number(folder.path(), Some("web:2")), "0");
}
