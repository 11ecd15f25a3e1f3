//! Boots every output of the image builder: direct boots in QEMU, UEFI disks, a Raspberry Pi's SD card.

use crate::support::{BOOT, Booted, boot_bytes, boot_command, build, built, has_line, image};
use hilum_qemu::{Accelerator, Architecture, Options};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

on_both!(mqtt_broker_keeps_retained_messages_across_reboots, uefi_disk_boots);
on_both_long!(
    aarch64:
    image_too_large_for_memory_is_reported_and_nothing_starts,
    truncated_image_is_reported_and_nothing_starts,
    image_file_on_the_data_partition_is_a_root,
    site_archive_replaces_the_configuration_of_a_stock_image
);

/// The timeout for firmware, a large kernel and its modules together.
const SLOW: Duration = Duration::from_secs(240);

pub(super) fn tool(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Waits until a message passes from one client through the broker to the other, and shuts the board down at its
/// prompt.
pub(super) fn see_messages_and_power_off(mut booted: Booted) -> String {
    booted.vm.console.expect("workload \"broker\": ready", SLOW).expect("the broker");
    booted.vm.console.expect("subscriber | board/alive yes", SLOW).expect("a message");
    booted.vm.console.expect("hilum> ", SLOW).expect("the prompt");
    booted.vm.type_text("poweroff\r").expect("the console");
    crate::support::without_prompt(&booted.vm.wait(SLOW).expect("it powers off"))
}

fn mqtt_broker_keeps_retained_messages_across_reboots(arch: Architecture) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    build(&format!("qemu-{}", arch.name()), "mqtt", folder.path());
    let disk = folder.path().join("data.img");
    let boot = |port: u16| {
        let mut words = hilum_qemu::network(&format!(",hostfwd=tcp:127.0.0.1:{port}-:1883"));
        words.extend(hilum_qemu::writable_disk(&disk));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let options = Options {
            arch,
            kernel: &folder.path().join("vmlinuz"),
            initramfs: &folder.path().join("initramfs"),
            append: "",
            memory_mib: 256,
            accelerator: Accelerator::Tcg,
            disk: None,
            more: &words,
        };
        boot_command(options.command(), "stdio")
    };
    let port = crate::support::free_port();
    let booted = boot(port);
    booted.vm.console.expect("subscriber | board/alive yes", SLOW).expect("a message");
    // From outside as well: an MQTT client connects (MQTT 3.1.1, 3.1).
    assert_eq!(greeting(port), [0x20, 2, 0, 0], "{}", booted.vm.console.tail());
    let console = see_messages_and_power_off(booted);
    has_line(&console, "hilum: mount /data: ext4 on /dev/vda");
    has_line(&console, "hilum: workload \"broker\": exited with status 0");
    let found = tool("debugfs", &["-R", "stat volumes/mosquitto/mosquitto.db", text(&disk)]);
    assert!(found.contains("User:  1883   Group:  1883"), "{found}");
    let checked = tool("e2fsck", &["-f", "-n", text(&disk)]);
    assert!(checked.contains("data: "), "{checked}");
    // The second time the message is there before the publisher has sent anything: it was retained.
    let console = see_messages_and_power_off(boot(crate::support::free_port()));
    let started = console.find("workload \"publisher\": started").expect("the publisher");
    assert!(console[..started].contains("workload \"broker\": ready"), "{console}");
    has_line(&console, "hilum: mount /data: ext4 on /dev/vda");
}

/// Returns the broker's reply to a connecting client.
fn greeting(port: u16) -> Vec<u8> {
    use std::io::{Read, Write};
    let connect = [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 1, b'x'];
    let until = std::time::Instant::now() + BOOT;
    let mut answer = vec![0; 4];
    while std::time::Instant::now() < until {
        let stream = std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port));
        if let Ok(mut stream) = stream {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            if stream.write_all(&connect).and_then(|()| stream.read_exact(&mut answer)).is_ok() {
                return answer;
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Vec::new()
}

fn uefi_disk_boots(arch: Architecture) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    build(&format!("uefi-{}", arch.name()), "mqtt", folder.path());
    let disk = folder.path().join("uefi-disk.img");
    let (code, variables) = match arch {
        Architecture::X86_64 => ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        Architecture::Aarch64 => ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    };
    let own = folder.path().join("variables");
    std::fs::copy(variables, &own).expect("the firmware's variables");
    let mut command = hilum_qemu::command(arch, Accelerator::Tcg);
    command.args(["-m", "512"]).args(hilum_qemu::network("")).args(hilum_qemu::writable_disk(&disk));
    for (unit, options, file) in [(0, ",readonly=on", Path::new(code)), (1, "", &own)] {
        command.arg("-drive").arg(format!("if=pflash,format=raw,unit={unit}{options},file={}", file.display()));
    }
    let console = see_messages_and_power_off(boot_command(command, "stdio"));
    has_line(&console, "hilum: mount /data: ext4 on /dev/vda2");
}

