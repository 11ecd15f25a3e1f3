//! The ELF file as a command.

use crate::support::{SOON, has_in_order, host};
use hilum_qemu::Terminal;
use std::path::Path;
use std::process::Command;

const DEMO_AUDIT: &str = "workload \"web\": publish 8080:80/tcp: reachable from any network of the host\nworkload \"clock\": nothing beyond the default\n";

/// Runs hilum with these words. Returns its exit status, standard output and standard error.
fn run(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(crate::support::hilum(host())).args(words).output().expect("hilum");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn check_explain_and_audit_work_on_a_host() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../initramfs/appliances/web/hilum.conf");
    let demo = demo.to_str().expect("UTF-8");
    let version = format!("hilum {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["version"]), (Some(0), version, String::new()));
    assert_eq!(run(&["check", "--config", demo]), (Some(0), format!("{demo}: ok, 2 workloads\n"), String::new()));
    let (status, plan, _) = run(&["explain", "web", "--config", demo]);
    assert_eq!(status, Some(0));
    has_in_order(
        &plan,
        &[
            " 1  limit pids.max: 512, if supported",
            "    clone into new namespaces: pid mnt uts ipc net cgroup user time",
            " 7  map ids 65536 to 131071 as 0 to 65535",
            " 9  connect link eth0: veth br0",
            "10  filter packets: drop spoofed sources; publish 8080:80/tcp; not at ::1 of the host",
            "11  open root /images/busybox: idmapped if supported",
            "    continue in the new process",
            "18  set host name web",
        ],
    );
    assert!(plan.lines().last().is_some_and(|line| line.ends_with("  exec /bin/httpd")), "{plan}");
    let missing = format!("hilum: {demo}: unknown workload \"none\"; expected one of: web clock\n");
    assert_eq!(run(&["explain", "none", "--config", demo]), (Some(1), String::new(), missing));
    let absent = "hilum: /none: ENOENT (no such file or directory); use --config FILE\n".to_owned();
    assert_eq!(run(&["check", "--config", "/none"]), (Some(1), String::new(), absent));
    let (status, audit, _) = run(&["audit", "--config", demo]);
    assert_eq!((status, audit.as_str()), (Some(0), DEMO_AUDIT));
}

/// findmnt(8) shows what is mounted, and nothing about what is missing; systemd has `systemctl list-units --type=mount
/// --all`.
#[test]
fn mounts_shows_usage_and_why_disks_are_missing() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (config, luks) = (scratch.path().join("hilum.conf"), scratch.path().join("luks"));
    std::fs::write(&luks, [b"LUKS\xba\xbe".as_slice(), &[0; 4096]].concat()).expect("a file");
    let lines = format!(
        "hilum 1\n[system]\nmount /dev/none /proc proc\nmount LABEL=no-such-disk /nowhere ext4 ro\n\
         mount {} /locked ext4\n",
        luks.display()
    );
    std::fs::write(&config, lines).expect("a file");
    let config = config.to_str().expect("UTF-8");
    let (status, table, error) = run(&["mounts", "--config", config]);
    assert_eq!((status, error.as_str()), (Some(1), ""), "something is missing: {table}");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["FOLDER", "DEVICE", "TYPE", "MODE", "SIZE", "USED", "MISSING"]);
    assert_eq!((rows[1][0], rows[1][2], rows[1][3]), ("/proc", "proc", "rw"), "{table}");
    assert_eq!(rows[2], ["/nowhere", "LABEL=no-such-disk", "ext4", "ro", "-", "0%", "no", "such", "disk"], "{table}");
    assert!(table.contains("luks: encrypted (LUKS), no key available\n"), "{table}");
    let (status, json, _) = run(&["mounts", "--json", "--config", config]);
    let found: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!((status, &found[0]["type"], &found[0]["missing"]), (Some(1), &"proc".into(), &serde_json::Value::Null));
    assert_eq!((&found[1]["source"], &found[1]["missing"]), (&"LABEL=no-such-disk".into(), &"no such disk".into()));
    assert_eq!((&found[1]["read_only"], &found[1]["device"]), (&true.into(), &serde_json::Value::Null));
}

#[test]
fn doctor_has_a_line_and_a_remedy_for_every_feature() {
    // The results depend on this machine; that every feature has a line does not.
    let (status, doctor, _) = run(&["doctor"]);
    assert_eq!(status, Some(i32::from(doctor.lines().any(|line| line.starts_with("NO  ")))));
    for what in [
        "namespace user",
        "cgroup controller memory",
        "seccomp filters",
        "Landlock for files",
        "overlay",
        "bridges",
        "nf_tables",
    ] {
        let line = doctor.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what} in\n{doctor}"));
        let mended = line.split_once(": ").is_some_and(|(_, mend)| !mend.is_empty());
        assert!(line.starts_with("yes ") != mended && line.starts_with("NO  ") == mended, "{line}");
    }
}

