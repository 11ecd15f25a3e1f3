//! What a sender of an update may send, and what a disk may have in place of a record.
#![no_main]

use hilum::update::boot::decide;
use hilum::update::{BLOCK_BYTES, Bundle, GROUP_BLOCKS, MAP_BYTES, Record, Slot, Source, Tree, arm64, efi};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (Box<[u8; Record::BYTES]>, bool, Vec<u8>)| {
    let (bytes, is_b, stream) = data;
    let mut sealed = Record::new("board");
    if let Some(record) = Record::read(&bytes) {
        sealed = record;
    }
    let _ = decide(&mut sealed, if is_b { Slot::B } else { Slot::A }, is_b);
    let _ = (efi::load_option(&sealed, Slot::A), efi::with_first(&stream, 1), efi::comes_first(&stream, 1, 2));
    let _ = (efi::is_guid(&stream, sealed.guid(Slot::A)), sealed.verdict());
    let _ = arm64::with_chosen(&mut stream.clone(), &[("bootargs", b"a")], &mut |_| Some(()));
    let kernel = arm64::kernel(bytes.first_chunk().expect("a header"));
    let _ =
        arm64::layout(&String::from_utf8_lossy(&stream), kernel.unwrap_or((0, 1)), 1).map(|found| arm64::entry(&found));
    // The first block is made to be one of a bundle, and the rest is what follows it.
    let mut block = [0; BLOCK_BYTES];
    let length = stream.len().min(BLOCK_BYTES);
    block[..length].copy_from_slice(&stream[..length]);
    block[..16].copy_from_slice(b"hilumbun\x01\0\0\0\0\0\0\0");
    let Some(bundle) = Bundle::read(&block) else { return };
    let _ = (bundle.check(&sealed, Slot::B), bundle.signature(0), bundle.signature(1), bundle.parts());
    let Some(mut tree) = Tree::new(*bundle.root(), bundle.salt(), bundle.size() / BLOCK_BYTES as u64) else { return };
    for (group, part) in stream.chunks(BLOCK_BYTES).enumerate() {
        let mut node = [0; BLOCK_BYTES];
        node[..part.len()].copy_from_slice(part);
        for level in (0..tree.nodes_before(group as u64)).rev() {
            let _ = tree.take_node(group as u64, level, &node);
        }
        let map: &[u8; MAP_BYTES] = node.first_chunk().expect("a map");
        let _ = (0..GROUP_BLOCKS).filter(|index| Source::read(map, *index) == Source::Zero).count();
        let _ = tree.is_valid(group as u64, &node);
    }
});