/// A single description with a kernel file, and an image file on the data partition.
fn image_file_on_the_data_partition_is_a_root(arch: Architecture) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("root/bin")).expect("a folder");
    std::fs::copy(crate::support::probe(arch), at("root/bin/probe")).expect("the probe");
    let config = "hilum 1\n[system]\nidle poweroff\nmount LABEL=site /data ext4 wait=20s\nvolumes /data/volumes\n\
                  [workload a]\nroot /data/images/a.squashfs\nexec /bin/probe do make:/new make:/keep/new read:/sys/module/loop/parameters/max_loop read:/proc/self/mountinfo\n\
                  user 7\nvolume a /keep\nsys\n";
    std::fs::write(at("site.conf"), config).expect("a file");
    let debian = built(&format!("debian/{}", arch.name()));
    let description = format!(
        "architecture = \"{}\"\nkernel = \"{1}/vmlinuz\"\nkernel-modules = \"{1}/modules\"\nconfig = \"site.conf\"\n\
         modules = [\"virtio_pci\", \"virtio_blk\", \"loop max_loop=3\"]\noutputs = [\"direct\"]\n\
         [[root]]\npath = \"/data/images/a.squashfs\"\nfolder = \"root\"\nformat = \"squashfs\"\n\
         [data]\nlabel = \"site\"\nsize-mib = 32\n",
        arch.name(),
        debian.display()
    );
    std::fs::write(at("site.toml"), description).expect("a file");
    let places = hilum_initramfs::build::Places::new(crate::support::hilum(arch), folder.path(), at("output"));
    hilum_initramfs::build::build(&[at("site.toml")], &places, &mut |_| {}).expect("the builder takes it");
    let words = hilum_qemu::writable_disk(&at("output/data.img"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let options = Options {
        arch,
        kernel: &at("output/vmlinuz"),
        initramfs: &at("output/initramfs"),
        append: "",
        memory_mib: 256,
        accelerator: Accelerator::Tcg,
        disk: None,
        more: &words,
    };
    let console = boot_command(options.command(), "stdio").vm.wait(BOOT).expect("it ends by itself");
    has_line(&console, "hilum: mount /data: ext4 on /dev/vda");
    has_line(&console, "a | did make:/new 30");
    has_line(&console, "a | did make:/keep/new 0");
    has_line(&console, "a | content /sys/module/loop/parameters/max_loop 3");
    assert!(console.contains(" - squashfs /dev/loop"), "{console}");
}

/// Unpacks the boot partition of an SD card into a folder.
fn unpacked_card(folder: &Path) -> PathBuf {
    let (card, boot) = (folder.join("sd-card.img"), folder.join("boot"));
    std::fs::create_dir(&boot).expect("a folder");
    tool("mcopy", &["-n", "-i", &format!("{}@@1M", card.display()), "::*", text(&boot)]);
    boot
}

#[test]
fn raspberry_pi_3_boots_its_sd_card() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    build("rpi3", "mqtt", folder.path());
    let boot = unpacked_card(folder.path());
    // QEMU has no firmware for it: this test does what the firmware would do, with the SD card's files.
    let words = std::fs::read_to_string(boot.join("cmdline.txt")).expect("cmdline.txt");
    let config = std::fs::read_to_string(boot.join("config.txt")).expect("config.txt");
    for line in ["kernel=vmlinuz", "initramfs initramfs followkernel", "arm_64bit=1", "upstream_kernel=1"] {
        has_line(&config, line);
    }
    for file in ["bootcode.bin", "start.elf", "fixup.dat"] {
        assert!(boot.join(file).exists(), "{file}");
    }
    let mut command = Command::new("qemu-system-aarch64");
    command.args(["-machine", "raspi3b", "-no-reboot", "-append", words.trim()]);
    command.arg("-kernel").arg(boot.join("vmlinuz")).arg("-initrd").arg(boot.join("initramfs"));
    command.arg("-dtb").arg(boot.join("bcm2837-rpi-3-b.dtb"));
    command.arg("-drive").arg(format!("if=sd,format=raw,file={}", folder.path().join("sd-card.img").display()));
    let booted = boot_command(command, "null -serial stdio");
    booted.vm.console.expect("hilum: mount /data: ext4 on /dev/mmcblk", SLOW).expect("the data partition");
    booted.vm.console.expect("subscriber | board/alive yes", SLOW).expect("a message");
}

