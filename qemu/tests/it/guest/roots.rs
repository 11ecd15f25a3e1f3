//! Root filesystems on a machine: image files of three kinds, a block device, writable layers, folders of the board,
//! devices.

use crate::support::{BOOT, MODULAR, USUAL, boot_on, facts, has_line, image, modules, probe, run, run_on};
use hilum_initramfs::Image;
use hilum_qemu::Architecture;
use std::path::Path;
use std::process::Command;

on_both!(
    image_files_become_read_only_roots_with_mapped_owners,
    block_device_becomes_a_root,
    broken_or_unknown_images_are_reported,
    overlay_in_memory_is_lost_with_the_workload,
    overlay_in_a_folder_is_kept,
    mount_is_writable_as_its_line_says,
    device_access_matches_its_line,
    programs_run_only_from_the_root_and_exec_mounts,
);

fn section(name: &str, root: &str, exec: &str, lines: &str) -> String {
    format!("[workload {name}]\nroot {root}\nexec {exec}\nrestart never\n{lines}\n")
}

/// Returns an image file of a filesystem with the probe and the empty folders, all owned by user 0.
fn packed(arch: Architecture, kind: &str) -> Vec<u8> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path().join("root");
    for place in ["bin", "dev", "proc", "run", "sys", "tmp"] {
        std::fs::create_dir_all(root.join(place)).expect("a folder");
    }
    std::fs::copy(probe(arch), root.join("bin/probe")).expect("the probe");
    let output = scratch.path().join("image");
    let (root, file) = (root.to_str().expect("UTF-8"), output.to_str().expect("UTF-8"));
    let words: &[&str] = match kind {
        "squashfs" => &["mksquashfs", root, file, "-all-root", "-quiet", "-no-progress"],
        "erofs" => &["mkfs.erofs", "--quiet", "--all-root", file, root],
        _ => &["mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", root, file, "4M"],
    };
    let made =
        Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|error| panic!("{}: {error}", words[0]));
    assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(output).expect("the image")
}

/// Returns an image with modules, whose configuration loads them, and the sections.
fn board(arch: Architecture, names: &[&str], sections: &[String]) -> Image {
    let mut with_modules = image(arch, "");
    let loads = modules(arch, USUAL, &mut with_modules, names);
    let config = format!("hilum 1\n[system]\nidle poweroff\n{loads}{}", sections.concat());
    with_modules.file("etc/hilum.conf", 0o644, config);
    with_modules
}

const MODULES: [&str; 6] = ["loop", "libcrc32c", "netfs", "squashfs", "erofs", "overlay"];
const DISK: [&str; 6] =
    ["virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"];
const KINDS: [&str; 3] = ["squashfs", "erofs", "ext4"];

fn image_files_become_read_only_roots_with_mapped_owners(arch: Architecture) {
    let look = "/bin/probe do make:/new owner:/bin/probe read:/proc/self/mountinfo";
    let mut sections: Vec<String> =
        KINDS.iter().map(|kind| section(kind, &format!("/images/{kind}"), look, "")).collect();
    // After their exit, no loop device is left.
    let watch = "/bin/probe do sleep:1000 read:/sys/block/loop0/loop/backing_file open:/sys/block/loop0/size:r";
    sections.push(section("after", "/images/probe", watch, "sys\nneeds squashfs erofs ext4"));
    let mut image = board(arch, &MODULES, &sections);
    for kind in KINDS {
        image.file(&format!("images/{kind}"), 0o644, packed(arch, kind));
    }
    let console = run(arch, &image, "");
    for kind in KINDS {
        has_line(&console, &format!("{kind} | did make:/new 30"));
        let mount = console.lines().find(|line| line.starts_with(&format!("{kind} | content /proc/self/mountinfo ")));
        let mount = mount.unwrap_or_else(|| panic!("{console}"));
        assert!(mount.contains(" / ro,nosuid,nodev,"), "{mount}");
        assert!(mount.contains(&format!(" - {kind} /dev/loop")), "{mount}");
    }
    // squashfs maps owners from kernel 6.2 on, and this is 6.1; for the others they are the workload's user 0.
    for (kind, owner) in [("squashfs", "65534:65534"), ("erofs", "0:0"), ("ext4", "0:0")] {
        has_line(&console, &format!("{kind} | owner /bin/probe {owner}"));
    }
    has_line(&console, "after | did read:/sys/block/loop0/loop/backing_file 2");
    has_line(&console, "after | did open:/sys/block/loop0/size:r 0");
}

