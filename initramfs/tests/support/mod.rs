//! What tests of whole images share.

use std::path::Path;

/// Returns the configuration in an initramfs.
pub(crate) fn packed_config(file: &Path) -> String {
    // It is in the first of the archives.
    let mut first = zstd::Decoder::new(std::fs::File::open(file).expect("a file")).expect("zstd").single_frame();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut first, &mut bytes).expect("zstd");
    let mut rest = bytes.as_slice();
    loop {
        let mut entry = cpio::newc::Reader::new(rest).expect("an entry");
        assert!(!entry.entry().is_trailer(), "no configuration");
        let is_it = entry.entry().name() == "etc/hilum.conf";
        let mut contents = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut contents).expect("its contents");
        if is_it {
            return String::from_utf8(contents).expect("UTF-8");
        }
        rest = entry.finish().expect("the next one");
    }
}
