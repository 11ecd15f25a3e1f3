//! The demo that `make run` boots, as it is committed.

use crate::support::{BOOT, boot_command, build, has_in_order};
use hilum_qemu::{Accelerator, Architecture, Options};

on_both!(demo_serves_restarts_and_powers_off);

fn demo_serves_restarts_and_powers_off(arch: Architecture) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    build(&format!("qemu-{}", arch.name()), "web", folder.path());
    let port = crate::support::free_port();
    let network = hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:8080"));
    let network: Vec<&str> = network.iter().map(String::as_str).collect();
    let options = Options {
        arch,
        kernel: &folder.path().join("vmlinuz"),
        initramfs: &folder.path().join("initramfs"),
        append: "",
        memory_mib: 256,
        accelerator: Accelerator::Tcg,
        disk: None,
        more: &network,
    };
    let mut booted = boot_command(options.command(), "stdio");
    booted.vm.console.expect("workload \"web\": ready", BOOT).expect("the server is ready");
    booted.vm.console.expect("link eth0: 10.0.2.15/24 via 10.0.2.2 from 10.0.2.2 for", BOOT).expect("an address");
    let page = crate::support::page(port, "/");
    assert!(page.contains("Served by an isolated workload"), "{page}");
    let console = booted.vm.wait(2 * BOOT).expect("it powers off by itself");
    let console = crate::support::without_prompt(&console);
    has_in_order(
        &console,
        &[
            "hilum: workload \"clock\": started",
            "clock | failing on purpose",
            "hilum: workload \"clock\": restart 1 in 1000 ms",
            "hilum: workload \"clock\": restart 2 in 2",
            "hilum: workload \"clock\": gave up after 2 restarts in 60 s: power off",
            "hilum: stopping 1 workload",
            "hilum: workload \"web\": exited with status 143",
            "hilum: power off",
        ],
    );
    assert!(!console.contains("bind: "), "the server got no port\n{console}");
}