fn block_device_becomes_a_root(arch: Architecture) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let disk = scratch.path().join("disk");
    std::fs::write(&disk, packed(arch, "ext4")).expect("the disk");
    let look = "/bin/probe do make:/new owner:/bin/probe read:/proc/self/mountinfo";
    // It starts when the other workload runs, which runs for longer than a start takes on a busy host.
    let watch = "/bin/probe do read:/groups/workload/a/io.max";
    let look = format!("{look} sleep:5000");
    let mut image = board(
        arch,
        &DISK,
        &[
            section("a", "/dev/vda", &look, "io /dev/vda rbps=1M wiops=100"),
            section(
                "watch",
                "/images/probe",
                watch,
                "share cgroup user\ncapability dac_override\nmount /sys/fs/cgroup /groups\nneeds a",
            ),
        ],
    );
    image.folder("images/probe/groups", 0o755);
    let console = boot_on(arch, USUAL, &image, "", Some(&disk)).vm.wait(BOOT).expect("it ends by itself");
    has_line(&console, "a | did make:/new 30");
    has_line(&console, "a | owner /bin/probe 0:0");
    assert!(console.contains(" - ext4 /dev/vda "), "{console}");
    let limits = console.lines().find_map(|line| line.strip_prefix("watch | content /groups/workload/a/io.max "));
    assert!(limits.is_some_and(|limits| limits.ends_with(" rbps=1048576 wbps=max riops=max wiops=100")), "{console}");
}

fn broken_or_unknown_images_are_reported(arch: Architecture) {
    let mut cut = packed(arch, "squashfs");
    cut.truncate(4096);
    let sections = [
        section("text", "/images/text", "/bin/probe exit 0", ""),
        section("cut", "/images/cut", "/bin/probe exit 0", ""),
        section("good", "/images/probe", "/bin/probe exit 0", ""),
    ];
    let mut image = board(arch, &MODULES, &sections);
    image.file("images/text", 0o644, "no filesystem ".repeat(1000));
    image.file("images/cut", 0o644, cut);
    let console = run(arch, &image, "");
    has_line(
        &console,
        "hilum: workload \"text\": open root /images/text: EINVAL (invalid argument): neither a folder nor a squashfs, erofs or ext4 image",
    );
    assert!(console.contains("hilum: workload \"cut\": open root /images/cut: E"), "{console}");
    has_line(&console, "hilum: workload \"good\": exited with status 0");
    // Without the module nothing can be mounted, and the message names it.
    let mut bare = board(arch, &[], &[section("a", "/images/ext4", "/bin/probe exit 0", "")]);
    bare.file("images/ext4", 0o644, packed(arch, "ext4"));
    let console = run_on(arch, MODULAR, &bare, "");
    has_line(
        &console,
        "hilum: workload \"a\": open root /images/ext4: ENXIO (no such device or address): no loop device; load module loop",
    );
}

fn overlay_in_memory_is_lost_with_the_workload(arch: Architecture) {
    let write =
        "/bin/probe do make:/bin/new copy:/bin/probe:/bin/copy exec:/bin/copy remove:/bin/probe open:/bin/probe:r";
    let again = "/bin/probe do open:/bin/new:r open:/bin/probe:r";
    let sections = [
        section("first", "/images/erofs overlay", write, ""),
        section("second", "/images/erofs overlay", again, "needs first"),
        section("other", "/images/erofs", "/bin/probe do make:/bin/new", "needs first"),
    ];
    let mut image = board(arch, &MODULES, &sections);
    image.file("images/erofs", 0o644, packed(arch, "erofs"));
    let console = run(arch, &image, "");
    for line in [
        "first | did make:/bin/new 0",
        "first | did copy:/bin/probe:/bin/copy 0",
        "first | did exec:/bin/copy 0",
        "first | did remove:/bin/probe 0",
        "first | did open:/bin/probe:r 2",
        "second | did open:/bin/new:r 2",
        "second | did open:/bin/probe:r 0",
        "other | did make:/bin/new 30",
    ] {
        has_line(&console, line);
    }
}

fn overlay_in_a_folder_is_kept(arch: Architecture) {
    let write = "/bin/probe do make:/bin/new owner:/bin/new";
    let sections = [
        // Two at once in one folder disturb each other: the kernel empties the folder `work` when it is mounted again.
        section("first", "/images/erofs overlay=/layer", write, "ids 655360\nready exit"),
        section(
            "second",
            "/images/erofs overlay=/layer",
            "/bin/probe do owner:/bin/new make:/bin/second",
            "needs first\nids 655360",
        ),
    ];
    let mut image = board(arch, &MODULES, &sections);
    image.file("images/erofs", 0o644, packed(arch, "erofs"));
    image.folder("layer", 0o755);
    let console = run(arch, &image, "");
    for line in ["first | did make:/bin/new 0", "second | owner /bin/new 0:0", "second | did make:/bin/second 0"] {
        has_line(&console, line);
    }
}

