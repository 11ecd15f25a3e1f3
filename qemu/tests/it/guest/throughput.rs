//! Throughput of a workload's link in guests: printed, never asserted.

use crate::support::BOOT;
use hilum_qemu::Architecture;

on_both_long!(aarch64: link_is_as_fast_as_one_made_by_hand);

/// The throughput of a workload's link, compared with a veth pair and a bridge that were created manually in the guest.
fn link_is_as_fast_as_one_made_by_hand(arch: Architecture) {
    let mut booted = crate::support::boot_guest(arch, "throughput");
    let console = booted.vm.wait(BOOT).expect("it powers off");
    let rate = |name: &str| {
        let prefix = format!("{name} | ");
        let text: String = console.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        let all: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let bits = all["end"]["sum_received"]["bits_per_second"].as_f64().filter(|bits| *bits > 0.0);
        bits.unwrap_or_else(|| panic!("{name} measured nothing:\n{console}")) / 1e9
    };
    let (ours, by_hand) = (rate("ours"), rate("by-hand"));
    let ratio = ours / by_hand;
    println!("{}: workload's link {ours:.2} Gbit/s, by hand {by_hand:.2} Gbit/s: {ratio:.2}", arch.name());
}
