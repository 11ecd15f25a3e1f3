//! Reads a bundle as a board does: block by block, each checked by the hash tree.

use crate::contents::{Hash, hex};
use crate::progress::Progress;
use anyhow::{Context, Result, anyhow, ensure};
use hilum::update::{BLOCK_BYTES, Bundle, GROUP_BLOCKS, MAP_BYTES, Parts, Range, SIGNATURES, Source, Tree};
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The name of the board that it is for.
    pub board: String,
    /// Its version.
    pub version: u64,
    /// The floor that a board has after it committed this version.
    pub floor: u64,
    /// The bytes of the slot's contents.
    pub size: u64,
    /// What kexec(2) starts.
    pub parts: Parts,
    /// The root hash.
    pub root: Hash,
    /// The salt of the hash tree.
    pub salt: Hash,
    /// The bytes of each signature; 0 for none.
    pub signatures: [usize; SIGNATURES],
    /// The numbers of blocks that are in the bundle, that are zero, and that are copied from the running slot.
    pub sources: [u64; 3],
    /// The size of the bundle in bytes.
    pub bytes: u64,
}

/// Reads a bundle; calls `tell` with the number, the hash and the source of each block.
///
/// # Errors
/// The file is no bundle, or damaged. Signatures are not verified: only a board has the certificates.
pub fn read(path: &Path, progress: &Progress<'_>, tell: &mut dyn FnMut(u64, &Hash, Source)) -> Result<Summary> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut header = [0; BLOCK_BYTES];
    fill(&mut input, &mut header, "no bundle: it is too short")?;
    let bundle = Bundle::read(&header).context("no bundle: it begins with other bytes")?;
    let blocks = bundle.size() / BLOCK_BYTES as u64;
    let mut tree = Tree::new(*bundle.root(), bundle.salt(), blocks).context("a damaged bundle: its size")?;
    let (mut sources, mut node, mut map, mut block) = ([0; 3], [0; BLOCK_BYTES], [0; MAP_BYTES], [0; BLOCK_BYTES]);
    for group in 0..blocks.div_ceil(GROUP_BLOCKS as u64) {
        let first = group * GROUP_BLOCKS as u64;
        let nodes = tree.nodes_before(group);
        // Without a tree, the root is the hash of the only block.
        node[..32].copy_from_slice(bundle.root());
        for level in (0..nodes).rev() {
            fill(&mut input, &mut node, "a damaged bundle: it ends early")?;
            ensure!(tree.take_node(group, level, &node), "a damaged bundle: its hash tree before block {first}");
        }
        fill(&mut input, &mut map, "a damaged bundle: it ends early")?;
        for (index, hash) in (0..(blocks - first).min(GROUP_BLOCKS as u64)).zip(node.chunks(32)) {
            let source = Source::read(&map, index as usize);
            let (kind, is_checked) = match source {
                Source::Here => {
                    fill(&mut input, &mut block, "a damaged bundle: it ends early")?;
                    (0, tree.is_valid(first + index, &block))
                }
                Source::Zero => (1, tree.is_valid(first + index, &[0; BLOCK_BYTES])),
                Source::Copy(_) => (2, true),
            };
            ensure!(is_checked, "a damaged bundle: block {}", first + index);
            sources[kind] += 1;
            tell(first + index, hash.first_chunk().unwrap_or(&[0; 32]), source);
        }
        progress.bytes("reading the bundle", first * BLOCK_BYTES as u64, bundle.size());
    }
    progress.end();
    ensure!(input.read(&mut block)? == 0, "a damaged bundle: it goes on behind its last block");
    Ok(Summary {
        board: bundle.board().to_owned(),
        version: bundle.version(),
        floor: bundle.floor(),
        size: bundle.size(),
        parts: bundle.parts(),
        root: *bundle.root(),
        salt: *bundle.salt(),
        signatures: std::array::from_fn(|index| bundle.signature(index).map_or(0, <[u8]>::len)),
        sources,
        bytes,
    })
}

/// Reads as many bytes as there is room for; `short` is the error if there are fewer.
fn fill(input: &mut impl Read, room: &mut [u8], short: &'static str) -> Result<()> {
    input.read_exact(room).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => anyhow!(short),
        _ => error.into(),
    })
}

impl Display for Summary {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "board         {}", self.board)?;
        writeln!(out, "version       {}", self.version)?;
        writeln!(out, "floor         {}", self.floor)?;
        writeln!(out, "contents      {} bytes, {} blocks", self.size, self.size / BLOCK_BYTES as u64)?;
        for (name, Range { start, bytes }) in [
            ("kernel", self.parts.kernel),
            ("initramfs", self.parts.initramfs),
            ("command line", self.parts.command_line),
        ] {
            if bytes > 0 {
                writeln!(out, "{name:<13} {bytes} bytes at {start}")?;
            }
        }
        writeln!(out, "root hash     {}", hex(&self.root))?;
        writeln!(out, "salt          {}", hex(&self.salt))?;
        for (index, bytes) in self.signatures.iter().enumerate().filter(|(_, bytes)| **bytes > 0) {
            writeln!(out, "signature {}   RSA, {} bits", index + 1, bytes * 8)?;
        }
        let [here, zero, copied] = self.sources;
        writeln!(out, "blocks        {here} here, {zero} zero, {copied} from the running slot")?;
        writeln!(out, "bundle        {} bytes", self.bytes)
    }
}
