//! Plans of workloads, step by step.

use super::*;
use crate::config::{Config, parse};

/// Parses a configuration with one workload `web` that has `lines`, and passes it to `look`.
fn with<T>(lines: &str, look: impl FnOnce(&Workload<'_>, &Config<'_>) -> T) -> T {
    let text = format!(
        "hilum 1\n[system]\nbridge br0 10.0.0.1/24\n[workload web]\nroot /images/web\nexec /bin/httpd\ndirectory /srv\nhostname front\nuser 1000:50\n{lines}\n\
         [workload other]\nroot /r\nexec /x\n"
    );
    let mut config = Box::new(Config::EMPTY);
    parse(text.as_bytes(), &mut config).unwrap_or_else(|error| panic!("{error}\n{text}"));
    look(&config.workloads[0], &config)
}

fn explained(lines: &str) -> String {
    with(lines, |workload, config| plan(workload, &config.pools).to_string())
}

fn audited(lines: &str) -> Vec<String, 40> {
    with(lines, |workload, config| {
        let mut lines = Vec::new();
        audit(workload, config, |line| lines.push(line.to_string()).expect("room"));
        lines
    })
}

fn position(plan: &Plan<'_>, wanted: impl Fn(&Step<'_>) -> bool) -> usize {
    plan.steps.iter().position(wanted).expect("the step is in the plan")
}

/// Returns a line of every key that adds steps, as often as each may be repeated.
fn everything() -> String {
    let mut lines = String::from(
        "memory 1M high=1M min=1M swap=1M\npids 1\ncpu 1% weight=1\ncpuset 0\nscheduler idle\npersonality linux32\nsys\n\
         groups 1\ntcp none\ncontrol all\nready notify\n",
    );
    for index in 0..8 {
        lines += &format!("io /dev/a{index} rbps=1\nmount /a{index} /b{index}\ndevice /dev/d{index}\n");
    }
    lines += "resolv\n";
    for address in 2..6 {
        lines += &format!("link veth br0 10.0.0.{address}/24\n");
    }
    for resource in crate::config::RESOURCES.split(' ') {
        lines += &format!("rlimit {resource} 1\n");
    }
    lines
}

#[test]
fn every_plan_fits() {
    let count = with(&everything(), |workload, config| plan(workload, &config.pools).steps.len());
    assert!((90..=STEPS).contains(&count), "{count}");
}

#[test]
fn workload_gets_all_namespaces_by_default() {
    with("", |workload, config| {
        assert_eq!(plan(workload, &config.pools).namespaces.to_string(), "pid mnt uts ipc net cgroup user time");
    });
    with("share net uts\nshare time", |workload, config| {
        assert_eq!(plan(workload, &config.pools).namespaces.to_string(), "pid mnt ipc cgroup user");
    });
}

#[test]
fn shared_network_namespace_is_created_by_pid_1() {
    let text = "hilum 1\n[workload a]\nroot /r\nexec /x\nshare net=b\n[workload b]\nroot /r\nexec /x\n";
    let mut config = Box::new(Config::EMPTY);
    parse(text.as_bytes(), &mut config).expect("it is good");
    for workload in &config.workloads {
        let plan = plan(workload, &config.pools);
        assert!(!plan.namespaces.has(Namespaces::NET), "{}", workload.name);
        assert!(!plan.steps.iter().any(|step| matches!(step, Step::Loopback | Step::Setting(_))));
    }
}

#[test]
fn phases_are_in_order() {
    for lines in ["", &everything()] {
        with(lines, |workload, config| {
            let phases: std::vec::Vec<_> =
                plan(workload, &config.pools).steps.iter().map(|step| step.phase() as u8).collect();
            assert!(phases.is_sorted(), "{phases:?}");
        });
    }
}

#[test]
fn new_process_waits_before_it_does_anything() {
    with("", |workload, config| {
        let plan = plan(workload, &config.pools);
        assert!(matches!(plan.of(Phase::Child).next(), Some((_, Step::ReceiveFds))));
        assert!(matches!(plan.of(Phase::Parent).last(), Some((_, Step::SendFds))));
    });
}

