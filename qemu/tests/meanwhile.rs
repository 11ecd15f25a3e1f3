//! What comes between two steps: a command while another one is carried out, an end while a workload is being set up, a
//! file that does not answer.

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::SOON;

/// A filesystem of which no file answers until it is dropped (FUSE, linux/fuse.h).
struct Silent {
    /// It is not even asked as long as nobody reads what it is asked.
    _device: File,
    folder: PathBuf,
}

impl Silent {
    fn at(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let mut command = Command::new("mount");
        command.args(["-i", "-t", "fuse", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other", "silent"]);
        let mounted = command.arg(folder).stdin(device.try_clone().expect("a copy")).status().expect("mount");
        assert!(mounted.success());
        Self { _device: device, folder: folder.to_owned() }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Whoever waits for an answer hears that there will be none.
        let _ = Command::new("umount").arg("-f").arg("-l").arg(&self.folder).status();
    }
}

#[test]
fn restart_during_a_reload_does_not_keep_the_old_configuration() {
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
    let console = namespace.console.expect("configuration taken over: 1 stopped, 1 new, 1 as before", SOON);
    let ended = reload.try_wait();
    let _ = reload.kill();
    let _ = reload.wait();
    console.unwrap_or_else(|error| panic!("{error} {ended:?}"));
    namespace.console.expect("a | ready", SOON).expect("the new one runs");
}

#[test]
fn workload_that_is_stopped_while_it_is_set_up_ends_at_once() {
    let host_root = host_or_return!();
    let silent = Silent::at(&host_root.scratch.path().join("silent"));
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
    assert!(!console.contains("not done in time"), "{console}");
}
