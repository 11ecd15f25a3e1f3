//! hilum as PID 1 of a PID namespace on this host: what a workload sees, and what stays unaffected.

use crate::support::{SOON, fact, facts, has_in_order, has_line, host, isolation, one};
use rustix::process::Signal;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn workload_is_isolated() {
    let host_root = host_or_return!();
    let lines = "exec /bin/probe facts \"two words\"\nenv LANG C.UTF-8\ndirectory /tmp\nhostname front\nuser 1000:50\nrestart never";
    let (status, console) = host_root.run(&one(lines));
    assert_eq!(status.code(), Some(0), "{console}");
    isolation::check(&console, "a", host());
    for name in ["pid", "mnt", "uts", "ipc", "net", "cgroup", "user", "time"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
        let found = facts(&console, "a", "namespace");
        assert!(!found.contains(&format!("{name} {}", own.display())), "it shares {name} with the host");
    }
}

/// A lock and a watch belong to an inode: if workloads shared one, they could see or block each other.
#[test]
fn lock_on_a_device_node_does_not_affect_other_workloads() {
    // The sixth, tty, cannot be opened without a terminal.
    const NODES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
    let host_root = host_or_return!();
    let locks: String = NODES.iter().map(|node| format!(" lock:/dev/{node}")).collect();
    let locks = locks + " lock-record:/dev/null lock-record:/dev/zero";
    // The second starts once the first has reported its locks, and waits for the end.
    let config = format!(
        "hilum 1\n[workload holder]\nroot ROOT\nexec /bin/probe do{locks} notify:READY=1 sleep:60000\nready notify\nrestart never\n\
         [workload other]\nroot ROOT\nneeds holder\nexec /bin/probe do{locks}\nrestart never\n"
    );
    let mut namespace = host_root.start(&config);
    namespace.console.expect("\"other\": exited with status", SOON).expect("it ends");
    let console = namespace.console.text();
    for node in NODES {
        has_line(&console, &format!("holder | did lock:/dev/{node} 0"));
        has_line(&console, &format!("other | did lock:/dev/{node} 0"));
    }
    for name in ["holder", "other"] {
        has_line(&console, &format!("{name} | did lock-record:/dev/null 0"));
        has_line(&console, &format!("{name} | did lock-record:/dev/zero 0"));
    }
    namespace.signal(Signal::TERM).expect("a signal");
    namespace.wait(SOON).expect("it ends");
}

#[test]
fn watch_on_a_device_node_sees_only_its_own_workload() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload watcher]\nroot ROOT\n\
        exec /bin/probe do watch:/dev/urandom:/tmp/one watch:/dev/urandom:/tmp/two stay\n\
        [workload other]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = host_root.start(config);
    host_root.expect_state("other", "ready");
    let inside = |name: &str, action: &str| {
        let (code, said) = host_root.ask(&["exec", name, "/bin/probe", "must", action]);
        assert_eq!(code, 0, "{said}");
    };
    namespace.console.expect("watcher | watching /dev/urandom", SOON).expect("it watches");
    inside("other", "open:/dev/urandom:r");
    inside("watcher", "make:/tmp/one");
    namespace.console.expect("watcher | did watch:/dev/urandom:/tmp/one 0", SOON).expect("it watches again");
    let until = std::time::Instant::now() + SOON;
    while namespace.console.text().matches("watcher | watching /dev/urandom").count() < 2 {
        assert!(std::time::Instant::now() < until, "{}", namespace.console.tail());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // The watch works: the workload's own opens are seen.
    inside("watcher", "open:/dev/urandom:r");
    inside("watcher", "make:/tmp/two");
    namespace.console.expect("watcher | seen /dev/urandom opens", SOON).expect("its own");
    crate::support::has_in_order(
        &namespace.console.text(),
        &["watcher | seen /dev/urandom nothing", "watcher | seen /dev/urandom opens"],
    );
}

/// The kernel cannot resolve a `..` while anything is renamed (EAGAIN of openat2(2)).
#[test]
fn directory_behind_a_link_is_entered_while_files_are_renamed() {
    let host_root = host_or_return!();
    std::os::unix::fs::symlink("../../../tmp", host_root.root().join("outside")).expect("a link");
    let workload =
        |number| format!("[workload w{number}]\nroot ROOT\nexec /bin/probe facts\ndirectory /outside\nrestart never\n");
    let config = "hilum 1\n[system]\nidle poweroff\n".to_owned() + &(0..32).map(workload).collect::<String>();
    let (names, is_done) = (["a", "b"].map(|name| host_root.scratch.path().join(name)), AtomicBool::new(false));
    std::fs::write(&names[0], "").expect("a file");
    let (_, console) = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                std::fs::rename(&names[0], &names[1])
                    .and_then(|()| std::fs::rename(&names[1], &names[0]))
                    .expect("renamed");
            }
        });
        let ended = host_root.run(&config);
        is_done.store(true, Ordering::Relaxed);
        ended
    });
    for number in 0..32 {
        assert_eq!(fact(&console, &format!("w{number}"), "directory"), "current /tmp");
    }
}

