use super::*;
use crate::update::boot::{Boot, decide};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// A record whose committed slot has version 5, and the other one version 4.
fn record() -> Record {
    let mut record = Record::new("qemu-x86_64");
    for (slot, start, version) in [(Slot::A, 1 << 20, 5), (Slot::B, 9 << 20, 4)] {
        record.set_place(slot, start, 8 << 20, 1, [slot as u8; 16]);
        record.set_contents(slot, version, &Parts::default());
    }
    record
}

/// Encodes and decodes a record.
fn written(record: &Record) -> Record {
    Record::read(record.clone().to_write()).unwrap()
}

#[test]
fn a_record_has_what_was_written() {
    let mut record = record();
    let range = |start| Range { start, bytes: start + 1 };
    let parts = Parts { kernel: range(1), initramfs: range(2), command_line: range(3) };
    record.set_contents(Slot::B, 7, &parts);
    record.set_pointer(2049);
    record.set_key(Slot::B, 2);
    let read = written(&record);
    assert_eq!(read.board(), "qemu-x86_64");
    assert_eq!((read.version(Slot::A), read.version(Slot::B)), (5, 7));
    assert_eq!((read.start(Slot::A), read.start(Slot::B), read.size(Slot::B)), (1 << 20, 9 << 20, 8 << 20));
    assert_eq!((read.parts(Slot::A), read.parts(Slot::B)), (Parts::default(), parts));
    assert_eq!((read.guid(Slot::A), read.guid(Slot::B), read.partition(Slot::B)), (&[0; 16], &[1; 16], 1));
    assert_eq!((read.key(Slot::B), read.pointer()), (2, Some(2049)));
    assert_eq!((read.committed(), read.trial(), read.verdict().0), (Slot::A, None, Verdict::None));
}

#[test]
fn names_are_cut_at_a_character() {
    let mut record = Record::new(&"ä".repeat(40));
    assert_eq!(record.board(), "ä".repeat(16));
    record.end(Verdict::Unhealthy, &"x".repeat(100));
    assert_eq!(record.verdict().2, "x".repeat(64));
}

#[test]
fn one_changed_bit_makes_a_copy_invalid() {
    let bytes = *record().to_write();
    for bit in 0..Record::BYTES * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Record::read(&changed), None, "bit {bit}");
    }
}

#[test]
fn a_cut_write_leaves_the_record_before() {
    let mut record = record();
    let first = *record.to_write();
    record.try_next(Slot::B);
    let second = *record.to_write();
    for cut in 0..Record::BYTES {
        let mut torn = [0xa5; Record::BYTES];
        torn[..cut].copy_from_slice(&second[..cut]);
        let (found, place) = Record::newest([&first, &torn]).unwrap();
        assert_eq!((found.trial(), place), (None, 1), "cut after {cut} bytes");
    }
    assert_eq!(Record::newest([&first, &second]).unwrap().0.trial(), Some(Slot::B));
    assert_eq!(Record::newest([&second, &first]).unwrap().1, 1, "the older copy is overwritten");
    assert_eq!(Record::newest([&[0; 512], &[0; 512]]), None);
}

#[test]
fn a_trial_that_is_healthy_is_committed() {
    let mut record = record();
    record.set_contents(Slot::B, 6, &Parts::default());
    record.try_next(Slot::B);
    assert_eq!(decide(&mut record, Slot::B, false), Boot::Trial);
    let mut record = written(&record);
    record.set_next_floor(3);
    record.end(Verdict::Committed, "");
    assert_eq!(record.floor(), 3);
    assert_eq!(decide(&mut record, Slot::B, false), Boot::Committed);
    assert_eq!((record.committed(), record.verdict().0, record.verdict().1), (Slot::B, Verdict::Committed, 6));
}

#[test]
fn the_floor_rises_with_a_commit_and_never_sinks() {
    let mut record = record();
    for (floor, verdict, expected) in
        [(3, Verdict::Unhealthy, 0), (3, Verdict::Committed, 3), (2, Verdict::Committed, 3), (0, Verdict::Committed, 3)]
    {
        record.try_next(record.committed().other());
        record.set_next_floor(floor);
        record.end(verdict, "");
        assert_eq!(record.floor(), expected, "{floor} {verdict:?}");
    }
}

