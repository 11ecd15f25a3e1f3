//! Events between two steps: a command while another one is executed, an exit during a set-up, a file that hangs.

use crate::support::{SOON, has_line};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A filesystem whose files hang until it is dropped (FUSE, linux/fuse.h).
struct Silent {
    /// The kernel sends no request as long as nobody reads.
    _device: File,
    folder: PathBuf,
}

impl Silent {
    /// With `has_root` it answers for its root folder.
    fn at(folder: &Path, has_root: bool) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let mut command = Command::new("mount");
        command.args(["-i", "-t", "fuse", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other", "silent"]);
        let mounted = command.arg(folder).stdin(device.try_clone().expect("a copy")).status().expect("mount");
        assert!(mounted.success());
        if has_root {
            let mut requests = device.try_clone().expect("a copy");
            std::thread::spawn(move || while answer(&mut requests).is_ok() {});
        }
        Self { _device: device, folder: folder.to_owned() }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Waiting processes get an error.
        let _ = Command::new("umount").arg("-f").arg("-l").arg(&self.folder).status();
    }
}

/// Reads one request, and answers it if it is about the connection or the attributes of the root folder.
fn answer(device: &mut File) -> std::io::Result<()> {
    const INIT: u32 = 26;
    const GETATTR: u32 = 3;
    let mut request = vec![0; 1 << 17];
    let length = device.read(&mut request)?;
    let kind = u32::from_ne_bytes(request[4..8].try_into().expect("four bytes"));
    let mut body = vec![0; if kind == INIT { 64 } else { 104 }];
    let mut put = |at: usize, value: u32| body[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    match kind {
        INIT => [(0, 7), (4, 31), (20, 4096)].map(|(at, value)| put(at, value)),
        // Valid for an hour; a folder of root with access for everybody.
        GETATTR => [(0, 3600), (76, 0o40_755), (80, 2)].map(|(at, value)| put(at, value)),
        _ => return Ok(()),
    };
    assert!(length >= 40, "a request has a head");
    let head = [&(body.len() as u32 + 16).to_ne_bytes()[..], &[0; 4], &request[8..16]].concat();
    device.write_all(&[head, body].concat())
}

#[test]
fn restart_during_reload_uses_the_new_configuration() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe ignore-term\nstop TERM 1s\n\
        [workload b]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = host_root.start(config);
    host_root.expect_state("b", "ready");
    host_root.expect_state("a", "ready");
    host_root.configure(&config.replace("ignore-term", "on-term"));
    let mut reload = host_root.command(&["reload"]).stdout(Stdio::null()).spawn().expect("hilum");
    host_root.expect_state("a", "stopping");
    assert_eq!(host_root.ask(&["restart", "a"]).0, 0);
    let console = namespace.console.expect("configuration reloaded: 1 stopped, 1 started, 1 unchanged", SOON);
    let ended = reload.try_wait();
    let _ = reload.kill();
    let _ = reload.wait();
    console.unwrap_or_else(|error| panic!("{error} {ended:?}"));
    namespace.console.expect("a | ready", SOON).expect("the new one runs");
}

#[test]
fn workload_stopped_during_set_up_exits_at_once() {
    let host_root = host_or_return!();
    let silent = Silent::at(&host_root.scratch.path().join("silent"), false);
    let folder = host_root.scratch.path().join("silent/layer");
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT overlay={}\nexec /bin/probe on-term\nstop TERM 3s\n\
         restart always delay=10ms\n[workload b]\nroot ROOT\nexec /bin/probe on-term\n",
        folder.display()
    );
    let mut namespace = host_root.start(&config);
    host_root.expect_state("b", "ready");
    for _ in 0..3 {
        host_root.expect_state("a", "starting");
        assert_eq!(host_root.ask(&["stop", "a", "-w"]), (0, String::new()));
        assert_eq!(host_root.ask(&["start", "a"]), (0, String::new()));
    }
    host_root.expect_state("a", "starting");
    namespace.signal(rustix::process::Signal::TERM).expect("PID 1");
    let (_, console) = namespace.wait(SOON).expect("it ends");
    drop(silent);
    assert!(!console.contains("stop timed out"), "{console}");
}

/// PID 1 opens only paths that are cached in memory; otherwise a helper waits.
#[test]
fn hanging_folder_delays_only_its_workload() {
    let host_root = host_or_return!();
    let silent = Silent::at(&host_root.scratch.path().join("silent"), true);
    let folder = silent.folder.display();
    let late = "exec /bin/probe on-term\nstop TERM 1s\n";
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\nvolumes {folder}\n[workload root]\nroot {folder}/x\n{late}\
         [workload mount]\nroot ROOT\nmount {folder}/y /tmp\n{late}\
         [workload volume]\nroot ROOT\nvolume z /tmp\n{late}[workload b]\nroot ROOT\nexec /bin/probe on-term\n"
    );
    let namespace = host_root.start(&config);
    host_root.expect_state("b", "ready");
    for name in ["root", "mount", "volume"] {
        host_root.expect_state(name, "starting");
    }
    drop(silent);
    namespace.console.expect("workload \"mount\": open", SOON).expect("what waited hears of it");
}

