use super::*;

#[test]
fn required_memory_exceeds_what_unpacking_needs() {
    // A root of 264 MB in 256 MiB printed nothing at all.
    assert!(memory_mib(264 << 20, 250 << 20) >= 2 * 264);
    // The demo runs in the default memory of make run.
    assert!(memory_mib(12 << 20, 6 << 20) <= 96);
    assert_eq!(memory_mib(0, 1) % 16, 0);
    // An archive that does not compress is also in memory.
    assert!(memory_mib(1 << 20, 100 << 20) >= 165);
}
