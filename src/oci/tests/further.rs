//! `exec`, descriptors, terminals, namespaces that exist, and all hooks, as `bundles.rs`.

mod support;

use rustix::fd::AsFd;
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use support::{Bundle, OCI};

/// A container that runs until it is killed.
fn sleeper() -> Bundle {
    let bundle = Bundle::new().script("exec sleep 1000");
    assert_eq!(bundle.text(&["create", "--pid-file", "pid", "one"]), "");
    assert_eq!(bundle.text(&["start", "one"]), "");
    bundle
}

#[test]
fn a_further_process_is_in_the_container_with_its_rights() {
    let bundle = sleeper();
    let pid = fs::read_to_string(bundle.folder.join("pid")).expect("a file");
    let namespaces =
        "cd /proc/self/ns; for kind in cgroup ipc mnt net pid uts; do ls -l $kind | grep -o '[a-z]*:\\[.*'; done";
    let inside = bundle.text(&["exec", "one", "sh", "-c", namespaces]);
    let own = |kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a link").display().to_string();
    let wanted = ["cgroup", "ipc", "mnt", "net", "pid", "uts"].map(own).join("\n");
    assert_eq!(inside.trim(), wanted);
    let rights = "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status";
    let own = fs::read_to_string(format!("/proc/{pid}/status")).expect("a file");
    let wanted: Vec<&str> = own
        .lines()
        .filter(|line| line.starts_with("Cap") || line.starts_with("NoNewPrivs") || line.starts_with("Seccomp:"))
        .collect();
    assert_eq!(bundle.text(&["exec", "one", "sh", "-c", rights]).trim(), wanted.join("\n"));
    let as_user = bundle.text(&[
        "exec",
        "--user",
        "5:6",
        "--cwd",
        "/tmp",
        "--env",
        "X=y",
        "one",
        "sh",
        "-c",
        "id -u; id -g; pwd; echo $X",
    ]);
    assert_eq!(as_user, "5\n6\n/tmp\ny\n");
}

#[test]
fn a_further_process_has_an_exit_status_and_errors_of_its_own() {
    let bundle = sleeper();
    assert_eq!(bundle.oci(&["exec", "one", "sh", "-c", "exit 9"]).status.code(), Some(9));
    assert_eq!(bundle.oci(&["exec", "one", "sh", "-c", "kill -9 $$"]).status.code(), Some(137));
    let said = bundle.text(&["exec", "one", "/nothing"]);
    assert!(said.contains("exec failed: unable to start container process: exec: \"/nothing\": stat /nothing: no such file or directory"), "{said}");
    fs::write(
        bundle.folder.join("further.json"),
        json!({ "args": ["sh", "-c", "exit 8"], "cwd": "/", "env": ["PATH=/bin"] }).to_string(),
    )
    .expect("a file");
    assert_eq!(bundle.oci(&["exec", "--process", "further.json", "one"]).status.code(), Some(8));
    assert_eq!(bundle.text(&["exec", "--detach", "--pid-file", "further", "one", "sleep", "555"]), "");
    let further = fs::read_to_string(bundle.folder.join("further")).expect("a file");
    assert!(bundle.text(&["ps", "--format", "json", "one"]).contains(&further));
    bundle.oci(&["kill", "one", "KILL"]);
    bundle.wait_for("one", "stopped");
    assert!(bundle.text(&["exec", "one", "true"]).contains("cannot exec in a stopped container"));
    assert!(bundle.text(&["exec", "two", "true"]).contains("container does not exist"));
}

#[test]
fn descriptors_are_inherited_as_far_as_they_are_preserved() {
    let mut bundle = Bundle::new().script("cat <&3; cat <&4");
    bundle.config["root"]["readonly"] = json!(false);
    bundle.save();
    for name in ["three", "four"] {
        fs::write(bundle.folder.join(name), name).expect("a file");
    }
    let run = |preserved: &str| {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "exec 3<three 4<four; exec \"$@\"",
            "sh",
            "timeout",
            "20",
            OCI,
            "--cgroup-manager",
            "disabled",
            "--root",
            "state",
        ]);
        command.args(["run", "--preserve-fds", preserved, "one"]);
        String::from_utf8_lossy(&bundle.output(command).stdout).into_owned()
    };
    assert_eq!(run("0"), "");
    assert_eq!(run("1"), "three");
    assert_eq!(run("2"), "threefour");
}

