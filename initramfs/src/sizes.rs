//! Sizes of the parts of an ELF file, from its symbol table: by family of functions, and the largest functions.

use crate::untrusted::escaped;
use anyhow::{Context, Result, ensure};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::fmt::Write;

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
    let mut families: BTreeMap<String, Share> = BTreeMap::new();
    for (size, name) in functions.values() {
        let share = families.entry(family(name)).or_default();
        share.bytes += size;
        share.functions += 1;
    }
    let mut text = String::new();
    for section in file.sections().filter(|section| section.size() > 0 && section.address() > 0) {
        writeln!(text, "{:>8}  {}", section.size(), escaped(section.name().unwrap_or_default()))?;
    }
    let all: u64 = functions.values().map(|(size, _)| size).sum();
    writeln!(text, "\n{all:>8}  in {} functions, by family:", functions.len())?;
    let mut families: Vec<_> = families.into_iter().collect();
    families.sort_by_key(|(_, share)| std::cmp::Reverse(share.bytes));
    for (name, Share { bytes, functions }) in families {
        writeln!(text, "{bytes:>8}  {:>4.1} %  {functions:>4}  {name}", bytes as f64 * 100.0 / all as f64)?;
    }
    let mut functions: Vec<_> = functions.into_values().collect();
    functions.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    writeln!(text, "\nthe largest:")?;
    for (size, name) in functions.iter().take(largest) {
        writeln!(text, "{size:>8}  {name}")?;
    }
    Ok(text)
}

/// Returns the family of a function: for hilum and core the first two names of its path, for other crates the first
/// one.
fn family(name: &str) -> String {
    // `<A as B>::f` belongs to A, or to B if A is a primitive type such as `usize`.
    let path = |text: &str| {
        let text = text.trim_start_matches(|mark| "<&[(*".contains(mark));
        let text = text.strip_prefix("mut ").or_else(|| text.strip_prefix("const ")).unwrap_or(text);
        let text = text.trim_start_matches(|mark| "<&[(*".contains(mark));
        text.split([' ', '<', '>', ',', ']', ')']).next().unwrap_or_default().to_owned()
    };
    let own = path(name);
    let own = match name.split_once(" as ") {
        Some((_, of)) if !own.contains("::") => path(of),
        _ => own,
    };
    let mut parts = own.split("::").filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (Some(first @ ("hilum" | "core")), Some(second)) => format!("{first}::{second}"),
        (Some(first), Some(_)) => first.to_owned(),
        _ => "without a path".to_owned(),
    }
}

#[cfg(test)]
mod tests;
