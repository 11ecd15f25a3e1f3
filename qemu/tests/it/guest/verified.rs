//! Images whose blocks are verified as they are read (dm-verity).
//!
//! systemd does the same for `RootImage=` with `RootHash=`; there a corrupt block only leads to the program's own
//! failure, or with `verity.usr`/`roothash=` and `restart_on_corruption` to a reboot by the kernel without a message.

use super::devices::wait_for;
use super::kept_disks::unreadable;
use crate::support::{
    BOOT, Booted, RELEASES, USUAL, boot_on, boot_with, fetched, image, modules, probe, without_prompt,
};
use hilum_initramfs::{Image, verity};
use hilum_qemu::Architecture;
use std::path::Path;
use std::process::Command;

on_both!(
    corrupt_image_stops_its_workload_or_reboots_the_board,
    corrupt_image_is_found_though_the_event_of_the_kernel_was_lost_or_its_workload_has_exited,
    verified_root_on_a_disk_returns_with_it_and_its_changed_block_is_told,
);
on_both_long!(aarch64: verified_image_runs_and_blocks_that_are_changed_or_cannot_be_read_are_told);

pub(super) const MODULES: [&str; 15] = [
    "loop",
    "libcrc32c",
    "netfs",
    "erofs",
    "dax",
    "dm-mod",
    "dm-bufio",
    "reed_solomon",
    "dm-verity",
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
];

/// Bytes of the file whose blocks are changed: its blocks have leaves of their own in the tree.
const FILE_BYTES: usize = 2 << 20;
const BLOCK: usize = 4096;

/// Returns an erofs image with the probe and an uncompressed file, without a tree.
pub(super) fn packed(arch: Architecture) -> Vec<u8> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path().join("root");
    for place in ["bin", "dev", "proc", "run", "sys", "tmp"] {
        std::fs::create_dir_all(root.join(place)).expect("a folder");
    }
    std::fs::copy(probe(arch), root.join("bin/probe")).expect("the probe");
    let bytes: Vec<u8> = (0..FILE_BYTES / 8).flat_map(|at| (at as u64).to_le_bytes()).collect();
    std::fs::write(root.join("file"), bytes).expect("the file");
    let output = scratch.path().join("image");
    let made = Command::new("mkfs.erofs").args(["--quiet", "--all-root"]).args([&output, &root]).output();
    assert!(made.expect("mkfs.erofs").status.success());
    std::fs::read(output).expect("the image")
}

fn section(name: &str, digest: &str, words: &str, lines: &str) -> String {
    let look = "/bin/probe do copy:/file:/tmp/copy stay";
    format!(
        "[workload {name}]\nroot /images/{name} verity={digest}{words}\nexec {look}\ntmp 8M\nrestart never\n{lines}\n"
    )
}

/// Returns a board with these images.
fn board(arch: Architecture, system: &str, sections: &[String], images: Vec<(&str, Vec<u8>)>) -> Image {
    board_on(arch, USUAL, system, sections, images)
}

/// The same for the kernel of a release.
fn board_on(
    arch: Architecture,
    release: &str,
    system: &str,
    sections: &[String],
    images: Vec<(&str, Vec<u8>)>,
) -> Image {
    let mut board = image(arch, "");
    let loads = modules(arch, release, &mut board, &MODULES);
    board.file("etc/hilum.conf", 0o644, format!("hilum 1\n[system]\n{system}{loads}{}", sections.concat()));
    for (name, bytes) in images {
        board.file(&format!("images/{name}"), 0o644, bytes);
    }
    board
}

/// Asserts that the console has a line. The kernel's own lines about corrupt blocks may follow on the same line.
fn says(console: &str, line: &str) {
    assert!(console.contains(&format!("\n{line}")), "no line {line:?} in\n{console}");
}

/// Returns the offset of the file's middle in an image.
fn middle(image: &[u8]) -> usize {
    let number = FILE_BYTES as u64 / 16;
    let wanted = [number.to_le_bytes(), (number + 1).to_le_bytes()].concat();
    image.windows(16).position(|bytes| bytes == wanted).expect("the file is not compressed")
}

