//! Container images that are created here, intact and tampered with.

use super::store::sha256;
use super::*;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

mod choice;
mod hostile;
mod ordinary;

fn layer(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, path, text.as_bytes()).expect("it fits");
    }
    builder.into_inner().expect("it fits")
}

fn configuration(layers: &[Vec<u8>]) -> Vec<u8> {
    configuration_of(layers, running())
}

/// Returns the image's settings.
fn running() -> Value {
    serde_json::json!({
        "User": "web:staff", "Env": ["PATH=/bin", "A=b c", "EMPTY="], "Entrypoint": ["/bin/web"], "Cmd": ["-p", "80 81"],
        "WorkingDir": "/srv", "StopSignal": "SIGQUIT", "ExposedPorts": {"80/tcp": {}},
    })
}

fn configuration_of(layers: &[Vec<u8>], running: Value) -> Vec<u8> {
    let digests: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
    let whole = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": running, "rootfs": {"type": "layers", "diff_ids": digests},
    });
    serde_json::to_vec(&whole).expect("JSON")
}

fn layers() -> Vec<Vec<u8>> {
    let passwd = "root:x:0:0::/:\nweb:x:33:34::/:\n";
    vec![
        layer(&[("etc/passwd", passwd), ("etc/group", "staff:x:50:\n"), ("bin/web", "x"), ("gone", "x")]),
        layer(&[(".wh.gone", ""), ("bin/more", "y")]),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("it fits");
    encoder.finish().expect("it fits")
}

/// Creates an OCI layout in a folder; `spoil` may change a blob before it is written.
fn layout(folder: &Path, spoil: impl Fn(&str, Vec<u8>) -> Vec<u8>) {
    let plain = layers();
    layout_of(folder, configuration(&plain), &plain, spoil);
}

/// Creates an OCI layout with this configuration and these layers.
fn layout_of(folder: &Path, config: Vec<u8>, plain: &[Vec<u8>], spoil: impl Fn(&str, Vec<u8>) -> Vec<u8>) {
    std::fs::create_dir_all(folder.join("blobs/sha256")).expect("a folder");
    let put = |what: &str, kind: &str, bytes: Vec<u8>| {
        let hex = sha256(&bytes);
        let descriptor = serde_json::json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": format!("sha256:{hex}"), "size": bytes.len()
        });
        std::fs::write(folder.join("blobs/sha256").join(hex), spoil(what, bytes)).expect("a blob");
        descriptor
    };
    let config = put("config", "config.v1+json", config);
    let pack = |(number, bytes): (usize, &Vec<u8>)| match number % 2 {
        0 => gzip(bytes),
        _ => zstd::encode_all(bytes.as_slice(), 1).expect("zstd"),
    };
    let blobs: Vec<_> =
        plain.iter().enumerate().map(pack).map(|bytes| put("layer", "layer.v1.tar+gzip", bytes)).collect();
    let manifest = serde_json::json!({"schemaVersion": 2, "config": config, "layers": blobs});
    let mut manifest = put("manifest", "manifest.v1+json", serde_json::to_vec(&manifest).expect("JSON"));
    manifest["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "web:1"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(folder.join("index.json"), serde_json::to_vec(&index).expect("JSON")).expect("a file");
    std::fs::write(folder.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").expect("a file");
}

fn paths(container: &Container) -> Vec<&str> {
    container.tree.iter().map(|(path, _)| path).collect()
}

const PATHS: [&str; 7] = ["", "bin", "bin/more", "bin/web", "etc", "etc/group", "etc/passwd"];

#[test]
fn oci_layout_becomes_a_tree_and_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    layout(folder.path(), |_, bytes| bytes);
    let container = read(folder.path(), Architecture::X86_64, Some("web:1")).expect("good");
    assert_eq!(paths(&container), PATHS);
    let expected = "exec /bin/web -p \"80 81\"\nenv PATH /bin\nenv A \"b c\"\nenv EMPTY \"\"\nuser 33:50\ndirectory /srv\nstop SIGQUIT 5s\n\
                    # publish 80:80/tcp\n";
    assert_eq!(container.lines(), expected);
    // The board's own parser accepts them.
    let text = format!("hilum 1\n[workload a]\nroot /r\n{expected}");
    let mut config = hilum::config::Config::EMPTY;
    hilum::config::parse(text.as_bytes(), &mut config).expect("a good configuration");
    // The same layout as an archive.
    let archive = folder.path().join("image.tar");
    let mut builder = tar::Builder::new(File::create(&archive).expect("a file"));
    for name in ["index.json", "oci-layout", "blobs"] {
        let path = folder.path().join(name);
        if path.is_dir() {
            builder.append_dir_all(name, &path).expect("it fits");
        } else {
            builder.append_path_with_name(&path, name).expect("it fits");
        }
    }
    builder.finish().expect("it fits");
    assert_eq!(paths(&read(&archive, Architecture::X86_64, None).expect("good")), PATHS);
}