#[test]
fn every_command_has_help_and_documentation() {
    let (status, help, _) = run(&["--help"]);
    assert_eq!(status, Some(0));
    let documentation = include_str!("../../../../docs/commands.md");
    let commands: Vec<&str> =
        help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    assert_eq!(commands.len(), 28, "{help}");
    for command in commands {
        assert!(run(&[command, "--help"]).1.starts_with(&format!("usage: hilum {command}")), "{command}");
        assert!(documentation.contains(&format!("`{command}")), "docs/commands.md does not tell of {command}");
    }
}

#[test]
fn unknown_commands_and_unreachable_sockets_are_reported() {
    let unreachable = "hilum: /none: ENOENT (no such file or directory): hilum is not running as PID 1 here, or listens elsewhere (--socket FILE)\n";
    assert_eq!(run(&["--socket", "/none", "status"]), (Some(1), String::new(), unreachable.to_owned()));
    for (words, line) in [
        (&[][..], "hilum: missing command; see: hilum help\n"),
        (&["explain"], "hilum: usage: hilum explain NAME [--config FILE]\n"),
        (&["fly"], "hilum: unknown command \"fly\"; see: hilum help\n"),
        (&["exec", "web"], "hilum: usage: hilum exec NAME [-t|-T] PROGRAM WORD...\n"),
        (&["signal", "web"], "hilum: usage: hilum signal NAME SIGNAL\n"),
        (&["log", "-n"], "hilum: usage: hilum log NAME [-f] [-n LINES]\n"),
        (&["a"; 50], "hilum: too many arguments; see: hilum help\n"),
    ] {
        assert_eq!(run(words), (Some(2), String::new(), line.to_owned()), "{words:?}");
    }
}

/// A fault of the program is reported in one line, followed by an exit. Here the stack cannot grow.
#[test]
fn stack_overflow_prints_addresses_of_code_and_exits() {
    // 20 KiB are enough for the arguments, but not for a command.
    let output = Command::new("sh")
        .args(["-c", "ulimit -s 20 && exec \"$0\" doctor"])
        .arg(crate::support::hilum(host()))
        .output()
        .expect("sh");
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(101), "{line}");
    assert!(line.starts_with("hilum: panic at 0x") && line.ends_with(": internal error, signal 11\n"), "{line}");
}

#[test]
fn image_too_large_for_guest_memory_is_refused_before_boot() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    for (name, text) in [("vmlinuz", ""), ("initramfs", ""), ("memory", "592\n")] {
        std::fs::write(scratch.path().join(name), text).expect("a file");
    }
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_hilum-qemu"));
    let output = run.args(["run", "--arch", "x86_64", "--image"]).arg(scratch.path()).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.ends_with(": needs 592 MiB of memory, not 256; run: make run MEMORY=592\n"), "{errors}");
}

/// As the shell of a user who logs in: a line, or a prompt of its own.
#[test]
fn program_is_a_login_shell() {
    let version = format!("hilum {}\n", env!("CARGO_PKG_VERSION"));
    for line in ["version", "hilum version", "  hilum \"version\" "] {
        assert_eq!(run(&["-c", line]), (Some(0), version.clone(), String::new()), "{line}");
    }
    assert_eq!(run(&["-c", "/bin/sh"]).0, Some(2), "no other program");
    assert_eq!(run(&["-c", &"x".repeat(2_000)]).0, Some(2));
    assert_eq!(run(&[]).0, Some(2), "no terminal");
    for (end, last) in [("\x04", ""), ("exit\r", "exit")] {
        // The leader of a session with this terminal, as after a login.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg("--wait").arg(crate::support::hilum(host()));
        let mut terminal = Terminal::start(command, 24, 80).expect("a terminal");
        terminal.screen.expect("hilum> ", SOON).expect("a prompt");
        terminal.type_text("version\r").expect("keys");
        terminal.screen.expect(version.trim_end(), SOON).expect("an answer");
        terminal.type_text("fly\r").expect("keys");
        terminal.screen.expect("[exit 2]", SOON).expect("a status");
        // Only then each key counts: before, the terminal waits for whole lines.
        crate::support::wire::until("the next prompt", || terminal.screen.text().ends_with("hilum> "));
        terminal.type_text(end).expect("keys");
        let (status, screen) = terminal.wait(SOON).expect("it ends");
        assert_eq!(status.code(), Some(0), "{screen}");
        assert!(!screen.contains("unknown command \"exit\""), "{last}: {screen}");
    }
}
