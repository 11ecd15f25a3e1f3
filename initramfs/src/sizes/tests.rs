use super::{FEATURES, family, feature, table};

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
        ("<hilum_runtime::net::links::Links>::open", "hilum_runtime::net"),
        ("strlen", "without a path"),
    ] {
        assert_eq!(family(name), wanted, "{name}");
    }
}

#[test]
fn functions_are_assigned_to_features_by_the_longest_path() {
    for (name, wanted) in [
        ("hilum_runtime::net::links::open", "network"),
        ("<hilum_runtime::net::client::Client>::ask", "network: DHCP"),
        ("<hilum_runtime::init::disks::Disks as core::fmt::Display>::fmt", "storage"),
        ("hilum_runtime::init::logs::write", "log"),
        ("smoltcp::wire::parse", "the rest"),
        ("memcpy", "the rest"),
    ] {
        assert_eq!(feature(name), wanted, "{name}");
    }
}

/// A module that was renamed would count for another feature.
#[test]
fn features_name_modules_that_exist() {
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for start in FEATURES.iter().flat_map(|(_, starts)| *starts).filter(|start| start.contains("::")) {
        let (name, path) = start.split_once("::").expect("a path");
        let folder = if name == "hilum" { "src/logic" } else { "src/runtime" };
        let file = project.join(folder).join(path.replace("::", "/"));
        assert!(file.is_dir() || file.with_extension("rs").is_file(), "{start}: no such module");
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
