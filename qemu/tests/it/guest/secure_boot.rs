//! UEFI Secure Boot with keys of our own: the firmware starts what is signed and nothing else.
//!
//! Another system's way: systemd's `bootctl` and `ukify` sign the same kind of file by the same sbsign.

use super::boards::{see_messages_and_power_off, text, tool};
use crate::support::{boot_command, build_signed, built};
use hilum_initramfs::signing::Signer;
use hilum_qemu::{Accelerator, Architecture};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

on_both_long!(x86_64: signed_disk_boots_and_one_with_another_byte_is_refused);

/// The timeout for a firmware to look at all its disks.
const FIRMWARE: Duration = Duration::from_secs(120);
/// The owner of the keys, as any GUID.
const OWNER: &str = "3d3c4a0b-2f1e-4c43-9df8-0d0f3f0e7a11";

fn signed_disk_boots_and_one_with_another_byte_is_refused(arch: Architecture) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let at = |name: &str| folder.path().join(name);
    let (key, certificate) = (at("own.key"), at("own.crt"));
    let request = ["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=hilum test", "-days", "2"];
    tool("openssl", &[&request[..], &["-keyout", text(&key), "-out", text(&certificate)]].concat());
    build_signed(&format!("uefi-{}", arch.name()), "mqtt", folder.path(), Signer::new(&key).expect("a key"));
    let disk = at("uefi-disk.img");

    // The same file with one bit changed, in the middle of the initramfs.
    let file = format!("::EFI/BOOT/BOOT{}.EFI", if arch == Architecture::X86_64 { "X64" } else { "AA64" });
    let partition = format!("{}@@1M", disk.display());
    tool("mcopy", &["-o", "-i", &partition, &file, text(&at("signed"))]);
    tool("sbverify", &["--cert", text(&certificate), text(&at("signed"))]);
    let mut bytes = std::fs::read(at("signed")).expect("the signed file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(at("changed"), bytes).expect("a file");
    let changed = at("changed.img");
    std::fs::copy(&disk, &changed).expect("a copy of the disk");
    tool("mcopy", &["-o", "-i", &format!("{}@@1M", changed.display()), text(&at("changed")), &file]);

    let refused = boot(arch, &changed, &certificate, folder.path());
    refused.vm.console.expect("Access Denied", FIRMWARE).expect("the firmware refuses it");
    let console = refused.vm.console.text();
    assert!(!console.contains("hilum"), "{console}");
    drop(refused);
    let console = see_messages_and_power_off(boot(arch, &disk, &certificate, folder.path()));
    assert!(console.contains("hilum: mount /data: ext4 on /dev/vda2"), "{console}");
}

/// Starts the firmware with the certificate as its only key, and a disk.
fn boot(arch: Architecture, disk: &Path, certificate: &Path, folder: &Path) -> crate::support::Booted {
    let (code, variables) = match arch {
        Architecture::X86_64 => ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        Architecture::Aarch64 => ("/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_VARS.snakeoil.fd"),
    };
    let own = folder.join("variables");
    let enrol = ["--set-pk", "--add-kek", "--add-db"].map(|word| [word, OWNER, text(certificate)]);
    // The keys that Debian has put into aarch64's variables go; those without keys have no structure yet.
    let clear: &[&str] = if arch == Architecture::Aarch64 { &["-d", "PK", "-d", "KEK", "-d", "db"] } else { &[] };
    let words = [&["--secure-boot", "--input", variables, "--output", text(&own)], clear, &enrol.concat()[..]].concat();
    tool(text(&built("tools/firmware/bin/virt-fw-vars")), &words);
    let mut command: Command = hilum_qemu::command(arch, Accelerator::Tcg);
    if arch == Architecture::X86_64 {
        // The firmware keeps its variables from the kernel by system management mode.
        command.args(["-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]);
    }
    command.args(["-m", "512"]).args(hilum_qemu::network("")).args(hilum_qemu::writable_disk(disk));
    for (unit, options, file) in [(0, ",readonly=on", Path::new(code)), (1, "", &own)] {
        command.arg("-drive").arg(format!("if=pflash,format=raw,unit={unit}{options},file={}", file.display()));
    }
    boot_command(command, "stdio")
}
