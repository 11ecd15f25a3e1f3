//! Tar archives and layers: accepted entries stay below the root, and can be packed again.
#![no_main]
use hilum_initramfs::tree::Tree;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for is_layer in [false, true] {
        let mut tree = Tree::new();
        if tree.apply(data, is_layer).is_ok() {
            assert!(tree.iter().all(|(path, _)| !path.split('/').any(|part| part == ".." || part == ".")));
            let _ = tree.to_tar();
        }
    }
});