/// A sector of each disk cannot be read: of the file, of the top of the tree, and of the superblock. The board would reboot if PID 1
/// took one of them for a corrupt block.
fn disks(scratch: &Path, good: &[u8], tree: usize) -> (String, Vec<String>) {
    let digest = verity::root_hash(&file(scratch, "good", good)).expect("a digest");
    let (mut sections, mut words) = (String::new(), Vec::new());
    for (letter, name, byte) in [('a', "reads", middle(good)), ('b', "climbs", tree), ('c', "fails", 1024)] {
        sections += &section(name, &digest, " corrupt=reboot", "")
            .replace(&format!("/images/{name}"), &format!("/dev/vd{letter}"));
        file(scratch, name, good);
        let disk = unreadable(&scratch.join(name), (byte / 512) as u32);
        words.extend(["-drive".into(), format!("file={disk},format=raw,if=none,readonly=on,id={name}")]);
        words.extend(["-device".into(), format!("virtio-blk-pci,drive={name}")]);
    }
    (sections, words)
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> std::fs::File {
    std::fs::write(folder.join(name), bytes).expect("a file");
    std::fs::File::open(folder.join(name)).expect("the file")
}

/// On the oldest, the default and the newest kernel.
fn verified_image_runs_and_blocks_that_are_changed_or_cannot_be_read_are_told(arch: Architecture) {
    let plain = packed(arch);
    let mut good = plain.clone();
    let digest = verity::add_tree(&mut good).expect("a tree");
    let changed = |at: usize| {
        let mut image = good.clone();
        image[at] ^= 1;
        image
    };
    let at = middle(&good);
    // The leaf of a block of the file, and the padding of the tree's last block.
    let leaves = plain.len() + good[plain.len()..].len() - plain.len().div_ceil(BLOCK).div_ceil(128) * BLOCK;
    let leaf = leaves + at / BLOCK * 32;
    let images = vec![
        ("good", good.clone()),
        ("data", changed(at)),
        ("tree", changed(leaf)),
        ("padding", changed(good.len() - 1)),
        ("swapped", changed(at)),
        ("cut", good[..good.len() - BLOCK].to_vec()),
        ("bare", plain.clone()),
        ("open", good.clone()),
    ];
    let other = format!("{:064x}", 1);
    let named =
        [("good", &digest[..]), ("data", &digest), ("tree", &digest), ("padding", &digest), ("swapped", &other)];
    let further = [("cut", &digest[..]), ("bare", &digest), ("open", "image")];
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (on_disks, words) = disks(scratch.path(), &good, plain.len());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut sections = vec![on_disks];
    sections.extend(named.iter().chain(&further).map(|(name, digest)| section(name, digest, "", "")));
    for release in RELEASES {
        let board = board_on(arch, release, "console prompt\n", &sections, images.clone());
        let mut booted = boot_with(arch, release, &board, "", None, &words);
        wait_for(&booted, " | did copy:/file:/tmp/copy ", 5);
        wait_for(&booted, ": corrupt: a block does not match its hash; write the image anew", 4);
        wait_for(&booted, ": open root ", 6);
        let status = status(&mut booted);
        check(&without_prompt(&booted.vm.console.text()), &status);
    }
}

/// Types `status`, and returns what it prints up to the last workload.
fn status(booted: &mut Booted) -> String {
    let before = booted.vm.console.text().len();
    booted.vm.type_text("status\r").expect("QEMU is there");
    let until = std::time::Instant::now() + BOOT;
    loop {
        let said = without_prompt(&booted.vm.console.text()[before..]);
        if said.split_inclusive('\n').any(|line| line.starts_with("open ") && line.ends_with('\n')) {
            return said;
        }
        assert!(std::time::Instant::now() < until, "no status in\n{said}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Asserts what the console says, and what `hilum status` printed, of images and disks.
fn check(console: &str, status: &str) {
    let refused = |name: &str, place: &str, why: &str| {
        says(console, &format!("hilum: workload \"{name}\": open root {place}: {why}"));
    };
    for (name, place, copied, is_corrupt) in [
        ("good", "/images/good", 0, false),
        ("data", "/images/data", 5, true),
        ("tree", "/images/tree", 5, true),
        ("reads", "/dev/vda", 5, false),
    ] {
        says(console, &format!("{name} | did copy:/file:/tmp/copy {copied}"));
        // The kernel's own lines may follow on the same line.
        let line = format!(
            "hilum: workload \"{name}\": {place}: corrupt: a block does not match its hash; write the image anew"
        );
        assert_eq!(console.contains(&line), is_corrupt, "{name}: {console}");
        let row =
            status.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{status}"));
        assert_eq!(row.contains("corrupt"), is_corrupt, "{row}");
    }
    assert!(console.contains("hilum: workload \"padding\": /images/padding: corrupt"), "{console}");
    refused(
        "swapped",
        "/images/swapped",
        "EBADMSG (bad message): the image is not the one that the line's digest is of",
    );
    for (name, place) in [("climbs", "/dev/vdb"), ("fails", "/dev/vdc")] {
        refused(name, place, "EIO (input/output error): its disk cannot be read");
        assert!(!console.contains(&format!("\"{name}\": {place}: corrupt")), "{console}");
    }
    for name in ["cut", "bare"] {
        let why = "E2BIG (argument list too long): the image has no hash tree behind its filesystem, or it is cut";
        refused(name, &format!("/images/{name}"), why);
    }
    let why = "ENOKEY (required key not available): the image builder writes a digest in the place of verity=image";
    refused("open", "/images/open", why);
}

fn corrupt_image_stops_its_workload_or_reboots_the_board(arch: Architecture) {
    let mut bytes = packed(arch);
    let digest = verity::add_tree(&mut bytes).expect("a tree");
    let at = middle(&bytes);
    bytes[at] ^= 1;
    // It would run for ever; its dependent fails with it, and is never started again.
    let stops = "[workload stops]\nroot /images/stops verity=DIGEST corrupt=stop\nexec /bin/probe do copy:/file:/tmp/copy sleep:600000\n\
                 tmp 8M\nrestart always\nready exec\n[workload reboots]\nroot /images/reboots verity=DIGEST corrupt=reboot\n\
                 exec /bin/probe do sleep:3000 copy:/file:/tmp/copy sleep:600000\ntmp 8M\nrestart always\n"
        .replace("DIGEST", &digest);
    let board = board(arch, "", &[stops], vec![("stops", bytes.clone()), ("reboots", bytes)]);
    // QEMU ends when the board reboots.
    let console = boot_on(arch, USUAL, &board, "", None).vm.wait(BOOT).expect("it reboots by itself");
    let line = |text: &str| console.find(text).unwrap_or_else(|| panic!("no line {text:?} in:\n{console}"));
    let corrupt = |name: &str| {
        format!(
            "hilum: workload \"{name}\": /images/{name}: corrupt: a block does not match its hash; write the image anew"
        )
    };
    assert!(line(&corrupt("stops")) < line(&corrupt("reboots")));
    assert_eq!(console.matches("workload \"stops\": started").count(), 1, "{console}");
    line("hilum: reboot");
}

/// udev: its daemon settles for what it read; nobody asks dm-verity's devices afterwards.
fn corrupt_image_is_found_though_the_event_of_the_kernel_was_lost_or_its_workload_has_exited(arch: Architecture) {
    let mut bytes = packed(arch);
    let digest = verity::add_tree(&mut bytes).expect("a tree");
    let at = middle(&bytes);
    bytes[at] ^= 1;
    let good = packed(arch);
    // Nobody asks for the modules with the processor's own instructions by name; udev loads them for the processor.
    let hash = if arch == Architecture::X86_64 { "sha256-avx2" } else { "sha256-ce" };
    // PID 1 is frozen until the device of an exited workload is gone, and its socket has overflowed.
    let flood = "b=/bin/busybox; until $b grep -q . /c/init/cgroup.procs && [ -e /x/started ] && [ -e /x/brief ]; do $b sleep 0.1; done; \
                 echo 1 > /c/init/cgroup.freeze; until $b grep -q 'frozen 1' /c/init/cgroup.events; do $b sleep 0.1; done; \
                 echo > /x/leave; until [ $(ls /d | $b grep -c dm-) = 2 ]; do $b sleep 0.1; done; \
                 i=0; while [ $i -lt 3000 ]; do echo change > /m/null/uevent; i=$((i+1)); done; \
                 echo > /x/go; until [ -e /x/done ]; do $b sleep 0.1; done; echo flooded; \
                 echo 0 > /c/init/cgroup.freeze; exec $b sleep 100000";
    let sections = [
        format!(
            "[workload data]\nroot /images/data verity={digest}\nmount /shared /tmp rw\nshare user\nstop KILL\n\
             exec /bin/probe do make:/tmp/started await:/tmp/go copy:/file:/tmp/copy make:/tmp/done stay\n"
        ),
        format!(
            "[workload brief]\nroot /images/brief verity={digest}\nmount /shared /tmp rw\nshare user\nrestart never\n\
             exec /bin/probe do make:/tmp/brief await:/tmp/leave copy:/file:/tmp/nothing\n"
        ),
        format!(
            "[workload good]\nroot /images/good verity={}\nexec /bin/probe do find:/proc/crypto:{hash} stay\n",
            verity::add_tree(&mut good.clone()).expect("a tree")
        ),
        format!(
            "[workload flood]\nroot /images/busybox\nexec /bin/busybox sh -c \"{flood}\"\nstop KILL\nshare user\n\
             mount /shared /x rw\nmount /sys/fs/cgroup /c rw\nmount /sys/devices/virtual/mem /m rw\nmount /sys/devices/virtual/block /d\n"
        ),
    ];
    let mut verified = good;
    verity::add_tree(&mut verified).expect("a tree");
    let mut board = board(arch, "", &sections, vec![("data", bytes.clone()), ("brief", bytes), ("good", verified)]);
    for name in ["sha256-ssse3", "sha256-arm64", "sha2-ce"] {
        if let Ok(bytes) = std::fs::read(fetched(arch, USUAL, "modules").join(format!("{name}.ko"))) {
            board.file(&format!("lib/modules/{}.ko", name.replace('-', "_")), 0o644, bytes);
        }
    }
    board.folder("shared", 0o755);
    for place in ["dev", "proc", "run", "sys", "tmp", "x", "c", "m", "d"] {
        board.folder(&format!("images/busybox/{place}"), 0o755);
    }
    let busybox = std::fs::read(fetched(arch, USUAL, "busybox")).expect("busybox");
    board.file("images/busybox/bin/busybox", 0o755, busybox);
    let booted = boot_on(arch, USUAL, &board, "", None);
    let expect = |text: &str| booted.vm.console.expect(text, BOOT).unwrap_or_else(|error| panic!("{text}: {error}"));
    expect(&format!("good | did find:/proc/crypto:{hash} 0"));
    expect("flood | flooded");
    expect("data | did copy:/file:/tmp/copy 5");
    for name in ["data", "brief"] {
        expect(&format!(
            "hilum: workload \"{name}\": /images/{name}: corrupt: a block does not match its hash; write the image anew"
        ));
    }
    let console = booted.vm.console.text();
    assert!(!console.contains("\"good\": /images/good: corrupt"), "{console}");
}

/// systemd: a unit with `RootImage=` on a device fails with it, and is started again by hand or by `BindsTo=`.
fn verified_root_on_a_disk_returns_with_it_and_its_changed_block_is_told(arch: Architecture) {
    let mut bytes = packed(arch);
    let digest = verity::add_tree(&mut bytes).expect("a tree");
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (good, changed) = (scratch.path().join("good"), scratch.path().join("changed"));
    std::fs::write(&good, &bytes).expect("a disk");
    let at = middle(&bytes);
    bytes[at] ^= 1;
    std::fs::write(&changed, &bytes).expect("a disk");
    let sections = format!(
        "[workload disk]\nroot /dev/vda verity={digest}\nexec /bin/probe do copy:/file:/tmp/copy sleep:600000\ntmp 8M\n\
         stop TERM 100ms\nrestart always limit=1/1h else=poweroff\n"
    );
    let board = board(arch, "", &[sections], Vec::new());
    let booted = boot_with(arch, USUAL, &board, "", None, &["-device", "pcie-root-port,id=plug"]);
    wait_for(&booted, "workload \"disk\": waits for device /dev/vda", 1);
    for (turn, disk) in [&good, &good, &changed].into_iter().enumerate() {
        booted.vm.plug_disk(disk, "plug").expect("a disk");
        wait_for(&booted, "disk | did copy:/file:/tmp/copy ", turn + 1);
        if disk == &changed {
            break;
        }
        booted.vm.pull_disk("plug", BOOT).expect("it is pulled");
        wait_for(&booted, "workload \"disk\": device /dev/vda removed", turn + 1);
        wait_for(&booted, "workload \"disk\": killed by SIGKILL", turn + 1);
    }
    wait_for(&booted, "workload \"disk\": /dev/vda: corrupt: a block does not match its hash", 1);
    let console = booted.vm.console.text();
    assert_eq!(console.matches("did copy:/file:/tmp/copy 0").count(), 2, "{console}");
    assert_eq!(console.matches("did copy:/file:/tmp/copy 5").count(), 1, "{console}");
    assert!(!console.contains("\"disk\": restart") && !console.contains("gave up"), "{console}");
}
