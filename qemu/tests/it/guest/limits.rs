//! cgroups on a machine: limits apply, the reason of an exit is reported, nothing is left behind, PID 1 is protected.

use crate::support::{has_in_order, has_line, image, run};
use hilum_qemu::Architecture;

on_both!(
    memory_hog_is_killed_in_its_cgroup_with_peak_and_limit,
    fork_bomb_stops_at_its_limit,
    limits_are_applied_and_the_cgroup_is_removed_with_the_workload,
    missing_controller_is_an_error_only_if_configured,
    priorities_and_rlimits_are_set_by_the_parent,
    kernel_limits_cover_all_workloads,
);

fn section(name: &str, exec: &str, lines: &str) -> String {
    format!("[workload {name}]\nroot /images/probe\nexec {exec}\nrestart never\n{lines}\n")
}

fn board(sections: &[String]) -> String {
    format!("hilum 1\n[system]\nidle poweroff\n{}", sections.concat())
}

fn memory_hog_is_killed_in_its_cgroup_with_peak_and_limit(arch: Architecture) {
    let config = board(&[
        section("hog", "/bin/probe eat 64", "memory 16M"),
        section("twin", "/bin/probe eat 64", "memory 128M"),
        // Without a line it does not get all memory either.
        section("greedy", "/bin/probe eat 1000", "needs twin"),
        section("bystander", "/bin/probe do sleep:3000 say:alive", "oom_score_adj 1000"),
    ]);
    let console = run(arch, &image(arch, &config), "");
    has_line(&console, "hog | ate 8 MiB");
    let line =
        console.lines().find(|line| line.starts_with("hilum: workload \"hog\": killed by SIGKILL: out of memory, "));
    let line = line.unwrap_or_else(|| panic!("not told\n{console}"));
    // memory.peak exists from kernel 5.19 on.
    assert!(line.ends_with(" of limit 16384 KiB") && line.contains("peak 16"), "{line}");
    has_line(&console, "twin | ate 64 MiB");
    has_line(&console, "hilum: workload \"twin\": exited with status 0");
    assert!(console.contains("\"greedy\": killed by SIGKILL: out of memory, peak "), "{console}");
    has_line(&console, "bystander | alive");
    has_line(&console, "hilum: power off");
}

fn fork_bomb_stops_at_its_limit(arch: Architecture) {
    let config =
        board(&[section("few", "/bin/probe fork-bomb", "pids 20"), section("many", "/bin/probe fork-bomb", "")]);
    let console = run(arch, &image(arch, &config), "");
    // EAGAIN, with the first process counted.
    has_line(&console, "few | forked 19 times, then errno 11");
    has_line(&console, "many | forked 511 times, then errno 11");
    has_line(&console, "hilum: power off");
}

fn limits_are_applied_and_the_cgroup_is_removed_with_the_workload(arch: Architecture) {
    let files = [
        "memory.max",
        "memory.high",
        "memory.min",
        "memory.swap.max",
        "memory.oom.group",
        "pids.max",
        "cpu.max",
        "cpu.weight",
        "cpuset.cpus",
    ];
    let look =
        |name: &str| -> String { files.iter().map(|file| format!(" read:/groups/workload/{name}/{file}")).collect() };
    // From the host's own cgroup namespace.
    let watcher = format!(
        "/bin/probe do sleep:500{} read:/groups/init/memory.min read:/groups/init/cgroup.procs read:/proc/1/oom_score_adj sleep:2500 open:/groups/workload/limited:r",
        look("limited")
    );
    let all = "share cgroup user pid\ncapability dac_override\nmount /sys/fs/cgroup /groups";
    let config = board(&[
        section(
            "limited",
            "/bin/probe sleep 1500",
            "memory 32M high=24M min=1M swap=0\npids 7\ncpu 50% weight=50\ncpuset 0",
        ),
        section("watcher", &watcher, all),
    ]);
    let mut image = image(arch, &config);
    image.folder("images/probe/groups", 0o755);
    let console = run(arch, &image, "");
    for (file, expected) in
        files.iter().zip(["33554432", "25165824", "1048576", "0", "1", "7", "50000 100000", "50", "0"])
    {
        has_line(&console, &format!("watcher | content /groups/workload/limited/{file} {expected}"));
    }
    has_line(&console, "watcher | content /groups/init/memory.min 1048576");
    has_line(&console, "watcher | content /groups/init/cgroup.procs 1");
    has_line(&console, "watcher | content /proc/1/oom_score_adj -1000");
    has_line(&console, "watcher | did open:/groups/workload/limited:r 2");
}

