//! Filesystems that are modules in Debian's kernel for real machines: f2fs, xfs and exFAT. Their own mkfs and fsck programs create
//! and check them. The image builder packs the modules for the `mount` lines.
//!
//! Elsewhere udev reads label and id with libblkid, and creates the links that mount(8) and systemd's mount units wait for. The
//! kernel requests the module, which modprobe(8) loads by its alias `fs-KIND`. systemd-shutdown(8) unmounts remaining filesystems.

use super::storage::section;
use crate::support::real::RealBoard;
use crate::support::{BOOT, has_line, probe};
use hilum_qemu::Architecture;
use std::path::{Path, PathBuf};
use std::process::Command;

on_both_long!(aarch64: f2fs_xfs_and_exfat_are_found_by_name_written_and_unmounted_clean);

const XFS: &str = "0f010203-0405-4607-8809-0a0b0c0d0e0f";

/// Runs a program with the disk as its last argument. Returns its output; panics if the program fails.
fn judge(words: &[&str], disk: &Path) -> String {
    let output = Command::new(words[0]).args(&words[1..]).arg(disk).output().expect("it is there");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    said
}

/// Creates an empty disk of `mebibytes` MiB.
fn disk(folder: &Path, name: &str, mebibytes: u64) -> PathBuf {
    let path = folder.join(name);
    std::fs::File::create(&path).and_then(|file| file.set_len(mebibytes << 20)).expect("a file");
    path
}

fn f2fs_xfs_and_exfat_are_found_by_name_written_and_unmounted_clean(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    // The minimum of mkfs.xfs is 300 MiB.
    let [f2fs, xfs, exfat] =
        [("f2fs", 128), ("xfs", 320), ("exfat", 64)].map(|(name, size)| disk(scratch.path(), name, size));
    judge(&["mkfs.f2fs", "-q", "-l", "my data, 2 disk"], &f2fs);
    judge(&["mkfs.xfs", "-q", "-L", "twelve bytes", "-m", &format!("uuid={XFS}")], &xfs);
    judge(&["mkfs.exfat", "-L", "stick"], &exfat);
    judge(&["tune.exfat", "-I", "0xabcd1234"], &exfat);
    let words: Vec<String> = [&exfat, &xfs, &f2fs]
        .iter()
        .zip(["a", "b", "c"])
        .flat_map(|(disk, name)| {
            let drive = format!("file={},format=raw,if=none,id={name}", disk.display());
            ["-drive".to_owned(), drive, "-device".to_owned(), format!("virtio-blk-pci,drive={name}")]
        })
        .collect();
    let boot = |xfs_name: &str, action: &str| {
        let lines = |name| format!("mount /{name} /data rw\nshare user");
        let system = format!(
            "mount 'LABEL=my data, 2 disk' /f2fs f2fs\nmount '{xfs_name}' /xfs xfs\nmount UUID=ABCD-1234 /exfat exfat\n\
             volumes /xfs/volumes"
        );
        let sections: String = ["f2fs", "xfs", "exfat"].map(|name| section(name, action, &lines(name))).concat();
        let volume = section("volume", &format!("{action} owner:/data/new"), "volume v /data\nuser 1000:1001");
        let config = format!("hilum 1\n[system]\nidle poweroff\n{system}\n{sections}{volume}");
        let board = RealBoard::build(arch, &config, &["virtio_pci", "virtio_blk"], ("probe", &probe(arch)));
        let console = board.boot(&words).vm.wait(2 * BOOT).expect("it ends by itself");
        for line in ["f2fs: f2fs on /dev/vdc", "xfs: xfs on /dev/vdb", "exfat: exfat on /dev/vda"] {
            has_line(&console, &format!("hilum: mount /{line}"));
        }
        has_line(&console, "volume | owner /data/new 1000:1001");
        // Their own programs report a clean unmount: xfs has no log to replay, f2fs an unmount checkpoint, exFAT no dirty flag.
        let said = judge(&["xfs_repair", "-n", "-f"], &xfs);
        assert!(!said.contains("metadata changes in a log"), "{said}");
        let said = judge(&["fsck.f2fs", "--dry-run"], &f2fs);
        assert!(said.contains(" unmount\n"), "{said}");
        let said = judge(&["fsck.exfat", "-n"], &exfat);
        assert!(said.contains(": clean."), "{said}");
        console
    };
    let console = boot(&format!("UUID={XFS}"), "do make:/data/new write:/data/new:kept read:/data/new");
    for name in ["f2fs", "xfs", "exfat", "volume"] {
        has_line(&console, &format!("{name} | content /data/new kept"));
    }
    let console = boot("LABEL=twelve bytes", "do read:/data/new remove:/data/new make:/data/new");
    for name in ["f2fs", "xfs", "exfat", "volume"] {
        has_line(&console, &format!("{name} | content /data/new kept"));
        has_line(&console, &format!("{name} | did remove:/data/new 0"));
    }
}