#[test]
fn each_boot_is_what_the_table_says() {
    let boot = |trial: Option<(Slot, bool)>, running, elsewhere| {
        let mut record = record();
        if let Some((slot, has_begun)) = trial {
            record.try_next(slot);
            if has_begun {
                record.begin();
            }
        }
        let boot = decide(&mut record, running, elsewhere);
        (boot, record.committed(), record.trial(), record.verdict().0)
    };
    let cases = [
        (None, Slot::A, false, (Boot::Committed, Slot::A, None, Verdict::None)),
        (None, Slot::B, true, (Boot::Restart, Slot::A, None, Verdict::None)),
        (None, Slot::B, false, (Boot::Adopted, Slot::B, None, Verdict::Firmware)),
        (Some((Slot::B, false)), Slot::B, false, (Boot::Trial, Slot::A, Some(Slot::B), Verdict::None)),
        (Some((Slot::B, true)), Slot::B, false, (Boot::Restart, Slot::A, None, Verdict::Interrupted)),
        (Some((Slot::B, false)), Slot::A, false, (Boot::Failed, Slot::A, None, Verdict::NotStarted)),
        (Some((Slot::B, true)), Slot::A, false, (Boot::Failed, Slot::A, None, Verdict::Interrupted)),
        (Some((Slot::A, false)), Slot::A, false, (Boot::Failed, Slot::A, None, Verdict::NotStarted)),
    ];
    for (trial, running, elsewhere, expected) in cases {
        assert_eq!(boot(trial, running, elsewhere), expected, "{trial:?} {running:?} {elsewhere}");
    }
}

fn contents() -> Contents<'static> {
    Contents {
        version: 6,
        floor: 2,
        board: "qemu-x86_64",
        size: 4096,
        parts: Parts::default(),
        hashes: [[1; 32], [2; 32]],
    }
}

#[test]
fn a_bundle_has_what_was_written() {
    let mut block = contents().block();
    sign(&mut block, 1, &[7; 256]).unwrap();
    assert_eq!(sign(&mut block, 0, &[7; 513]), None);
    let bundle = Bundle::read(&block).unwrap();
    assert_eq!((bundle.version(), bundle.floor(), bundle.board(), bundle.size()), (6, 2, "qemu-x86_64", 4096));
    assert_eq!((bundle.root(), bundle.salt(), bundle.parts()), (&[1; 32], &[2; 32], Parts::default()));
    assert_eq!((bundle.signature(0), bundle.signature(1)), (None, Some(&[7; 256][..])));
    assert_eq!(bundle.signed(), &block[..512]);
    block[8] = 2;
    assert!(Bundle::read(&block).is_none(), "another format");
}

