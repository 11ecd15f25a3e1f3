//! Bundles on this host, as root in namespaces of their own, without control groups; with Debian's crun as the judge.

mod support;

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use support::Bundle;

/// Prints what a program sees of its isolation, in an order of its own.
const FACTS: &str = "id; grep -E 'Cap|NoNewPrivs|Seccomp:|Umask|Groups' /proc/self/status; hostname; \
    cat /proc/self/limits | grep -E 'open files|processes'; cat /proc/self/uid_map /proc/self/oom_score_adj; \
    cut -d' ' -f5,6 /proc/self/mountinfo | sort; ls /dev | grep -v core; ls -l /dev/null | cut -c1-10; pwd; touch /new 2>&1; echo $HOME; exit 7";

/// Returns output without attributes that one of both leaves out where the mount below has them.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(|line| line.replace(",nosuid,nodev,noexec", "")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_program_sees_what_it_sees_under_crun() {
    let change = |pointer: &str, value: Value| (pointer.to_owned(), value);
    let users = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
    let filter = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95 }] });
    let with_arguments = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "args": [{ "index": 1, "value": 0o777, "op": "SCMP_CMP_EQ" }] },
        { "names": ["setresuid", "personality"], "action": "SCMP_ACT_KILL_PROCESS" },
    ] });
    let cases = [
        vec![],
        vec![change("/root/readonly", json!(false)), change("/process/noNewPrivileges", json!(false))],
        vec![
            change("/process/user", json!({ "uid": 1000, "gid": 1001, "additionalGids": [7, 8], "umask": 0o77 })),
            change("/process/capabilities/inheritable", json!(["CAP_KILL"])),
            change("/process/capabilities/ambient", json!(["CAP_KILL"])),
            change("/process/oomScoreAdj", json!(300)),
            change("/process/cwd", json!("/tmp")),
        ],
        vec![change("/linux/seccomp", filter)],
        vec![change("/linux/seccomp", with_arguments)],
        vec![
            change(
                "/linux/namespaces",
                json!(["pid", "network", "ipc", "uts", "mount", "user"].map(|kind| json!({ "type": kind }))),
            ),
            change("/linux/uidMappings", users.clone()),
            change("/linux/gidMappings", users),
        ],
        vec![
            change("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1" })),
            change("/linux/rootfsPropagation", json!("private")),
        ],
    ];
    for (number, case) in cases.iter().enumerate() {
        let mut bundle = Bundle::new()
            .script(&format!("{FACTS}; mkdir /tmp/x; cat /proc/sys/net/ipv4/ip_forward").replace("; exit 7", "; true"));
        for (pointer, value) in case {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            bundle.config.pointer_mut(parent).expect("it exists")[name] = value.clone();
        }
        bundle.config["process"]["args"][2] =
            json!(format!("{}; exit 7", bundle.config["process"]["args"][2].as_str().unwrap_or_default()));
        bundle.save();
        for folder in ["", "rootfs", "rootfs/tmp"] {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(bundle.folder.join(folder), fs::Permissions::from_mode(0o777)).expect("a mode");
        }
        let theirs = bundle.crun("theirs");
        for made in ["rootfs/new", "rootfs/tmp/x"] {
            let path = bundle.folder.join(made);
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
        let ours = bundle.oci(&["run", "ours"]);
        assert_eq!(text(&ours.stdout), text(&theirs.stdout), "case {number}: {}", text(&ours.stderr));
        assert_eq!(ours.status.code(), theirs.status.code(), "case {number}");
        assert_eq!(ours.status.code(), Some(7), "case {number}: {}", text(&ours.stderr));
    }
}

