//! Budgets: instructions of the library for a fixed input, instructions of a boot, and memory of PID 1. Times are
//! measured by make bench, and no test depends on them.

use crate::support::{BOOT, USUAL, boot_with, image, needed_modules, probe};
use hilum_qemu::Architecture;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Returns a file of qemu/budget: a name and a number on each line.
fn budget(file: &str) -> BTreeMap<String, u64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("budget").join(file);
    let text = std::fs::read_to_string(&path).expect("a budget");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, number) = line.split_once(' ').expect("a name and a number");
        (name.to_owned(), number.trim().parse().expect("a number"))
    };
    lines.map(pair).collect()
}

/// Prints the counts, and asserts that they are within their budgets.
pub(super) fn hold(file: &str, counts: &BTreeMap<String, u64>) {
    let budget = budget(file);
    assert_eq!(budget.keys().collect::<Vec<_>>(), counts.keys().collect::<Vec<_>>());
    for (name, most) in &budget {
        println!("{name}: {} of {most}", counts[name]);
    }
    for (name, most) in &budget {
        let count = counts[name];
        assert!(
            count <= *most,
            "{name}: {count} is over {most}; make it less, or say in qemu/budget/{file} what it buys"
        );
    }
}

/// Instructions of x86_64 only, because the other architecture's differ and CI has one machine.
#[cfg(target_arch = "x86_64")]
#[test]
fn parser_planner_and_state_machine_stay_within_instruction_budgets() {
    let program = crate::support::built("tools/hilum-counted");
    let count = |name: &str| -> u64 {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let file = scratch.path().join("counts");
        let run = Command::new("valgrind")
            .args(["--tool=callgrind", "--collect-atstart=no"])
            .arg(format!("--toggle-collect=hilum_counted::{name}"))
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(&program)
            .output()
            .expect("valgrind");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let numbers: Vec<u32> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
        let is_done = said.starts_with("parsed true, ") && numbers.iter().all(|number| *number > 1_000);
        assert!(is_done && numbers.len() == 2, "{said}{}", String::from_utf8_lossy(&run.stderr));
        let counts = std::fs::read_to_string(&file).expect("callgrind's file");
        let total = counts.lines().find_map(|line| line.strip_prefix("totals: ")).expect("a total");
        total.trim().parse().expect("a number")
    };
    let counts = ["machine", "parser", "planner"].map(|name| (name.to_owned(), count(name)));
    hold("instructions", &counts.into());
}

/// From the entry of /init to the first instruction of the first workload, including the kernel, with a clock that only
/// counts instructions (QEMU's -icount). A second workload waits for modules and a network.
#[test]
fn first_workload_starts_within_its_instruction_budget() {
    let mut counts = BTreeMap::new();
    for arch in Architecture::ALL {
        let (kernel, workload) = thousands_to_init_and_the_first_workload(arch);
        counts.insert(format!("{}_kernel_thousands", arch.name()), kernel);
        counts.insert(format!("{}_thousands", arch.name()), workload);
    }
    hold("boot", &counts);
}

/// Returns the thousands of instructions from the kernel's start to the entry of /init, and from there to the first workload.
fn thousands_to_init_and_the_first_workload(arch: Architecture) -> (u64, u64) {
    let config = "hilum 1\n[system]\nlink eth0 dhcp\nbridge br0 10.77.0.1/24\n\
                  [workload later]\nroot /images/probe\nexec /bin/probe on-term\nlink veth br0 10.77.0.2/24\n\
                  [workload first]\nroot /images/probe\nexec /bin/probe now\nrestart never\n";
    let mut image = image(arch, config);
    needed_modules(arch, USUAL, &mut image, config);
    image.file("entry", 0o755, std::fs::read(probe(arch)).expect("the probe"));
    let words = ["-icount", "shift=0,sleep=off"];
    let booted = boot_with(arch, USUAL, &image, "rdinit=/entry -- timed-init", None, &words);
    booted.vm.console.expect("first | now ", BOOT).expect("the first workload");
    booted.vm.console.expect("workload \"first\": exited", BOOT).expect("its end");
    let text = booted.vm.console.text();
    let (entered, began) = (number(&text, "entered "), number(&text, "first | now "));
    (entered, began - entered)
}

/// Returns the number behind these words of a console.
pub(super) fn number(text: &str, words: &str) -> u64 {
    let rest = text.split_once(words).expect("a number").1;
    rest.lines().next().and_then(|number| number.trim().parse().ok()).expect("a number")
}

/// Idle memory after eight workloads have started and their state was queried (smaps_rollup of proc(5)).
#[test]
fn memory_of_pid_1_with_eight_workloads_is_within_its_budget() {
    let host = host_or_return!();
    let workload = |number| format!("[workload w{number}]\nroot ROOT\nexec /bin/probe on-term\n");
    let config = format!("hilum 1\n[system]\ncontrol SOCKET\n{}", (0..8).map(workload).collect::<String>());
    let namespace = host.start(&config);
    host.expect_state("w7", "ready");
    let pid = namespace.process_one().expect("it is there").as_raw_nonzero();
    let read = || -> BTreeMap<String, u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup");
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        let (resident, dirty) = (field("Rss:"), field("Private_Dirty:"));
        [("resident_kb".to_owned(), resident), ("private_dirty_kb".to_owned(), dirty)].into()
    };
    // Half a second after the last activity it returns the memory of starts and queries, and then stays constant.
    std::thread::sleep(Duration::from_secs(1));
    let until = Instant::now() + Duration::from_secs(10);
    let mut last = read();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = read();
        if now == last || Instant::now() > until {
            break;
        }
        last = now;
    }
    hold("memory", &last);
}