#[test]
fn a_bundle_of_another_board_or_an_older_version_is_refused() {
    let check = |change: &dyn Fn(&mut Contents<'static>, &mut Record)| {
        let (mut contents, mut record) = (contents(), record());
        change(&mut contents, &mut record);
        let block = contents.block();
        Bundle::read(&block).unwrap().check(&record, Slot::B).map_err(|why| format!("{why:?}"))
    };
    let refused = |why: Mismatch| Err(format!("{why:?}"));
    assert_eq!(check(&|_, _| {}), Ok(()));
    assert_eq!(check(&|new, _| new.version = 5), Ok(()), "the same version again");
    assert_eq!(check(&|new, _| new.board = "rpi4"), refused(Mismatch::Board));
    assert_eq!(check(&|new, _| new.version = 4), refused(Mismatch::Older(5)));
    let above = |_: &mut Contents<'static>, record: &mut Record| {
        record.try_next(Slot::A);
        record.set_next_floor(9);
        record.end(Verdict::Committed, "");
    };
    assert_eq!(check(&above), refused(Mismatch::Floor(9)));
    assert_eq!(check(&|new, _| new.size = 12 << 20), refused(Mismatch::Large(8 << 20)));
    for change in [
        &|new: &mut Contents<'static>, _: &mut Record| new.version = 0,
        &|new: &mut Contents<'static>, _: &mut Record| new.size = 0,
        &|new: &mut Contents<'static>, _: &mut Record| new.size = 4097,
        &|new: &mut Contents<'static>, _: &mut Record| new.parts.kernel = Range { start: 4000, bytes: 97 },
        &|new: &mut Contents<'static>, _: &mut Record| new.parts.initramfs = Range { start: u64::MAX, bytes: 2 },
    ] as [&dyn Fn(&mut Contents<'static>, &mut Record); 5]
    {
        assert_eq!(check(change), refused(Mismatch::Malformed));
    }
}

fn hash(salt: &[u8; 32], block: &[u8; BLOCK_BYTES]) -> [u8; 32] {
    Sha256::new_with_prefix(salt).chain_update(block).finalize().into()
}

/// Returns the levels of a tree, the lowest first, and its root.
fn tree_of(salt: &[u8; 32], blocks: &[[u8; BLOCK_BYTES]]) -> (Vec<Vec<[u8; BLOCK_BYTES]>>, [u8; 32]) {
    let (mut levels, mut level) = (Vec::new(), blocks.to_vec());
    while level.len() > 1 {
        level = level
            .chunks(GROUP_BLOCKS)
            .map(|chunk| {
                let mut node = [0; BLOCK_BYTES];
                for (place, block) in node.chunks_mut(32).zip(chunk) {
                    place.copy_from_slice(&hash(salt, block));
                }
                node
            })
            .collect();
        levels.push(level.clone());
    }
    (levels, hash(salt, &level[0]))
}

/// Reads contents by their tree; `change` may change any block, which has a running number. Returns the numbers of blocks that were
/// refused.
fn refused(count: usize, change: &dyn Fn(usize, &mut [u8; BLOCK_BYTES])) -> Vec<usize> {
    let salt = [9; 32];
    let blocks: Vec<_> = (0..count).map(|index| [index as u8; BLOCK_BYTES]).collect();
    let (nodes, root) = tree_of(&salt, &blocks);
    let mut tree = Tree::new(root, &salt, count as u64).unwrap();
    let (mut number, mut wrong) = (0, Vec::new());
    let mut take = |block: &[u8; BLOCK_BYTES], take: &mut dyn FnMut(&[u8; BLOCK_BYTES]) -> bool| {
        let mut block = *block;
        change(number, &mut block);
        if !take(&block) {
            wrong.push(number);
        }
        number += 1;
    };
    for (group, chunk) in blocks.chunks(GROUP_BLOCKS).enumerate() {
        for level in (0..tree.nodes_before(group as u64)).rev() {
            take(&nodes[level][group >> (7 * level)], &mut |block| tree.take_node(group as u64, level, block));
        }
        for (index, block) in chunk.iter().enumerate() {
            take(block, &mut |block| tree.is_valid((group * GROUP_BLOCKS + index) as u64, block));
        }
    }
    wrong
}

#[test]
fn each_block_of_a_stream_is_checked() {
    for count in [1, 2, 128, 129, 300, 16_385] {
        assert_eq!(refused(count, &|_, _| {}), [], "{count} blocks");
    }
    let total = 300 + 3 + 1;
    for number in 0..total {
        let wrong = refused(300, &|at, block| block[17] ^= u8::from(at == number));
        assert_eq!(wrong.first(), Some(&number));
    }
}

#[test]
fn numbers_of_blocks_have_limits() {
    assert_eq!([0, 1, 2, 128, 129, 1 << 28].map(levels), [None, Some(0), Some(1), Some(1), Some(2), Some(4)]);
    assert_eq!(levels((1 << 28) + 1), None);
}

#[test]
fn a_map_says_where_blocks_come_from() {
    let mut map = [0; MAP_BYTES];
    for (place, source) in map.chunks_mut(4).zip([Source::Here, Source::Zero, Source::Copy(7)]) {
        place.copy_from_slice(&source.bytes());
    }
    assert_eq!([0, 1, 2].map(|index| Source::read(&map, index)), [Source::Here, Source::Zero, Source::Copy(7)]);
}

#[test]
fn the_pointer_is_one_sector_of_one_length() {
    let [a, b] = Slot::ALL.map(pointer);
    assert_eq!(a.iter().zip(&b).filter(|(a, b)| a != b).count(), 1);
    assert!(a.starts_with(b"[all]\nboot_partition=2\n") && b.starts_with(b"[all]\nboot_partition=3\n"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), BLOCK_BYTES)) {
        let mut block: [u8; BLOCK_BYTES] = bytes.try_into().unwrap();
        block[..16].copy_from_slice(b"hilumbun\x01\0\0\0\0\0\0\0");
        let bundle = Bundle::read(&block).unwrap();
        let _ = (bundle.check(&record(), Slot::B), bundle.signature(0), bundle.signature(1), bundle.board().len());
    }

    #[test]
    fn after_any_boots_one_slot_is_committed_and_no_trial_repeats(boots in prop::collection::vec((0..2usize, any::<bool>()), 1..20)) {
        let mut record = record();
        record.try_next(Slot::B);
        let mut trials = 0;
        for (slot, elsewhere) in boots {
            trials += usize::from(decide(&mut record, Slot::ALL[slot], elsewhere) == Boot::Trial);
            record = written(&record);
        }
        prop_assert!(trials <= 1);
    }
}

