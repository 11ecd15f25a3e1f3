//! Sizes side by side: the bytes that other programs of Debian 12 need to start, isolate and supervise services.
//!
//! The sum includes the programs that run for this, and the closure of their shared libraries (DT_NEEDED, ld.so(8)), as
//! files of Debian's packages. It excludes libraries that a program loads itself (dlopen(3)), configuration, shell
//! scripts, the kernel and the services.

use anyhow::{Context, Result, bail, ensure};
use hilum_initramfs::elf;
use hilum_initramfs::tree::{Kind, Tree};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

/// Programs that do this work together.
struct Set {
    name: &'static str,
    /// Their paths in Debian's packages.
    programs: &'static [&'static str],
    /// What hilum does and they do not, or another remark.
    note: &'static str,
}

const SETS: [Set; 6] = [
    Set {
        name: "busybox init, bubblewrap",
        programs: &["bin/busybox", "usr/bin/bwrap"],
        note: "no cgroups, no seccomp profile of its own, no networks, no readiness",
    },
    Set {
        name: "runit, crun",
        programs: &["sbin/runit", "usr/bin/runsvdir", "usr/bin/runsv", "usr/bin/svlogd", "usr/bin/crun"],
        note: "no networks, no readiness",
    },
    Set {
        name: "s6, crun",
        programs: &["usr/bin/s6-svscan", "usr/bin/s6-supervise", "usr/bin/s6-log", "usr/bin/crun"],
        note: "no networks",
    },
    Set {
        name: "systemd, systemd-nspawn",
        programs: &[
            "lib/systemd/systemd",
            "lib/systemd/systemd-shutdown",
            "lib/systemd/systemd-journald",
            "usr/bin/systemd-nspawn",
        ],
        note: "links without addresses; networkd, which sets them, is not counted",
    },
    Set {
        name: "busybox init, podman, conmon, crun, netavark",
        programs: &[
            "bin/busybox",
            "usr/bin/podman",
            "usr/bin/conmon",
            "usr/bin/crun",
            "usr/lib/podman/netavark",
            "usr/sbin/xtables-nft-multi",
        ],
        note: "iptables is counted, because this netavark runs it; pulls images as well",
    },
    Set {
        name: "tini, containerd, runc",
        programs: &[
            "usr/bin/tini",
            "usr/bin/containerd",
            "usr/bin/containerd-shim-runc-v2",
            "usr/bin/ctr",
            "usr/sbin/runc",
        ],
        note: "no networks without CNI plugins; pulls images as well",
    },
];

/// The packages of the programs and their libraries.
pub(crate) const PACKAGES: &str = "\
    systemd systemd-container libsystemd-shared podman conmon crun netavark iptables containerd runc tini \
    bubblewrap s6 runit busybox-static \
    libacl1 libapparmor1 libassuan0 libaudit1 libblkid1 libbz2-1.0 libc6 libcap-ng0 libcap2 libcrypt1 \
    libcryptsetup12 libdevmapper1.02.1 libexecline2.9 libfdisk1 libffi8 libgcc-s1 libgcrypt20 libglib2.0-0 \
    libgpg-error0 libgpgme11 libip4tc2 libkmod2 liblz4-1 liblzma5 libmnl0 libmount1 libnftnl11 libpam0g \
    libpcre2-8-0 libs6-2.11 libseccomp2 libselinux1 libsemanage2 libsepol2 libskarnet2.13 libssl3 libsubid4 \
    libsystemd0 libudev1 libuuid1 libxtables12 libyajl2 libzstd1 zlib1g";

/// Where ld.so(8) searches, and the folder of systemd's private library.
const LIBRARIES: [&str; 5] = ["lib/TRIPLE", "usr/lib/TRIPLE", "usr/lib/TRIPLE/systemd", "lib", "usr/lib"];

/// The result of one set, in bytes.
pub(crate) struct Row {
    name: &'static str,
    programs: usize,
    libraries: usize,
    /// The number of programs and libraries.
    files: usize,
    note: &'static str,
}

/// Measures the packages of this architecture.
pub(crate) fn measure(build: &Path) -> Result<Vec<Row>> {
    let folder = build.join(format!("debian/packages/{}-bookworm", std::env::consts::ARCH));
    let mut tree = Tree::new();
    for package in PACKAGES.split(' ') {
        let file = folder.join(format!("{package}.tar"));
        let archive = std::fs::File::open(&file).with_context(|| file.display().to_string())?;
        tree.apply(archive, false).with_context(|| file.display().to_string())?;
    }
    let elf = build.join("board").join(std::env::consts::ARCH).join("hilum");
    let bytes = std::fs::read(&elf).with_context(|| elf.display().to_string())?;
    ensure!(elf::facts(&bytes).is_some_and(|facts| facts.libraries.is_empty()), "hilum needs a library");
    let mut rows = vec![Row { name: "hilum", programs: bytes.len(), libraries: 0, files: 1, note: "" }];
    for set in &SETS {
        rows.push(measure_set(&tree, set).context(set.name)?);
    }
    rows.sort_by_key(|row| row.programs + row.libraries);
    Ok(rows)
}

fn measure_set(tree: &Tree, set: &Set) -> Result<Row> {
    let mut waiting = Vec::new();
    let mut programs = 0;
    for path in set.programs {
        let bytes = file(tree, path)?.with_context(|| format!("no package has /{path}"))?;
        programs += bytes.len();
        waiting.push(bytes);
    }
    let mut libraries = BTreeMap::new();
    while let Some(bytes) = waiting.pop() {
        let facts = elf::facts(&bytes).context("no ELF file")?;
        let loader = facts.interpreter.iter().filter_map(|path| path.rsplit('/').next()).map(str::to_owned);
        for name in facts.libraries.into_iter().chain(loader) {
            if let Entry::Vacant(place) = libraries.entry(name) {
                let name = place.key();
                let found = library(tree, name)?.with_context(|| format!("no package has the library {name}"))?;
                place.insert(found.len());
                waiting.push(found);
            }
        }
    }
    let files = set.programs.len() + libraries.len();
    Ok(Row { name: set.name, programs, libraries: libraries.values().sum(), files, note: set.note })
}

/// Returns a library by its name.
fn library(tree: &Tree, name: &str) -> Result<Option<Vec<u8>>> {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    for folder in LIBRARIES {
        let path = format!("{}/{name}", folder.replace("TRIPLE", &triple));
        if let Some(found) = file(tree, &path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Returns the bytes of a file; links to another name in its folder are followed.
fn file(tree: &Tree, path: &str) -> Result<Option<Vec<u8>>> {
    let mut path = path.to_owned();
    for _ in 0..8 {
        match tree.get(&path).map(|entry| &entry.kind) {
            Some(Kind::File(contents)) => return Ok(Some(contents.read()?.into_owned())),
            Some(Kind::Link(target)) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                path = if target.starts_with('/') { target.clone() } else { format!("{folder}/{target}") };
            }
            Some(_) => bail!("/{path} is no file"),
            None => return Ok(None),
        }
    }
    bail!("/{path}: too many links")
}

/// Returns the rows as a table, the smallest first.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text =
        "| KiB | programs | their libraries | together | files | lacks, or has as well |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for Row { name, programs, libraries, files, note } in rows {
        let [programs, libraries] = [programs, libraries].map(|bytes| bytes.div_ceil(1024));
        let all = programs + libraries;
        text += &format!("| {name} | {programs} | {libraries} | {all} | {files} | {note} |\n");
    }
    text
}

#[cfg(test)]
mod tests;
