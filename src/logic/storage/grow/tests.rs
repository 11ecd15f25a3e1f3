//! Tables as a reader of the specification makes them, on disks of every size, and a power cut after every sector.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A sparse disk that loses its power after some sectors.
#[derive(Clone)]
struct Card {
    sectors: BTreeMap<u64, [u8; SECTOR]>,
    left: usize,
    /// Whether the device writes the sectors of a request from the last to the first.
    backwards: bool,
    written: usize,
}

impl Disk for Card {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> bool {
        assert_eq!(at % SECTOR as u64, 0);
        for (number, part) in (at / SECTOR as u64..).zip(bytes.chunks_mut(SECTOR)) {
            let sector = self.sectors.get(&number).copied().unwrap_or([0; SECTOR]);
            part.copy_from_slice(&sector[..part.len()]);
        }
        true
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> bool {
        assert_eq!(at % SECTOR as u64, 0);
        let mut all: Vec<_> = (at / SECTOR as u64..).zip(bytes.chunks(SECTOR)).collect();
        if self.backwards {
            all.reverse();
        }
        for (number, part) in all {
            let Some(left) = self.left.checked_sub(1) else { return false };
            self.left = left;
            self.written += 1;
            let sector = self.sectors.entry(number).or_insert([0; SECTOR]);
            sector[..part.len()].copy_from_slice(part);
        }
        true
    }
}

/// ISO 3309, by shifts of the whole message as in its text.
fn sum_of(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let is_odd = sum % 2 == 1;
            sum /= 2;
            if is_odd {
                sum ^= 0xedb8_8320;
            }
        }
    }
    !sum
}

fn number(bytes: &[u8], at: usize, count: usize) -> u64 {
    bytes[at..at + count].iter().rev().fold(0, |number, byte| number * 256 + u64::from(*byte))
}

fn put(bytes: &mut [u8], at: usize, count: usize, number: u64) {
    bytes[at..at + count].copy_from_slice(&number.to_le_bytes()[..count]);
}

/// What a table says: the first sector of a partition and the one behind it, by its number.
type Partitions = BTreeMap<u32, (u64, u64)>;

fn header(own: u64, other: u64, last_usable: u64, place: u64, entries: &[u8]) -> [u8; SECTOR] {
    let mut header = [0; SECTOR];
    header[..8].copy_from_slice(b"EFI PART");
    for (at, number) in [(24, own), (32, other), (40, 34), (48, last_usable), (72, place)] {
        put(&mut header, at, 8, number);
    }
    for (at, word) in [(8, 0x1_0000), (12, 92), (80, 128), (84, 128), (88, sum_of(entries))] {
        put(&mut header, at, 4, u64::from(word));
    }
    let sum = sum_of(&header[..92]);
    put(&mut header, 16, 4, u64::from(sum));
    header
}

/// A disk of `count` sectors of `sector` bytes with a GPT, or with a DOS table.
fn card(is_gpt: bool, sector: u64, count: u64, partitions: &Partitions) -> Card {
    let mut card = Card { sectors: BTreeMap::new(), left: usize::MAX, backwards: false, written: 0 };
    let mut first = [0; SECTOR];
    first[510..].copy_from_slice(&[0x55, 0xaa]);
    if !is_gpt {
        first[440] = 1;
        for (number, (start, end)) in partitions {
            let at = 446 + 16 * (*number as usize - 1);
            first[at + 4] = 0x83;
            put(&mut first, at + 8, 4, *start);
            put(&mut first, at + 12, 4, end - start);
        }
        assert!(card.write(0, &first));
        return card;
    }
    first[450] = 0xee;
    let mut entries = [0; ENTRIES];
    for (number, (start, end)) in partitions {
        let at = 128 * (*number as usize - 1);
        entries[at..at + 32].fill(*number as u8);
        put(&mut entries, at + 32, 8, *start);
        put(&mut entries, at + 40, 8, end - 1);
    }
    let (last, length) = (count - 1, ENTRIES as u64 / sector);
    assert!(card.write(0, &first));
    for (own, other, place) in [(1, last, 2), (last, 1, last - length)] {
        assert!(card.write(place * sector, &entries));
        assert!(card.write(own * sector, &header(own, other, last - length - 1, place, &entries)));
    }
    card
}

