//! Disks with slots, whose firmware the runner plays: QEMU's machines and a Raspberry Pi boot what the disk says.

use super::boards::{text, tool};
use crate::support::{boot_command, build_update, has_line, probe};
use hilum::update::{Record, Slot};
use hilum_qemu::{Accelerator, Architecture, End, firmware};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

on_both!(committed_slot_boots_and_a_restart_boots_again);

/// The timeout for a large kernel and its modules.
const SLOW: Duration = Duration::from_secs(240);

/// Writes an appliance with updates, whose only workload prints /tree/partition, and whose board restarts then; `lines` are
/// added to the workload. Returns its description.
fn appliance(arch: Architecture, folder: &Path, lines: &str) -> std::path::PathBuf {
    let at = |name: &str| folder.join(name);
    std::fs::create_dir_all(at("root/bin")).expect("a folder");
    std::fs::create_dir_all(at("root/tree")).expect("a folder");
    std::fs::copy(probe(arch), at("root/bin/probe")).expect("the probe");
    let request = ["req", "-x509", "-nodes", "-subj", "/CN=hilum test", "-days", "2", "-newkey", "rsa:2048"];
    tool("openssl", &[&request[..], &["-keyout", text(&at("own.key")), "-out", text(&at("own.crt"))]].concat());
    let config = "hilum 1\n[system]\nidle reboot\nupdate\n[workload a]\nroot /images/a\nexec /bin/probe do read:/tree/partition\n";
    std::fs::write(at("hilum.conf"), format!("{config}{lines}")).expect("a file");
    let lines = "config = \"hilum.conf\"\n[update]\nversion = 1\nkeys = [\"own.crt\"]\n\
                 [[root]]\npath = \"/images/a\"\nfolder = \"root\"\nformat = \"folder\"\n";
    std::fs::write(at("appliance.toml"), lines).expect("a file");
    at("appliance.toml")
}

/// Copies slot a of a disk into slot b, and commits that, as an update does.
fn fill_second(disk: &Path) -> Record {
    let mut record = firmware::record(disk).expect("a record");
    let bytes = std::fs::read(disk).expect("a disk");
    let file = std::fs::File::options().write(true).open(disk).expect("a disk");
    let from = record.start(Slot::A) as usize;
    file.write_all_at(&bytes[from..from + record.size(Slot::A) as usize], record.start(Slot::B)).expect("a slot");
    let parts = record.parts(Slot::A);
    record.set_contents(Slot::B, 2, &parts);
    record.set_committed(Slot::B);
    file.write_all_at(record.to_write(), Record::PLACES[0]).expect("a record");
    record
}

fn committed_slot_boots_and_a_restart_boots_again(arch: Architecture) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let board = format!("qemu-{}", arch.name());
    build_update(&board, &appliance(arch, folder.path(), ""), &folder.path().join("output"));
    let disk = folder.path().join("output/disk.img");
    let boot = |slot: Option<Slot>, more: &str| {
        let start = firmware::direct(&disk, slot, folder.path()).expect("a slot");
        let mut command = hilum_qemu::command(arch, Accelerator::Tcg);
        command.args(["-m", "256"]).args(hilum_qemu::writable_disk(&disk));
        start.add_to(&mut command, more);
        (start.slot, boot_command(command, "stdio"))
    };
    let (slot, mut first) = boot(None, "");
    let (console, end) = first.vm.wait_end(SLOW).expect("it ends by itself");
    assert_eq!((slot, end), (Slot::A, End::Restart), "{console}");
    has_line(&console, "hilum: workload \"a\": exited with status 0");
    drop(first);
    let error = firmware::direct(&disk, Some(Slot::B), folder.path()).expect_err("empty").to_string();
    assert!(error.ends_with("disk.img: slot b is empty"), "{error}");
    fill_second(&disk);
    let start = firmware::direct(&disk, None, folder.path()).expect("a slot");
    assert!(start.command_line.ends_with(" hilum.slot=b"), "{}", start.command_line);
    let (slot, mut second) = boot(None, "");
    assert_eq!((slot, second.vm.wait_end(SLOW).expect("it ends").1), (Slot::B, End::Restart));
}