#[test]
fn a_container_goes_through_its_states_with_the_texts_of_runc() {
    let bundle = Bundle::new().script("trap 'exit 3' TERM; while true; do sleep 0.01; done");
    assert!(bundle.text(&["state", "one"]).contains("container does not exist"));
    assert_eq!(bundle.text(&["create", "--pid-file", "pid", "one"]), "");
    assert_eq!(bundle.status("one"), "created");
    assert!(bundle.text(&["create", "one"]).contains("container with given ID already exists"));
    let pid = fs::read_to_string(bundle.folder.join("pid")).expect("a file");
    assert_eq!(bundle.text(&["ps", "--format", "json", "one"]).trim(), format!("[{pid}]"));
    assert_eq!(bundle.text(&["start", "one"]), "");
    assert_eq!(bundle.status("one"), "running");
    assert!(bundle.text(&["start", "one"]).contains("cannot start an already running container"));
    assert!(bundle.text(&["delete", "one"]).contains("that is not stopped"));
    assert!(bundle.text(&["list", "-q"]).contains("one"));
    bundle.oci(&["kill", "one", "SIGTERM"]);
    bundle.wait_for("one", "stopped");
    assert!(bundle.text(&["kill", "one", "9"]).contains("container not running"));
    assert!(bundle.text(&["start", "one"]).contains("cannot start a container that has stopped"));
    assert_eq!(bundle.text(&["delete", "one"]), "");
    assert!(bundle.text(&["delete", "one"]).contains("container does not exist"));
    assert_eq!(bundle.text(&["delete", "--force", "one"]), "");
}

#[test]
fn an_error_is_a_line_of_json_for_the_engine() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["args"] = json!(["nothing"]);
    bundle.save();
    bundle.oci(&["--log", "log", "--log-format", "json", "create", "one"]);
    let line: Value =
        serde_json::from_slice(&fs::read(bundle.folder.join("log")).expect("a file")).expect("one line of JSON");
    assert_eq!(line["level"], "error");
    assert!(
        line["msg"].as_str().unwrap_or_default().contains("exec: \"nothing\": executable file not found in $PATH"),
        "{line}"
    );
    assert_eq!(bundle.status("one"), "none");
}

#[test]
fn links_in_a_root_filesystem_do_not_lead_to_the_host() {
    let mut bundle = Bundle::new().script("true");
    let canary = bundle.folder.join("canary");
    fs::create_dir(&canary).expect("a folder");
    fs::remove_dir(bundle.folder.join("rootfs/tmp")).expect("removed");
    symlink(&canary, bundle.folder.join("rootfs/tmp")).expect("a link");
    symlink("../../../../../../../..", bundle.folder.join("rootfs/up")).expect("a link");
    let up = format!("/up{}/deep/er", canary.display());
    for destination in ["/tmp/made", up.as_str()] {
        bundle.config["mounts"]
            .as_array_mut()
            .expect("a list")
            .push(json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs" }));
    }
    bundle.config["linux"]["devices"] = json!([{ "path": "/tmp/node", "type": "c", "major": 1, "minor": 3 }]);
    bundle.config["root"]["readonly"] = json!(false);
    bundle.save();
    bundle.oci(&["run", "one"]);
    assert_eq!(fs::read_dir(&canary).expect("a folder").count(), 0, "something was made on the host");
}

#[test]
fn a_container_cannot_open_this_program_for_writing() {
    let bundle = Bundle::new().script("true");
    assert_eq!(bundle.text(&["create", "--pid-file", "pid", "one"]), "");
    let pid = fs::read_to_string(bundle.folder.join("pid")).expect("a file");
    // Opening it for writing is ETXTBSY as long as anything runs it, and EROFS afterwards.
    let program = fs::File::open(format!("/proc/{pid}/exe")).expect("a file");
    let flags = rustix::fs::fstatvfs(&program).expect("its mount").f_flag;
    assert!(flags.contains(rustix::fs::StatVfsMountFlags::RDONLY), "it can be written when its last process has ended");
}

#[test]
fn a_create_that_is_killed_leaves_nothing_in_the_way() {
    let mut bundle = Bundle::new().script("true");
    bundle.config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"] }] });
    bundle.save();
    assert!(!bundle.oci(&["create", "one"]).status.success());
    assert_eq!(bundle.status("one"), "none");
    bundle.config["hooks"] = Value::Null;
    bundle.save();
    assert_eq!(bundle.text(&["create", "one"]), "");
    assert_eq!(bundle.status("one"), "created");
}

#[test]
fn of_many_creates_of_one_name_one_succeeds() {
    let bundle = Bundle::new().script("true");
    let made = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| bundle.oci(&["create", "one"]).status.success())).collect();
        all.into_iter().map(|one| one.join().expect("it runs")).filter(|made| *made).count()
    });
    assert_eq!(made, 1);
    assert_eq!(bundle.status("one"), "created");
}

