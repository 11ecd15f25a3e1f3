//! Properties of ELF files, and whether a file can be PID 1: static, no loader, no undefined symbol, no segment that is
//! both writable and executable, no build path, within its size budget.

use anyhow::{Context, Result};
use hilum::Architecture;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

type Header = elf::FileHeader64<object::Endianness>;

/// What an image must contain for this file to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its machine, as ELF number (e_machine).
    pub machine: u16,
    /// Its dynamic loader.
    pub interpreter: Option<String>,
    /// Its shared libraries, by name (DT_NEEDED).
    pub libraries: Vec<String>,
    /// Whether it contains a search path for them (DT_RUNPATH, DT_RPATH).
    pub has_own_path: bool,
}

/// Returns a name for an ELF machine number.
pub fn machine_name(machine: u16) -> String {
    if let Some(known) = Architecture::ALL.into_iter().find(|known| known.elf_machine() == machine) {
        return known.name().to_owned();
    }
    match machine {
        elf::EM_386 => "i386".to_owned(),
        elf::EM_ARM => "arm".to_owned(),
        other => format!("ELF machine {other}"),
    }
}

/// Returns the properties of an ELF file; `None` if it is not a 64-bit ELF file.
pub fn facts(bytes: &[u8]) -> Option<Facts> {
    let header = Header::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let interpreter = segments.iter().find_map(|segment| segment.interpreter(endian, bytes).ok().flatten());
    let interpreter = interpreter.map(|path| String::from_utf8_lossy(path).into_owned());
    let (libraries, has_own_path) = libraries(bytes).unwrap_or_default();
    Some(Facts { machine: header.e_machine.get(endian), interpreter, libraries, has_own_path })
}

/// Returns the libraries in the dynamic section; `None` if the file has none.
fn libraries(bytes: &[u8]) -> Option<(Vec<String>, bool)> {
    use object::read::elf::Dyn;
    let header = Header::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, bytes).ok()?;
    let (entries, strings) = sections.dynamic(endian, bytes).ok()??;
    let strings = sections.strings(endian, bytes, strings).ok()?;
    let mut names = Vec::new();
    let mut has_own_path = false;
    for entry in entries {
        match entry.tag32(endian) {
            Some(elf::DT_NEEDED) => {
                let name = entry.string(endian, strings).ok()?;
                names.push(String::from_utf8_lossy(name).into_owned());
            }
            Some(elf::DT_RUNPATH | elf::DT_RPATH) => has_own_path = true,
            _ => {}
        }
    }
    Some((names, has_own_path))
}

/// Returns all reasons why an ELF file cannot be PID 1 of a board, one per line; empty if it can.
///
/// `forbidden` are texts that must not occur in it, such as the build folder; `budget` is the maximum size in bytes.
///
/// # Errors
/// The file is not a 64-bit ELF file, or its tables are damaged.
pub fn faults(bytes: &[u8], forbidden: &[String], budget: Option<usize>) -> Result<Vec<String>> {
    let header = Header::parse(bytes).context("not a 64-bit ELF file")?;
    let endian = header.endian().context("its byte order")?;
    let mut faults = Vec::new();
    if header.e_type.get(endian) != elf::ET_EXEC {
        faults.push("not a static executable with a fixed address (ET_EXEC)".to_owned());
    }
    let mut has_stack_note = false;
    for segment in header.program_headers(endian, bytes).context("its segments")? {
        let flags = segment.p_flags(endian);
        let is_both = flags & elf::PF_W != 0 && flags & elf::PF_X != 0;
        match segment.p_type(endian) {
            elf::PT_INTERP => faults.push("has an interpreter (PT_INTERP)".to_owned()),
            elf::PT_DYNAMIC => faults.push("has a dynamic section (PT_DYNAMIC)".to_owned()),
            elf::PT_GNU_STACK => {
                has_stack_note = true;
                if flags & elf::PF_X != 0 {
                    faults.push("has an executable stack (PT_GNU_STACK)".to_owned());
                }
            }
            elf::PT_LOAD if is_both => {
                faults.push(format!("the segment at {:#x} is writable and executable", segment.p_vaddr(endian)));
            }
            _ => {}
        }
    }
    if !has_stack_note {
        faults.push("has no PT_GNU_STACK, which makes its stack executable".to_owned());
    }
    faults.extend(undefined_symbols(bytes)?);
    for text in forbidden.iter().filter(|text| !text.is_empty()) {
        if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            faults.push(format!("contains the text \"{text}\""));
        }
    }
    if let Some(budget) = budget.filter(|budget| bytes.len() > *budget) {
        faults.push(format!("{} bytes, {} above its budget of {budget}", bytes.len(), bytes.len() - budget));
    }
    Ok(faults)
}

/// Returns symbols that are not defined in the file.
fn undefined_symbols(bytes: &[u8]) -> Result<Vec<String>> {
    use object::{Object, ObjectSymbol};
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(bytes).context("its sections")?;
    let undefined = file.symbols().chain(file.dynamic_symbols()).filter(|symbol| symbol.is_undefined());
    let named = undefined.filter_map(|symbol| symbol.name().ok().filter(|name| !name.is_empty()));
    Ok(named.map(|name| format!("has an undefined symbol {name}")).collect())
}

#[cfg(test)]
mod tests;
