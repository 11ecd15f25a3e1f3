//! What it costs a start that the image is verified, by a clock that counts instructions.

use super::budgets::hold;
use super::verified::{MODULES, packed};
use crate::support::{BOOT, Booted, USUAL, boot_with, image, modules};
use hilum_initramfs::verity;
use hilum_qemu::Architecture;
use std::time::{Duration, Instant};

/// How often each is started. The first starts, which fill the kernel's caches, are not counted.
const STARTS: usize = 4;

/// The emulated x86_64 processor has no instructions for SHA-256, which those of today have, and the other one has them.
#[test]
fn verified_start_takes_few_instructions_more() {
    let counts = Architecture::ALL.map(|arch| (format!("{}_thousands", arch.name()), thousands_more(arch)));
    hold("verified", &counts.into());
}

/// Returns how many thousands of instructions more a verified start takes to its end.
fn thousands_more(arch: Architecture) -> u64 {
    let mut board = image(arch, "");
    let plain = packed(arch);
    let mut good = plain.clone();
    let digest = verity::add_tree(&mut good).expect("a tree");
    let hashes = match arch {
        Architecture::X86_64 => &["sha256-ssse3"][..],
        Architecture::Aarch64 => &["sha256-arm64", "sha2-ce"],
    };
    // As the image builder does.
    let loads = modules(arch, USUAL, &mut board, &[&MODULES[..], hashes].concat());
    let loads = loads.replace("module dm-verity\n", "module dm-verity prefetch_cluster=16384\n");
    let section = |name: &str, verity: &str| {
        format!("[workload {name}]\nroot /images/{name}{verity}\nexec /bin/probe exit 0\nready exit\nrestart never\n")
    };
    let config = [
        "hilum 1\n[system]\nconsole prompt\n",
        &loads,
        &section("plain", ""),
        &section("verified", &format!(" verity={digest}")),
    ];
    board.file("etc/hilum.conf", 0o644, config.concat());
    board.file("images/plain", 0o644, plain);
    board.file("images/verified", 0o644, good);
    let mut booted = boot_with(arch, USUAL, &board, "", None, &["-icount", "shift=0,sleep=off"]);
    let wait = |booted: &Booted, words: &str, count: usize| {
        let until = Instant::now() + BOOT;
        while booted.vm.console.text().matches(words).count() < count {
            assert!(Instant::now() < until, "no {count} times {words:?}:\n{}", booted.vm.console.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait(&booted, ": ready", 2);
    for number in 1..=STARTS {
        for name in ["plain", "verified"] {
            booted.vm.type_text(&format!("start {name}\r")).expect("the console");
            wait(&booted, &format!("\"{name}\": ready"), number + 1);
        }
    }
    booted.vm.type_text("timeline\r").expect("the console");
    wait(&booted, "verified: ready", STARTS + 1);
    let text = booted.vm.console.text();
    let shortest = |name: &str| {
        let moments = |what: &str| {
            let words = format!("{name}: {what}");
            let lines = text.lines().filter(move |line| line.ends_with(&words));
            let at = lines.filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            at.map(|seconds| (1e6 * seconds).round() as u64).skip(1).collect::<Vec<u64>>()
        };
        let (starts, ends) = (moments("start"), moments("ended"));
        assert_eq!((starts.len(), ends.len()), (STARTS, STARTS), "{text}");
        starts.iter().zip(ends).map(|(start, end)| end - start).min().expect("starts")
    };
    shortest("verified") - shortest("plain")
}
