//! The documents about what is in a release, read by the library of those who wrote their format.

use cyclonedx_bom::models::bom::Bom;
use cyclonedx_bom::validation::Validate;
use hilum_initramfs::description::Description;
use hilum_initramfs::sbom::{Crates, document, packages, whole};
use std::path::{Path, PathBuf};
use std::process::Command;

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(source(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of a document's components; it has to be valid, and each dependency has to be one of them.
fn components(text: &str) -> Vec<String> {
    let document = Bom::parse_from_json_v1_5(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let result = document.validate();
    assert!(result.passed(), "{result:?}\n{text}");
    let parts = document.components.expect("components").0;
    let whole = document.metadata.and_then(|metadata| metadata.component).expect("the whole");
    let named: Vec<String> = parts.iter().chain([&whole]).filter_map(|part| part.bom_ref.clone()).collect();
    for dependency in document.dependencies.expect("dependencies").0 {
        for one in dependency.dependencies.iter().chain([&dependency.dependency_ref]) {
            assert!(named.contains(one), "{one} is no component");
        }
    }
    parts.iter().map(|part| part.name.to_string()).collect()
}

const RUSTC: &str = "rustc 1.96.0 (abc 2026-01-01)";

/// The crates of a program of a workspace, for a target.
fn crates(workspace: &str, program: &str, target: &str) -> Crates {
    let mut cargo = Command::new(std::env::var_os("CARGO").expect("cargo"));
    cargo.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target, "--manifest-path"]);
    let output = cargo.arg(source(&format!("{workspace}Cargo.toml"))).output().expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = String::from_utf8(output.stdout).expect("UTF-8");
    Crates::read(&metadata, &read(&format!("{workspace}Cargo.lock")), program).expect("crates")
}

#[test]
fn document_of_an_elf_file_has_its_crates_and_no_tools() {
    for target in ["x86_64", "aarch64"] {
        let mut crates = crates("src/runtime/", "hilum-runtime", &format!("{target}-unknown-linux-musl"));
        crates.add_library("core", RUSTC).expect("a version");
        let name = format!("hilum-{target}");
        let whole = whole("firmware", &name, Some(&source("Cargo.toml"))).expect("a file");
        let text = document(&whole, &crates.components, Some(&crates)).expect("a document");
        let found = components(&text);
        for name in ["hilum", "hilum-sys", "rustix", "linux-raw-sys", "heapless", "smoltcp", "rust-core"] {
            assert!(found.iter().any(|one| one == name), "no {name}: {found:?}");
        }
        assert!(!found.iter().any(|one| ["hilum-probe", "proptest", "autocfg"].contains(&one.as_str())), "{found:?}");
        assert!(found.len() < 25, "{found:?}");
        // Crates of others have a checksum and a licence text.
        let licenses = crates.licenses().expect("texts");
        for part in crates.components.iter().filter(|part| !part.name.starts_with("hilum") && part.name != "rust-core")
        {
            assert!(part.sha256.as_ref().is_some_and(|sum| sum.len() == 64), "{part:?}");
            assert!(licenses.contains(&format!("==== {} {}: ", part.name, part.version)), "{}", part.name);
        }
    }
}

#[test]
fn document_of_the_agent_has_its_crates_and_what_is_linked() {
    for target in ["x86_64", "aarch64"] {
        let mut crates = crates("", "hilum-agent", &format!("{target}-unknown-linux-gnu"));
        crates.add_library("std", RUSTC).expect("a version");
        crates.add_linked("libc6-dev", "2.36-9+deb12u10");
        let whole = whole("application", &format!("hilum-agent-{target}"), None).expect("a name");
        let text = document(&whole, &crates.components, Some(&crates)).expect("a document");
        assert!(text.contains("pkg:deb/debian/libc6-dev@2.36-9%2Bdeb12u10"), "{text}");
        let found = components(&text);
        for name in ["hilum", "prometheus", "rustls", "ring", "ureq", "rust-std", "libc6-dev"] {
            assert!(found.iter().any(|one| one == name), "no {name}: {found:?}");
        }
        // Those of the builder, of tests, and of builds.
        for name in ["hilum-initramfs", "tempfile", "cc", "clap"] {
            assert!(!found.iter().any(|one| one == name), "{name}: {found:?}");
        }
        let licenses = crates.licenses().expect("texts");
        assert!(licenses.contains("==== ring "), "a text of each");
    }
}

#[test]
fn document_of_an_image_has_its_packages_in_their_locked_versions() {
    let lock = read("initramfs/debian/lock");
    for board in ["qemu-x86_64", "rpi4"] {
        let files =
            [source(&format!("initramfs/boards/{board}.toml")), source("initramfs/appliances/mqtt/appliance.toml")];
        let description = Description::read(&files).expect("descriptions");
        let architecture = description.architecture.as_deref().expect("an architecture");
        let release = description.release.as_deref().unwrap_or("bookworm");
        let parts = packages(&lock, architecture, release, &description.packages()).expect("locked packages");
        let whole = whole("firmware", &format!("hilum-{board}-mqtt"), None).expect("a name");
        let found = components(&document(&whole, &parts, None).expect("a document"));
        assert_eq!(found.len(), description.packages().len());
        assert!(found.iter().any(|name| name == "mosquitto"), "{found:?}");
        let kernel = found.iter().find(|name| name.starts_with("linux-image-")).expect("a kernel");
        assert!(kernel.contains("6."), "the kernel's whole name: {kernel}");
    }
    let ops = Description::read(&[source("initramfs/appliances/ops/appliance.toml")]).expect("a description");
    assert_eq!(ops.programs(), ["hilum-agent"], "its own document says what is in it");
    let error = packages(&lock, "x86_64", "bookworm", &["no-such-package"]).expect_err("it is not locked");
    assert!(error.to_string().contains("x86_64 bookworm no-such-package"), "{error}");
}
