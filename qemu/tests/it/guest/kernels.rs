//! The oldest and the newest supported kernel, and one with disabled features: what a workload gets, what is skipped
//! and reported by `hilum doctor`, and what is refused.

use crate::support::{fact, facts, has_line, hilum, image, run_on};
use hilum_qemu::Architecture;

on_both!(
    oldest_kernel_isolates_with_what_it_has,
    doctor_reports_features_of_the_default_kernel,
    newest_kernel_isolates_with_everything,
    exec_can_signal_its_workload_with_landlock_scopes,
    kernel_without_features_refuses_configured_limits,
    missing_namespace_is_reported_and_workloads_that_share_it_start,
);

const BOARD: &str = "hilum 1
[system]
idle poweroff
[workload facts]
root /images/probe
exec /bin/probe facts
user 1000:50
restart never
[workload root]
root /images/probe
exec /bin/probe attempt
restart never
[workload inner]
root /images/probe
exec /bin/hilum
restart never
[workload ports]
root /images/probe
exec /bin/probe do listen:80 connect:80 listen:81 connect:81
tcp bind=80 connect=80
restart never
[workload owners]
root /images/probe
exec /bin/probe do make:/data/file owner:/data
mount /run /data rw
restart never
[workload hears]
root /images/probe
exec /bin/probe do hear:name speak:name sleep:2000
share net
restart never
[workload speaks]
root /images/probe
exec /bin/probe do sleep:500 speak:name
share net
restart never
[workload killed]
root /images/probe
exec /bin/probe ignore-term
share ipc
restart never
stop TERM 500ms
";

fn boot(arch: Architecture, release: &str, append: &str) -> String {
    let mut image = image(arch, BOARD);
    image.folder("images/probe/data", 0o755);
    image.file("images/probe/bin/hilum", 0o755, std::fs::read(hilum(arch)).expect("hilum"));
    let booted = crate::support::boot_on(arch, release, &image, &format!("hilum.doctor {append}"), None);
    // `killed` never exits by itself: the board is shut down when the others are done.
    let wanted = "\"facts\": exited with status 0";
    booted.vm.console.expect(wanted, crate::support::BOOT).unwrap_or_else(|error| panic!("{error}"));
    std::thread::sleep(std::time::Duration::from_secs(2));
    booted.vm.console.text()
}

/// Asserts what is true on every kernel.
fn check(console: &str, name: &str) {
    let status = facts(console, "facts", "status");
    for line in ["CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2"] {
        assert!(status.contains(&line.to_owned()), "{name}: no {line:?} in {status:?}");
    }
    assert_eq!(fact(console, "facts", "user"), "1000:50");
    assert_eq!(fact(console, "facts", "loopback"), "0");
    // hilum as PID 1 of a workload detects a container, and changes nothing.
    has_line(
        console,
        "inner | hilum: /etc/hilum.conf: ENOENT (no such file or directory): cannot read the configuration; hilum.config= on the kernel command line selects another",
    );
    assert!(!console.contains("inner | hilum: boot: /dev"), "{console}");
    let root = facts(console, "facts", "mount");
    assert!(
        root.iter().any(|mount| mount.contains(" / / ro,nosuid,nodev") || mount.contains(" / ro,nosuid,nodev")),
        "{root:?}"
    );
    for covered in ["/proc/sys ro,nosuid,nodev,noexec", "/proc/keys r"] {
        assert!(root.iter().any(|mount| mount.contains(covered)), "{name}: {covered} in {root:?}");
    }
    for attempt in console.lines().filter_map(|line| line.strip_prefix("root | attempt ")) {
        assert!(attempt.starts_with("setuid") || !attempt.ends_with(" 0"), "{name}: {attempt}");
    }
    for namespace in ["pid:[4026531836]", "user:[4026531837]", "time:[4026531834]", "cgroup:[4026531835]"] {
        let found = facts(console, "facts", "namespace");
        assert_eq!(found.len(), 8, "{found:?}");
        assert!(!found.iter().any(|line| line.ends_with(namespace)), "{name}: {found:?}");
    }
}

fn oldest_kernel_isolates_with_what_it_has(arch: Architecture) {
    let console = run(arch, "bullseye");
    check(&console, "5.10");
    has_line(
        &console,
        "hilum: NO  Landlock for files: kernel 5.19, CONFIG_SECURITY_LANDLOCK, and landlock in lsm= on the kernel command line",
    );
    has_line(&console, "hilum: NO  idmapped mounts: kernel 5.12; without it files keep the host's owners");
    has_line(&console, "hilum: yes namespace time");
    has_line(&console, PORTS_REFUSED);
}

const PORTS_REFUSED: &str =
    "hilum: workload \"ports\": landlock: EOPNOTSUPP (operation not supported): tcp needs the Landlock of kernel 6.7";

fn doctor_reports_features_of_the_default_kernel(arch: Architecture) {
    let console = run(arch, crate::support::USUAL);
    check(&console, "6.1");
    has_line(&console, "speaks | did speak:name 0");
    has_line(&console, "owners | did make:/data/file 13");
    has_line(&console, "owners | owner /data 65534:65534");
    has_line(&console, "hilum: yes Landlock for files");
    has_line(&console, "hilum: NO  Landlock for TCP ports (tcp): kernel 6.7");
    has_line(&console, "hilum: yes seccomp filters");
    for name in ["memory", "pids", "cpu", "cpuset", "io"] {
        has_line(&console, &format!("hilum: yes cgroup controller {name}"));
    }
    has_line(&console, PORTS_REFUSED);
}

