use super::*;

#[test]
fn memory_that_an_image_needs_is_more_than_the_kernel_stops_at() {
    // A 264 MB root in 256 MiB showed nothing at all.
    assert!(memory_mib(264 << 20, 250 << 20) >= 2 * 264);
    // The demo runs in what make run gives without MEMORY.
    assert!(memory_mib(12 << 20, 6 << 20) <= 96);
    assert_eq!(memory_mib(0, 1) % 16, 0);
    // An archive that does not get smaller is in memory as well.
    assert!(memory_mib(1 << 20, 100 << 20) >= 165);
}
