//! The board's own filesystems on real disks: found by name, waited for, repaired, reformatted, and the behaviour
//! without them.
//!
//! What others do: systemd makes a mount unit of each line of fstab(5), which waits for its device for
//! `x-systemd.device-timeout=` (90 s by default); without `nofail` its failure is that of local-fs.target, and the boot ends in
//! emergency mode. `RequiresMountsFor=` delays only what needs it. systemd-fsck@.service repairs by fsck(8) before the mount, and
//! `x-systemd.makefs` makes a filesystem where there is no signature of another one. mount(8) finds disks by label and id with
//! libblkid. systemd-shutdown(8) unmounts, and remounts read-only what stays busy.

use crate::support::{BOOT, Booted, USUAL, boot_with, facts, fetched, has_line, image, needed_modules};
use hilum_initramfs::{Image, filesystem};
use hilum_qemu::Architecture;
use std::path::{Path, PathBuf};
use std::process::Command;

on_both!(
    disks_are_found_by_label_uuid_and_partition,
    waiting_for_a_late_disk_delays_only_its_workloads,
    disk_with_errors_is_repaired_or_mounted_read_only,
    empty_disk_is_formatted_to_its_full_size,
    volume_keeps_its_contents,
    filesystem_is_clean_after_an_orderly_shutdown,
);
on_both_long!(
    aarch64:
    missing_disk_is_reported_and_its_workloads_stay_down,
    pid_1_sleeps_while_waiting_for_a_disk,
    shutdown_while_waiting_for_a_disk_is_immediate,
    overlay_on_a_disk_is_kept
);

const MODULES: &str = "module virtio_pci\nmodule virtio_blk\n";

/// Returns a board with these lines in [system] and these sections, and the modules they need.
pub(super) fn board(arch: Architecture, system: &str, sections: &str) -> Image {
    let config = format!("hilum 1\n[system]\nidle poweroff\n{MODULES}{system}\n{sections}");
    let mut image = image(arch, &config);
    needed_modules(arch, USUAL, &mut image, &config);
    image.folder("images/probe/data", 0o755);
    image
}

pub(super) fn section(name: &str, exec: &str, lines: &str) -> String {
    format!("[workload {name}]\nroot /images/probe\nexec /bin/probe {exec}\nrestart never\n{lines}\n")
}

/// Creates an ext4 filesystem of 32 MiB with this label in a file.
pub(super) fn ext4(file: &Path, label: &str) -> PathBuf {
    let bytes = 32 << 20;
    std::fs::File::create(file).and_then(|file| file.set_len(bytes)).expect("a file");
    filesystem::make_ext4(file, label, bytes).expect("mke2fs");
    file.to_owned()
}

