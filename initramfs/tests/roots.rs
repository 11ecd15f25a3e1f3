//! Root filesystems from sources as they come: what would fail on the board is mended and told, or refused with its line.

mod support;

use hilum_initramfs::build::{Places, build};
use hilum_initramfs::progress::Event;
use std::path::Path;
use support::packed_config;

/// Builds an image with this archive as its only root filesystem; gives the configuration that is packed, and what is told.
fn built(folder: &Path, lines: &str, root: &str) -> (Result<String, String>, Vec<String>) {
    std::fs::write(folder.join("vmlinuz"), "Linux version 6.1.0-50 (x)").expect("a file");
    let config = format!("hilum 1\n[workload web]\nroot /images/web\nexec /bin/run\n{lines}\n");
    std::fs::write(folder.join("hilum.conf"), config).expect("a file");
    let text = format!(
        "architecture = \"x86_64\"\nkernel = \"./vmlinuz\"\nconfig = \"hilum.conf\"\noutputs = [\"initramfs\"]\n[[root]]\n\
         path = \"/images/web\"\nformat = \"folder\"\ntar = \"root.tar\"\n{root}\n"
    );
    let file = folder.join("board.toml");
    std::fs::write(&file, text).expect("a file");
    // A 64-bit ELF file is all that is looked for.
    let init = "/bin/true";
    let places = Places::new(init, folder, folder.join("output"));
    let mut told = Vec::new();
    let here = format!("{}/", folder.display());
    let result = build(&[file], &places, &mut |event| {
        if let Event::Line(line) = event {
            told.push(line.replace(&here, ""));
        }
    });
    let result = result.map_err(|error| format!("{error:#}").replace(&here, ""));
    (result.map(|_| packed_config(&folder.join("output/initramfs"))), told)
}

/// The archive that [`built`] packs: a script, users behind a link, and what `more` adds.
fn archive(folder: &Path, more: &[(&str, tar::EntryType, &str)]) {
    let mut builder = tar::Builder::new(std::fs::File::create(folder.join("root.tar")).expect("a file"));
    let passwd = "root:x:0:0::/:\nwww:x:33:34::/:\n";
    let files = [
        ("bin/run", tar::EntryType::Regular, "#!/bin/run\n"),
        ("usr/lib/passwd", tar::EntryType::Regular, passwd),
        ("etc/passwd", tar::EntryType::Symlink, "../usr/lib/passwd"),
        ("etc/group", tar::EntryType::Regular, "staff:x:50:\n"),
    ];
    for (path, kind, text) in files.iter().chain(more) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if *kind == tar::EntryType::Directory { 0o700 } else { 0o755 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        if *kind == tar::EntryType::Symlink {
            builder.append_link(&mut header, path, text).expect("it fits");
        } else {
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, path, text.as_bytes()).expect("it fits");
        }
    }
    builder.finish().expect("it fits");
}

#[test]
fn user_name_is_packed_as_number() {
    let folder = tempfile::tempdir().expect("a folder");
    archive(folder.path(), &[]);
    for (user, packed) in [("www", "33:34"), ("www:staff", "33:50"), ("5:staff", "5:50"), ("www:7", "33:7")] {
        let (config, told) = built(folder.path(), &format!("user {user}   # who"), "");
        assert!(config.expect(user).contains(&format!("\nuser {packed}   # who\n")), "{user}");
        let line = format!("hilum.conf:5: workload \"web\": user {user}: is {packed}");
        assert!(told.contains(&line), "{told:?}");
    }
    let (config, _) = built(folder.path(), "user none", "");
    let expected = "hilum.conf:5: workload \"web\": user none: user none is not in the image's /etc/passwd";
    assert_eq!(config.expect_err("refused"), expected);
    let (config, _) = built(folder.path(), "user www:none", "");
    assert!(config.expect_err("refused").ends_with("group none is not in the image's /etc/group"));
    // A mistake in another line is told before anything is packed, and with its own line.
    let (config, told) = built(folder.path(), "user www\nroto /x", "");
    assert!(config.expect_err("refused").starts_with("hilum.conf:6:1: unknown key \"roto\""));
    assert!(!told.iter().any(|line| line.starts_with("root ")), "{told:?}");
}

#[test]
fn number_without_a_name_is_reported_and_a_user_can_be_added() {
    let folder = tempfile::tempdir().expect("a folder");
    archive(folder.path(), &[]);
    let line = "hilum.conf:5: workload \"web\": user 101 has no name in /images/web, which some programs ask for; add to its \
                [[root]]: users = { web = 101 }";
    let (config, told) = built(folder.path(), "user 101", "");
    assert!(config.expect("good").contains("\nuser 101\n") && told.iter().any(|told| told == line), "{told:?}");
    let (config, told) = built(folder.path(), "user 101", "users = { web = 101 }");
    assert!(config.is_ok() && !told.iter().any(|told| told.contains("has no name")), "{config:?}: {told:?}");
    let (config, _) = built(folder.path(), "user web", "users = { web = 101 }");
    assert!(config.expect("good").contains("\nuser 101:101\n"));
    let (config, _) = built(folder.path(), "user www", "users = { www = 5 }");
    assert!(config.expect_err("refused").ends_with("www is in /etc/passwd already, with another number"));
}

#[test]
fn links_at_mount_points_become_folders_and_files() {
    use tar::EntryType::{Directory, Symlink};
    let folder = tempfile::tempdir().expect("a folder");
    archive(
        folder.path(),
        &[
            ("./", Directory, ""),
            ("tmp", Symlink, "var/tmp"),
            ("run", Symlink, "/var/run"),
            ("etc/resolv.conf", Symlink, "../run/systemd/resolve/stub-resolv.conf"),
        ],
    );
    let (config, told) =
        built(folder.path(), "resolv\nlink veth br0 10.77.0.2/24\n[system]\nbridge br0 10.77.0.1/24", "");
    config.expect("it is packed");
    for line in [
        "root /images/web: /tmp is a folder now: it was a link to var/tmp",
        "root /images/web: /run is a folder now: it was a link to /var/run",
        "root /images/web: its top folder has mode 755 now: with 700, only its owner could enter",
        "root /images/web: /etc/resolv.conf is an empty file now: it was a link to ../run/systemd/resolve/stub-resolv.conf, and \
         the line resolv attaches a file there",
    ] {
        assert!(told.iter().any(|told| told == line), "{line}\n{told:?}");
    }
}

#[test]
fn program_that_was_not_built_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    archive(folder.path(), &[]);
    let (config, _) = built(folder.path(), "", "programs = [\"hilum-agent\"]");
    let error = config.expect_err("refused");
    let expected = "root /images/web: the program hilum-agent; build it by: linker/agent x86_64: ";
    assert!(error.contains(expected), "{error}");
    built(folder.path(), "", "programs = [\"false\"]").0.expect("it lies beside /bin/true");
}
