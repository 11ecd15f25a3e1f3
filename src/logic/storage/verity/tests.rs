use super::*;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Returns the start of an image with these bytes.
fn start(parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut start = vec![0; super::super::START_BYTES];
    for (at, bytes) in parts {
        start[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    start
}

#[test]
fn tree_follows_the_last_block_of_the_filesystem() {
    let erofs = |bits: u8, blocks: u32| {
        start(&[(1024, &[0xe2, 0xe1, 0xf5, 0xe0]), (1024 + 12, &[bits]), (1024 + 36, &blocks.to_le_bytes())])
    };
    assert_eq!(data_blocks(&erofs(12, 77)), Some(77));
    assert_eq!(data_blocks(&erofs(9, 9)), Some(2));
    assert_eq!(data_blocks(&erofs(12, 0)), None);
    let squashfs = |bytes: u64| start(&[(0, b"hsqs"), (40, &bytes.to_le_bytes())]);
    assert_eq!(data_blocks(&squashfs(4096)), Some(1));
    assert_eq!(data_blocks(&squashfs(4097)), Some(2));
    let ext4 = |low: u32, high: u32, log: u32, incompat: u32| {
        start(&[
            (1024 + 0x38, &[0x53, 0xef]),
            (1024 + 4, &low.to_le_bytes()),
            (1024 + 0x18, &log.to_le_bytes()),
            (1024 + 0x60, &incompat.to_le_bytes()),
            (1024 + 0x150, &high.to_le_bytes()),
        ])
    };
    assert_eq!(data_blocks(&ext4(16, 1, 2, 0)), Some(16), "without the feature 64bit the high half is something else");
    assert_eq!(data_blocks(&ext4(16, 1, 2, 0x80)), Some(16 | 1 << 32));
    assert_eq!(data_blocks(&ext4(16, 0, 0, 0)), Some(4));
    assert_eq!(data_blocks(&[]), None);
}

#[test]
fn absurd_numbers_on_disk_do_not_overflow() {
    let erofs = start(&[(1024, &[0xe2, 0xe1, 0xf5, 0xe0]), (1024 + 12, &[255]), (1024 + 36, &[255; 4])]);
    assert_eq!(data_blocks(&erofs), None);
    assert_eq!(data_blocks(&start(&[(0, b"hsqs"), (40, &[255; 8])])), None);
    assert_eq!(load_request("a", (7, 0), u64::MAX, DIGEST), None);
}

#[test]
fn table_matches_the_kernel_documentation() {
    let request = load_request("dm-1234", (7, 3), 1000, DIGEST).expect("a short name");
    assert_eq!(request[..12], [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "version 4.0.0");
    assert_eq!(request[12..24], [0x80, 2, 0, 0, 0x38, 1, 0, 0, 1, 0, 0, 0], "its size, where data begins, one target");
    assert_eq!(request[28], 1, "read-only");
    assert_eq!(&request[48..56], b"dm-1234\0");
    assert_eq!(request[312..328], [[0; 8], 8000_u64.to_le_bytes()].concat(), "from sector 0, 8 to a block");
    assert_eq!(&request[336..343], b"verity\0");
    let words = format!("1 7:3 7:3 4096 4096 1000 1000 sha256 {DIGEST} -\0");
    assert_eq!(&request[352..352 + words.len()], words.as_bytes());
}

#[test]
fn longest_numbers_fit_into_a_request() {
    let digest = "f".repeat(64);
    let request = load_request(&"n".repeat(127), (u32::MAX, u32::MAX), u64::MAX / 8, &digest).expect("it fits");
    let words = request[352..].split(|byte| *byte == 0).next().expect("words");
    assert!(words.ends_with(format!("{digest} -").as_bytes()));
    assert_eq!(super::request(&"n".repeat(128)), None);
}

#[test]
fn device_of_a_slot_has_its_number() {
    for (slot, process) in [(0, 0), (0, 1), (31, 16_383), (31, 4_194_303)] {
        let minor = minor(slot, process);
        assert_eq!(slot_of(&format!("dm-{minor}")), Some(slot));
        assert!(minor < 1 << 20, "MINORBITS of include/linux/kdev_t.h");
    }
    assert_ne!(minor(3, 70), minor(3, 71));
    for other in ["dm-0", "dm-16383", "dm-", "dm-x", "loop16384", ""] {
        assert_eq!(slot_of(other), None, "{other}");
    }
}

#[test]
fn minor_number_is_packed_as_the_kernel_unpacks_it() {
    let request = create_request("a", 0x12345).expect("a short name");
    // new_encode_dev(MKDEV(0, 0x12345)): (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)
    let packed: u32 = 0x45 | 0x12300 << 12;
    assert_eq!(request[40..44], packed.to_le_bytes());
    assert_eq!(request[28], 8, "the number is to be this one");
    assert_eq!(remove_request("a").expect("a short name")[30], 2, "deferred");
}

#[test]
fn state_is_corrupt_after_a_block_that_did_not_match() {
    let mut answer = request("a.1").expect("a short name");
    assert!(!is_corrupt(&answer), "no target");
    for (state, expected) in [(b'V', false), (b'C', true)] {
        answer[352] = state;
        assert_eq!(is_corrupt(&answer), expected);
    }
}