#[test]
fn docker_save_archive_becomes_a_tree() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = layers();
    let config = configuration(&plain);
    let save = |config_name: &str, link: &str| {
        let file = folder.path().join("saved.tar");
        let mut builder = tar::Builder::new(File::create(&file).expect("a file"));
        let manifest = serde_json::json!([{
            "Config": config_name, "RepoTags": ["web:1"], "Layers": ["a/layer.tar", "b/layer.tar"]
        }]);
        let manifest = serde_json::to_vec(&manifest).expect("JSON");
        for (name, bytes) in [
            ("manifest.json", &manifest),
            (config_name, &config),
            ("a/layer.tar", &plain[0]),
            ("c/layer.tar", &plain[1]),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes.as_slice()).expect("it fits");
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "b/layer.tar", link).expect("it fits");
        builder.finish().expect("it fits");
        file
    };
    let name = format!("{}.json", sha256(&config));
    let container = read(&save(&name, "../c/layer.tar"), Architecture::X86_64, Some("web:1")).expect("good");
    assert_eq!(paths(&container), PATHS);
    let refused =
        |file: PathBuf, reference| format!("{:#}", read(&file, Architecture::X86_64, reference).expect_err("refused"));
    assert!(refused(save(&name, "../../../etc/passwd"), None).contains("b/layer.tar: not in the image"));
    assert!(
        refused(save(&name, "../c/layer.tar"), Some("other")).contains("no image with the name other; there is: web:1")
    );
    let other = format!("{}.json", "0".repeat(64));
    assert!(refused(save(&other, "../c/layer.tar"), None).contains("contents do not match"));
}

#[test]
fn blob_with_a_wrong_digest_is_refused() {
    for what in ["config", "layer", "manifest"] {
        let folder = tempfile::tempdir().expect("a folder");
        layout(folder.path(), |found, mut bytes| {
            if found == what {
                bytes[0] ^= 1;
            }
            bytes
        });
        let error = format!("{:#}", read(folder.path(), Architecture::X86_64, None).expect_err("refused"));
        assert!(error.contains("contents do not match"), "{what}: {error}");
        let folder = tempfile::tempdir().expect("a folder");
        layout(folder.path(), |found, mut bytes| {
            if found == what {
                bytes.push(b' ');
            }
            bytes
        });
        let error = format!("{:#}", read(folder.path(), Architecture::X86_64, None).expect_err("refused"));
        assert!(error.contains("bytes as declared"), "{what}: {error}");
    }
}

#[test]
fn image_for_another_machine_and_other_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    layout(folder.path(), |_, bytes| bytes);
    let error = format!("{:#}", read(folder.path(), Architecture::Aarch64, None).expect_err("refused"));
    assert!(error.ends_with("the image is for amd64, the board is arm64"), "{error}");
    let error = format!("{:#}", read(folder.path(), Architecture::X86_64, Some("web:2")).expect_err("refused"));
    assert!(error.ends_with("of the images for x86_64: no image with the name web:2; there is: web:1"), "{error}");
    std::fs::remove_file(folder.path().join("index.json")).expect("it is there");
    let error = format!("{:#}", read(folder.path(), Architecture::X86_64, None).expect_err("refused"));
    assert!(error.contains("neither an OCI image layout"), "{error}");
    // A blob that is a link to a file of this machine.
    let folder = tempfile::tempdir().expect("a folder");
    layout(folder.path(), |_, bytes| bytes);
    let blob =
        std::fs::read_dir(folder.path().join("blobs/sha256")).expect("a folder").next().expect("a blob").expect("it");
    std::fs::rename(blob.path(), folder.path().join("moved")).expect("it is ours");
    std::os::unix::fs::symlink("/etc/passwd", blob.path()).expect("a link");
    let error = format!("{:#}", read(folder.path(), Architecture::X86_64, None).expect_err("refused"));
    assert!(error.contains("not a regular file"), "{error}");
}

/// Returns all files below a folder, with their contents.
fn everything(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| (entry.path().to_owned(), std::fs::read(entry.path()).expect("a file")))
        .collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_image_is_refused_or_harmless_and_nothing_is_written(
        which in 0_usize..16, at in proptest::num::usize::ANY, byte in proptest::num::u8::ANY,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        layout(folder.path(), |_, bytes| bytes);
        let whole = read(folder.path(), Architecture::X86_64, None).expect("good");
        let (path, mut bytes) = everything(folder.path()).swap_remove(which % 6);
        let at = at % bytes.len();
        bytes[at] = byte;
        std::fs::write(&path, &bytes).expect("a file");
        let before = everything(folder.path());
        if let Ok(container) = read(folder.path(), Architecture::X86_64, None) {
            assert!(container.tree.iter().eq(whole.tree.iter()), "{}: byte {at}", path.display());
        }
        assert_eq!(everything(folder.path()), before);
    }
}
