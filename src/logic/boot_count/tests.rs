use super::*;

#[test]
fn written_count_is_read_back() {
    for count in [0, 1, 250, u32::MAX] {
        assert_eq!(read(BOOTS, &sector(BOOTS, count)), count);
    }
    assert_eq!(read(BOOTS, &sector(TIME, 7)), 0, "another number");
}

#[test]
fn invalid_count_is_read_as_zero() {
    for bytes in
        [&b""[..], &[0; SECTOR], b"hilum boots\n", b"hilum boots x\n", b"boots 3\n", b"hilum boots 3 \n", b"\xff\n"]
    {
        assert_eq!(read(BOOTS, bytes), 0, "{bytes:?}");
    }
    assert_eq!(read(BOOTS, b"hilum boots 3"), 3, "a file that somebody has written by hand");
}
