//! A bundle and the commands on it.

#![allow(dead_code, reason = "each test program uses a part")]

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const OCI: &str = env!("CARGO_BIN_EXE_hilum-oci");

/// A bundle with busybox, and a folder for the states of its containers.
pub(crate) struct Bundle {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its config.json, which `save` writes.
    pub(crate) config: Value,
}

impl Bundle {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("hilum-oci-{}-{number}", std::process::id()));
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let busybox = top.join(format!("build/image/{}/busybox/bin/busybox", std::env::consts::ARCH));
        for name in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir_all(folder.join("rootfs").join(name)).expect("a folder");
        }
        fs::copy(&busybox, folder.join("rootfs/bin/busybox")).expect("busybox, made by: make install-test");
        for name in ["sh", "cat", "cut", "sort", "sleep", "hostname", "grep", "id", "ls", "mkdir", "true", "touch"] {
            symlink("busybox", folder.join("rootfs/bin").join(name)).expect("a link");
        }
        let made = Command::new(OCI).args(["spec", "-b"]).arg(&folder).status().expect("it runs");
        assert!(made.success());
        let text = fs::read(folder.join("config.json")).expect("a file");
        Self { folder, config: serde_json::from_slice(&text).expect("JSON") }
    }

    pub(crate) fn script(mut self, script: &str) -> Self {
        self.config["process"]["args"] = json!(["sh", "-c", script]);
        self.save();
        self
    }

    pub(crate) fn save(&self) {
        fs::write(self.folder.join("config.json"), self.config.to_string()).expect("a file");
    }

    /// Runs a command. Its output goes to files, because a container that stays keeps the descriptors open.
    pub(crate) fn oci(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command
            .args(["20", OCI, "--cgroup-manager", "disabled", "--root"])
            .arg(self.folder.join("state"))
            .args(arguments);
        self.output(command)
    }

    pub(crate) fn output(&self, mut command: Command) -> Output {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let [out, error] = ["out", "error"].map(|name| self.folder.join(format!("{name}-{number}")));
        command.stdin(Stdio::null()).stdout(fs::File::create(&out).expect("a file"));
        command.stderr(fs::File::create(&error).expect("a file")).current_dir(&self.folder);
        let status = command.status().expect("it runs");
        Output { status, stdout: fs::read(out).expect("a file"), stderr: fs::read(error).expect("a file") }
    }

    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.oci(arguments);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    pub(crate) fn status(&self, id: &str) -> String {
        let state: Value = serde_json::from_str(&self.text(&["state", id])).unwrap_or_default();
        state["status"].as_str().unwrap_or("none").to_owned()
    }

    pub(crate) fn wait_for(&self, id: &str, status: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.status(id) != status {
            assert!(Instant::now() < deadline, "it is {} instead of {status}", self.status(id));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// crun in a mount namespace whose only cgroup hierarchy is an empty folder: it looks for one even if it is not to use it.
    pub(crate) fn crun(&self, id: &str) -> Output {
        let script = "umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup; exec timeout 20 crun --cgroup-manager=disabled --root \"$0\" run \"$1\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(self.folder.join("crun"));
        command.arg(id);
        self.output(command)
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.folder.join("state")).into_iter().flatten().flatten() {
            self.oci(&["delete", "--force", &entry.file_name().to_string_lossy()]);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Waits at most ten seconds.
pub(crate) fn wait_for(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "it takes longer than ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}