/// Reads a table as Linux does without `gpt` on its command line (is_gpt_valid() of block/partitions/efi.c): the header in
/// sector 1 alone.
fn linux(card: &mut Card, is_gpt: bool, sector: u64, bytes: u64) -> Option<Partitions> {
    let mut found = Partitions::new();
    let mut first = [0; SECTOR];
    if !is_gpt {
        assert!(card.read(0, &mut first));
        for number in 1..=4 {
            let entry = &first[446 + 16 * (number as usize - 1)..][..16];
            let (start, count) = (self::number(entry, 8, 4), self::number(entry, 12, 4));
            if count > 0 {
                found.insert(number, (start, start + count));
            }
        }
        return (first[510..] == [0x55, 0xaa]).then_some(found);
    }
    assert!(card.read(sector, &mut first));
    let mut zeroed = first;
    zeroed[16..20].fill(0);
    let mut entries = [0; ENTRIES];
    assert!(card.read(number(&first, 72, 8) * sector, &mut entries));
    let last = bytes / sector - 1;
    let is_valid = first.starts_with(b"EFI PART")
        && number(&first, 16, 4) as u32 == sum_of(&zeroed[..92])
        && number(&first, 24, 8) == 1
        && number(&first, 40, 8) <= number(&first, 48, 8)
        && number(&first, 48, 8) <= last
        && number(&first, 88, 4) as u32 == sum_of(&entries);
    for number in 1..=128 {
        let entry = &entries[128 * (number as usize - 1)..][..128];
        if entry[..16] != [0; 16] {
            found.insert(number, (self::number(entry, 32, 8), self::number(entry, 40, 8) + 1));
        }
    }
    is_valid.then_some(found)
}

/// Whether both copies of a GPT are where they belong, and say the same.
fn is_tidy(card: &mut Card, sector: u64, bytes: u64) -> bool {
    let last = bytes / sector - 1;
    let (mut first, mut second) = ([0; SECTOR], [0; SECTOR]);
    assert!(card.read(sector, &mut first));
    assert!(card.read(last * sector, &mut second));
    let (mut entries, mut copy) = ([0; ENTRIES], [0; ENTRIES]);
    assert!(card.read(2 * sector, &mut entries));
    assert!(card.read(number(&second, 72, 8) * sector, &mut copy));
    first == header(1, last, number(&first, 48, 8), 2, &entries)
        && second == header(last, 1, number(&first, 48, 8), last - ENTRIES as u64 / sector, &entries)
        && number(&first, 48, 8) == last - ENTRIES as u64 / sector - 1
        && entries == copy
}