#[test]
fn a_terminal_is_sent_over_the_console_socket() {
    let mut bundle = Bundle::new().script("test -t 0 && test -t 2 && ls -l /dev/console | cut -c1 && exec sleep 1000");
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({ "height": 7, "width": 33 });
    bundle.save();
    let listener = UnixListener::bind(bundle.folder.join("console")).expect("a socket");
    let receive = || {
        let (socket, _) = listener.accept().expect("a connection");
        let mut received = None;
        let mut take = |descriptor| received = Some(descriptor);
        hilum_sys::receive_with_fds(socket.as_fd(), &mut [0; 64], true, &mut take).expect("a message");
        fs::File::from(received.expect("a descriptor"))
    };
    assert!(bundle.text(&["create", "one"]).contains("console socket"), "a terminal without a socket is refused");
    let mut terminal = std::thread::scope(|scope| {
        let terminal = scope.spawn(receive);
        assert_eq!(bundle.text(&["create", "--console-socket", "console", "one"]), "");
        terminal.join().expect("a terminal")
    });
    let size = rustix::termios::tcgetwinsize(&terminal).expect("a terminal");
    assert_eq!((size.ws_row, size.ws_col), (7, 33));
    bundle.oci(&["start", "one"]);
    let mut said = [0; 1];
    terminal.read_exact(&mut said).expect("output");
    assert_eq!(said, *b"c", "/dev/console is a character device");
    let mut further = std::thread::scope(|scope| {
        let terminal = scope.spawn(receive);
        assert_eq!(
            bundle.text(&[
                "exec",
                "--detach",
                "--tty",
                "--console-socket",
                "console",
                "one",
                "sh",
                "-c",
                "test -t 1 && echo yes; exec sleep 5"
            ]),
            ""
        );
        terminal.join().expect("a terminal")
    });
    let mut said = [0; 3];
    further.read_exact(&mut said).expect("output");
    assert_eq!(said, *b"yes");
}

#[test]
fn namespaces_that_exist_are_entered() {
    let mut holder =
        Command::new("unshare").args(["--uts", "--ipc", "--net", "sleep", "100"]).spawn().expect("it runs");
    let mut bundle = Bundle::new();
    let kinds = [("uts", "uts"), ("ipc", "ipc"), ("network", "net")];
    let path = |file: &str| format!("/proc/{}/ns/{file}", holder.id());
    // Once sleep runs, it is in them.
    support::wait_for(|| fs::read_to_string(format!("/proc/{}/comm", holder.id())).is_ok_and(|name| name == "sleep\n"));
    for (kind, file) in kinds {
        let list = bundle.config["linux"]["namespaces"].as_array_mut().expect("a list");
        list.retain(|namespace| namespace["type"] != kind);
        list.push(json!({ "type": kind, "path": path(file) }));
    }
    let wanted: Vec<String> =
        kinds.map(|(_, file)| fs::read_link(path(file)).expect("a link").display().to_string()).to_vec();
    let bundle =
        bundle.script("cd /proc/self/ns; for kind in uts ipc net; do ls -l $kind | grep -o '[a-z]*:\\[.*'; done");
    let said = bundle.text(&["run", "one"]);
    let _ = holder.kill();
    let _ = holder.wait();
    assert_eq!(said.trim(), wanted.join("\n"));
}