pub(super) fn tool(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(super) fn debugfs(disk: &Path, request: &str) -> String {
    tool("debugfs", &["-w", "-R", request, disk.to_str().expect("UTF-8")])
}

/// Puts a root filesystem with the probe into a folder of a disk.
pub(super) fn put_root(arch: Architecture, disk: &Path, folder: &str) {
    for name in ["", "/bin", "/data", "/dev", "/proc", "/run", "/sys", "/tmp"] {
        debugfs(disk, &format!("mkdir {folder}{name}"));
    }
    debugfs(disk, &format!("write {} {folder}/bin/probe", crate::support::probe(arch).display()));
    debugfs(disk, &format!("sif {folder}/bin/probe mode 0100755"));
}

/// Boots with writable disks.
pub(super) fn boot(arch: Architecture, image: &Image, disks: &[&Path]) -> Booted {
    let mut words: Vec<String> = vec!["-device".into(), "pcie-root-port,id=plug".into()];
    for (number, disk) in disks.iter().enumerate() {
        words.push("-drive".into());
        words.push(format!("file={},format=raw,if=none,id=disk{number}", disk.display()));
        words.push("-device".into());
        words.push(format!("virtio-blk-pci,drive=disk{number}"));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    boot_with(arch, USUAL, image, "", None, &words)
}

pub(super) fn run(arch: Architecture, image: &Image, disks: &[&Path]) -> String {
    boot(arch, image, disks).vm.wait(BOOT).expect("it ends by itself")
}

fn disks_are_found_by_label_uuid_and_partition(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (one, two) = (ext4(&scratch.path().join("1"), "one"), ext4(&scratch.path().join("2"), "two"));
    // A disk with two partitions; the second one has the filesystem.
    let three = ext4(&scratch.path().join("3"), "three");
    let disk = scratch.path().join("disk");
    let id = "0f010203-0405-4607-8809-0a0b0c0d0e0f";
    std::fs::File::create(&disk).and_then(|file| file.set_len(64 << 20)).expect("a file");
    let table = format!("label: gpt\nstart=2048, size=2048\nstart=8192, size=65536, uuid={id}\n");
    let script = scratch.path().join("table");
    std::fs::write(&script, table).expect("a file");
    let command = format!(
        "sfdisk -q {0} < {1} && dd status=none conv=notrunc bs=512 seek=8192 of={0} if={2}",
        disk.display(),
        script.display(),
        three.display()
    );
    assert_eq!(tool("sh", &["-c", &command]), "");
    for (disk, name) in [(&one, "one"), (&two, "two")] {
        std::fs::write(scratch.path().join("name"), name).expect("a file");
        debugfs(disk, &format!("write {} name", scratch.path().join("name").display()));
    }
    let uuid = filesystem::uuid("ext4 two");
    let system = format!("mount LABEL=one /a ext4\nmount UUID={uuid} /b ext4 ro\nmount PARTUUID={id} /c ext4 exec\n");
    let look = "do read:/data/name read:/proc/self/mountinfo";
    let sections = [
        section("one", look, "mount /a /data"),
        section("two", look, "mount /b /data"),
        section("three", "do make:/data/new", "mount /c /data rw\nuser 0\nshare user"),
        section("root", "do make:/new", "").replace("root /images/probe", "root LABEL=four"),
    ];
    // A root filesystem by its label as well.
    let four = ext4(&scratch.path().join("4"), "four");
    put_root(arch, &four, "");
    let console = run(arch, &board(arch, &system, &sections.concat()), &[&four, &disk, &two, &one]);
    has_line(&console, "hilum: mount /a: ext4 on /dev/vdd");
    has_line(&console, "hilum: mount /b: ext4 on /dev/vdc");
    has_line(&console, "hilum: mount /c: ext4 on /dev/vdb2");
    has_line(&console, "one | content /data/name one");
    has_line(&console, "two | content /data/name two");
    has_line(&console, "three | did make:/data/new 0");
    has_line(&console, "root | did make:/new 30");
}

fn waiting_for_a_late_disk_delays_only_its_workloads(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = ext4(&scratch.path().join("disk"), "late");
    let there = ext4(&scratch.path().join("there"), "there");
    let sections = [
        section("early", "do make:/data/new", "mount /there /data rw\nshare user"),
        section("data", "do make:/data/new", "mount /late /data rw\nshare user"),
        section("other", "do say:here", ""),
    ];
    let system = "mount LABEL=late /late ext4 wait=60s\nmount LABEL=there /there ext4";
    let mut booted = boot(arch, &board(arch, system, &sections.concat()), &[&there]);
    booted.vm.console.expect("mount /late: waiting up to 60 s for LABEL=late", BOOT).expect("it waits");
    booted.vm.console.expect("workload \"other\": exited with status 0", BOOT).expect("the other one ran");
    booted.vm.console.expect("early | did make:/data/new 0", BOOT).expect("the disk that is there is enough");
    booted.vm.plug_disk(&disk, "plug").expect("a disk");
    let console = booted.vm.wait(BOOT).expect("it ends by itself");
    has_line(&console, "hilum: mount /there: ext4 on /dev/vda");
    has_line(&console, "hilum: mount /late: ext4 on /dev/vdb");
    has_line(&console, "data | did make:/data/new 0");
}

fn missing_disk_is_reported_and_its_workloads_stay_down(arch: Architecture) {
    let sections = [
        section("data", "do say:here", "mount /a/x /data rw"),
        section("volume", "do say:here", "volume v /data"),
        section("memory", "do make:/data/new", "mount /b /data rw\nshare user"),
        section("other", "do say:here", ""),
    ];
    let system = "volumes /a/volumes\nmount LABEL=none /a ext4 wait=300ms\nmount /dev/none /b ext4 wait=1s else=tmpfs";
    let booted = boot(arch, &board(arch, system, &sections.concat()), &[]);
    booted.vm.console.expect("memory | did make:/data/new 0", BOOT).expect("it has memory instead");
    booted.vm.console.expect("workload \"other\": exited with status 0", BOOT).expect("the other one ran");
    let console = booted.vm.console.text();
    has_line(&console, "hilum: mount /a: waiting up to 1 s for LABEL=none");
    has_line(&console, "hilum: mount /a: LABEL=none: ENOENT (no such file or directory)");
    has_line(&console, "hilum: mount /a: not mounted; workloads that use it wait for it");
    has_line(&console, "hilum: mount /b: /dev/none: ENOENT (no such file or directory)");
    has_line(&console, "hilum: mount /b: using tmpfs instead; data will not survive a reboot");
    for name in ["data", "volume"] {
        assert!(!console.contains(&format!("hilum: workload \"{name}\": ")), "{name} starts or fails: {console}");
    }
}

fn pid_1_sleeps_while_waiting_for_a_disk(arch: Architecture) {
    // The helper that waits for the disk was created while the others ran: it may hold descriptors that were closed
    // after they exited.
    let sections = [
        section("data", "do say:here", "mount /a /data"),
        section("over", "do sleep:500", ""),
        section("ready", "do sleep:200 ready-fd:5 sleep:500", "ready fd 5"),
        section("notify", "do sleep:500", "ready notify"),
        section("look", "do sleep:3000 read:/proc/1/stat sleep:2000 read:/proc/1/stat", "share pid"),
    ];
    let booted = boot(arch, &board(arch, "mount LABEL=none /a ext4 wait=15s", &sections.concat()), &[]);
    booted.vm.console.expect("workload \"look\": exited", BOOT).expect("it looks");
    let console = booted.vm.console.text();
    // Its processor time in hundredths of a second (proc(5)): nearly two hundred in two seconds, if its loop spins.
    let looks = console.lines().filter(|line| line.starts_with("look | content "));
    let looks: Vec<u32> = looks.map(crate::support::ticks_in).collect();
    assert!(matches!(looks[..], [before, after] if after < before + 100), "{looks:?} in {console}");
}

fn shutdown_while_waiting_for_a_disk_is_immediate(arch: Architecture) {
    // Ten minutes are longer than the timeout of this test.
    let console = run(arch, &board(arch, "mount LABEL=none /a ext4 wait=10m", &section("a", "do sleep:1000", "")), &[]);
    has_line(&console, "hilum: mount /a: LABEL=none: ECANCELED (operation canceled): shutting down");
    has_line(&console, "hilum: power off");
}

fn disk_with_errors_is_repaired_or_mounted_read_only(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = |name: &str| {
        let disk = ext4(&scratch.path().join(name), name);
        debugfs(&disk, "mkdir lost");
        // A folder whose inode is marked as free, and the kernel's error flag.
        debugfs(&disk, "clri lost");
        debugfs(&disk, "ssv state 2");
        disk
    };
    let [repaired, read, kept, cut] = ["repaired", "read", "kept", "cut"].map(disk);
    // The first superblock is lost; there are backups.
    let file = std::fs::OpenOptions::new().write(true).open(&cut).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 1024], 1024).expect("it is ours");
    let system = "mount /dev/vda /a ext4\nmount /dev/vdb /b ext4 check=ro\nmount /dev/vdc /c ext4 ro\n\
                  mount /dev/vdd /d ext4 check=ro else=tmpfs";
    let sections = [
        section("a", "do make:/data/new", "mount /a /data rw\nshare user"),
        section("b", "do make:/data/new", "mount /b /data rw\nshare user"),
        section("last", "do sleep:4000", ""),
    ];
    let mut with_tool = board(arch, system, &sections.concat());
    let without_tool = with_tool.clone();
    let e2fsck = std::fs::read(fetched(arch, USUAL, "e2fsck")).expect("e2fsck");
    with_tool.file("sbin/e2fsck", 0o755, e2fsck);
    let copy = scratch.path().join("copy");
    std::fs::copy(&repaired, &copy).expect("a copy");
    let console = run(arch, &with_tool, &[&repaired, &read, &kept, &cut]);
    has_line(&console, "hilum: mount /a: /dev/vda: filesystem errors; repairing it");
    has_line(&console, "hilum: mount /a: /dev/vda: repaired");
    has_line(&console, "hilum: mount /a: ext4 on /dev/vda");
    has_line(&console, "hilum: mount /b: /dev/vdb read-only: filesystem errors");
    has_line(&console, "hilum: mount /c: ext4 on /dev/vdc");
    has_line(&console, "hilum: mount /d: /dev/vdd as ext4: no filesystem");
    has_line(&console, "hilum: mount /d: using tmpfs instead; data will not survive a reboot");
    has_line(&console, "a | did make:/data/new 0");
    has_line(&console, "b | did make:/data/new 30");
    let disk = repaired.to_str().expect("UTF-8");
    assert!(Command::new("e2fsck").args(["-f", "-n", disk]).output().expect("e2fsck").status.success());
    let console = run(arch, &without_tool, &[&copy, &read, &kept, &cut]);
    has_line(&console, "hilum: mount /a: /dev/vda: the image has no /sbin/e2fsck");
    has_line(&console, "hilum: mount /a: /dev/vda read-only: filesystem errors");
    has_line(&console, "a | did make:/data/new 30");
}

