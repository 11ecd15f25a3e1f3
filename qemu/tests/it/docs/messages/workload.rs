//! Errors that occur when a workload starts, reported by a PID 1 on this host.

use super::Told;
use crate::support::{Host, SOON, probe};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

pub(crate) fn told() -> Vec<Told> {
    let host = Host::new().expect("namespaces");
    furnish(&host);
    let folder = host.scratch.path().to_str().expect("UTF-8").to_owned();
    let run = |config: &str, is_it: &dyn Fn(&str) -> bool| {
        let (_, console) = host.run(config);
        let line = console.lines().find(|line| is_it(line)).unwrap_or_else(|| panic!("{config}\n{console}"));
        line.replace(&format!("{folder}/"), "/")
    };
    let about = |line: &str| line.starts_with("hilum: workload \"web\": ") && !line.contains(": started");
    let web = |root: &str, lines: &str| {
        let config = format!("hilum 1\n[system]\nidle poweroff\n[workload web]\nroot {root}\n{lines}\nrestart never\n");
        run(&config.replace("FOLDER", &folder), &about)
    };
    let exec = |program: &str| web("ROOT", &format!("exec {program}"));
    let line = |line: &str| web("ROOT", &format!("exec /bin/probe exit 0\n{line}"));
    let db = format!("[workload db]\nroot {folder}/none\nexec /bin/probe\nrestart never\n");
    vec![
        ("The root filesystem does not exist", web("/images/web", "exec /bin/probe")),
        ("The root filesystem is a file, but no image", web("FOLDER/text", "exec /bin/probe")),
        ("The path of the root filesystem contains a symbolic link", web("FOLDER/link", "exec /bin/probe")),
        ("The root filesystem has no folder /dev", web("FOLDER/bare", "exec /bin/probe")),
        ("The root filesystem has a symbolic link as a mount point", web("FOLDER/linked", "exec /bin/probe")),
        ("The program is not in the root filesystem", exec("/bin/none")),
        ("The program is not executable", exec("/bin/plain")),
        ("The program was built for another architecture", exec("/bin/foreign")),
        ("The program is a text file", exec("/bin/text")),
        ("The script's interpreter is not in the root filesystem", exec("/bin/script")),
        ("The user may not execute the program", web("ROOT", "exec /bin/private\nuser 1000")),
        ("The working directory does not exist", line("directory /srv")),
        ("The source of a mount does not exist", line("mount /nowhere /tmp")),
        ("The mount point does not exist", line("mount /etc /data")),
        ("The folder of volumes does not exist", {
            let config = format!(
                "hilum 1\n[system]\nidle poweroff\nvolumes {folder}/vol/umes\n[workload web]\nroot ROOT\nexec /bin/probe exit 0\nvolume web /tmp\nrestart never\n"
            );
            run(&config, &about)
        }),
        ("The overlay's folder does not exist", web("ROOT overlay=FOLDER/none", "exec /bin/probe exit 0")),
        ("The device does not exist", line("device /dev/ttyUSB9")),
        ("The kernel cannot enforce a limit", line("memory 32M")),
        ("The workload is not ready in time", web("ROOT", "exec /bin/probe on-term\nready notify within=100ms")),
        (
            "The health check fails",
            web("ROOT", "exec /bin/probe on-term\nhealth file /tmp/alive interval=100ms failures=1"),
        ),
        ("The workload exits with an error", exec("/bin/probe exit 3")),
        ("The workload exits after each restart", {
            let config = "hilum 1\n[system]\nidle poweroff\n[workload web]\nroot ROOT\nexec /bin/probe exit 3\nrestart always delay=1ms max=1ms limit=2/60s\n";
            run(config, &|line| line.contains("gave up"))
        }),
        ("A needed workload failed", {
            let config =
                format!("hilum 1\n[system]\nidle poweroff\n{db}[workload web]\nroot ROOT\nexec /bin/probe\nneeds db\n");
            run(&config, &about)
        }),
        ("The workload ignores the stop signal", stubborn(&host)),
        ("The configuration of PID 1 does not exist", boot(&host, None)),
        ("The configuration of PID 1 is wrong", boot(&host, Some("hilum 1\n[workload web]\nrot /r\n"))),
    ]
}

/// Creates erroneous files in the scratch folder.
fn furnish(host: &Host) {
    let (folder, root) = (host.scratch.path(), host.root());
    let write = |path: &Path, bytes: &[u8], mode: u32| {
        std::fs::write(path, bytes).expect("a file");
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("its mode");
    };
    let program = std::fs::read(probe(crate::support::host())).expect("the probe");
    write(&folder.join("text"), "no filesystem ".repeat(1_000).as_bytes(), 0o644);
    symlink(&root, folder.join("link")).expect("a link");
    for folder in [folder.join("bare/bin"), folder.join("linked/bin")] {
        std::fs::create_dir_all(&folder).expect("a folder");
        write(&folder.join("probe"), &program, 0o755);
    }
    symlink("/bin", folder.join("linked/dev")).expect("a link");
    for place in ["proc", "run", "sys", "tmp"] {
        std::fs::create_dir(folder.join("linked").join(place)).expect("a folder");
    }
    let mut foreign = program.clone();
    // e_machine of the ELF header: 0xf3 is RISC-V.
    foreign[18..20].copy_from_slice(&[0xf3, 0]);
    write(&root.join("bin/foreign"), &foreign, 0o755);
    write(&root.join("bin/plain"), &program, 0o644);
    write(&root.join("bin/private"), &program, 0o700);
    write(&root.join("bin/text"), b"text", 0o755);
    write(&root.join("bin/script"), b"#!/bin/none\n", 0o755);
}

/// Returns the message about a workload that ignores its stop signal.
fn stubborn(host: &Host) -> String {
    let mut running = host.start("hilum 1\n[workload web]\nroot ROOT\nexec /bin/probe ignore-term\nstop TERM 100ms\n");
    running.console.expect("web | ready", SOON).expect("it starts");
    running.signal(rustix::process::Signal::TERM).expect("it runs");
    let (_, console) = running.wait(SOON).expect("it ends");
    console.lines().find(|line| line.contains("stop timed out")).expect("its line").to_owned()
}

/// Returns the first line of a boot that fails before its workloads start.
fn boot(host: &Host, config: Option<&str>) -> String {
    let file = host.configure(config.unwrap_or_default());
    if config.is_none() {
        std::fs::remove_file(&file).expect("it was there");
    }
    let running = hilum_qemu::Namespace::start(&crate::support::hilum(crate::support::host()), &file, &[]);
    let mut running = running.expect("unshare");
    running.console.expect("in 10 s", SOON).expect("the policy");
    running.signal(rustix::process::Signal::TERM).expect("it runs");
    let (_, console) = running.wait(SOON).expect("it ends");
    let line = console.lines().find(|line| line.contains("hilum.conf")).expect("its line");
    line.replace(&format!("{}/", host.scratch.path().display()), "")
}