/// A power cut, or a killed process, may come between creating a folder, its owner and its mode.
#[test]
fn half_created_volume_is_completed() {
    let host_root = host_or_return!();
    let place = host_root.scratch.path().join("volumes");
    for folder in ["v", "layer/upper", "layer/work"] {
        let folder = place.join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("its mode");
    }
    let place = place.display();
    let config = format!(
        "hilum 1\n[system]\nidle poweroff\nvolumes {place}\n[workload volume]\nroot ROOT\nvolume v /tmp\nuser 1000\n\
         exec /bin/probe do make:/tmp/x\nrestart never\n[workload layer]\nroot ROOT overlay={place}/layer\n\
         exec /bin/probe do make:/new\nrestart never\n"
    );
    let (_, console) = host_root.run(&config);
    has_line(&console, "volume | did make:/tmp/x 0");
    has_line(&console, "layer | did make:/new 0");
}

#[test]
fn uid_0_has_no_capability_either() {
    let host_root = host_or_return!();
    let (_, console) = host_root.run(&one("exec /bin/probe facts\nrestart never"));
    assert_eq!(fact(&console, "a", "user"), "0:0");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(facts(&console, "a", "status").contains(&format!("{set}: 0000000000000000")), "{set}\n{console}");
    }
}

#[test]
fn symbolic_link_in_the_root_filesystem_redirects_no_mount() {
    let host_root = host_or_return!();
    let canary = host_root.scratch.path().join("canary");
    std::fs::create_dir(&canary).expect("a folder");
    for place in ["proc", "dev", "tmp"] {
        let at = host_root.root().join(place);
        std::fs::remove_dir(&at).expect("it is empty");
        std::os::unix::fs::symlink(&canary, &at).expect("a link");
        let (_, console) = host_root.run(&one("exec /bin/probe exit 0\nrestart never"));
        let verb = if place == "dev" { "attach" } else { "mount" };
        let line = format!(
            "hilum: workload \"a\": {verb} /{place}: ELOOP (too many levels of symbolic links): the root filesystem has a symbolic link where a folder is needed"
        );
        has_line(&console, &line);
        assert_eq!(std::fs::read_dir(&canary).expect("it is there").count(), 0, "something was made in the canary");
        std::fs::remove_file(&at).expect("the link");
        std::fs::create_dir(&at).expect("a folder");
    }
}

#[test]
fn kill_of_all_processes_stays_inside() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[workload b]\nroot ROOT\nexec /bin/probe on-term\n\
        [workload a]\nroot ROOT\nexec /bin/probe kill-all\nrestart never\n";
    let mut namespace = host_root.start(config);
    namespace.console.expect("\"a\": exited with status 0", SOON).expect("it ends");
    namespace.console.expect("b | ready", SOON).expect("it starts");
    namespace.signal(Signal::TERM).expect("a signal");
    let (status, console) = namespace.wait(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0), "{console}");
    has_in_order(&console, &["b | got TERM", "hilum: workload \"b\": exited with status 0"]);
}

#[test]
fn control_characters_of_a_workload_do_not_reach_the_terminal() {
    let host_root = host_or_return!();
    let (_, console) = host_root.run(&one("exec /bin/probe escape\nrestart never"));
    has_line(&console, "a | red ?[31m bell ? clear ?[2J end");
}

#[test]
fn closed_standard_descriptors_are_replaced() {
    let host_root = host_or_return!();
    let canary = host_root.scratch.path().join("seen");
    std::fs::write(&canary, "").expect("a file");
    // With 0, 1 and 2 closed the next opened file would become standard output. Nothing is visible then, so the test
    // checks that the board boots and shuts down.
    let wrap = ["sh", "-c", "exec \"$0\" \"$@\" 0<&- 1>&- 2>&-"];
    let (status, console) = host_root
        .start_wrapped(&one("exec /bin/probe facts\nrestart never"), &wrap)
        .wait(SOON)
        .expect("it ends by itself");
    assert_eq!((status.code(), console.as_str()), (Some(0), ""));
}