#[test]
fn mounts_are_attached_in_the_order_in_which_the_parent_opens_them() {
    let lines = "share pid net\nsys\ndevice /dev/a\nmount /a /a\nmount /b /b";
    with(lines, |workload, config| {
        let plan = plan(workload, &config.pools);
        let opened: std::vec::Vec<_> = plan
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::OpenRoot(..) => Some("root".to_owned()),
                Step::CreateMount(mount) => Some(format!("{:?}", mount.filesystem)),
                Step::Devices(_) => Some("dev".to_owned()),
                Step::OpenMount(bind) => Some(bind.target.to_owned()),
                _ => None,
            })
            .collect();
        let attached: std::vec::Vec<_> = plan
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Root { .. } => Some("root".to_owned()),
                Step::Attach(mount) => Some(format!("{:?}", mount.filesystem)),
                Step::Dev => Some("dev".to_owned()),
                Step::Bind(bind) => Some(bind.target.to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(opened, ["root", "Proc", "Sysfs", "dev", "/a", "/b"]);
        assert_eq!(opened, attached);
    });
}

#[test]
fn setgroups_is_denied_before_ids_are_mapped_unless_groups_are_needed() {
    with("", |workload, config| {
        let plan = plan(workload, &config.pools);
        let denied = position(&plan, |step| matches!(step, Step::DenyGroups));
        assert!(denied < position(&plan, |step| matches!(step, Step::Ids(65_536))));
    });
    for lines in ["groups 7", "capability setgid", "share user"] {
        with(lines, |workload, config| {
            let plan = plan(workload, &config.pools);
            assert!(!plan.steps.iter().any(|step| matches!(step, Step::DenyGroups)), "{lines}");
            let allowed = |step: &Step<'_>| matches!(step, Step::User { has_denied_groups: false, .. });
            position(&plan, allowed);
        });
    }
}

#[test]
fn nothing_is_attached_after_the_pivot() {
    with(&everything(), |workload, config| {
        let plan = plan(workload, &config.pools);
        let pivot = position(&plan, |step| matches!(step, Step::Pivot));
        let last = plan.steps.iter().rposition(|step| {
            use Step::{Attach, Bind, Dev, Mask, Mount, ReadOnly, Root};
            matches!(step, Root { .. } | Mount(_) | Attach(_) | Dev | Bind(_) | ReadOnly(_) | Mask(_))
        });
        assert!(last < Some(pivot));
    });
}

#[test]
fn settings_precede_read_only_remounts_and_masks_follow_their_filesystem() {
    with("sys", |workload, config| {
        let plan = plan(workload, &config.pools);
        let setting = plan.steps.iter().rposition(|step| matches!(step, Step::Setting(_))).expect("settings");
        assert!(setting < position(&plan, |step| matches!(step, Step::ReadOnly(path) if *path == c"proc/sys")));
        for (filesystem, prefix) in [(FileSystem::Proc, "proc/"), (FileSystem::Sysfs, "sys/")] {
            let mount = position(&plan, |step| matches!(step, Step::Mount(mount) if mount.filesystem == filesystem));
            let mask = position(
                &plan,
                |step| matches!(step, Step::Mask(mask) if mask.path.to_str().is_ok_and(|path| path.starts_with(prefix))),
            );
            assert!(mount < mask);
        }
    });
}

