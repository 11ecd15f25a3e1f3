//! Lines of a configuration that loosen the sandbox, on this host: each allows exactly what it names.

use crate::support::{SOON, facts, has_line, one};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Returns the namespaces that the probe printed, by name.
fn namespaces(console: &str, name: &str) -> BTreeMap<String, String> {
    let lines = facts(console, name, "namespace");
    lines.iter().filter_map(|line| line.split_once(' ')).map(|(name, link)| (name.into(), link.into())).collect()
}

#[test]
fn only_the_named_namespace_is_shared() {
    let host_root = host_or_return!();
    // A board for each: the output of seven probes at once exceeds the console's queue for a slow reader.
    for share in ["cgroup", "ipc", "net", "pid", "time", "user", "uts"] {
        let config = format!("hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe facts\nshare {share}\nrestart never\n");
        let mut namespace = host_root.start(&config);
        namespace.console.expect("\"a\": exited with status 0", SOON).expect("it ends");
        let first = namespace.process_one().expect("process 1").as_raw_nonzero();
        let own = |name: &str| std::fs::read_link(format!("/proc/{first}/ns/{name}")).expect("a namespace");
        let found = namespaces(&namespace.console.text(), "a");
        assert_eq!(found.len(), 8, "{found:?}");
        for (name, found) in found {
            assert_eq!(*found == *own(&name).to_string_lossy(), name == share, "{share} has {name} {found}");
        }
        namespace.signal(Signal::TERM).expect("a signal");
        namespace.wait(SOON).expect("it ends");
    }
}

#[test]
fn capability_sets_match_the_line() {
    let host_root = host_or_return!();
    // kill is number 5, net_raw 13: 0x2020.
    let sets = |user: &str| {
        let (_, console) =
            host_root.run(&one(&format!("exec /bin/probe facts\nuser {user}\ncapability kill net_raw\nrestart never")));
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| {
            let prefix = format!("{set}: ");
            let line = facts(&console, "a", "status").into_iter().find(|line| line.starts_with(&prefix));
            line.unwrap_or_else(|| panic!("{set}\n{console}"))[prefix.len()..].trim_start_matches('0').to_owned()
        })
    };
    // CVE-2022-24769: an inheritable capability can be taken by any file that asks for it. User 0 does not need that.
    assert_eq!(sets("0"), ["", "2020", "2020", "2020", ""]);
    assert_eq!(sets("1000"), ["2020"; 5]);
}

#[test]
fn supplementary_groups_match_the_line_and_cannot_be_changed() {
    let host_root = host_or_return!();
    let status = |lines: &str| {
        let (_, console) = host_root.run(&one(&format!("exec /bin/probe facts\nrestart never\n{lines}")));
        facts(&console, "a", "status").into_iter().find(|line| line.starts_with("Groups:")).expect("groups")
    };
    assert_eq!(
        (status(""), status("groups 7 8"), status("user 5\ngroups 9")),
        ("Groups:".into(), "Groups: 7 8".into(), "Groups: 9".into())
    );
    // Refused permanently in the namespace, even if the filter allows it and with all capabilities.
    let exec = "exec /bin/probe do setgroups read:/proc/self/setgroups setuid:5\nrestart never\nseccomp off\n";
    let (_, console) = host_root.run(&one(&format!("{exec}capability setuid sys_admin")));
    has_line(&console, "a | did setgroups 1");
    has_line(&console, "a | content /proc/self/setgroups deny");
    let (_, console) = host_root.run(&one(&format!("{exec}capability setuid setgid")));
    has_line(&console, "a | did setgroups 0");
}

/// On this host there is no cgroup of ours, so a node can be created with the capability for it; `escapes.rs` has the
/// same on machines, where the device filter refuses it.
#[test]
fn node_can_be_created_with_everything_allowed_and_no_device_filter() {
    let host_root = host_or_return!();
    let open = "share user\nprivileged\nseccomp off\nlandlock off\ncapability mknod sys_admin";
    let exec = "exec /bin/probe do mknod:/dev/shm/null:1:3\nrestart never";
    let (_, console) = host_root.run(&one(&format!("{exec}\n{open}")));
    has_line(&console, "a | did mknod:/dev/shm/null:1:3 0");
    let (_, console) = host_root.run(&one(exec));
    assert!(!console.contains("mknod:/dev/shm/null:1:3 0"), "{console}");
}

#[test]
fn shared_network_namespace_survives_restarts() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[workload server]\nroot ROOT\nexec /bin/probe do listen:80 sleep:300\nrestart always delay=100ms max=100ms\n\
        [workload friend]\nroot ROOT\nexec /bin/probe do sleep:150 connect:80 sleep:1200 connect:80\nshare net=server\nafter server\nrestart never\n\
        [workload stranger]\nroot ROOT\nexec /bin/probe do sleep:150 connect:80\nafter server\nrestart never\n";
    let mut namespace = host_root.start(config);
    let mut connected = 0;
    for name in ["friend", "stranger"] {
        namespace.console.expect(&format!("\"{name}\": exited with status 0"), SOON).expect("it ends");
    }
    let console = namespace.console.text();
    for line in console.lines().filter_map(|line| line.strip_prefix("friend | did connect:80 ")) {
        // The server may be between two runs at that moment: ECONNREFUSED in its namespace.
        assert!(["0", "111"].contains(&line), "{line}");
        connected += u32::from(line == "0");
    }
    assert!(connected > 0, "{console}");
    has_line(&console, "stranger | did connect:80 111");
    assert!(console.matches("\"server\": started").count() > 1, "{console}");
    namespace.signal(Signal::TERM).expect("a signal");
    namespace.wait(SOON).expect("it ends");
}

