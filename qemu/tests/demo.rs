//! The demo that `make run` boots, as it is committed.

mod support;

use hilum_initramfs::appliance;
use hilum_qemu::Arch;
use std::path::Path;
use support::{BOOT, built, has_in_order, image};

on_both!(demo_serves_restarts_and_powers_off);

fn demo_serves_restarts_and_powers_off(arch: Arch) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../initramfs/appliances/demo");
    let config = std::fs::read_to_string(folder.join("hilum.conf")).expect("the demo's config");
    let mut demo = image(arch, &config);
    let busybox = built(&format!("image/{}/busybox", arch.name()));
    demo.tree(&busybox, "images/busybox").expect("busybox");
    demo.tree(&folder.join("root"), "images/busybox").expect("the demo's files");
    support::needed_modules(arch, support::USUAL, &mut demo, &config);
    let init = std::fs::read(support::hilum(arch)).expect("hilum");
    appliance::check("hilum.conf", config.as_bytes(), &init, &demo).expect("the builder takes it");

    let port = support::free_port();
    let network = hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:8080"));
    let network: Vec<&str> = network.iter().map(String::as_str).collect();
    let mut booted = support::boot_with(arch, support::USUAL, &demo, "", None, &network);
    booted.vm.console.expect("workload \"web\": ready", BOOT).expect("the server is ready");
    booted.vm.console.expect("link eth0: 10.0.2.15/24 via 10.0.2.2 from 10.0.2.2 for", BOOT).expect("an address");
    let page = support::page(port, "/");
    assert!(page.contains("Served by an isolated workload"), "{page}");
    let console = booted.vm.wait(2 * BOOT).expect("it powers off by itself");
    let console = support::without_prompt(&console);
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