#[test]
fn hooks_run_in_their_order_with_the_state() {
    let mut bundle = Bundle::new().script("true");
    let log = bundle.folder.join("hooks");
    let hook = |kind: &str| {
        let script = format!("cat >/dev/null; echo {kind} >> {}", log.display());
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"] }])
    };
    bundle.config["hooks"] = json!({
        "prestart": hook("prestart"), "createRuntime": hook("createRuntime"), "createContainer": hook("createContainer"),
        "poststart": hook("poststart"), "poststop": hook("poststop"),
    });
    bundle.save();
    assert!(bundle.oci(&["run", "one"]).status.success());
    let said = fs::read_to_string(&log).expect("a file");
    assert_eq!(
        said.split_whitespace().collect::<Vec<_>>(),
        ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    );
}

#[test]
fn what_is_not_done_is_refused_in_one_line() {
    let bundle = Bundle::new();
    for (pointer, value, words) in [
        ("/linux/resources", json!({ "memory": { "swappiness": 5 } }), "linux.resources.memory.swappiness"),
        ("/linux/intelRdt", json!({ "closID": "x" }), "linux.intelRdt"),
        ("/process/scheduler", json!({ "policy": "SCHED_FIFO" }), "process.scheduler"),
        ("/linux/timeOffsets", json!({ "boottime": { "secs": 5 } }), "linux.timeOffsets"),
        ("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_NOTIFY" }), "SCMP_ACT_NOTIFY"),
        ("/vm", json!({ "kernel": { "path": "/x" } }), "vm"),
    ] {
        let mut config = bundle.config.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        config.pointer_mut(parent).expect("it exists")[name] = value;
        fs::write(bundle.folder.join("config.json"), config.to_string()).expect("a file");
        let said = bundle.text(&["create", "one"]);
        assert!(
            said.contains(words) && said.contains("is not done by hilum-oci") && said.lines().count() == 1,
            "{pointer}: {said}"
        );
    }
}

#[test]
fn many_mounts_need_few_descriptors() {
    let mut bundle = Bundle::new().script("grep -c /tmp/ /proc/mounts; ls /proc/self/fd");
    bundle.config["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 24, "hard": 24 }]);
    let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.push(json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" }));
    for number in 0..90 {
        mounts.push(json!({ "destination": format!("/tmp/{number}"), "type": "tmpfs", "source": "tmpfs" }));
    }
    bundle.save();
    assert_eq!(bundle.text(&["run", "one"]), "90\n0\n1\n2\n3\n");
}

#[test]
fn a_label_that_the_kernel_cannot_apply_is_refused() {
    let enabled = fs::read("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
    let profile = match enabled.first() {
        Some(b'Y') => "unable to apply AppArmor profile hilum-none: no such file or directory",
        _ => "process.apparmorProfile: AppArmor is not enabled in this kernel",
    };
    let context = match std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        true => "unable to apply SELinux label hilum-none",
        false => "process.selinuxLabel: SELinux is not enabled in this kernel",
    };
    for (name, words) in [("apparmorProfile", profile), ("selinuxLabel", context)] {
        let mut bundle = Bundle::new().script("exit 0");
        bundle.config["process"][name] = json!("hilum-none");
        bundle.save();
        let said = bundle.text(&["run", "one"]);
        assert!(said.contains(words) && said.lines().count() == 1, "{name}: {said}");
        assert_eq!(bundle.status("one"), "none");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_filter_is_also_for_32_bit_programs_if_it_names_them() {
    let mut bundle = Bundle::new();
    // mkdir is call 39 there; the negative result becomes the exit status.
    let source = ".globl _start\n_start: mov $39, %eax\nmov $name, %ebx\nmov $0755, %ecx\nint $0x80\n\
                  neg %eax\nmov %eax, %ebx\nmov $1, %eax\nint $0x80\nname: .asciz \"/tmp/made\"\n";
    fs::write(bundle.folder.join("old.s"), source).expect("a file");
    let made = std::process::Command::new("gcc")
        .args(["-m32", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-o"])
        .args([bundle.folder.join("rootfs/bin/old"), bundle.folder.join("old.s")])
        .status()
        .expect("gcc");
    assert!(made.success());
    bundle.config["process"]["args"] = json!(["old"]);
    let mut status = |architectures: serde_json::Value| {
        bundle.config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": architectures,
            "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77 }] });
        bundle.save();
        bundle.oci(&["run", "one"]).status.code()
    };
    assert_eq!(status(json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])), Some(77));
    // SIGSYS
    assert_eq!(status(json!(["SCMP_ARCH_X86_64"])), Some(128 + 31));
}