fn newest_kernel_isolates_with_everything(arch: Architecture) {
    let console = run(arch, "trixie");
    check(&console, "6.12");
    for line in ["Landlock for files", "Landlock for TCP ports (tcp)", "Landlock for signals and abstract sockets"] {
        has_line(&console, &format!("hilum: yes {line}"));
    }
    // Filesystems in memory map owners from 6.3 on: the host's user 0 is the workload's there.
    has_line(&console, "owners | did make:/data/file 0");
    has_line(&console, "owners | owner /data 0:0");
    // An abstract socket out of its scope (EPERM), and its own.
    has_line(&console, "hears | did speak:name 0");
    has_line(&console, "speaks | did speak:name 1");
    // EACCES is Landlock's; an allowed port without a listener would be refused with ECONNREFUSED.
    for (action, expected) in [("listen:80", 0), ("connect:80", 0), ("listen:81", 13), ("connect:81", 13)] {
        has_line(&console, &format!("ports | did {action} {expected}"));
    }
}

/// A process cannot join another's Landlock domain, so a joining program has its own. The scopes for signals and
/// abstract sockets (6.12) would separate it from the workload.
fn exec_can_signal_its_workload_with_landlock_scopes(arch: Architecture) {
    let config = "hilum 1\n[system]\nconsole prompt\n[workload web]\nroot /images/probe\n\
        exec /bin/probe do hear:name stay\n\
        health exec /bin/probe must kill:1 make:/tmp/checked interval=3s failures=1\n";
    let mut booted = crate::support::boot_on(arch, "trixie", &image(arch, config), "", None);
    let vm = &mut booted.vm;
    vm.console.expect("hilum> ", crate::support::BOOT).unwrap_or_else(|error| panic!("{error}"));
    let mut typed = 0;
    let mut exec = |action: &str| -> String {
        crate::support::at_prompt(&vm.console);
        let before = vm.console.text().len();
        typed += 1;
        vm.type_text(&format!("exec web /bin/probe do {action} say:end{typed}\r")).expect("QEMU is there");
        let end = format!("\nend{typed}\n");
        vm.console.expect(&end, crate::support::BOOT).unwrap_or_else(|error| panic!("{error}"));
        vm.console.text()[before..].to_owned()
    };
    let said = exec("kill:1 speak:name");
    assert!(said.contains("did kill:1 0") && said.contains("did speak:name 0"), "{said}");
    // The second check begins when the first one has been evaluated.
    for round in 1..=2 {
        let until = std::time::Instant::now() + crate::support::BOOT;
        while !exec("remove:/tmp/checked").contains("did remove:/tmp/checked 0") {
            assert!(std::time::Instant::now() < until, "no check {round}");
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    }
    crate::support::at_prompt(&vm.console);
    vm.type_text("poweroff\r").expect("QEMU is there");
    let console = vm.wait(crate::support::BOOT).expect("it powers off");
    assert!(!console.contains("unhealthy"), "{console}");
}

fn kernel_without_features_refuses_configured_limits(arch: Architecture) {
    // lsm= without landlock, and no memory controller: unconfigured features are skipped, and doctor reports them.
    let console = boot(arch, crate::support::USUAL, "lsm=yama cgroup_disable=memory");
    check(&console, "turned off");
    has_line(
        &console,
        "hilum: NO  Landlock for files: kernel 5.19, CONFIG_SECURITY_LANDLOCK, and landlock in lsm= on the kernel command line",
    );
    has_line(
        &console,
        "hilum: NO  cgroup controller memory: cgroup_enable=memory and no cgroup_disable=memory on the kernel command line; CONFIG_MEMCG",
    );
    has_line(&console, PORTS_REFUSED);
}

fn missing_namespace_is_reported_and_workloads_that_share_it_start(arch: Architecture) {
    let config = "hilum 1\n[workload own]\nroot /images/probe\nexec /bin/probe facts\n\
        [workload shares]\nroot /images/probe\nexec /bin/probe facts\nshare user\nrestart never\n";
    let append = "sysctl.user.max_user_namespaces=0 hilum.doctor";
    let booted = crate::support::boot_on(arch, crate::support::USUAL, &image(arch, config), append, None);
    booted
        .vm
        .console
        .expect("\"shares\": exited with status 0", crate::support::BOOT)
        .unwrap_or_else(|error| panic!("{error}"));
    let console = booted.vm.console.text();
    has_line(&console, "hilum: NO  new user namespaces: sysctl user.max_user_namespaces above 0");
    has_line(
        &console,
        "hilum: workload \"own\": start: ENOSPC (no space left on device): a limit in /proc/sys/user is reached",
    );
    assert!(facts(&console, "own", "pid").is_empty(), "{console}");
}

fn run(arch: Architecture, release: &str) -> String {
    let console = boot(arch, release, "");
    // A workload that does not exit can be killed on every kernel, with or without cgroup.kill.
    let mut image = image(
        arch,
        "hilum 1\n[system]\nidle poweroff\n[workload first]\nroot /images/probe\nexec /bin/probe exit 3\n\
         restart on-failure delay=10ms max=10ms limit=1/60s else=poweroff\nafter stays\n\
         [workload stays]\nroot /images/probe\nexec /bin/probe ignore-term\nstop TERM 300ms\n",
    );
    image.folder("x", 0o755);
    let down = run_on(arch, release, &image, "");
    has_line(&down, "hilum: workload \"stays\": stop timed out, sending SIGKILL");
    has_line(&down, "hilum: workload \"stays\": killed by SIGKILL");
    has_line(&down, "hilum: power off");
    console
}