/// Grows a partition with a cut after every sector, and again after the cut.
fn cut_everywhere(whole: &Card, (is_gpt, sector, bytes): (bool, u64, u64), number: u32, before: &Partitions) {
    let (start, end) = before[&number];
    let mut done = whole.clone();
    done.written = 0;
    let grown = grow(&mut done, bytes, number, start * sector);
    let after = linux(&mut done, is_gpt, sector, bytes).expect("a table");
    let new = after[&number].1;
    match grown {
        Ok(Some(size)) => {
            assert!(new > end && size == (new - start) * sector && (new * sector).is_multiple_of(1 << 20))
        }
        _ => assert!(new == end && done.written == 0, "{grown:?} {} sectors", done.written),
    }
    // As large as possible, and the others are as they were.
    let next = before.values().map(|(first, _)| *first).filter(|first| *first > start).min();
    let reserve = if is_gpt { 1 + ENTRIES as u64 / sector } else { 0 };
    let limit = next.unwrap_or(u64::MAX).min(bytes / sector - reserve).min(if is_gpt { u64::MAX } else { 1 << 32 });
    assert!(new <= limit && (limit - new) * sector < 1 << 20, "{new} of {limit}");
    let mut expected = before.clone();
    expected.insert(number, (start, new));
    assert_eq!(after, expected);
    assert!(!is_gpt || grown.is_err() || new == end || is_tidy(&mut done, sector, bytes));
    let settled = if next.is_some() { Err(Kept::Behind) } else { Ok(None) };
    assert_eq!(grow(&mut done, bytes, number, start * sector), settled);
    assert!(matches!(grown, Ok(Some(_))) || grown == settled);
    for backwards in [false, true] {
        // Each sector that is not one of many entries.
        for left in (0..done.written).filter(|left| left % 32 < 5 || left % 32 == 31) {
            let mut cut = Card { left, backwards, ..whole.clone() };
            assert_eq!(grow(&mut cut, bytes, number, start * sector), Err(Kept::Device), "after {left}");
            let between = linux(&mut cut, is_gpt, sector, bytes).unwrap_or_else(|| panic!("no table after {left}"));
            assert!(between == *before || between == after, "after {left}: {between:?}");
            cut.left = usize::MAX;
            let _ = grow(&mut cut, bytes, number, start * sector);
            assert_eq!(linux(&mut cut, is_gpt, sector, bytes).as_ref(), Some(&after), "after {left}, and again");
            assert!(!is_gpt || is_tidy(&mut cut, sector, bytes), "after {left}, and again");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]
    #[test]
    fn partition_grows_as_far_as_it_can_and_a_cut_leaves_a_table(
        is_gpt: bool, is_large: bool, sizes in prop::collection::vec((1_u64..9, 0_u64..3), 1..5), own in 0_usize..4,
        more in prop_oneof![0_u64..600, 2_000_u64..20_000, Just(3 << 30), Just(1 << 33)], odd in 0_u64..9,
    ) {
        let sector = if is_large { 4096 } else { 512 };
        let unit = (1 << 20) / sector;
        let (mut at, mut partitions) = (unit, Partitions::new());
        for (number, (size, gap)) in (1..).zip(&sizes) {
            partitions.insert(number, (at, at + size * unit));
            at += (size + gap) * unit;
        }
        let own = (own % sizes.len()) as u32 + 1;
        let old = at + unit;
        let whole = card(is_gpt, sector, old, &partitions);
        cut_everywhere(&whole, (is_gpt, sector, (old + more) * sector + odd * 512), own, &partitions);
    }
}

#[test]
fn smaller_disk_and_table_of_another_kind_stay_as_they_are() {
    let partitions = Partitions::from([(1, (2048, 4096)), (2, (4096, 8192))]);
    for is_gpt in [true, false] {
        let whole = card(is_gpt, 512, 10_240, &partitions);
        let kept = |change: &dyn Fn(&mut Card), bytes: u64, number, start| {
            let mut card = whole.clone();
            change(&mut card);
            let before = card.sectors.clone();
            let grown = grow(&mut card, bytes, number, start);
            assert!(card.sectors == before, "nothing is written");
            grown
        };
        let large = 64 << 20;
        assert_eq!(kept(&|_| (), 3 << 20, 2, 4096 * 512), Err(Kept::Small));
        assert_eq!(kept(&|_| (), large, 1, 2048 * 512), Err(Kept::Behind));
        // Another table than the kernel's, no such partition, and none at all.
        for (number, start) in [(2, 4097 * 512), (3, 0), (5, 4096 * 512), (129, 4096 * 512), (0, 0), (u32::MAX, 512)] {
            assert_eq!(kept(&|_| (), large, number, start), Err(Kept::Table), "{number} {start}");
        }
        let table = u64::from(is_gpt);
        assert_eq!(kept(&|card| _ = card.sectors.remove(&table), large, 2, 4096 * 512), Err(Kept::Table));
        for (sector, at) in [(1, 20), (1, 100), (2, 0), (20, 7)].into_iter().filter(|_| is_gpt) {
            let damage = |card: &mut Card| card.sectors.get_mut(&sector).expect("a sector")[at] ^= 1;
            // Behind the header, and the header's own reserved field.
            let expected = if (sector, at) == (1, 100) { Ok(()) } else { Err(Kept::Table) };
            let mut card = whole.clone();
            damage(&mut card);
            assert_eq!(grow(&mut card, large, 2, 4096 * 512).map(|_| ()), expected, "{sector} {at}");
        }
    }
    let texts = [Kept::Table, Kept::Small, Kept::Behind, Kept::Device].map(|kept| kept.to_string());
    assert_eq!(texts[1..3], ["the disk is smaller than its partition table", "another partition is behind it"]);
    assert!(texts[0].starts_with("a partition table") && texts[3].starts_with("the disk cannot"), "{texts:?}");
}

/// A boot loader may be where the entries usually are (sgdisk --move-main-table).
#[test]
fn entries_at_an_unusual_place_are_not_moved() {
    let partitions = Partitions::from([(1, (2048, 4096))]);
    let mut card = card(true, 512, 8192, &partitions);
    let mut entries = [0; ENTRIES];
    assert!(card.read(1024, &mut entries));
    assert!(card.write(64 * 512, &entries));
    assert!(card.write(512, &header(1, 8191, 8192 - 34, 64, &entries)));
    assert_eq!(grow(&mut card, 64 << 20, 1, 1 << 20), Err(Kept::Table));
}
