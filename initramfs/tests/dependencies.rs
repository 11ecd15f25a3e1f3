//! Dependencies of packages, compared with those that apt-get(8) chooses on an empty system.

use hilum_initramfs::debian::Index;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

/// A release: name, version and further fields of each package.
const PACKAGES: [(&str, &str, &str); 18] = [
    (
        "web",
        "1:2.0-1",
        "Depends: libc (>= 2.36), libssl (>= 3~), mail-agent, shell | dash\nRecommends: manual\nSuggests: web-extra\n",
    ),
    ("web-extra", "1.0", "Depends: web (= 1:2.0-1), plugin-api-3\n"),
    ("plugin", "3.1-1", "Provides: plugin-api-3, plugin-api (= 3)\nDepends: web (>= 1:1.9)\n"),
    ("needs-api", "1", "Depends: plugin-api (>= 3)\n"),
    ("libc", "2.36-9+deb12u14", "Depends: libgcc\n"),
    ("libgcc", "12.2", "Depends: gcc-base (= 12.2), libc (>= 2.14)\n"),
    ("gcc-base", "12.2", ""),
    ("libssl", "3.0.20-1~deb12u2", "Pre-Depends: libc (>= 2.34)\n"),
    ("mail-small", "1", "Provides: mail-agent\n"),
    ("dash", "0.5", "Pre-Depends: libc\n"),
    ("bash", "5", "Provides: shell-like\nDepends: libc\n"),
    ("manual", "1", ""),
    ("choice", "1", "Depends: bash | dash\n"),
    ("choice-with-version", "1", "Depends: dash (>= 1.0) | bash (>= 5~) | manual\n"),
    ("foreign", "1", "Depends: bash:any\n"),
    ("shell-user", "1", "Depends: missing | shell-like\n"),
    ("old", "1", "Depends: libc (<< 2)\n"),
    ("epoch", "1", "Depends: web (<< 2:0), web (>> 1:2.0)\n"),
];

struct Release(tempfile::TempDir);

impl Release {
    fn new() -> (Self, Index) {
        let mut text = String::new();
        for (name, version, fields) in PACKAGES {
            let sum = "0".repeat(64);
            text += &format!(
                "Package: {name}\nVersion: {version}\nArchitecture: all\nMulti-Arch: allowed\nMaintainer: a <a@a>\n{fields}Filename: {name}.deb\n\
                 Size: 1\nSHA256: {sum}\nDescription: a\n\n"
            );
        }
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        for path in ["repository", "state/lists/partial", "cache/archives/partial", "etc"] {
            std::fs::create_dir_all(at(path)).expect("a folder");
        }
        std::fs::write(at("repository/Packages"), &text).expect("a file");
        std::fs::write(at("status"), "").expect("a file");
        let source = format!("deb [trusted=yes] file:{} ./\n", at("repository").display());
        std::fs::write(at("etc/sources.list"), source).expect("a file");
        let here = folder.path().display();
        let settings = format!(
            "APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\nAPT::Sandbox::User \"\";\nDir::Etc::SourceList \
             \"{here}/etc/sources.list\";\nDir::Etc::SourceParts \"{here}/none\";\nDir::State \"{here}/state\";\nDir::State::Status \
             \"{here}/status\";\nDir::Cache \"{here}/cache\";\n"
        );
        std::fs::write(at("etc/apt.conf"), settings).expect("a file");
        let mut index = Index::default();
        index.add(&text);
        let release = Self(folder);
        let updated = release.apt(&["-q=2", "update"]);
        assert!(updated.status.success(), "{}", String::from_utf8_lossy(&updated.stderr));
        (release, index)
    }

    fn apt(&self, words: &[&str]) -> Output {
        let folder: &Path = self.0.path();
        Command::new("apt-get").args(words).env("APT_CONFIG", folder.join("etc/apt.conf")).output().expect("apt-get")
    }

    /// Returns the packages that apt-get would install; `None` if it refuses.
    fn simulated(&self, names: &[&str]) -> Option<BTreeSet<String>> {
        let simulated = self.apt(&[&["install", "--no-install-recommends", "--simulate"], names].concat());
        let text = String::from_utf8_lossy(&simulated.stdout).into_owned();
        let installed = text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
        simulated.status.success().then(|| installed.map(str::to_owned).collect())
    }
}

#[test]
fn packages_bring_what_apt_installs_without_recommends() {
    let (release, index) = Release::new();
    let names = PACKAGES.map(|(name, ..)| name);
    let mut sets: Vec<Vec<&str>> = names.iter().map(|name| vec![*name]).collect();
    sets.extend(names.iter().map(|name| vec!["dash", *name]));
    sets.push(vec!["web", "needs-api", "shell-user"]);
    let mut refused = 0;
    for set in sets {
        let ours = index.closure(&set, &[]).ok().map(|all| all.into_keys().collect::<BTreeSet<String>>());
        assert_eq!(ours, release.simulated(&set), "{set:?}");
        refused += usize::from(ours.is_none());
    }
    assert_eq!(refused, 2, "old, alone and with another one");
}
