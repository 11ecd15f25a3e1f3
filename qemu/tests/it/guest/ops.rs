//! A board that is operated by ssh: OpenSSH's client on this host against the appliance `ops`, in one boot.

use super::boards::{text, tool};
use super::storage::debugfs;
use crate::support::{BOOT, boot_command, build_update};
use hilum::Architecture;
use hilum::update::Slot;
use hilum_initramfs::bundle;
use hilum_initramfs::progress::Progress;
use hilum_qemu::{Accelerator, Terminal, firmware};
use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

mod day;

/// The timeout for a command over ssh.
const SECONDS: &str = "120";
const SLOW: Duration = Duration::from_secs(120);

/// A copy of the appliance with slots, and the keys of a user.
struct Ops {
    folder: tempfile::TempDir,
    arch: Architecture,
    port: u16,
}

impl Ops {
    fn of(arch: Architecture) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let new = Self { folder, arch, port: crate::support::free_port() };
        for name in ["user", "archive", "stranger"] {
            tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&new.at(name))]);
        }
        // Making this one takes an emulated board half a minute.
        tool("ssh-keygen", &["-q", "-t", "rsa", "-N", "", "-f", text(&new.at("ssh_host_rsa_key"))]);
        let request = ["req", "-x509", "-nodes", "-subj", "/CN=hilum test", "-days", "2", "-newkey", "rsa:2048"];
        tool("openssl", &[&request[..], &["-keyout", text(&new.at("key")), "-out", text(&new.at("crt"))]].concat());
        new
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Builds a version of the appliance with slots. Returns the folder with the outputs.
    fn build(&self, version: u64) -> PathBuf {
        self.build_with(version, &|_| {})
    }

    /// The same after `change` has changed the copy of its folder.
    fn build_with(&self, version: u64, change: &dyn Fn(&Path)) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../initramfs/appliances/ops");
        let copy = self.at(&format!("ops-{version}"));
        tool("cp", &["-r", text(&source), text(&copy)]);
        let (config, description) = (copy.join("hilum.conf"), copy.join("appliance.toml"));
        let lines = std::fs::read_to_string(&config).expect("a configuration");
        let update = format!("hostname v{version}\nupdate after=1s within=600s");
        std::fs::write(config, lines.replace("hostname   ops", &update)).expect("a file");
        let lines = std::fs::read_to_string(&description).expect("a description");
        let update = format!("[update]\nversion = {version}\nkeys = [\"../crt\"]\nslot-size-mib = 64\n\n");
        std::fs::write(&description, lines.replacen("[[root]]", &(update + "[[root]]"), 1)).expect("a file");
        change(&copy);
        let output = self.at(&format!("version-{version}"));
        build_update(&format!("qemu-{}", self.arch.name()), &description, &output);
        output
    }

    fn bundle(&self, image: &Path) -> PathBuf {
        self.bundle_as(image, "bundle".to_owned())
    }

    fn bundle_as(&self, image: &Path, name: String) -> PathBuf {
        let order = bundle::Order {
            image: image.into(),
            keys: vec![self.at("key")],
            since: None,
            output: Some(self.at(&name)),
        };
        let mut quiet = |_: hilum_initramfs::progress::Event<'_>| {};
        let quiet = RefCell::new(&mut quiet as &mut dyn FnMut(hilum_initramfs::progress::Event<'_>));
        bundle::make(&order, &Progress::new(&quiet)).expect("a bundle").0
    }

    /// Returns OpenSSH's client or scp(1) as a user with a key, and nothing of this machine's configuration.
    fn client(&self, program: &str, key: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--foreground", SECONDS, program, "-F", "none", "-i", text(&self.at(key))]);
        let known = format!("UserKnownHostsFile={}", self.at("known").display());
        for option in [&known, "StrictHostKeyChecking=accept-new", "IdentitiesOnly=yes", "IdentityAgent=none"] {
            command.args(["-o", option]);
        }
        command.args([if program == "scp" { "-P" } else { "-p" }, &self.port.to_string()]).stdin(Stdio::null());
        command
    }

    fn ssh(&self, key: &str, words: &[&str]) -> Command {
        let mut command = self.client("ssh", key);
        command.arg("operator@127.0.0.1").args(words);
        command
    }
}

/// Runs a command, which must succeed. Returns its output.
fn done(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it can be run");
    let (said, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}: {said}{errors}");
    said.into_owned()
}

/// Returns where the partition with a name begins on a disk, in bytes.
fn partition(disk: &Path, name: &str) -> u64 {
    let table: serde_json::Value = serde_json::from_str(&tool("sfdisk", &["--json", text(disk)])).expect("JSON");
    let partitions = table["partitiontable"]["partitions"].as_array().expect("partitions");
    let found = partitions.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}: {table}"));
    found["start"].as_u64().expect("a sector") * 512
}

