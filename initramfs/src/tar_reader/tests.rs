//! Archives with rare features, and malformed ones.

use super::*;

/// Returns a header block for these contents.
fn header(name: &str, kind: u8, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).expect("a short name");
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_cksum();
    header
}

fn put(archive: &mut Vec<u8>, header: &tar::Header, contents: &[u8]) {
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(contents);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

fn ended(mut archive: Vec<u8>) -> Vec<u8> {
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).map(|digits| rest + digits).find(|length| length.to_string().len() + rest == *length);
    [format!("{} {key}=", length.expect("a length")).as_bytes(), value, b"\n"].concat()
}

/// Returns an archive of a file `x` with these records and contents.
fn with_records(records: &[(&str, &str)], contents: &str) -> Vec<u8> {
    let records: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value.as_bytes())).collect();
    let mut archive = Vec::new();
    put(&mut archive, &header("pax", b'x', records.len() as u64), &records);
    put(&mut archive, &header("x", b'0', contents.len() as u64), contents.as_bytes());
    ended(archive)
}

type Found = Vec<(Member, Vec<u8>)>;

fn read(archive: &[u8]) -> Result<Found> {
    let (mut reader, mut all) = (Reader::new(archive), Vec::new());
    while let Some(member) = reader.next_member()? {
        assert!(member.size < 1 << 20, "of a test");
        let mut bytes = vec![0; member.size as usize];
        reader.contents(&member, &mut |at, part| {
            bytes[at as usize..][..part.len()].copy_from_slice(part);
            Ok(())
        })?;
        all.push((member, bytes));
    }
    Ok(all)
}

fn refusal(archive: &[u8]) -> String {
    format!("{:#}", read(archive).expect_err("it is refused"))
}

#[test]
fn record_value_is_delimited_by_its_length() {
    let value = b"1 a=b\n\0\n30 path=y\n";
    let mut archive = Vec::new();
    let records = [record("SCHILY.xattr.security.capability", value), record("path", b"long/name")].concat();
    put(&mut archive, &header("pax", b'x', records.len() as u64), &records);
    put(&mut archive, &header("x", b'0', 2), b"hi");
    let found = read(&ended(archive)).expect("good");
    assert_eq!((found[0].0.path.as_str(), found[0].1.as_slice()), ("long/name", b"hi".as_slice()));
    assert_eq!(found[0].0.xattrs["security.capability"], value);
}

#[test]
fn sparse_files_of_all_formats_are_read() {
    let expected = [&[0; 3][..], b"abc", &[0; 4], b"de", &[0; 8]].concat();
    let forms: [&[(&str, &str)]; 2] = [
        &[
            ("GNU.sparse.size", "20"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "3"),
            ("GNU.sparse.numbytes", "3"),
            ("GNU.sparse.offset", "10"),
            ("GNU.sparse.numbytes", "2"),
        ],
        &[
            ("GNU.sparse.size", "20"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.map", "3,3,10,2"),
            ("GNU.sparse.name", "real"),
        ],
    ];
    for records in forms {
        assert_eq!(read(&with_records(records, "abcde")).expect("good")[0].1, expected);
    }
    let in_front = format!("{:\0<512}{}", "2\n3\n3\n10\n2\n", "abcde");
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "real"),
        ("GNU.sparse.realsize", "20"),
    ];
    let found = read(&with_records(&records, &in_front)).expect("good");
    assert_eq!((found[0].0.path.as_str(), &found[0].1), ("real", &expected));
}

