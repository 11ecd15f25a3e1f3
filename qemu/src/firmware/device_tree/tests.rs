use super::*;

/// Returns a tree with these words as its structure; its strings are `a`.
fn tree(structure: &[u32]) -> Vec<u8> {
    let structure: Vec<u8> = structure.iter().flat_map(|word| word.to_be_bytes()).collect();
    let bytes = structure.len() as u32;
    // The memory reservations are one empty entry of 16 bytes behind the header of 40.
    let header = [0xd00d_feed, 56 + bytes + 2, 56, 56 + bytes, 40, 17, 16, 0, 2, bytes];
    let header: Vec<u8> = header.iter().flat_map(|word: &u32| word.to_be_bytes()).collect();
    [&header[..], &[0; 16], &structure, b"a\0"].concat()
}

const CHOSEN: [u32; 2] = [u32::from_be_bytes(*b"chos"), u32::from_be_bytes(*b"en\0\0")];

#[test]
fn chosen_gets_a_node_with_the_partition_and_the_register() {
    // / { a = <7>; other { chosen { }; }; chosen { a = <8>; }; };
    let before = [BEGIN_NODE, 0, PROPERTY, 4, 0, 7, BEGIN_NODE, u32::from_be_bytes(*b"o\0\0\0")];
    let nested = [BEGIN_NODE, CHOSEN[0], CHOSEN[1], END_NODE, END_NODE];
    let chosen = [BEGIN_NODE, CHOSEN[0], CHOSEN[1], PROPERTY, 4, 0, 8];
    let after = [END_NODE, END_NODE, 9];
    let node = [BEGIN_NODE, 0x626f_6f74, 0x6c6f_6164, 0x6572_0000, PROPERTY, 4, 2, 3, PROPERTY, 4, 12, 5, END_NODE];
    let old = tree(&[&before[..], &nested, &chosen, &after].concat());
    let new = with_partition(&old, 3, 5).expect("a tree");
    let words = |tree: &[u8], at: usize, bytes: usize| -> Vec<u32> {
        tree[at..at + bytes].chunks(4).map(|word| u32::from_be_bytes(word.try_into().expect("a word"))).collect()
    };
    let place = |name: usize| number(&new, name).expect("a number");
    let expected = [&before[..], &nested, &chosen, &node, &after].concat();
    assert_eq!(words(&new, place(STRUCTURE), place(STRUCTURE_BYTES)), expected);
    assert_eq!(&new[place(STRINGS)..][..place(STRINGS_BYTES)], b"a\0partition\0pm_rsts\0");
    assert_eq!((place(TOTAL), place(RESERVED)), (new.len(), 40));
}

#[test]
fn trees_without_chosen_and_damaged_ones_are_refused() {
    assert_eq!(with_partition(&tree(&[BEGIN_NODE, 0, END_NODE, 9]), 2, 0), None);
    let whole = tree(&[BEGIN_NODE, 0, BEGIN_NODE, CHOSEN[0], CHOSEN[1], END_NODE, END_NODE, 9]);
    assert!(with_partition(&whole, 2, 0).is_some());
    for end in 0..whole.len() - 14 {
        assert_eq!(with_partition(&whole[..end], 2, 0), None, "{end} bytes");
    }
}