fn empty_disk_is_formatted_to_its_full_size(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (disk, small) = (scratch.path().join("disk"), scratch.path().join("small"));
    // Its contents do not matter.
    std::fs::write(&disk, vec![0x5a; 300 << 20]).expect("a disk");
    std::fs::write(&small, vec![0; 8 << 20]).expect("a disk");
    let system = "mount /dev/vda /a ext4 check=reformat\nmount /dev/vdb /b ext4 check=reformat\n\
                  mount /dev/vda /c ext4 check=reformat wait=100ms";
    let sections = section("a", "do make:/data/new sleep:3000", "mount /a /data rw\nshare user");
    let mut image = board(arch, system, &sections);
    for name in ["a", "b"] {
        image.file(&format!("lib/filesystems/{name}"), 0o644, filesystem::blueprint("data").expect("mke2fs"));
    }
    let console = run(arch, &image, &[&disk, &small]);
    has_line(&console, "hilum: mount /a: /dev/vda: no filesystem; reformatting it as ext4");
    has_line(&console, "hilum: mount /a: ext4 on /dev/vda");
    has_line(&console, "hilum: mount /b: /dev/vdb: ENOSPC (no space left on device)");
    has_line(&console, "hilum: mount /b: /dev/vdb as ext4: no filesystem");
    // A failure is not repeated, and reported once.
    assert_eq!(console.matches("hilum: mount /b: not mounted").count(), 1, "{console}");
    has_line(&console, "a | did make:/data/new 0");
    let facts = tool("dumpe2fs", &["-h", disk.to_str().expect("UTF-8")]);
    assert!(facts.contains("Block count:              76800"), "{facts}\n{console}");
    let checked = tool("e2fsck", &["-f", "-n", disk.to_str().expect("UTF-8")]);
    assert!(checked.contains("data: ") && !checked.contains("WARNING"), "{checked}");
    assert!(debugfs(&disk, "ls").contains("new"));
    // The second time it is a filesystem, and its contents are kept.
    let console = run(arch, &image, &[&disk, &small]);
    assert!(!console.contains("/dev/vda: no filesystem"), "{console}");
    has_line(&console, "hilum: mount /a: ext4 on /dev/vda");
    assert!(debugfs(&disk, "ls").contains("new"));
}