/// Replaces files of the site, as a person does who has the disk in another computer.
fn edit_site(disk: &Path, files: &[(&str, &Path)]) {
    let place = format!("{}@@{}", disk.display(), partition(disk, "site"));
    for (name, file) in files {
        tool("mcopy", &["-o", "-i", &place, text(file), &format!("::{name}")]);
    }
}

/// Puts the RSA key of the host into the volume on the data partition, as an earlier boot would have left it.
fn keep_host_key(ops: &Ops, disk: &Path) {
    let place = PathBuf::from(format!("{}?offset={}", disk.display(), partition(disk, "data")));
    for folder in ["volumes", "volumes/ssh"] {
        debugfs(&place, &format!("mkdir {folder}"));
    }
    for (name, mode) in [("ssh_host_rsa_key", "0100600"), ("ssh_host_rsa_key.pub", "0100644")] {
        debugfs(&place, &format!("write {} volumes/ssh/{name}", ops.at(name).display()));
        debugfs(&place, &format!("sif volumes/ssh/{name} mode {mode}"));
    }
    for name in ["", "/ssh_host_rsa_key", "/ssh_host_rsa_key.pub"] {
        debugfs(&place, &format!("sif volumes/ssh{name} uid 1000"));
        debugfs(&place, &format!("sif volumes/ssh{name} gid 1000"));
    }
    debugfs(&place, "sif volumes/ssh mode 040700");
}

