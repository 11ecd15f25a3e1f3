//! Kernels that are built for the demo. `make kernel-test` builds them; they take minutes, so that `make test` leaves these tests out.

use crate::support::{BOOT, boot_command, built};
use hilum_qemu::{Accelerator, Architecture, Options};
use std::process::Command;

/// Boots an image below build/image/ on a machine, and fetches the demo's page from outside. The kernel has no modules.
fn serves(image: &str, words: &dyn Fn(Vec<String>) -> Vec<String>, on: &dyn Fn(&Options<'_>) -> Command) {
    let folder = built(&format!("image/{image}"));
    let port = crate::support::free_port();
    let network = words(hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:8080")));
    let network: Vec<&str> = network.iter().map(String::as_str).collect();
    let options = Options {
        arch: Architecture::X86_64,
        kernel: &folder.join("vmlinuz"),
        initramfs: &folder.join("initramfs"),
        append: "reboot=t",
        memory_mib: 256,
        accelerator: Accelerator::Tcg,
        disk: None,
        more: &network,
    };
    let mut booted = boot_command(on(&options), "stdio");
    booted.vm.console.expect("workload \"web\": ready", BOOT).unwrap_or_else(|error| panic!("{error}"));
    let page = crate::support::page(port, "/");
    assert!(page.contains("Served by an isolated workload"), "{page}");
    crate::support::at_prompt(&booted.vm.console);
    booted.vm.type_text("reboot\r").expect("QEMU is there");
    let console = booted.vm.wait(BOOT).unwrap_or_else(|error| panic!("{error}"));
    for refused in ["kernel settings not applied", "ENOENT", "EOPNOTSUPP", "bind: "] {
        assert!(!console.contains(refused), "{refused}: {console}");
    }
}

#[test]
#[ignore = "make kernel-test builds its kernel"]
fn demo_with_its_own_kernel_is_served() {
    serves("qemu-x86_64-web-tailored", &|words| words, &|options: &Options<'_>| options.command());
}

#[test]
#[ignore = "make kernel-test builds its kernel"]
fn demo_in_a_machine_without_pci_is_served() {
    let on = |options: &Options<'_>| options.on(hilum_qemu::microvm(Accelerator::Tcg));
    serves("microvm-x86_64-web", &hilum_qemu::without_pci, &on);
}