/// CVE-2019-14271 is about a helper that loaded a library of the container: there is none here.
#[test]
fn start_executes_only_the_program_with_few_system_calls() {
    let host_root = host_or_return!();
    let config = host_root.scratch.path().join("hilum.conf");
    let text = one("exec /bin/probe exit 0\nrestart never").replace("ROOT", host_root.root().to_str().expect("UTF-8"));
    std::fs::write(&config, text).expect("the config");
    let trace = host_root.scratch.path().join("trace");
    let status = std::process::Command::new("strace")
        .args(["-f", "-qq", "-o", trace.to_str().expect("UTF-8"), "unshare", "--pid", "--fork", "--mount", "--"])
        .arg(crate::support::hilum(crate::support::host()))
        .args(["--config", config.to_str().expect("UTF-8")])
        .stdout(std::process::Stdio::null())
        .status()
        .expect("strace");
    assert!(status.success());
    let trace = std::fs::read_to_string(&trace).expect("the trace");
    let executed: Vec<&str> = trace.lines().filter(|line| line.contains(" execve(\"")).collect();
    // unshare, hilum, the program; before that no file of the root filesystem is opened for its contents.
    assert_eq!(executed.len(), 3, "{executed:#?}");
    assert!(executed[2].contains("execve(\"/bin/probe\""), "{}", executed[2]);
    let child = executed[2].split_whitespace().next().expect("a pid");
    let own = format!("{child} ");
    let calls = trace.lines().filter(|line| line.starts_with(&own) && !line.contains(" <... "));
    let before = calls.take_while(|line| !line.contains(" execve(")).count();
    println!("{before} system calls from the clone to the program");
    // 41 of them remove one capability each from the bounding set, four set limits that the kernel counts over all
    // workloads, three make /proc/pressure read-only.
    assert!(before <= 141, "{before}");
}

/// CASES 32.
#[test]
fn child_killed_during_its_set_up_leaves_nothing_behind() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[workload a]\nroot ROOT\nexec /bin/probe sleep 5\nrestart always delay=1ms max=1ms\n\
        [workload b]\nroot ROOT\nexec /bin/probe sleep 2\nshare net=a\nrestart always delay=1ms max=1ms\n";
    let mut namespace = host_root.start(config);
    namespace.console.expect("\"b\": started", SOON).expect("it starts");
    let first = namespace.process_one().expect("process 1").as_raw_nonzero().get();
    let children = || {
        let text = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    };
    let count = |what: &str| std::fs::read_dir(format!("/proc/{first}/{what}")).expect("process 1").count();
    let mounts = || std::fs::read_to_string(format!("/proc/{first}/mountinfo")).expect("mounts").lines().count();
    let before = mounts();
    let until = Instant::now() + Duration::from_secs(3);
    let (mut killed, mut most) = (0, 0);
    while Instant::now() < until {
        for pid in children() {
            // At any point: a start takes some milliseconds, and a run a few more.
            let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
            killed += u32::from(rustix::process::kill_process(pid, Signal::KILL).is_ok());
        }
        most = most.max(count("fd"));
        std::thread::sleep(Duration::from_micros(700));
    }
    assert!(killed > 100, "{killed}");
    // Two running workloads have three descriptors each; a start has a few more for a moment.
    println!("killed {killed} times, at most {most} descriptors, {} at the end", count("fd"));
    assert!(most < 40, "{most}");
    assert_eq!(mounts(), before);
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", console.lines().rev().take(20).collect::<Vec<_>>().join("\n"));
}

/// CVE-2021-30465 and similar: a process swaps folders of the root filesystem during the start.
#[test]
fn folder_swapped_for_a_link_during_start_redirects_no_mount() {
    use std::os::unix::fs::symlink;
    let host_root = host_or_return!();
    let canary = host_root.scratch.path().join("canary");
    std::fs::create_dir(&canary).expect("a folder");
    std::fs::write(canary.join("file"), "untouched").expect("a file");
    let swap = host_root.scratch.path().join("swap");
    symlink(&canary, &swap).expect("a link");
    let target = host_root.root().join("tmp");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let config = one("exec /bin/probe facts\nrestart always delay=1ms max=1ms limit=150/60s else=poweroff");
    let (swaps, console) = std::thread::scope(|scope| {
        let racer = scope.spawn(|| {
            let mut swaps = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let at = rustix::fs::CWD;
                swaps += u64::from(rustix::fs::renameat_with(at, &target, at, &swap, flags).is_ok());
            }
            swaps
        });
        let (_, console) = host_root.start(&config).wait(Duration::from_secs(60)).expect("it ends by itself");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (racer.join().expect("the racer"), console)
    });
    let (runs, refused) = (console.matches("a | fact pid 1").count(), console.matches("mount /tmp: E").count());
    println!("{swaps} swaps, {runs} runs, {refused} refused");
    assert!(runs > 0 && refused > 0 && swaps > 1_000, "{swaps} swaps, {runs} runs, {refused} refused");
    // The mount is at the folder, or moves with it out of the root; never at the link's target.
    for mount in console.lines().filter_map(|line| line.strip_prefix("a | fact mount ")) {
        let place = mount.split(' ').nth(4).unwrap_or_default();
        let known = ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/tmp", "/run"];
        assert!(known.contains(&place) || place.starts_with("/proc/") || place.starts_with("//"), "{mount}");
    }
    let left: Vec<_> =
        std::fs::read_dir(&canary).expect("the canary").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["file"]);
    assert_eq!(std::fs::read_to_string(canary.join("file")).expect("the file"), "untouched");
}
