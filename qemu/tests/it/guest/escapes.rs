//! Known escapes from container engines (CVE numbers at each): each attack is performed from inside and fails, and is
//! repeated in a deliberately loosened workload, where it works. On the oldest, the default and the newest kernel.

use crate::support::{RELEASES, fact, facts, has_line, image, run_on};
use hilum_qemu::Architecture;

/// Runs the same attack on every kernel.
macro_rules! on_every_kernel {
    ($($name:ident),* $(,)?) => {
        mod kernel {
            $(pub(super) fn $name(arch: hilum_qemu::Architecture) {
                for release in super::RELEASES {
                    println!("{} with the kernel of {release}", arch.name());
                    super::$name(arch, release);
                }
            })*
        }
        mod x86_64 {
            $(#[test] fn $name() { super::kernel::$name(hilum_qemu::Architecture::X86_64) })*
        }
        mod aarch64 {
            $(#[test] fn $name() { super::kernel::$name(hilum_qemu::Architecture::Aarch64) })*
        }
    };
}

on_every_kernel!(
    privileged_attacks_fail_by_default_and_work_if_everything_is_shared,
    initramfs_below_is_out_of_reach,
    pid_1_binary_cannot_be_overwritten,
    working_directory_outside_of_the_root_is_refused,
    swapped_null_device_redirects_no_mask,
    processes_of_others_cannot_be_signalled,
    starting_processes_cannot_be_traced,
    workload_cannot_write_to_cgroups,
    fake_proc_in_a_root_filesystem_redirects_nothing,
    no_abstract_socket_is_reachable_and_keyring_is_private,
);

/// Everything that a configuration can allow.
const OPEN: &str = "share user pid ipc net uts cgroup time\nprivileged\nseccomp off\nlandlock off\n\
    capability sys_admin sys_chroot sys_ptrace sys_time sys_boot mknod dac_override dac_read_search kill sys_resource setuid\n";

fn board(workloads: &[(&str, &str, &str)]) -> String {
    let section = |(name, exec, lines): &(&str, &str, &str)| {
        format!("[workload {name}]\nroot /images/probe\nexec {exec}\nrestart never\n{lines}\n")
    };
    let sections: String = workloads.iter().map(section).collect();
    format!("hilum 1\n[system]\nidle poweroff\nhostname board\n{sections}")
}

/// Returns the errno of an action; 0 for success.
#[track_caller]
fn did(console: &str, name: &str, action: &str) -> i32 {
    let prefix = format!("{name} | did {action} ");
    let found = console.lines().find_map(|line| line.strip_prefix(&prefix));
    found.unwrap_or_else(|| panic!("no {prefix:?} in\n{console}")).parse().expect("an errno")
}

/// Each of these fails in a default workload with uid 0, and works in one with everything allowed.
fn privileged_attacks_fail_by_default_and_work_if_everything_is_shared(arch: Architecture, release: &str) {
    // Mounts and namespaces (CVE-2022-0492: unshare -UrmC, then cgroup v1), a new /proc without masks, remounting
    // read-only mounts, nodes, the clock, the host name, files of the kernel.
    let actions = [
        "mount:tmpfs:/tmp",
        "mount:proc:/run",
        "remount:/proc/sys",
        "write:/proc/sys/kernel/core_pattern:core",
        "unshare:10000000",
        "unshare:20000",
        "unshare:2000000",
        "sethostname:board",
        "settime",
        "chroot:/",
        "umount:/proc/keys",
        "read:/proc/keys",
    ];
    // What even a workload with all capabilities of the host cannot do: its cgroup forbids to create nodes.
    let node = "mknod:/dev/shm/mem:1:1";
    // In an order in which no action affects a later one: a user namespace would remove the others' rights.
    let first =
        ["mount:tmpfs:/tmp", "mount:proc:/run", "remount:/proc/sys", "write:/proc/sys/kernel/core_pattern:core"];
    let rest = actions.iter().filter(|action| !first.contains(action) && !action.starts_with("unshare:1"));
    let words: Vec<&str> = first.iter().chain(rest).copied().chain([node, "unshare:10000000"]).collect();
    let exec = format!("/bin/probe do {}", words.join(" "));
    let config = board(&[("closed", &exec, "user 0"), ("open", &exec, OPEN)]);
    let console = run_on(arch, release, &image(arch, &config), "");
    for action in actions.iter().filter(|action| **action != "read:/proc/keys") {
        assert_ne!(did(&console, "closed", action), 0, "{action} worked\n{console}");
        assert_eq!(did(&console, "open", action), 0, "{action} did not work where it should: the test proves nothing");
    }
    assert_ne!(did(&console, "closed", node), 0, "{console}");
    assert_eq!(did(&console, "open", node), 1, "{console}");
    // The mask is empty, and the covered file is not (CVE-2025-31133 is about the targets of masks).
    has_line(&console, "closed | content /proc/keys ");
    assert!(
        !console.contains("open | content /proc/keys \n") && console.contains("open | content /proc/keys "),
        "{console}"
    );
}

/// The kernel's initial root stays at the bottom of every mount namespace.
fn initramfs_below_is_out_of_reach(arch: Architecture, release: &str) {
    let exec = "/bin/probe do setns-mnt:/proc/self/ns/mnt below:/etc/hilum.conf read:/etc/hilum.conf";
    let own_user = "capability sys_admin sys_chroot\nseccomp off\nlandlock off";
    let config = board(&[("closed", exec, ""), ("own", exec, own_user), ("open", exec, OPEN)]);
    let console = run_on(arch, release, &image(arch, &config), "");
    let found =
        |name| ["setns-mnt:/proc/self/ns/mnt", "below:/etc/hilum.conf"].map(|action| did(&console, name, action));
    assert_eq!(found("closed"), [1, 1], "{console}");
    // With all capabilities of its own user namespace, the root is still locked in its place.
    assert_eq!(found("own"), [0, 22], "{console}");
    assert_eq!(found("open"), [0, 0], "{console}");
    has_line(&console, "open | content /etc/hilum.conf hilum 1");
}

/// CVE-2019-5736.
fn pid_1_binary_cannot_be_overwritten(arch: Architecture, release: &str) {
    let exec = "/bin/probe do open:/proc/1/exe:w";
    let config = board(&[
        ("closed", exec, "share pid"),
        ("open", exec, OPEN),
        // A script whose interpreter is the file of the executing process: PID 1's own file.
        ("script", "/bin/script", ""),
        ("openscript", "/bin/script", OPEN),
    ]);
    let mut image = image(arch, &config);
    image.file("images/probe/bin/script", 0o755, *b"#!/proc/self/exe\n");
    let console = run_on(arch, release, &image, "");
    assert_eq!(did(&console, "closed", "open:/proc/1/exe:w"), 13, "{console}");
    // Even with all rights: ETXTBSY, because PID 1 runs as long as the board. There is no helper program that could be
    // overwritten after it exits.
    assert_eq!(did(&console, "open", "open:/proc/1/exe:w"), 26, "{console}");
    // Landlock has no rule for a file outside of the root; without it the script runs hilum, confined like any program.
    let refused = "hilum: workload \"script\": exec /bin/script: EACCES (permission denied): not executable for its user; set mode 755 on it and its folders";
    let confined = "script | hilum: /etc/hilum.conf: ENOENT (no such file or directory): cannot read the configuration; hilum.config= on the kernel command line selects another";
    has_line(&console, if release == "bullseye" { confined } else { refused });
    // It cannot reboot anything, and exits instead of waiting for ever.
    assert!(release != "bullseye" || console.contains("\"script\": exited with status 1"), "{console}");
    has_line(&console, "openscript | hilum: unknown command \"/bin/script\"; see: hilum help");
}

/// CVE-2024-21626: a working directory that is a descriptor of the engine.
fn working_directory_outside_of_the_root_is_refused(arch: Architecture, release: &str) {
    let mut workloads: Vec<(String, String)> =
        (0..40).step_by(2).map(|number| (format!("w{number}"), format!("directory /proc/self/fd/{number}"))).collect();
    // The target of a symbolic link in the root filesystem stays inside.
    workloads.push(("link".into(), "directory /outside".into()));
    let sections: Vec<(&str, &str, &str)> =
        workloads.iter().map(|(name, line)| (name.as_str(), "/bin/probe facts", line.as_str())).collect();
    let mut image = image(arch, &board(&sections));
    image.link("images/probe/outside", "../../../tmp");
    let console = run_on(arch, release, &image, "");
    for (name, line) in workloads.iter().filter(|(name, _)| name != "link") {
        let path = line.trim_start_matches("directory ");
        let told = format!("hilum: workload \"{name}\": enter directory {path}: ");
        assert!(console.lines().any(|line| line.starts_with(&told)), "{told}\n{console}");
        assert!(facts(&console, name, "pid").is_empty(), "{name} started");
    }
    assert_eq!(fact(&console, "link", "directory"), "current /tmp");
    assert_eq!(facts(&console, "link", "descriptor").len(), 3, "{console}");
}

/// CVE-2025-31133, and CVE-2025-52565 with /dev/console: the root filesystem's own /dev is never used.
fn swapped_null_device_redirects_no_mask(arch: Architecture, release: &str) {
    let exec = "/bin/probe do write:/dev/null:x read:/proc/keys read:/proc/sys/kernel/core_pattern open:/dev/console:w";
    let mut swapped = image(arch, &board(&[("a", exec, "")]));
    for name in ["null", "console", "tty", "pts"] {
        swapped.link(&format!("images/probe/dev/{name}"), "/proc/sys/kernel/core_pattern");
    }
    let console = run_on(arch, release, &swapped, "");
    has_line(&console, "a | did write:/dev/null:x 0");
    has_line(&console, "a | content /proc/keys ");
    has_line(&console, "a | content /proc/sys/kernel/core_pattern core");
    assert_eq!(did(&console, "a", "open:/dev/console:w"), 2);
}

/// CASES 33, and what a shared PID namespace shows.
fn processes_of_others_cannot_be_signalled(arch: Architecture, release: &str) {
    let exec = "/bin/probe do kill:1 open:/proc/1/environ:r open:/proc/1/mem:rw open:/proc/1/root/etc/hilum.conf:r";
    let config = board(&[("own", exec, ""), ("shares", exec, "share pid"), ("open", exec, OPEN)]);
    let console = run_on(arch, release, &image(arch, &config), "");
    // In a PID namespace of its own, PID 1 is the workload itself.
    assert_eq!(did(&console, "own", "kill:1"), 0);
    // In the host's, it sees PID 1 but cannot affect it.
    for action in ["kill:1", "open:/proc/1/environ:r", "open:/proc/1/mem:rw", "open:/proc/1/root/etc/hilum.conf:r"] {
        assert_ne!(did(&console, "shares", action), 0, "{action}\n{console}");
        assert_eq!(did(&console, "open", action), 0, "{action}\n{console}");
    }
}

/// CVE-2016-9962: tracing a process that is entering a workload, and taking its descriptors.
fn starting_processes_cannot_be_traced(arch: Architecture, release: &str) {
    let prowl = "/bin/probe prowl 3000";
    let mut config = board(&[("closed", prowl, "share pid"), ("open", prowl, OPEN)]);
    config += "[workload victim]\nroot /images/probe\nexec /bin/probe sleep 20\n\
        restart always delay=1ms max=1ms limit=100/60s else=stop\n";
    let console = run_on(arch, release, &image(arch, &config), "");
    let prowled = |name: &str| {
        let prefix = format!("{name} | prowled: tried ");
        let line = console.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("{console}"));
        let (tried, opened) = line.split_once(", opened ").expect("two numbers");
        (tried.parse::<u32>().expect("a number"), opened.parse::<u32>().expect("a number"))
    };
    let ((tried, opened), (_, twin)) = (prowled("closed"), prowled("open"));
    println!("{}: {tried} tries, {opened} opened; {twin} opened by the twin", arch.name());
    assert!(tried > 100 && opened == 0, "{tried} tries, {opened} opened");
    assert!(twin > 100, "{twin}");
}

/// CVE-2023-25809.
fn workload_cannot_write_to_cgroups(arch: Architecture, release: &str) {
    let exec = "/bin/probe do read:/sys/fs/cgroup/cgroup.procs write:/sys/fs/cgroup/cgroup.procs:1 \
        write:/sys/fs/cgroup/pids.max:max write:/sys/fs/cgroup/memory.max:max mkdir:/sys/fs/cgroup/new \
        remount:/sys/fs/cgroup mkdir:/sys/fs/cgroup/after write:/sys/fs/cgroup/pids.max:7";
    let config = board(&[
        ("closed", exec, "sys"),
        // It can make its own mount writable, but the files belong to the host's user 0.
        ("own", exec, "sys\ncapability sys_admin\nseccomp off\nlandlock off"),
        ("open", exec, &format!("sys\n{OPEN}").replace(" cgroup", "")),
    ]);
    let console = run_on(arch, release, &image(arch, &config), "");
    let files =
        ["write:/sys/fs/cgroup/pids.max:max", "write:/sys/fs/cgroup/memory.max:max", "mkdir:/sys/fs/cgroup/new"];
    for action in files {
        for name in ["closed", "own", "open"] {
            assert_ne!(did(&console, name, action), 0, "{name} {action}\n{console}");
        }
    }
    assert_ne!(did(&console, "closed", "remount:/sys/fs/cgroup"), 0);
    for action in ["mkdir:/sys/fs/cgroup/after", "write:/sys/fs/cgroup/pids.max:7"] {
        assert_ne!(did(&console, "closed", action), 0, "{action}");
        assert_ne!(did(&console, "own", action), 0, "{action}\n{console}");
    }
    assert_eq!(did(&console, "open", "mkdir:/sys/fs/cgroup/after"), 0, "{console}");
}

/// CVE-2025-52881, CVE-2019-19921: a start does not write to files in the root filesystem's own /proc.
fn fake_proc_in_a_root_filesystem_redirects_nothing(arch: Architecture, release: &str) {
    let exec = "/bin/probe do find:/proc/self/oom_score_adj:300 find:/proc/self/uid_map:65536 read:/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let mut prepared = image(arch, &board(&[("a", exec, "oom_score_adj 300\nuser 5")]));
    for name in ["self/oom_score_adj", "self/attr/exec", "sys/net/ipv4/ip_unprivileged_port_start", "1/uid_map"] {
        prepared.file(&format!("images/probe/proc/{name}"), 0o666, *b"");
    }
    prepared.link("images/probe/proc/kcore", "/etc/hilum.conf");
    prepared.link("images/probe/sys", "/proc");
    let console = run_on(arch, release, &prepared, "");
    for line in [
        "a | did find:/proc/self/oom_score_adj:300 0",
        "a | did find:/proc/self/uid_map:65536 0",
        "a | content /proc/sys/net/ipv4/ip_unprivileged_port_start 0",
    ] {
        has_line(&console, line);
    }
}

/// CVE-2020-15257: an abstract socket of the engine in a shared network namespace.
fn no_abstract_socket_is_reachable_and_keyring_is_private(arch: Architecture, release: &str) {
    let exec = "/bin/probe do find:/proc/net/unix:@ umount:/proc/keys find:/proc/keys:hilum hear:test find:/proc/net/unix:@test";
    let config =
        board(&[("shares", exec, "share net"), ("open", &exec.replace("do find", "do sleep:2000 find"), OPEN)]);
    let console = run_on(arch, release, &image(arch, &config), "");
    for name in ["shares", "open"] {
        // ENOMSG: not found. The probe's own socket is found later, so the search would have found hilum's.
        assert_eq!(did(&console, name, "find:/proc/net/unix:@"), 42, "{console}");
    }
    assert_eq!(did(&console, "open", "find:/proc/net/unix:@test"), 0, "{console}");
    // Its session keyring is the one that its start created.
    assert_eq!(did(&console, "open", "find:/proc/keys:hilum"), 0, "{console}");
}