#[test]
fn board_is_operated_by_ssh_x86_64() {
    let ops = Ops::of(Architecture::X86_64);
    let (one, bundle) = (ops.build(1), ops.bundle(&ops.build(2)));
    let disk = one.join("disk.img");
    keep_host_key(&ops, &disk);
    // As an editor of another system saves it.
    std::fs::write(ops.at("conf"), "hostname kitchen-%m\r\n").expect("a file");
    edit_site(&disk, &[("authorized_keys", &ops.at("user.pub")), ("site.conf", &ops.at("conf"))]);
    let start = firmware::direct(&disk, None, ops.folder.path()).expect("a slot");
    // An archive of the site names somebody else.
    let site = ops.at("site");
    let program = hilum_initramfs_program();
    let file = format!("/etc/authorized_keys={}", ops.at("archive.pub").display());
    tool(text(&program), &["site", "--file", &file, "--output", text(&site)]);
    let mut initramfs = std::fs::read(&start.initramfs).expect("the initramfs");
    initramfs.resize(initramfs.len().next_multiple_of(4), 0);
    initramfs.extend(std::fs::read(&site).expect("the archive"));
    std::fs::write(&start.initramfs, initramfs).expect("the initramfs");
    let mut command = hilum_qemu::command(Architecture::X86_64, Accelerator::Tcg);
    command.args(["-m", "512"]).args(hilum_qemu::writable_disk(&disk));
    command.args(hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{}-:22", ops.port)));
    start.add_to(&mut command, "");
    let booted = boot_command(command, "stdio");
    booted.vm.console.expect("from /etc/hilum.conf and /site/site.conf", BOOT).expect("the file of the site is used");
    booted.vm.console.expect("workload \"ssh\": ready", BOOT).expect("it listens");
    assert!(done(ops.ssh("archive", &["status", "ssh"])).contains("ready"), "the key of the archive");
    looks_around(&ops);
    nobody_else_gets_in(&ops);
    prompt_is_the_shell(&ops);
    // A file in both directions, to the volume.
    let sent = ops.at("user.pub");
    let copy = |from: &str, to: &str| {
        let mut scp = ops.client("scp", "user");
        scp.args([from, to]);
        done(scp)
    };
    copy(text(&sent), "operator@127.0.0.1:kept");
    copy("operator@127.0.0.1:kept", text(&ops.at("back")));
    assert_eq!(std::fs::read(sent).ok(), std::fs::read(ops.at("back")).ok());
    // The last word, because the board restarts into the new slot, and the connection may end before the command.
    let mut update = ops.ssh("user", &["hilum", "update"]);
    let output = update.stdin(File::open(&bundle).expect("a bundle")).output().expect("ssh");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let until = Instant::now() + SLOW;
    loop {
        let record = firmware::record(&disk).expect("a record");
        if (record.version(Slot::B), record.trial()) == (2, Some(Slot::B)) {
            break;
        }
        assert!(Instant::now() < until, "{said}\n{}", booted.vm.console.tail());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Commands, their exit statuses, and the keys of the host: one that is kept, and those that were missing.
fn looks_around(ops: &Ops) {
    let json = done(ops.ssh("user", &["hilum", "status", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["workloads"][1]["state"], "ready", "{json}");
    assert!(json["workloads"][1]["memory"].as_u64().is_some_and(|bytes| bytes > 0), "counters of cgroups: {json}");
    assert_eq!(json["slots"]["running"], "a", "{json}");
    assert!(done(ops.ssh("user", &["log", "hostkeys"])).contains("generating new host keys: ECDSA ED25519"));
    let failed = ops.ssh("user", &["hilum", "status", "none"]).output().expect("ssh");
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&failed.stderr), "hilum: unknown workload \"none\"; see: hilum status\n");
    let own = std::fs::read_to_string(ops.at("ssh_host_rsa_key.pub")).expect("a key");
    let scanned = done({
        let mut scan = Command::new("ssh-keyscan");
        scan.args(["-t", "rsa", "-p", &ops.port.to_string(), "127.0.0.1"]);
        scan
    });
    assert!(scanned.contains(own.split(' ').nth(1).expect("a key")), "{scanned}");
    // It runs nothing but commands of hilum.
    let other = ops.ssh("user", &["/usr/bin/ssh-keygen"]).output().expect("ssh");
    assert_eq!(other.status.code(), Some(2));
}

/// No other key, no other user, no password.
fn nobody_else_gets_in(ops: &Ops) {
    let mut root = ops.client("ssh", "user");
    root.args(["root@127.0.0.1", "status"]);
    for mut refused in [ops.ssh("stranger", &["status"]), root] {
        let output = refused.output().expect("ssh");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{said}");
        assert!(said.contains("Permission denied (publickey)."), "no password is asked for: {said}");
    }
}

/// `ssh board` is the prompt, which Ctrl-D ends.
fn prompt_is_the_shell(ops: &Ops) {
    let mut command = ops.client("ssh", "user");
    command.args(["-t", "operator@127.0.0.1"]);
    let mut terminal = Terminal::start(command, 24, 80).expect("a terminal");
    terminal.screen.expect("hilum> ", SLOW).expect("the prompt");
    terminal.type_text("status hostkeys\r").expect("keys");
    terminal.screen.expect("finished", SLOW).expect("an answer");
    // Only then each key counts: before, the terminal waits for whole lines.
    crate::support::wire::until("the next prompt", || terminal.screen.text().ends_with("hilum> "));
    terminal.type_text("\x04").expect("keys");
    let (status, screen) = terminal.wait(SLOW).expect("it ends");
    assert_eq!(status.code(), Some(0), "{screen}");
}

/// Returns the image builder's program.
fn hilum_initramfs_program() -> PathBuf {
    crate::support::built("tools/hilum-initramfs")
}