fn volume_keeps_its_contents(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = ext4(&scratch.path().join("disk"), "data");
    let system = "mount LABEL=data /data ext4\nvolumes /data/volumes";
    let sections = [
        section(
            "first",
            "do owner:/data make:/data/new owner:/data/new chmod:/data exec:/data/new",
            "volume own /data\nuser 1000:1001",
        ),
        section("second", "do make:/data/new", "volume other /data"),
        section(
            "third",
            "do sleep:500 make:/data/third owner:/data/third",
            "volume own /data\nuser 1005\nids 1000000\nafter first",
        ),
    ];
    let image = board(arch, system, &sections.concat());
    let console = run(arch, &image, &[&disk]);
    has_line(&console, "first | did owner:/data 0");
    has_line(&console, "first | owner /data 1000:1001");
    has_line(&console, "first | owner /data/new 1000:1001");
    assert!(!console.contains("first | did exec:/data/new 0"), "{console}");
    has_line(&console, "second | did make:/data/new 0");
    // On the disk it belongs to the workload's own user id, whatever ids the host assigned.
    let found = debugfs(&disk, "stat volumes/own/new");
    assert!(found.contains("User:  1000   Group:  1001"), "{found}");
    let again = sections[0].replace("exec /bin/probe do", "exec /bin/probe do read:/data/new remove:/data/new");
    let image = board(arch, system, &again);
    let console = run(arch, &image, &[&disk]);
    assert_eq!(facts(&console, "first", "none"), Vec::<String>::new());
    has_line(&console, "first | did remove:/data/new 0");
}

