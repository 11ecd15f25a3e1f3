//! Swap on zram.

use super::network::boot;
use super::storage::section;
use crate::support::{BOOT, USUAL, at_prompt, has_line, without_prompt};
use hilum_qemu::Architecture;

on_both!(workload_swaps_to_zram_and_others_do_not);

/// zram-generator: the same size, algorithm and priority by `zram-size = ram / 2`.
fn workload_swaps_to_zram_and_others_do_not(arch: Architecture) {
    let config = [
        "hilum 1\n[system]\nconsole prompt\nswap zram 50%\n".to_owned(),
        // Each writes twice the memory that it may have.
        section("large", "eat 48", "memory 24M swap=64M\nready exit"),
        section("small", "eat 48", "memory 24M"),
        section("looks", "", "needs large")
            .replace("/images/probe", "/images/busybox")
            .replace("probe", "busybox cat /proc/swaps"),
    ];
    let config = config.concat();
    let mut booted = boot(arch, USUAL, &config, &[], &[]);
    let console = &booted.vm.console;
    console.expect("KiB on /dev/zram0, lzo-rle", BOOT).expect("that is reported");
    console.expect("workload \"small\": killed by SIGKILL: out of memory", BOOT).expect("it has no swap");
    console.expect("workload \"looks\": exited with status 0", BOOT).expect("it looks");
    at_prompt(console);
    booted.vm.type_text("mounts\r").expect("QEMU is there");
    let console = &booted.vm.console;
    console.expect("\nswap ", BOOT).expect("a row");
    at_prompt(console);
    let text = without_prompt(&console.text());
    has_line(&text, "large | ate 48 MiB");
    assert!(!text.contains("small | ate 48 MiB"), "{text}");
    let size = text.split_once("hilum: swap: ").and_then(|(_, rest)| rest.split_once(" KiB")).expect("a size").0;
    let kib: u32 = size.parse().expect("a number");
    // The guest has 256 MiB.
    assert!((90_000..128 << 10).contains(&kib) && kib.is_multiple_of(64), "{kib}");
    let area = text.lines().find(|line| line.contains("/dev/zram0 ") && line.ends_with("100")).expect("an area");
    assert!(area.contains("partition") && area.contains(&(kib - 4).to_string()), "{area}");
    let row = text.lines().find(|line| line.starts_with("swap ")).expect("a row");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((words[1], words[2], words[3], words[6]), ("/dev/zram0", "lzo-rle", "rw", "-"), "{row}");
}