#[test]
fn hooks_of_all_six_kinds_run_where_they_belong() {
    let mut bundle = Bundle::new().script("true");
    let log = bundle.folder.join("rootfs/hooks");
    // In the container the log has another path; each hook tells its mount namespace.
    let hook = |kind: &str, log: &str| {
        let script = format!("cat >/dev/null; echo {kind} $(ls -l /proc/self/ns/mnt | grep -o 'mnt:.*') >>{log}");
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"] }])
    };
    let outside = log.display().to_string();
    bundle.config["root"]["readonly"] = json!(false);
    bundle.config["hooks"] = json!({
        "prestart": hook("prestart", &outside), "createRuntime": hook("createRuntime", &outside),
        "createContainer": hook("createContainer", &outside), "startContainer": hook("startContainer", "/hooks"),
        "poststart": hook("poststart", &outside), "poststop": hook("poststop", &outside),
    });
    bundle.save();
    assert_eq!(bundle.text(&["run", "one"]), "");
    let said = fs::read_to_string(&log).expect("a file");
    let host = fs::read_link("/proc/self/ns/mnt").expect("a link").display().to_string();
    let found: Vec<(&str, bool)> = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(kind, namespace)| (kind, namespace == host))
        .collect();
    let wanted = [
        ("prestart", true),
        ("createRuntime", true),
        ("createContainer", false),
        ("startContainer", false),
        ("poststart", true),
        ("poststop", true),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn a_tmpfs_has_what_is_below_it_if_it_is_to() {
    let mut bundle = Bundle::new().script(
        "cat /data/folder/file; ls -l /data | cut -c1-10; cat /data/link; ls -ln /data/folder/file | grep -o ' 7 *8 '",
    );
    let data = bundle.folder.join("rootfs/data");
    fs::create_dir_all(data.join("folder")).expect("a folder");
    fs::write(data.join("folder/file"), "content\n").expect("a file");
    std::os::unix::fs::symlink("folder/file", data.join("link")).expect("a link");
    std::os::unix::fs::chown(data.join("folder/file"), Some(7), Some(8)).expect("an owner");
    bundle.config["mounts"].as_array_mut().expect("a list").push(
        json!({ "destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "nosuid"] }),
    );
    bundle.save();
    let said = bundle.text(&["run", "one"]);
    assert!(
        said.starts_with("content\n")
            && said.contains("lrwxrwxrwx")
            && said.matches("content").count() == 2
            && said.contains(" 7 "),
        "{said}"
    );
}

#[test]
fn a_descriptor_that_is_not_open_cannot_be_preserved() {
    let bundle = Bundle::new().script("exit 0");
    let mut command = Command::new("sh");
    let closed = "exec 3</dev/null 4>&- 5</dev/null; exec \"$@\"";
    command.args(["-c", closed, "sh", OCI, "--cgroup-manager", "disabled", "--root", "state"]);
    command.args(["run", "--preserve-fds", "3", "one"]);
    let said = String::from_utf8_lossy(&bundle.output(command).stderr).into_owned();
    assert_eq!(said.trim(), "--preserve-fds 3: descriptor 4 is not open");
}

/// `hilum-oci run one` with a pipe as standard input and output.
fn piped(bundle: &Bundle, arguments: &[&str]) -> std::process::Child {
    let mut command = Command::new(OCI);
    command.args(["--cgroup-manager", "disabled", "--root"]).arg(bundle.folder.join("state")).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir(&bundle.folder).spawn().expect("it runs")
}

#[test]
fn a_terminal_in_the_foreground_is_copied_to_the_standard_streams() {
    let script = "test -t 0 && test -t 1 && test -t 2 && read line && echo \"got $line\" && exit 5";
    let mut bundle = Bundle::new().script(script);
    bundle.config["process"]["terminal"] = json!(true);
    bundle.save();
    let answer = |arguments: &[&str]| {
        let mut running = piped(&bundle, arguments);
        running.stdin.take().expect("a pipe").write_all(b"hello\n").expect("it is read");
        let output = running.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(answer(&["run", "one"]), (Some(5), "hello\r\ngot hello\r\n".to_owned()));
    let bundle = sleeper();
    let further = |words: &[&str]| {
        let mut running = piped(&bundle, words);
        running.stdin.take().expect("a pipe").write_all(b"hello\n").expect("it is read");
        let output = running.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(further(&["exec", "--tty", "one", "sh", "-c", script]), (Some(5), "hello\r\ngot hello\r\n".to_owned()));
    // What the program left behind holds the terminal open, and is not waited for.
    let (status, said) = further(&["exec", "--tty", "one", "sh", "-c", "trap '' HUP; sleep 1000 & echo up"]);
    assert!(status == Some(0) && said.contains("up\r\n"), "{status:?} {said}");
}

#[test]
fn signals_of_the_foreground_go_to_the_program() {
    let script = "trap 'exit 7' TERM; echo up; while true; do sleep 0.02; done";
    let bundle = Bundle::new().script(script);
    let running = piped(&bundle, &["run", "one"]);
    bundle.wait_for("one", "running");
    // The trap is set once it has said so.
    let pid = rustix::process::Pid::from_child(&running);
    let mut output = running;
    let mut said = [0; 3];
    output.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("a line");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is sent");
    assert_eq!(output.wait().expect("it ends").code(), Some(7));
    assert_eq!(bundle.status("one"), "none");
}

#[test]
fn a_program_ignores_no_signal() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["args"] = json!(["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"]);
    bundle.save();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", OCI, "--cgroup-manager", "disabled", "--root", "state"]);
    command.args(["run", "one"]);
    let said = String::from_utf8_lossy(&bundle.output(command).stdout).into_owned();
    assert_eq!(said, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

/// `ENTRYPOINT ["./server"]` of an image with a `WORKDIR`.
#[test]
fn a_relative_program_counts_from_the_working_directory() {
    let mut bundle = Bundle::new();
    bundle.config["process"]["args"] = json!(["./sh", "-c", "echo inside"]);
    bundle.config["process"]["cwd"] = json!("/bin");
    bundle.config["process"]["terminal"] = json!(false);
    bundle.save();
    assert_eq!(bundle.text(&["run", "two"]), "inside\n");
    let bundle = sleeper();
    assert_eq!(bundle.text(&["exec", "--cwd", "/bin", "one", "./sh", "-c", "echo again"]), "again\n");
    let said = bundle.text(&["exec", "--cwd", "/tmp", "one", "./sh"]);
    assert!(said.contains("exec: \"./sh\": stat ./sh: no such file or directory"), "{said}");
}

/// systemd's own signal to power off is SIGRTMIN+4 of a C library, 38 of the kernel.
#[test]
fn real_time_signals_are_sent() {
    for (signal, number) in [("64", 64), ("SIGRTMIN+4", 38), ("34", 34)] {
        let bundle = Bundle::new().script(&format!("trap 'exit 7' {number}; while true; do sleep 0.01; done"));
        assert_eq!(bundle.text(&["create", "one"]), "");
        assert_eq!(bundle.text(&["start", "one"]), "");
        assert_eq!(bundle.text(&["kill", "one", signal]), "");
        // Without a handler the first process of a PID namespace gets no signal.
        support::wait_for(|| {
            bundle.oci(&["kill", "one", signal]);
            bundle.status("one") == "stopped"
        });
        assert_eq!(bundle.text(&["delete", "one"]), "");
    }
}