fn missing_controller_is_an_error_only_if_configured(arch: Architecture) {
    let config = board(&[
        section("asks", "/bin/probe exit 0", "memory 32M"),
        section("silent", "/bin/probe exit 0", ""),
        section("counts", "/bin/probe exit 0", "pids 5"),
    ]);
    let console = run(arch, &image(arch, &config), "cgroup_disable=memory");
    has_line(
        &console,
        "hilum: workload \"asks\": limit memory.max: ENOENT (no such file or directory): no memory cgroup controller; add cgroup_enable=memory to the kernel command line and remove cgroup_disable=memory",
    );
    assert!(!console.contains("\"asks\": started"), "{console}");
    for name in ["silent", "counts"] {
        has_line(&console, &format!("hilum: workload \"{name}\": exited with status 0"));
    }
    let console = run(arch, &image(arch, &config), "cgroup_disable=pids");
    has_in_order(
        &console,
        &["hilum: workload \"counts\": limit pids.max: ENOENT (no such file or directory): no pids cgroup controller"],
    );
    has_line(&console, "hilum: workload \"asks\": exited with status 0");
}

fn priorities_and_rlimits_are_set_by_the_parent(arch: Architecture) {
    let look = "/bin/probe limits";
    let config = board(&[
        section("default", look, ""),
        section(
            "set",
            look,
            "rlimit nofile 64 128\nrlimit core 0\nnice -5\noom_score_adj 300\nioprio idle\npersonality linux32\numask 077\ngroups 5 6\nuser 7",
        ),
        section("real", look, "scheduler fifo 7"),
        section("batch", look, "scheduler batch"),
    ]);
    let console = run(arch, &image(arch, &config), "");
    for line in [
        "default | limit nofile 1024 524288",
        "default | nice 0",
        "default | fact oom 0",
        "default | policy 0 0",
        "set | limit nofile 64 128",
        "set | limit core 0 0",
        "set | nice -5",
        "set | fact oom 300",
        // Class 3 of include/uapi/linux/ioprio.h, in the upper bits.
        "set | ioprio 24576",
        "set | oom-lowered 13",
        "set | fact status Groups: 5 6",
        "set | umask 077",
        "real | policy 1 7",
        "batch | policy 3 0",
    ] {
        has_line(&console, line);
    }
    let machine = match arch {
        Architecture::X86_64 => "i686",
        Architecture::Aarch64 => "armv8l",
    };
    has_line(&console, &format!("set | machine {machine}"));
    has_line(&console, &format!("default | machine {}", arch.name()));
}

fn kernel_limits_cover_all_workloads(arch: Architecture) {
    let hog = |name: &str| {
        let lines = "user 5\nrlimit nofile 4096";
        let exec = "/bin/probe do watchers:64 watchers:1 terminals say:all sleep:3000";
        section(name, exec, lines)
    };
    let last = section(
        "last",
        "/bin/probe do watchers:64 terminals read:/proc/sys/fs/inotify/max_user_instances read:/proc/sys/fs/file-max",
        "user 5\nafter a b c\nrlimit nofile 4096",
    );
    let console = run(arch, &image(arch, &board(&[hog("a"), hog("b"), hog("c"), last])), "");
    for name in ["a", "b", "c"] {
        // EMFILE, and ENOSPC after 64.
        for line in ["did watchers:64 0", "did watchers:1 24", "opened 64 terminals", "did terminals 28"] {
            has_line(&console, &format!("{name} | {line}"));
        }
    }
    for line in [
        "did watchers:64 0",
        "opened 64 terminals",
        "content /proc/sys/fs/inotify/max_user_instances 2112",
        "content /proc/sys/fs/file-max 9223372036854775807",
    ] {
        has_line(&console, &format!("last | {line}"));
    }
}