#[test]
fn sd_card_of_raspberry_pi_4_has_the_firmware_files() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    build("rpi4", "web", folder.path());
    let boot = unpacked_card(folder.path());
    for file in ["start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb", "vmlinuz", "initramfs", "config.txt", "cmdline.txt"]
    {
        assert!(boot.join(file).exists(), "{file}");
    }
    let card = text(&folder.path().join("sd-card.img")).to_owned();
    assert!(tool("sfdisk", &["--list", &card]).contains("W95 FAT32 (LBA)"));
}

/// Returns an image with this many additional bytes after the important files.
fn large(arch: Architecture, mebibytes: usize) -> hilum_initramfs::Image {
    let mut image =
        image(arch, "hilum 1\n[system]\nidle poweroff\n[workload a]\nroot /images/probe\nexec /bin/probe exit 0\n");
    image.file("images/zeros", 0o644, vec![0; mebibytes << 20]);
    image.file("images/zz", 0o644, "behind it");
    image.seal();
    image
}

fn image_too_large_for_memory_is_reported_and_nothing_starts(arch: Architecture) {
    let mut booted = crate::support::boot(arch, &large(arch, 200), "hilum.fail=poweroff");
    let console = booted.vm.wait(BOOT).expect("it powers off");
    let line = console
        .lines()
        .find(|line| line.starts_with("hilum: the image is incomplete: "))
        .unwrap_or_else(|| panic!("{console}"));
    assert!(line.contains("/images/zeros with ") || line.contains("/images/zz"), "{line}");
    assert!(!console.contains("workload"), "{console}");
    // With enough memory, it is complete.
    let console = crate::support::run(arch, &large(arch, 2), "");
    has_line(&console, "hilum: workload \"a\": exited with status 0");
}

fn truncated_image_is_reported_and_nothing_starts(arch: Architecture) {
    let whole = large(arch, 8).write(hilum_initramfs::Compression::None).expect("an image");
    let mut booted =
        boot_bytes(arch, crate::support::USUAL, &whole[..whole.len() / 2], "hilum.fail=poweroff", None, &[]);
    let console = booted.vm.wait(BOOT).expect("it powers off");
    let line = console
        .lines()
        .find(|line| line.starts_with("hilum: the image is incomplete: "))
        .unwrap_or_else(|| panic!("{console}"));
    assert!(line.contains("1 file missing or truncated, such as /images/zz;"), "{line}");
    assert!(!console.contains("workload"), "{console}");
}

fn site_archive_replaces_the_configuration_of_a_stock_image(arch: Architecture) {
    let stock = large(arch, 1).write(hilum_initramfs::Compression::Zstd).expect("an image");
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (config, site) = (folder.path().join("site.conf"), folder.path().join("site"));
    let text =
        "hilum 1\n[system]\nhostname site\nidle poweroff\n[workload own]\nroot /images/probe\nexec /bin/probe exit 0\n";
    std::fs::write(&config, text).expect("a file");
    let builder = built("tools/hilum-initramfs");
    tool(self::text(&builder), &["site", self::text(&config), "--output", self::text(&site)]);
    let mut bytes = stock;
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(std::fs::read(&site).expect("the archive"));
    let console =
        boot_bytes(arch, crate::support::USUAL, &bytes, "", None, &[]).vm.wait(BOOT).expect("it ends by itself");
    has_line(&console, "hilum: workload \"own\": exited with status 0");
    std::fs::write(&config, "hilum 1\n[sytem]\n").expect("a file");
    let output = Command::new(&builder).args(["site", self::text(&config), "--output", self::text(&site)]).output();
    let output = String::from_utf8_lossy(&output.expect("the builder").stderr).into_owned();
    assert!(output.ends_with(":2:1: unknown section \"[sytem]\"; expected [system] or [workload NAME]\n"), "{output}");
}