fn mount_is_writable_as_its_line_says(arch: Architecture) {
    let exec = "/bin/probe do make:/data/a make:/data/sub/b chmod:/data open:/file:r make:/data/c mknod:/data/n:1:3";
    let mut files = image(
        arch,
        &format!(
            "hilum 1\n[system]\nidle poweroff\n{}{}{}{}{}",
            section("link", "/images/probe", exec, "mount /store/link /data"),
            section("rootlink", "/store/link/probe", exec, ""),
            section("rw", "/images/probe", exec, "mount /store /data rw\nmount /etc/hilum.conf /file"),
            section(
                "ro",
                "/images/probe",
                &exec.replace("/data/c", "/data/d"),
                "mount /store /data\nmount /etc/hilum.conf /file"
            ),
            section("none", "/images/probe", exec, "mount /nowhere /data"),
        ),
    );
    files.folder("store", 0o777);
    files.folder("store/sub", 0o755);
    // A workload with write access to the folder could have created it.
    files.link("store/link", "/images");
    files.folder("images/probe/data", 0o755);
    files.file("images/probe/file", 0o644, *b"");
    let console = run(arch, &files, "");
    // Everybody may create files in the folder; the folder below belongs to the host's user 0, who is not mapped
    // inside.
    for (action, expected) in [("make:/data/a", 0), ("make:/data/sub/b", 13), ("chmod:/data", 1), ("open:/file:r", 0)] {
        has_line(&console, &format!("rw | did {action} {expected}"));
    }
    for (action, expected) in [("make:/data/d", 30), ("open:/file:r", 0)] {
        has_line(&console, &format!("ro | did {action} {expected}"));
    }
    for (name, step) in [("link", "open /store/link"), ("rootlink", "open root /store/link/probe")] {
        has_line(
            &console,
            &format!(
                "hilum: workload \"{name}\": {step}: ELOOP (too many levels of symbolic links): symbolic links are not followed on the host; write the target's path"
            ),
        );
    }
    has_line(
        &console,
        "hilum: workload \"none\": open /nowhere: ENOENT (no such file or directory): no such path on the host; correct the mount line, or create it",
    );
}

fn device_access_matches_its_line(arch: Architecture) {
    let exec =
        "/bin/probe do write:/dev/kmsg:hello open:/dev/kmsg:r write:/dev/null:x open:/dev/zero:rw owner:/dev/kmsg";
    let config = format!(
        "hilum 1\n[system]\nidle poweroff\n{}{}{}",
        section("none", "/images/probe", exec, ""),
        section("writes", "/images/probe", exec, "device /dev/kmsg w\nuser 7"),
        section("reads", "/images/probe", exec, "device /dev/kmsg r"),
    );
    let console = run(arch, &image(arch, &config), "");
    let found = |name: &str| -> Vec<String> {
        ["write:/dev/kmsg:hello", "open:/dev/kmsg:r", "write:/dev/null:x", "open:/dev/zero:rw"]
            .iter()
            .map(|action| {
                let prefix = format!("{name} | did {action} ");
                let line = console.lines().find_map(|line| line.strip_prefix(&prefix));
                line.unwrap_or_else(|| panic!("{prefix}\n{console}")).to_owned()
            })
            .collect()
    };
    assert_eq!(found("none"), ["2", "2", "0", "0"]);
    // The node's mode refuses other access, and so would the device controller.
    assert_eq!(found("writes"), ["0", "13", "0", "0"]);
    // The mode allows reading, but the kernel's log needs a capability.
    assert_eq!(found("reads"), ["13", "1", "0", "0"]);
    has_line(&console, "writes | owner /dev/kmsg 7:7");
}

fn programs_run_only_from_the_root_and_exec_mounts(arch: Architecture) {
    let copies = ["/tmp/p", "/run/p", "/dev/shm/p"];
    let words: Vec<String> =
        copies.iter().flat_map(|at| [format!("copy:/bin/probe:{at}"), format!("exec:{at}")]).collect();
    let exec = format!("/bin/probe do {} exec:/bin/probe", words.join(" "));
    let config = format!(
        "hilum 1\n[system]\nidle poweroff\n{}{}",
        section("default", "/images/probe", &exec, ""),
        section("loose", "/images/probe", &exec, "tmp 8M exec"),
    );
    let console = run(arch, &image(arch, &config), "");
    for at in copies {
        has_line(&console, &format!("default | did copy:/bin/probe:{at} 0"));
        has_line(&console, &format!("default | did exec:{at} 13"));
    }
    has_line(&console, "default | did exec:/bin/probe 0");
    has_line(&console, "loose | did exec:/tmp/p 0");
    has_line(&console, "loose | did exec:/run/p 13");
    assert!(facts(&console, "default", "pid").is_empty());
}

/// The project installs the programs that create the images.
#[test]
fn image_makers_are_there() {
    for path in ["/usr/bin/mksquashfs", "/usr/bin/mkfs.erofs"] {
        assert!(Path::new(path).exists(), "{path} is missing; run the tests with: make test");
    }
}