/// A helper that waits for a server cannot be killed, and the next run would wait for the same one.
#[test]
fn repeatedly_started_workload_has_one_waiting_helper() {
    let host_root = host_or_return!();
    let silent = Silent::at(&host_root.scratch.path().join("silent"), true);
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot {}/x\nexec /bin/probe on-term\nstop TERM 1s\n\
         [workload b]\nroot ROOT\nexec /bin/probe on-term\n",
        silent.folder.display()
    );
    let namespace = host_root.start(&config);
    host_root.expect_state("b", "ready");
    let pid = namespace.process_one().expect("it is there").as_raw_nonzero();
    let children = || {
        let pids = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children");
        pids.split_whitespace().count()
    };
    for _ in 0..4 {
        host_root.expect_state("a", "starting");
        assert_eq!(host_root.ask(&["stop", "a", "-w"]), (0, String::new()));
        assert_eq!(children(), 2, "b and the copy: {}", namespace.console.text());
        assert_eq!(host_root.ask(&["start", "a"]), (0, String::new()));
    }
    drop(silent);
    namespace.console.expect("workload \"a\": open root", SOON).expect("it is tried again");
}

/// A helper that waits for a link knows its workload's process by a PID, which may be reused.
#[test]
fn link_of_an_exited_workload_goes_to_no_other_process() {
    let host_root = host_or_return!();
    let namespace = host_root.start_wrapped(
            "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe on-term\nlink move x0\nlink move x1\n\
             [workload b]\nroot ROOT\nexec /bin/probe do stay\n",
        &["unshare", "--net", "--"],
    );
    host_root.expect_state("b", "ready");
    host_root.expect_state("a", "starting");
    let first = namespace.process_one().expect("it is there").as_raw_nonzero().to_string();
    let inside = |words: &[&str]| {
        let mut command = Command::new("nsenter");
        let output = command.args(["-t", &first]).args(words).output().expect("nsenter");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let pid = host_root.status("a")["pid"].as_u64().expect("a pid");
    for name in ["a", "b"] {
        assert_eq!(host_root.ask(&["stop", name, "-w"]), (0, String::new()));
    }
    inside(&["-p", "-m", "sh", "-c", &format!("echo {} > /proc/sys/kernel/ns_last_pid", pid - 1)]);
    assert_eq!(host_root.ask(&["start", "b", "-w"]), (0, String::new()));
    assert_eq!(host_root.status("b")["pid"].as_u64(), Some(pid), "b has the pid that a had");
    for name in ["x0", "x1"] {
        inside(&["-n", "ip", "link", "add", name, "type", "veth", "peer", "name", &format!("{name}-peer")]);
    }
    // Its helper takes the first one and exits.
    let until = Instant::now() + SOON;
    let children = || std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).expect("children");
    while children().split_whitespace().count() > 1 {
        assert!(Instant::now() < until, "the copy has not ended: {}", namespace.console.text());
        std::thread::sleep(Duration::from_millis(10));
    }
    let links = inside(&["-n", "ip", "-br", "link"]);
    assert!(links.lines().any(|line| line.starts_with("x1@")), "{links}");
}

#[test]
fn hanging_file_is_a_failed_check() {
    let host_root = host_or_return!();
    let silent = Silent::at(&host_root.scratch.path().join("silent"), true);
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nmount {} /tmp\nexec /bin/probe on-term\n\
         health file /tmp/x interval=100ms failures=2\nrestart never\n",
        silent.folder.display()
    );
    let namespace = host_root.start(&config);
    namespace.console.expect("workload \"a\": unhealthy: 2 failed checks", SOON).expect("it is not well");
}

#[test]
fn failed_need_keeps_its_name_when_the_configuration_changes() {
    let host_root = host_or_return!();
    let rest = "[workload bad]\nroot ROOT\nexec /bin/probe exit 9\nrestart never\nready exit\n\
        [workload user]\nroot ROOT\nexec /bin/probe on-term\nneeds bad\n";
    let gone = "[workload gone]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = host_root.start(&format!("hilum 1\n[system]\ncontrol SOCKET\n{gone}{rest}"));
    namespace.console.expect("not started", SOON).expect("it fails");
    host_root.expect_state("gone", "ready");
    assert_eq!(host_root.status("user")["need"], "bad");
    host_root.configure(&format!("hilum 1\n[system]\ncontrol SOCKET\n{rest}"));
    assert_eq!(host_root.ask(&["reload"]), (0, String::new()));
    assert_eq!(host_root.status("user")["need"], "bad", "{}", host_root.ask(&["status"]).1);
}

#[test]
fn shutdown_before_boot_completes_starts_no_prompt() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\nconsole prompt\n[workload a]\nroot ROOT\nexec /bin/probe ignore-term\nready fd 5\n\
         stop TERM 2s\n[workload b]\nroot ROOT\nexec /bin/probe on-term\nneeds a\n";
    let mut terminal = host_root.start_on_terminal(config);
    host_root.expect_state("a", "starting");
    terminal.screen.expect("\"a\": started", SOON).expect("it runs");
    assert_eq!(host_root.ask(&["poweroff"]).0, 0);
    let (_, screen) = terminal.wait(SOON).expect("it ends");
    has_line(&screen, "hilum: power off");
    assert!(!screen.contains("hilum> "), "{screen}");
}