/// On a filesystem that maps owners, files of the workload's user 0 belong to user 0 on the disk, whatever ids the host
/// assigned.
fn overlay_on_a_disk_is_kept(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = ext4(&scratch.path().join("disk"), "data");
    debugfs(&disk, "mkdir layer");
    put_root(arch, &disk, "/root");
    let layered = |exec: &str, lines: &str| {
        section("first", exec, lines).replace("root /images/probe", "root /data/root overlay=/data/layer")
    };
    let system = "mount LABEL=data /data ext4 exec";
    let console = run(arch, &board(arch, system, &layered("do make:/data/new copy:/bin/probe:/bin/own", "")), &[&disk]);
    has_line(&console, "first | did make:/data/new 0");
    has_line(&console, "first | did copy:/bin/probe:/bin/own 0");
    let found = debugfs(&disk, "stat layer/upper/data/new");
    assert!(found.contains("User:     0   Group:     0"), "{found}");
    let again = "do owner:/data/new exec:/bin/own remove:/bin/probe";
    let console = run(arch, &board(arch, system, &layered(again, "ids 1000000")), &[&disk]);
    has_line(&console, "first | owner /data/new 0:0");
    has_line(&console, "first | did remove:/bin/probe 0");
    // The kernel would mount it read-only, and only report that in its log.
    const IMMUTABLE: u32 = 0x10;
    let found = debugfs(&disk, "stat layer/work");
    let flags = found.split("Flags: 0x").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("its flags");
    let flags = u32::from_str_radix(flags, 16).expect("a number") | IMMUTABLE;
    debugfs(&disk, &format!("sif layer/work flags {flags:#x}"));
    let console = run(arch, &board(arch, system, &layered(again, "")), &[&disk]);
    let line = "hilum: workload \"first\": mount overlay /data/layer: EROFS (read-only file system): ";
    assert!(console.contains(line), "{console}");
}

fn filesystem_is_clean_after_an_orderly_shutdown(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = ext4(&scratch.path().join("disk"), "data");
    let system = "mount LABEL=data /data ext4\nlog /data/log";
    // A workload that keeps writing is killed at shutdown.
    let sections = [
        section(
            "writer",
            "do open:/data/log:r make:/data/new ready-fd:5 stay",
            "mount /data /data rw\nshare user\nready fd 5\nstop TERM 100ms",
        ),
        section("ender", "do say:good exit:1", "needs writer")
            .replace("restart never", "restart on-failure delay=10ms limit=1/60s else=poweroff"),
    ];
    let console = run(arch, &board(arch, system, &sections.concat()), &[&disk]);
    has_line(&console, "hilum: mount /data: ext4 on /dev/vda");
    let facts = tool("dumpe2fs", &["-h", disk.to_str().expect("UTF-8")]);
    assert!(facts.contains("clean") && !facts.contains("needs_recovery"), "{facts}");
    // The log is on a disk that was mounted after the first lines, and contains them.
    let log = debugfs(&disk, "cat log");
    assert!(log.contains("mount /data: ext4 on") && log.contains("ender | good"), "{log}");
}