#[test]
fn privileges_are_dropped_in_a_working_order() {
    with("personality linux32", |workload, config| {
        let plan = plan(workload, &config.pools);
        let order: [fn(&Step<'_>) -> bool; 12] = [
            |step| matches!(step, Step::Pivot),
            |step| matches!(step, Step::Directory("/srv")),
            |step| matches!(step, Step::Personality(8)),
            |step| matches!(step, Step::DropBoundingSet(_)),
            |step| matches!(step, Step::NoNewPrivileges),
            |step| matches!(step, Step::Landlock(..)),
            |step| matches!(step, Step::User { .. }),
            |step| matches!(step, Step::Capabilities(_)),
            |step| matches!(step, Step::Descriptors { .. }),
            |step| matches!(step, Step::Signals),
            |step| matches!(step, Step::Seccomp(..)),
            |step| matches!(step, Step::Execute("/bin/httpd")),
        ];
        let at = order.map(|wanted| position(&plan, wanted));
        assert!(at.is_sorted(), "{at:?}");
        assert_eq!(at[11], plan.steps.len() - 1);
    });
}

#[test]
fn all_mounts_except_devpts_are_nodev_and_noexec() {
    with("", |workload, config| {
        for step in &plan(workload, &config.pools).steps {
            if let Step::Mount(mount) = step {
                assert_eq!(mount.devices, mount.target == c"dev/pts", "{mount:?}");
                assert!(!mount.executable, "{mount:?}");
            }
        }
    });
}

#[test]
fn explain_shows_every_step_with_its_detail() {
    let text = explained("memory 32M\nmount /data /var rw\noom_score_adj 100\nseccomp strict +mlock\ncapability kill");
    for line in [
        "limit pids.max: 512, if supported\n",
        "limit memory.max: 33554432\n",
        "    clone into new namespaces: pid mnt uts ipc net cgroup user time\n",
        "map ids 65536 to 131071 as 0 to 65535\n",
        "set oom_score_adj: 100\n",
        "open root /images/web: idmapped if supported\n",
        "    continue in the new process\n",
        "set host name front\n",
        "set /proc/sys/net/ipv4/ip_unprivileged_port_start: 0\n",
        "attach root /: ro,nosuid,nodev\n",
        "mount /proc: proc nosuid,noexec,nodev\n",
        "make read-only /proc/sys\n",
        "mask /proc/kcore\n",
        "mount /dev/shm: tmpfs nosuid,noexec,nodev,size=16777216,mode=1777\n",
        "attach /var: rw,nosuid,nodev,noexec from /data\n",
        "drop capability bounding set: keep kill\n",
        "become user 1000:50: no supplementary groups\n",
        "install seccomp filter: profile strict +mlock\n",
        "exec /bin/httpd\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn default_workload_has_nothing_to_audit() {
    assert_eq!(audited("").as_slice(), [""; 0]);
    // Options that tighten the sandbox are not audited.
    assert_eq!(audited("seccomp strict -kill\nmemory 1M\npids 5\ntcp none\nnice 5\numask 077").as_slice(), [""; 0]);
}

#[test]
fn every_loosening_is_audited() {
    for (lines, expected) in [
        ("share pid", "share pid: sees all processes of the host"),
        ("share user", "share user: its root is the host's root"),
        ("share net=other", "share net=other: the network of workload \"other\""),
        ("capability net_admin", "capability net_admin: see capabilities(7)"),
        ("seccomp off", "seccomp off: all system calls allowed"),
        ("seccomp strict +ptrace", "seccomp +ptrace: allowed with any arguments"),
        ("landlock off", "landlock off: only mounts and modes protect files"),
        ("device /dev/ttyS1 r", "device /dev/ttyS1 r: device of the host"),
        ("mount /data /var rw", "mount /data /var rw: files of the host"),
        ("sys", "sys: sees the hardware"),
        ("tmp 1M exec", "tmp ... exec: may execute files in /tmp"),
        ("privileged", "privileged: may be given full control of the host"),
        ("control status", "control status: reads state and output of all workloads"),
        ("control operate", "control operate: reads state and output of all workloads, starts and stops them"),
        ("control update", "control update: reads state and output of all workloads, hands in updates"),
        (
            "control all",
            "control all: reads state and output of all workloads, runs programs in them, reboots: full control of the host",
        ),
        ("memory max", "memory max: unlimited"),
        ("pids max", "pids max: unlimited"),
        ("oom_score_adj -5", "oom_score_adj -5: killed later than others when memory runs out"),
        ("nice -5", "nice -5: scheduled before others"),
        ("scheduler fifo 5", "scheduler fifo or rr 5: may starve everything else"),
    ] {
        assert_eq!(audited(lines).as_slice(), [expected], "{lines}");
    }
}

/// A domain cannot be joined: the workload itself is outside of the scope of a program that joins it.
#[test]
fn exec_is_not_separated_from_its_workload_by_landlock() {
    let joining = |lines| {
        with(lines, |workload, config| {
            let plan = plan(workload, &config.pools);
            plan.steps.iter().find_map(|step| if let Step::Landlock(_, scope) = step { Some(scope.0) } else { None })
        })
    };
    assert_eq!(joining(""), Some(0));
    assert_eq!(joining("share pid"), Some(Scope::SIGNAL));
    assert_eq!(joining("share net"), Some(Scope::ABSTRACT));
    assert_eq!(joining("share net=other"), Some(Scope::ABSTRACT), "another workload's sockets are there");
    assert_eq!(joining("share pid net"), Some(Scope::ALL.0));
    assert!(explained("").contains("; exec can signal it, can reach its abstract sockets"));
    assert!(explained("share pid").contains("; exec cannot signal it, can reach its abstract sockets"));
}

#[test]
fn board_limits_cover_the_shares_of_all_workloads() {
    for (share, all) in SHARES.iter().zip(SHARES_OF_ALL) {
        let number = |setting: &Setting| setting.value.parse::<usize>().expect("a number");
        assert_eq!(number(&all), number(share) * (limits::WORKLOADS + 1));
    }
}

#[test]
fn all_workloads_together_cannot_exhaust_pseudo_terminals() {
    // What the kernel leaves to all devpts instances but the board's own (NR_UNIX98_PTY_DEFAULT without the reserve).
    const ALL: usize = 4096 - 1024;
    let most = PTS.options.iter().find(|(name, _)| *name == c"max").expect("it has a limit").1;
    let most: usize = most.to_str().expect("a number").parse().expect("a number");
    assert!(most * limits::WORKLOADS < ALL, "{most}");
}

#[test]
fn landlock_allows_writing_only_below_writable_mounts() {
    with("mount /a /ro\nmount /b /rw rw\nmount /c /programs ro,exec", |workload, config| {
        assert!(
            rules(workload, &config.pools, None, Scope::ALL, 1).is_none(),
            "the first version refuses renames between folders"
        );
        for abi in 2..=7 {
            let ruleset = rules(workload, &config.pools, None, Scope::ALL, abi).expect("rules");
            assert_eq!(ruleset.scoped, if abi >= 6 { Scope::ALL } else { Scope(0) });
            for rule in &ruleset.rules {
                assert_eq!(rule.rights.0 & !ruleset.handled.0, 0, "a right that ABI {abi} does not know");
                let makes = rule.rights.0 & (1 << 8) != 0;
                assert_eq!(makes, ["/dev/shm", "/tmp", "/run", "/rw"].contains(&rule.path), "{}", rule.path);
                let executes = rule.rights.0 & 1 != 0;
                assert_eq!(executes, ["/", "/programs"].contains(&rule.path), "{}", rule.path);
                // No rule allows to create device nodes.
                assert_eq!(rule.rights.0 & (1 << 6 | 1 << 11), 0, "{}", rule.path);
            }
        }
    });
    with("tcp bind=80", |workload, config| {
        assert_eq!(
            rules(workload, &config.pools, workload.isolation.tcp.as_ref(), Scope::ALL, 3)
                .map(|rules| rules.handled_tcp),
            Some(0)
        );
        assert_eq!(
            rules(workload, &config.pools, workload.isolation.tcp.as_ref(), Scope::ALL, 4)
                .map(|rules| rules.handled_tcp),
            Some(3)
        );
    });
}

#[test]
fn failed_step_has_a_hint_if_its_errno_misleads() {
    assert_eq!(
        Step::Execute("/x").hint(8).as_deref(),
        Some("wrong architecture, or not a program; a script begins with #!")
    );
    assert_eq!(Step::Execute("/x").hint(1), None);
    let memory = Step::Limit(CgroupLimit { file: "memory.max", value: Value::Number(1), is_asked_for: true });
    assert!(memory.hint(2).is_some_and(|hint| hint.contains("cgroup_enable=memory")));
}

#[test]
fn link_is_created_by_the_parent_and_configured_before_the_pivot() {
    with("link veth br0 10.0.0.2/24 via 10.0.0.1\npublish 80:80/tcp\nresolv", |workload, config| {
        let plan = plan(workload, &config.pools);
        let connect = position(&plan, |step| matches!(step, Step::Connect(..)));
        let rules = position(&plan, |step| matches!(step, Step::Rules(_)));
        let hand = position(&plan, |step| matches!(step, Step::SendFds));
        let link = position(&plan, |step| matches!(step, Step::Link(..)));
        let pivot = position(&plan, |step| matches!(step, Step::Pivot));
        // The link cannot send before its rules are in place.
        assert!(connect < rules && rules < hand && hand < link && link < pivot);
        let text = plan.to_string();
        for line in [
            "connect link eth0: veth br0\n",
            "filter packets: drop spoofed sources; publish 80:80/tcp; not at ::1 of the host\n",
            "configure link eth0: 10.0.0.2/24 via 10.0.0.1\n",
            "write /etc/hosts: if the root filesystem has one\n",
            "attach /etc/resolv.conf: ro,nosuid,nodev,noexec from /run/resolv.conf\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        let mut hosts = std::string::String::new();
        write_hosts(workload, config, &mut hosts).expect("a string takes everything");
        assert_eq!(hosts, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n10.0.0.2 front web\n");
    });
}

#[test]
fn loosened_network_is_audited() {
    let lines = audited("link veth br0 10.0.0.2/24 via 10.0.0.1 spoof\npublish 80:80/tcp\ntalk board");
    let expected = [
        "link veth br0 spoof: may send from any address",
        "publish 80:80/tcp: reachable from any network of the host",
        "talk board: may connect to all ports of the host",
    ];
    assert_eq!(lines, expected);
    assert!(audited("link veth br0 10.0.0.2/24").is_empty(), "a link of its own is no loosening");
}
