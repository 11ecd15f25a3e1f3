//! The file of a site on a FAT filesystem, which people edit on other computers.

use super::storage::{section, tool};
use crate::support::real::RealBoard;
use crate::support::{BOOT, has_line, probe};
use hilum_qemu::Architecture;
use std::path::Path;

on_both!(file_of_a_site_changes_name_and_network_and_is_told);

const CONFIG: &str = "hilum 1
[system]
idle poweroff
hostname kitchen
mount LABEL=SITE /site vfat ro wait=1s
site /site/site.conf
link eth0 10.0.2.15/24
";

/// Replaces the file of the site.
fn write(disk: &Path, text: &[u8]) {
    let file = disk.with_extension("conf");
    std::fs::write(&file, text).expect("a file");
    tool("mcopy", &["-o", "-i", disk.to_str().expect("UTF-8"), file.to_str().expect("UTF-8"), "::site.conf"]);
}

fn file_of_a_site_changes_name_and_network_and_is_told(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = scratch.path().join("disk");
    std::fs::File::create(&disk).and_then(|file| file.set_len(8 << 20)).expect("a file");
    tool("mkfs.vfat", &["-n", "SITE", disk.to_str().expect("UTF-8")]);
    let reads = "do sleep:1500 read:/proc/sys/kernel/hostname find:/proc/net/fib_trie:10.0.2.77 find:/proc/net/fib_trie:10.0.2.15";
    let config = format!("{CONFIG}{}", section("a", reads, "share net\nshare uts"));
    let board = RealBoard::build(arch, &config, &["virtio_pci", "virtio_blk", "virtio_net"], ("probe", &probe(arch)));
    let network = "-netdev user,id=net -device virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,romfile=";
    let boot = |has_disk: bool| {
        let drive = format!("-drive file={},format=raw,if=virtio", disk.display());
        let words = network.split(' ').chain(drive.split(' ').filter(|_| has_disk)).map(str::to_owned);
        board.boot(&words.collect::<Vec<_>>()).vm.wait(BOOT).expect("it ends by itself")
    };
    let is_of_the_image = |console: &str| {
        has_line(console, "a | content /proc/sys/kernel/hostname kitchen");
        has_line(console, "a | did find:/proc/net/fib_trie:10.0.2.15 0");
    };

    // As an editor of another system saves it.
    write(&disk, b"\xef\xbb\xbfhostname hall-%m\r\nlink eth0 10.0.2.77/24\r\n");
    let console = boot(true);
    assert!(console.contains("from /etc/hilum.conf and /site/site.conf"), "{console}");
    has_line(&console, "a | content /proc/sys/kernel/hostname hall-123456");
    has_line(&console, "a | did find:/proc/net/fib_trie:10.0.2.77 0");
    assert!(!console.contains("a | did find:/proc/net/fib_trie:10.0.2.15 0"), "its line is replaced");

    write(&disk, b"hostname hall\n\nconsole off\n");
    let console = boot(true);
    has_line(
        &console,
        "hilum: /site/site.conf:3:1: found \"console\", expected hostname, link, nameserver or time; \
         other lines belong into the image",
    );
    is_of_the_image(&console);

    let console = boot(false);
    has_line(&console, "hilum: site /site/site.conf: ENOENT (no such file or directory): continuing without it");
    is_of_the_image(&console);
}
