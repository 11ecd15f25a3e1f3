//! Checks that files that no compiler looks at mention every supported architecture.

use hilum::Architecture;
use hilum_initramfs::description::Description;
use std::path::{Path, PathBuf};

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(source(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the line of a file that begins with these words.
fn line(path: &str, start: &str) -> String {
    let text = text(path);
    let found = text.lines().map(str::trim).find(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("{path}: no line begins with {start:?}")).to_owned()
}

#[test]
fn build_files_name_exactly_the_known_architectures() {
    let names = Architecture::ALL.map(Architecture::name);
    assert_eq!(line("Makefile", "ARCHS :=").split_whitespace().skip(2).collect::<Vec<_>>(), names, "Makefile: ARCHS");
    let targets = line("deny.toml", "targets = ");
    for known in Architecture::ALL {
        assert!(targets.contains(&format!("\"{}\"", known.rust_target())), "deny.toml: no target of {}", known.name());
        let case = format!("{}) debian={} ;;", known.name(), known.debian());
        assert!(text("initramfs/debian/unpack").contains(&case), "initramfs/debian/unpack: expected {case}");
        line("initramfs/debian/install", &format!("run-{})", known.name()));
    }
    let mut budgets: Vec<String> = std::fs::read_dir(source("linker/budget"))
        .expect("linker/budget")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"))
        .collect();
    let mut expected = names.map(str::to_owned);
    budgets.sort();
    expected.sort();
    assert_eq!(budgets, expected, "linker/budget");
}

#[test]
fn boards_and_architectures_match() {
    for known in Architecture::ALL {
        for kind in ["qemu", "uefi"] {
            let board = source(&format!("initramfs/boards/{kind}-{}.toml", known.name()));
            let description = Description::read(&[board]).expect("a board");
            assert_eq!(description.architecture.as_deref(), Some(known.name()));
        }
    }
    for entry in std::fs::read_dir(source("initramfs/boards")).expect("the boards") {
        let board = entry.expect("a file").path();
        let description = Description::read(std::slice::from_ref(&board)).expect("a board");
        let name = description.architecture.unwrap_or_default();
        assert!(name.parse::<Architecture>().is_ok(), "{}: {name:?}", board.display());
    }
}
