//! Sizes of the parts of an ELF file, from its symbol table: by feature, by family of functions, and the largest functions.

use crate::untrusted::escaped;
use anyhow::{Context, Result, ensure};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The name of a feature, and the beginnings of the paths of its functions. The longest beginning counts.
type Feature = (&'static str, &'static [&'static str]);

/// The features of the board's ELF file by module. What an inlined function takes counts for its caller.
const FEATURES: &[Feature] = &[
    ("configuration", &["hilum::config"]),
    ("starts of workloads", &["hilum::plan", "hilum::seccomp", "hilum::namespaces", "hilum_runtime::workload"]),
    ("supervision", &["hilum::supervise", "hilum::notify", "hilum::signal_status", "hilum_runtime::init"]),
    (
        "network",
        &["hilum::netlink", "hilum::router", "hilum::uplink", "hilum::domains", "hilum::echo", "hilum_runtime::net"],
    ),
    ("network: DHCP", &["hilum::dhcp", "hilum_runtime::net::client", "hilum_runtime::net::lease"]),
    ("storage", &["hilum::storage", "hilum_runtime::storage", "hilum_runtime::init::disks"]),
    ("updates", &["hilum::update", "hilum::boot_count", "hilum_runtime::update", "hilum_runtime::init::updates"]),
    ("clock", &["hilum::time", "hilum_runtime::net::sntp", "hilum_runtime::init::time"]),
    (
        "devices and modules",
        &[
            "hilum::devices",
            "hilum::modalias",
            "hilum::module_list",
            "hilum::uevent",
            "hilum_runtime::init::devices",
            "hilum_runtime::init::modules",
            "hilum_runtime::init::uevents",
        ],
    ),
    ("log", &["hilum::log", "hilum_runtime::console", "hilum_runtime::init::logs", "hilum_runtime::init::log_file"]),
    ("reload", &["hilum_runtime::init::reload", "hilum::config::difference"]),
    (
        "control socket",
        &["hilum::wire", "hilum::status", "hilum_runtime::init::control", "hilum_runtime::init::client"],
    ),
    ("commands", &["hilum_runtime::command"]),
    ("doctor", &["hilum_runtime::doctor", "hilum::settings"]),
    (
        "prompt and line editor",
        &["hilum::line_editor", "hilum_runtime::init::prompt", "hilum_runtime::command::prompt"],
    ),
    ("system calls and files", &["hilum_runtime::os", "hilum_sys", "rustix"]),
    ("Rust's core library", &["core", "compiler_builtins"]),
];

/// Bytes, and the number of functions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Share {
    bytes: u64,
    functions: usize,
}

/// Returns the sections, the families by size, and the `largest` functions, as text.
///
/// # Errors
/// The file is not a 64-bit ELF file, or has no symbols.
pub fn table(bytes: &[u8], largest: usize) -> Result<String> {
    let file = ElfFile64::<Endianness>::parse(bytes).context("not a 64-bit ELF file")?;
    let mut functions: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0) {
        let name = escaped(&format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or_default())));
        // Several names of one address are one function.
        functions.entry(symbol.address()).or_insert((symbol.size(), name));
    }
    ensure!(!functions.is_empty(), "no symbols; build it with: linker/build ARCH symbols");
    let (mut features, mut families) = (BTreeMap::new(), BTreeMap::new());
    for (size, name) in functions.values() {
        for (shares, part) in [(&mut features, feature(name).to_owned()), (&mut families, family(name))] {
            let share: &mut Share = shares.entry(part).or_default();
            share.bytes += size;
            share.functions += 1;
        }
    }
    let mut text = String::new();
    for section in file.sections().filter(|section| section.size() > 0 && section.address() > 0) {
        writeln!(text, "{:>8}  {}", section.size(), escaped(section.name().unwrap_or_default()))?;
    }
    let all: u64 = functions.values().map(|(size, _)| size).sum();
    for (title, shares) in [("feature", features), ("family", families)] {
        writeln!(text, "\n{all:>8}  in {} functions, by {title}:", functions.len())?;
        let mut shares: Vec<_> = shares.into_iter().collect();
        shares.sort_by_key(|(_, share)| std::cmp::Reverse(share.bytes));
        for (name, Share { bytes, functions }) in shares {
            writeln!(text, "{bytes:>8}  {:>4.1} %  {functions:>4}  {name}", bytes as f64 * 100.0 / all as f64)?;
        }
    }
    let mut functions: Vec<_> = functions.into_values().collect();
    functions.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    writeln!(text, "\nthe largest:")?;
    for (size, name) in functions.iter().take(largest) {
        writeln!(text, "{size:>8}  {name}")?;
    }
    Ok(text)
}

/// Returns the path that a function belongs to: `<A as B>::f` belongs to A, or to B if A is a primitive type such as `usize`.
fn owner(name: &str) -> String {
    let path = |text: &str| {
        let text = text.trim_start_matches(|mark| "<&[(*".contains(mark));
        let text = text.strip_prefix("mut ").or_else(|| text.strip_prefix("const ")).unwrap_or(text);
        let text = text.trim_start_matches(|mark| "<&[(*".contains(mark));
        text.split([' ', '<', '>', ',', ']', ')']).next().unwrap_or_default().to_owned()
    };
    let own = path(name);
    match name.split_once(" as ") {
        Some((_, of)) if !own.contains("::") => path(of),
        _ => own,
    }
}

/// Returns the family of a function: for hilum and core the first two names of its path, for other crates the first
/// one.
fn family(name: &str) -> String {
    let own = owner(name);
    let mut parts = own.split("::").filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (Some(first @ ("hilum" | "hilum_runtime" | "hilum_sys" | "core")), Some(second)) => {
            format!("{first}::{second}")
        }
        (Some(first), Some(_)) => first.to_owned(),
        _ => "without a path".to_owned(),
    }
}

/// Returns the feature of a function.
fn feature(name: &str) -> &'static str {
    let own = owner(name);
    let length = |start: &str| match own.strip_prefix(start) {
        Some(rest) if rest.is_empty() || rest.starts_with("::") => start.len(),
        _ => 0,
    };
    let all = FEATURES.iter().flat_map(|(feature, starts)| starts.iter().map(|start| (length(start), *feature)));
    all.max_by_key(|(length, _)| *length).filter(|(length, _)| *length > 0).map_or("the rest", |(_, feature)| feature)
}

#[cfg(test)]
mod tests;
