use super::{family, table};

#[test]
fn functions_are_assigned_to_families() {
    for (name, wanted) in [
        ("hilum::plan::plan", "hilum::plan"),
        ("<hilum::init::board::Board>::supervise", "hilum::init"),
        ("<hilum::plan::step::Value as core::fmt::Display>::fmt", "hilum::plan"),
        ("<usize as core::ops::arith::AddAssign>::add_assign", "core::ops"),
        ("<&mut hilum::log::Queue as core::fmt::Write>::write_str", "hilum::log"),
        ("rustix::net::socket::bind::<&rustix::fd::OwnedFd>", "rustix"),
        ("<&mut [core::mem::MaybeUninit<u8>] as rustix::buffer::Buffer>::parts", "core::mem"),
        ("strlen", "without a path"),
    ] {
        assert_eq!(family(name), wanted, "{name}");
    }
}

#[test]
fn own_functions_are_found_by_name() {
    let own = std::fs::read(std::env::current_exe().expect("this program")).expect("its bytes");
    let text = table(&own, 3).expect("it has symbols");
    assert!(text.contains(".text") && text.contains("hilum_initramfs"), "{text}");
    assert_eq!(text.lines().skip_while(|line| *line != "the largest:").count(), 4, "{text}");
    let error = table(b"no such thing", 3).expect_err("no ELF file");
    assert!(error.to_string().contains("not a 64-bit ELF file"), "{error}");
}