#[test]
fn unsupported_sparse_file_is_an_error_with_its_name() {
    let size = ("GNU.sparse.size", "20");
    for (records, why) in [
        (vec![("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")], "of unknown version 2.0"),
        (vec![("GNU.sparse.other", "2")], "an unknown record other"),
        (vec![size, ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "3,4")], "do not match its size"),
        (vec![size, ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "18,5")], "do not match its size"),
        (vec![size, ("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "3,x")], "no digits"),
        (vec![size, ("GNU.sparse.numblocks", "2"), ("GNU.sparse.map", "3,5")], "is incomplete"),
        (vec![size, ("GNU.sparse.numblocks", "2"), ("GNU.sparse.map", "9,2,3,3")], "out of order"),
        (vec![size, ("GNU.sparse.offset", "1"), ("GNU.sparse.offset", "2")], "out of order"),
        (vec![("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", "3,5")], "without GNU.sparse.size"),
        (vec![("SCHILY.realsize", "20")], "unsupported record SCHILY.realsize"),
        (vec![("SUN.holesdata", " 0 3 20")], "unsupported record SUN.holesdata"),
        (vec![("hdrcharset", "ISO-IR 8859 1 1998")], "unsupported record hdrcharset"),
        (vec![("size", "4x")], "its size is not a number"),
        (vec![("uid", "4294967296")], "uid 4294967296 is above"),
    ] {
        let error = refusal(&with_records(&records, "abcde"));
        assert!(error.starts_with("x: ") && error.contains(why), "{records:?}: {error}");
    }
    // star(1) and others use the type S differently.
    let mut archive = Vec::new();
    put(&mut archive, &header("other", b'S', 5), b"abcde");
    assert!(refusal(&ended(archive)).starts_with("other: an unsupported kind of sparse file"));
}

#[test]
fn truncated_archive_is_refused() {
    let mut archive = Vec::new();
    put(&mut archive, &header("a", b'0', 600), &[b'x'; 600]);
    put(&mut archive, &header("b", b'0', 1), b"y");
    let whole = ended(archive);
    assert_eq!(read(&whole).expect("good").len(), 2);
    assert_eq!(refusal(b""), "the file is empty");
    for length in [513, 1024, 1535, 1536, 2048, 2560] {
        let error = refusal(&whole[..length]);
        assert!(error.contains("cut short"), "{length}: {error}");
    }
    assert_eq!(refusal(&whole[..100]), "not a tar archive");
    assert_eq!(refusal(&[b'x'; 1024]), "not a tar archive");
    let mut damaged = whole.clone();
    damaged[1540] ^= 1;
    assert_eq!(refusal(&damaged), "the archive is damaged at byte 1536");
    // A layer is verified by its digest.
    let mut layer = Reader::of_layer(&whole[..2049]);
    assert!(layer.next_member().expect("good").is_some() && layer.next_member().expect("good").is_some());
    assert!(layer.next_member().expect("good").is_none());
}

#[test]
fn contradictory_member_is_refused() {
    let mut archive = Vec::new();
    for _ in 0..2 {
        put(&mut archive, &header("pax", b'x', 9), &record("path", b"y"));
    }
    put(&mut archive, &header("x", b'0', 0), b"");
    assert_eq!(refusal(&ended(archive)), "two extended headers for one member");
    for kind in *b"1236" {
        let mut archive = Vec::new();
        let mut with_target = header("x", kind, 3);
        with_target.set_link_name("y").expect("a short name");
        with_target.set_cksum();
        put(&mut archive, &with_target, b"abc");
        assert_eq!(refusal(&ended(archive)), "x: contents after an entry that is not a file");
    }
    for bytes in ["5 path", "8 path=y\n", "12 path=yyyyy", "x path=y\n", "11 path y\n\0\0", "0 \n"] {
        let mut archive = Vec::new();
        put(&mut archive, &header("pax", b'x', bytes.len() as u64), bytes.as_bytes());
        put(&mut archive, &header("x", b'0', 0), b"");
        assert!(refusal(&ended(archive)).starts_with("an extended header is damaged"), "{bytes:?}");
    }
}

#[test]
fn access_control_list_becomes_an_extended_attribute() {
    let list = "user::rw-,user:web:r-x:33,group::r--,mask::rwx,other::---";
    let found = read(&with_records(&[("SCHILY.acl.access", list)], "")).expect("good");
    let entry =
        |tag: u16, rights: u16, id: u32| [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat();
    let none = u32::MAX;
    let entries = [entry(1, 6, none), entry(2, 5, 33), entry(4, 4, none), entry(0x10, 7, none), entry(0x20, 0, none)];
    assert_eq!(found[0].0.xattrs["system.posix_acl_access"], [&2_u32.to_le_bytes()[..], &entries.concat()].concat());
    let plain = read(&with_records(&[("SCHILY.acl.access", "user::rw-\ngroup::r--\nother::---\n")], "")).expect("good");
    assert!(plain[0].0.xattrs.is_empty());
    let error = refusal(&with_records(&[("SCHILY.acl.access", "user::rw-,user:web:r-x,group::r--,other::---")], ""));
    assert!(error.contains("names \"web\", which has no number here"), "{error}");
}

#[test]
fn attributes_of_other_systems_are_dropped() {
    let found = read(&with_records(
        &[
            ("SCHILY.xattr.com.apple.provenance", "x"),
            ("LIBARCHIVE.xattr.user.a%25b", "AAEK/w"),
            ("LIBARCHIVE.xattr.user.both", "eA=="),
            ("SCHILY.xattr.user.both", "x"),
            ("SCHILY.xattr.user.empty", ""),
        ],
        "",
    ));
    let xattrs = &found.expect("good")[0].0.xattrs;
    assert_eq!(xattrs.keys().collect::<Vec<_>>(), ["user.a%b", "user.both", "user.empty"]);
    assert_eq!(
        (xattrs["user.a%b"].as_slice(), xattrs["user.both"].as_slice()),
        ([0, 1, 10, 255].as_slice(), b"x".as_slice())
    );
}
