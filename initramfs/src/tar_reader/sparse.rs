//! Sparse files ("Storing Sparse Files" in the manual of GNU tar). The old format has its map in headers, the formats
//! 0.0 and 0.1 in an extended header, and 1.0 before the contents.

use super::header::{Header, number};
use super::input::{BLOCK, Input};
use super::pax::{self, Records};
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;

/// Maximum pieces of a file; more is an attack.
const PIECES: usize = 1 << 20;

/// A part of a file that is stored in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at: u64,
    pub(super) bytes: u64,
}

/// A file's size, and its stored pieces.
type Map = (u64, Vec<Piece>);

/// Returns the map of a member of type `S`: four pieces in its header, and 21 in each following block.
pub(super) fn old(input: &mut Input<impl Read>, header: &Header) -> Result<Map> {
    let mut pieces = Vec::new();
    let mut read = |bytes: &[u8]| -> Result<()> {
        for piece in bytes.chunks_exact(24).filter(|piece| piece[0] != 0) {
            pieces.push(Piece { at: number(&piece[..12])?, bytes: number(&piece[12..])? });
        }
        ensure!(pieces.len() <= PIECES, "more than {PIECES} pieces");
        Ok(())
    };
    read(header.of_gnu(386..482)?)?;
    let size = number(header.of_gnu(483..495)?)?;
    let mut has_more = header.of_gnu(482..483)?[0] != 0;
    while has_more {
        let mut block = [0; BLOCK];
        ensure!(input.fill(&mut block)? == BLOCK, "the archive ends in the middle of a header: it was cut short");
        read(&block[..504])?;
        has_more = block[504] != 0;
    }
    Ok((size, pieces))
}

/// Returns the map in the records of a member; `None` if the file is not sparse.
pub(super) fn by_records(input: &mut Input<impl Read>, records: &Records) -> Result<Option<Map>> {
    const KNOWN: [&str; 9] = ["major", "minor", "name", "realsize", "size", "numblocks", "map", "offset", "numbytes"];
    let mut is_sparse = false;
    for (key, _) in records.iter().filter_map(|(key, value)| Some((key.strip_prefix("GNU.sparse.")?, value))) {
        ensure!(KNOWN.contains(&key), "a sparse file with an unknown record {key}");
        is_sparse = true;
    }
    if !is_sparse {
        return Ok(None);
    }
    let version = (records.number("GNU.sparse.major")?, records.number("GNU.sparse.minor")?);
    let needed = |key: &str| records.number(key)?.with_context(|| format!("a sparse file without {key}"));
    match version {
        (Some(1), Some(0)) => Ok(Some((needed("GNU.sparse.realsize")?, map_in_contents(input)?))),
        (None, None) | (Some(0), Some(0 | 1)) => {
            let numbers: Vec<&[u8]> = match records.value("GNU.sparse.map") {
                Some(map) => map.split(|byte| *byte == b',').collect(),
                None => {
                    let is_one = |(key, _): &(&str, _)| matches!(*key, "GNU.sparse.offset" | "GNU.sparse.numbytes");
                    let found: Vec<_> = records.iter().filter(is_one).collect();
                    let in_order = ["GNU.sparse.offset", "GNU.sparse.numbytes"].into_iter().cycle();
                    let is_in_order = found.iter().map(|(key, _)| *key).eq(in_order.take(found.len()));
                    ensure!(is_in_order, "the map of a sparse file is out of order");
                    found.into_iter().map(|(_, value)| value).collect()
                }
            };
            let pieces = pieces(&numbers)?;
            ensure!(pieces.len() as u64 == needed("GNU.sparse.numblocks")?, "the map of a sparse file is incomplete");
            Ok(Some((needed("GNU.sparse.size")?, pieces)))
        }
        (major, minor) => {
            let part = |part: Option<u64>| part.map_or_else(|| "?".to_owned(), |part| part.to_string());
            bail!("a sparse file of unknown version {}.{}", part(major), part(minor))
        }
    }
}

/// Returns a map of format 1.0: lines with a number each, padded to whole blocks.
fn map_in_contents(input: &mut Input<impl Read>) -> Result<Vec<Piece>> {
    let mut rest = Vec::new();
    let mut numbers = Vec::new();
    let mut count = None;
    while count.is_none_or(|count: usize| numbers.len() < 2 * count) {
        let mut block = [0; BLOCK];
        input.read(&mut block).context("the map of a sparse file")?;
        rest.extend_from_slice(&block);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if count.is_some_and(|count| numbers.len() == 2 * count) {
                break;
            }
            let line: Vec<u8> = rest.drain(..=end).take(end).collect();
            match count {
                None => count = Some(usize::try_from(pax::number(&line)?)?),
                Some(_) => numbers.push(line),
            }
            ensure!(count.is_none_or(|count| count <= PIECES), "more than {PIECES} pieces");
        }
        ensure!(rest.len() <= BLOCK, "the map of a sparse file is damaged");
    }
    pieces(&numbers)
}

/// Parses pairs of offset and size.
fn pieces(texts: &[impl AsRef<[u8]>]) -> Result<Vec<Piece>> {
    let number = |text| pax::number(AsRef::as_ref(text)).context("the map of a sparse file");
    let numbers = texts.iter().map(number).collect::<Result<Vec<u64>>>()?;
    ensure!(numbers.len().is_multiple_of(2), "the map of a sparse file is incomplete");
    Ok(numbers.chunks_exact(2).map(|pair| Piece { at: pair[0], bytes: pair[1] }).collect())
}

/// Checks that the pieces are in order, inside of the file, and match the stored size.
pub(super) fn check(pieces: &[Piece], size: u64, stored: u64) -> Result<()> {
    let (mut end, mut sum) = (0_u64, 0_u64);
    for piece in pieces {
        ensure!(piece.at >= end, "the pieces of a sparse file are out of order");
        end = piece.at.checked_add(piece.bytes).context("a piece of a sparse file is too large")?;
        sum += piece.bytes;
    }
    ensure!(end <= size && sum == stored, "the pieces of a sparse file do not match its size");
    Ok(())
}