/// Returns text as a variable has it: UTF-16, little-endian, with a NUL.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_partition_is_found_by_the_text_of_its_guid() {
    let guid = [0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd, 1, 2, 3, 4, 5, 6, 7, 0xf8];
    for (text, is_it) in [
        ("01234567-89AB-CDEF-0102-0304050607F8", true),
        ("01234567-89ab-cdef-0102-0304050607f8", true),
        ("01234567-89ab-cdef-0102-0304050607f9", false),
        ("01234567-89ab-cdef-0102-0304050607", false),
        ("", false),
    ] {
        assert_eq!(efi::is_guid(&utf16(text), &guid), is_it, "{text}");
    }
}

#[test]
fn a_boot_entry_names_the_partition_and_the_file() {
    let mut record = record();
    record.set_place(Slot::B, 34_603_008, 33_554_432, 2, [0x11; 16]);
    let file = utf16(&std::format!("\\EFI\\BOOT\\{}", crate::Architecture::OWN.efi_boot_file()));
    let mut expected = vec![1, 0, 0, 0, (42 + 4 + file.len() + 4) as u8, 0];
    expected.extend(utf16("hilum b"));
    expected.extend([4, 1, 42, 0, 2, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    expected.extend([0x11; 16]);
    expected.extend([2, 2, 4, 4, (4 + file.len()) as u8, 0]);
    expected.extend(file);
    expected.extend([0x7f, 0xff, 4, 0]);
    assert_eq!(efi::load_option(&record, Slot::B).as_slice(), expected);
    let another = [&expected[..6], b"h\0i\0l\0u\0m\0a\0"].concat();
    assert_eq!([&expected[..], &another, &[]].map(efi::is_ours), [true, false, false]);
}

#[test]
fn a_boot_order_keeps_the_entries_of_others() {
    let order = [3, 0, 1, 0, 2, 0];
    assert_eq!(efi::with_first(&order, 2).as_slice(), [2, 0, 3, 0, 1, 0]);
    assert_eq!(efi::with_first(&order, 5).as_slice(), [5, 0, 3, 0, 1, 0, 2, 0]);
    assert!(efi::comes_first(&order, 1, 2) && !efi::comes_first(&order, 2, 1));
    assert!(efi::comes_first(&order, 1, 9) && !efi::comes_first(&order, 8, 9), "entries that are missing");
    assert_eq!(efi::with_first(&[7; 300], 1).len(), 256);
}

#[test]
fn number_of_a_partition_is_in_every_other_bit() {
    for (number, bits) in [(0, 0), (1, 1), (2, 4), (3, 5), (4, 0x10), (63, PARTITION_BITS), (64, 0)] {
        assert_eq!(partition_bits(number), bits, "{number}");
    }
}