#[test]
fn inherited_descriptors_reach_no_workload() {
    let host_root = host_or_return!();
    let wrap = ["sh", "-c", "exec 7</etc/passwd; exec \"$0\" \"$@\""];
    let (_, console) = host_root
        .start_wrapped(&one("exec /bin/probe facts\nrestart never"), &wrap)
        .wait(SOON)
        .expect("it ends by itself");
    assert_eq!(facts(&console, "a", "descriptor").len(), 3, "{console}");
}

#[test]
fn ignored_signals_of_the_parent_are_not_inherited() {
    let host_root = host_or_return!();
    let wrap = ["sh", "-c", "trap '' PIPE HUP USR1; exec \"$0\" \"$@\""];
    let (_, console) = host_root
        .start_wrapped(&one("exec /bin/probe facts\nrestart never"), &wrap)
        .wait(SOON)
        .expect("it ends by itself");
    assert!(facts(&console, "a", "status").contains(&"SigIgn: 0000000000000000".to_owned()), "{console}");
}

#[test]
fn host_is_unchanged_afterwards() {
    let host_root = host_or_return!();
    let mounts = || {
        let text = std::fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
        text.lines().map(|line| line.split(' ').nth(4).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let groups = || {
        let listing = Command::new("find").args(["/sys/fs/cgroup", "-type", "d"]).output().expect("find");
        String::from_utf8_lossy(&listing.stdout).into_owned()
    };
    let name = || std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the host name");
    let before = (mounts(), groups(), name());
    let text = one("exec /bin/probe attempt\nrestart never").replace("idle poweroff", "idle poweroff\nhostname taken");
    let (status, console) = host_root.run(&text);
    assert_eq!(status.code(), Some(0), "{console}");
    assert_eq!((mounts(), groups(), name()), before);
    let attempts: Vec<&str> = console.lines().filter(|line| line.starts_with("a | attempt ")).collect();
    assert_eq!(attempts.len(), 14, "{console}");
    assert!(attempts.iter().all(|line| line.contains("setuid") || !line.ends_with(" 0")), "{attempts:?}");
}

#[test]
fn run_belongs_to_the_user_of_the_workload() {
    let host_root = host_or_return!();
    for (user, owner) in [("", "0:0"), ("user 33:34\n", "33:34")] {
        // The second case has a held mount, because /etc/hosts comes from there.
        for network in ["", "link veth\n"] {
            let bridge = if network.is_empty() { "" } else { "bridge br0 10.77.5.1/24\n" };
            let network = network.replace("veth", "veth br0 10.77.5.2/24");
            let config = format!(
                "hilum 1\n[system]\n{bridge}idle poweroff\n[workload a]\nroot ROOT\n{user}{network}restart never\n\
                 exec /bin/probe do owner:/run make:/run/a.pid mkdir:/run/a owner:/run/a\n"
            );
            let (_, console) = host_root.run(&config);
            for line in [format!("owner /run {owner}"), "did make:/run/a.pid 0".into(), format!("owner /run/a {owner}")]
            {
                has_line(&console, &format!("a | {line}"));
            }
        }
    }
}

#[test]
fn folders_of_the_root_below_run_and_tmp_are_recreated() {
    let host_root = host_or_return!();
    for (path, owner, mode) in
        [("run/app", 33, 0o750), ("run/app/deep", 34, 0o711), ("tmp/own", 33, 0o700), ("run/x", 0, 0o755)]
    {
        let path = host_root.root().join(path);
        std::fs::create_dir(&path).expect("a folder");
        std::os::unix::fs::chown(&path, Some(owner), Some(owner)).expect("root runs the tests");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("its mode");
    }
    std::fs::write(host_root.root().join("run/file"), "x").expect("a file");
    std::os::unix::fs::symlink("/etc", host_root.root().join("run/link")).expect("a link");
    let given = host_root.scratch.path().join("given");
    std::fs::create_dir(&given).expect("a folder");
    std::fs::write(given.join("text"), "x").expect("a file");
    let (_, console) = host_root.run(&one(&format!(
        "user 33\nmount {} /run/x\nrestart never\nexec /bin/probe do owner:/run/app owner:/run/app/deep make:/run/app/pid \
         make:/tmp/own/file make:/run/app/deep/no open:/run/x/text:r open:/run/file:r open:/run/link:r",
        given.display()
    )));
    for line in [
        "owner /run/app 33:33",
        "owner /run/app/deep 34:34",
        "did make:/run/app/pid 0",
        "did make:/tmp/own/file 0",
        // EACCES: it has the mode of the root's folder.
        "did make:/run/app/deep/no 13",
        "did open:/run/x/text:r 0",
        // ENOENT: only folders are recreated.
        "did open:/run/file:r 2",
        "did open:/run/link:r 2",
    ] {
        has_line(&console, &format!("a | {line}"));
    }
}
