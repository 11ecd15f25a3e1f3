use super::*;
use std::process::Command;

/// Returns an image whose superblock claims this many blocks, with different bytes in each.
fn image(blocks: u32) -> Vec<u8> {
    let mut image: Vec<u8> = (0..blocks).flat_map(|block| vec![(block % 251) as u8; BLOCK]).collect();
    image[1024..1028].copy_from_slice(&[0xe2, 0xe1, 0xf5, 0xe0]);
    image[1024 + 12] = 12;
    image[1024 + 36..1024 + 40].copy_from_slice(&blocks.to_le_bytes());
    image
}

#[test]
fn tree_and_root_hash_match_veritysetup() {
    let folder = tempfile::tempdir().expect("a folder");
    // No tree, one level, the last digest of a level, two levels, three.
    for blocks in [1, 2, 127, 128, 129, 3000, 128 * 128 + 1] {
        let (mut ours, path) = (image(blocks), folder.path().join("image"));
        std::fs::write(&path, &ours).expect("a file");
        let words = ["format", "--no-superblock", "--salt=-", "--hash=sha256", "--data-block-size=4096"];
        let output = Command::new("veritysetup")
            .args(words)
            .arg(format!("--data-blocks={blocks}"))
            .arg(format!("--hash-offset={}", u64::from(blocks) * BLOCK_BYTES))
            .args([&path, &path])
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .output()
            .expect("veritysetup of cryptsetup-bin");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let root = text.lines().find_map(|line| line.strip_prefix("Root hash:")).expect("a root hash").trim();
        assert_eq!(add_tree(&mut ours).expect("a tree"), root, "{blocks} blocks");
        let theirs = std::fs::read(&path).expect("the file");
        assert!(ours == theirs, "{blocks} blocks: another tree");
    }
}

#[test]
fn existing_tree_is_replaced() {
    let mut once = image(300);
    let digest = add_tree(&mut once).expect("a tree");
    let mut twice = once.clone();
    assert_eq!(add_tree(&mut twice).expect("a tree"), digest);
    assert!(once == twice);
}

#[test]
fn truncated_or_unknown_image_is_refused() {
    let mut cut = image(300);
    cut.truncate(200 * BLOCK);
    assert!(add_tree(&mut cut).expect_err("it is cut").to_string().contains("ends before its filesystem"));
    assert!(add_tree(&mut vec![0; 8192]).expect_err("no filesystem").to_string().contains("no image"));
    assert!(add_tree(&mut Vec::new()).is_err());
}

#[test]
fn digest_is_filled_only_into_lines_of_its_image() {
    let text = "hilum 1\n# root /a verity=image\n[workload a]\nroot /a verity=image corrupt=stop\nexec /verity=image\n\
                [workload b]\n  root \"/b\" overlay verity=image";
    let filled = fill_in(&fill_in(text, "/a", "AA"), "/b", "BB");
    let expected = "hilum 1\n# root /a verity=image\n[workload a]\nroot /a verity=AA corrupt=stop\nexec /verity=image\n\
                    [workload b]\n  root \"/b\" overlay verity=BB";
    assert_eq!(filled, expected);
}
