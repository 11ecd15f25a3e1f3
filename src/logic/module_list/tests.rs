use super::*;

const NEEDS: &str = "ext4: crc16 mbcache jbd2\nloop: (built in)\next: other\nveth:\n";

#[test]
fn needs_are_found_by_exact_module_name() {
    let needs = |name| needs_of(NEEDS, name).map(|others| others.collect::<Vec<_>>());
    assert_eq!(needs("ext4"), Some(vec!["crc16", "mbcache", "jbd2"]));
    assert_eq!(needs("ext"), Some(vec!["other"]));
    assert_eq!(needs("veth"), Some(vec![]));
    assert_eq!(needs("unknown"), Some(vec![]), "its file may be there all the same");
}

#[test]
fn built_in_module_is_not_loaded() {
    assert!(needs_of(NEEDS, "loop").is_none());
}

#[test]
fn parameters_are_the_rest_of_the_line() {
    let all: Vec<_> = to_load("virtio_net\nbonding mode=1 miimon=100\n").collect();
    assert_eq!(all, [("virtio_net", ""), ("bonding", "mode=1 miimon=100")]);
}
