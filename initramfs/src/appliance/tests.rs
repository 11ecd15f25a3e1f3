use super::*;

fn own() -> Vec<u8> {
    std::fs::read("/proc/self/exe").expect("it runs")
}

/// Returns an image with a complete root filesystem at /r.
fn image() -> Image {
    let mut image = Image::new();
    MOUNT_POINTS.iter().for_each(|place| image.folder(&format!("r/{place}"), 0o755));
    image.file("r/bin/script", 0o755, *b"#!/bin/sh -e\n");
    image.file("r/bin/plain", 0o644, *b"#!/bin/sh\n");
    image.file("r/bin/data", 0o755, *b"data");
    image.file("r/usr/bin/sh", 0o755, *b"#!/bin/sh\n");
    image.link("r/bin/sh", "/usr/bin/sh");
    image.link("r/bin/loop", "loop");
    image.file("r/bin/crlf", 0o755, *b"#!/bin/sh\r\nexit\r\n");
    image.folder("r/run/app", 0o755);
    image.file("r/run/file", 0o644, *b"");
    image.link("r/var/run", "/run");
    image.link("r/etc/resolv.conf", "../run/resolve/stub.conf");
    image.link("r/work", "/run/app");
    image.link("r/bin/up", "../../../../bin/script");
    image
}

fn verdict(image: &Image, lines: &str) -> String {
    let text = format!("hilum 1\n[workload a]\n{lines}\n");
    match check("demo.conf", text.as_bytes(), &own(), image, &Roots::default()) {
        Ok(()) => "good".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn complete_appliance_is_accepted() {
    assert_eq!(verdict(&image(), "root /r/bin/data\nexec /x"), "good");
    assert_eq!(verdict(&image(), "root /dev/mmcblk0p2\nexec /x"), "good");
    assert_eq!(verdict(&image(), "root /r\nexec /bin/sh\nmount /sys/block /run\nmount /r /tmp"), "good");
    // Paths that the board creates below /run and /tmp, and mount points.
    for lines in [
        "mount /r /run/app",
        "directory /run/app",
        "directory /var/run/app",
        "directory /work",
        "directory /dev/shm",
        "directory /proc/self",
        "mount /r /tmp\ndirectory /tmp/deep",
    ] {
        assert_eq!(verdict(&image(), &format!("root /r\nexec /bin/sh\n{lines}")), "good", "{lines}");
    }
    for program in ["/bin/script", "/bin/sh", "/bin/up"] {
        assert_eq!(verdict(&image(), &format!("root /r\nexec {program}")), "good");
    }
}

#[test]
fn mistake_in_the_configuration_has_its_line() {
    assert_eq!(
        verdict(&image(), "roto /r"),
        "demo.conf:3:1: unknown key \"roto\" in [workload]; did you mean \"root\"?"
    );
}

#[test]
fn paths_missing_from_the_image_are_refused() {
    for (lines, expected) in [
        (
            "root /nowhere\nexec /x",
            "root /nowhere: no such folder or image file in the image; add a [[root]] with that path",
        ),
        ("root /r\nexec /bin/sh\nmount /data /tmp", "mount /data: not in the image; add it, or mount a disk there"),
        ("root /r\nexec /bin/sh\nmount /r /nowhere", "mount /nowhere: not in /r; create a mount point there"),
        (
            "root /r\nexec /bin/sh\nmount /r /var/run/app",
            "mount /var/run/app: leads over a symbolic link to /run/app; write that path",
        ),
        (
            "root /r\nexec /bin/sh\nmount /r /run/file",
            "mount /run/file: of what /r has below /run and /tmp, the board has the folders alone; mount a folder there",
        ),
        ("root /r\nexec /bin/sh\nresolv", "resolv: /etc/resolv.conf of /r is no file; put an empty file there"),
        ("root /r\nexec /bin/sh\ndirectory /srv", "directory /srv: no such folder in /r; correct the line, or make it"),
        (
            "root /r\nexec /bin/sh\ndirectory /run/none",
            "directory /run/none: no such folder in /r; correct the line, or make it",
        ),
        ("root /r\nexec /bin/crlf", "exec /bin/crlf: its lines end in CR LF; save it with LF alone"),
        ("root /r\nexec /bin/none", "exec /bin/none: no such file in /r; write its path inside of it"),
        ("root /r\nexec /bin/loop", "exec /bin/loop: no such file in /r; write its path inside of it"),
        ("root /r\nexec /bin", "exec /bin: no such file in /r; write its path inside of it"),
        ("root /r\nexec /bin/plain", "exec /bin/plain: not executable; set its mode to 755"),
        ("root /r\nexec /bin/data", "exec /bin/data: neither an ELF file nor a script with #!"),
    ] {
        assert_eq!(verdict(&image(), lines), format!("demo.conf:2:1: workload \"a\": {expected}"));
    }
}

#[test]
fn module_missing_from_the_image_is_refused() {
    let text = b"hilum 1\n[system]\nmodule loop\n";
    let refused =
        check("demo.conf", text, &own(), &image(), &Roots::default()).expect_err("it is not there").to_string();
    assert_eq!(
        refused,
        "demo.conf:3:1: module loop: no /lib/modules/loop.ko in the image: the kernel has no such module; correct the name"
    );
    let mut whole = image();
    whole.file("lib/modules/loop.ko", 0o644, *b"");
    assert!(check("demo.conf", text, &own(), &whole, &Roots::default()).is_ok());
}

#[test]
fn root_filesystem_without_mount_points_is_refused() {
    let mut image = Image::new();
    image.file("r/bin/script", 0o755, *b"#!/bin/script\n");
    let expected = "demo.conf:2:1: workload \"a\": root /r needs an empty folder /dev";
    assert_eq!(verdict(&image, "root /r\nexec /bin/script"), expected);
}

#[test]
fn link_at_a_mount_point_is_reported() {
    let mut image = image();
    image.link("r/tmp", "var/tmp");
    let expected = "demo.conf:2:1: workload \"a\": root /r: /tmp is a symbolic link to var/tmp; make it a folder";
    assert_eq!(verdict(&image, "root /r\nexec /bin/sh"), expected);
}

#[test]
fn owner_without_a_mapped_id_is_refused() {
    let mut image = image();
    image.add("r/srv", 0o755, (65_535, 65_535), Node::Folder);
    assert_eq!(verdict(&image, "root /r\nexec /bin/sh"), "good");
    image.add("r/srv/data", 0o755, (5, 65_536), Node::Folder);
    let refused = verdict(&image, "root /r\nexec /bin/sh");
    let expected = "root /r: /srv/data belongs to 5:65536, and the ids of a workload end at 65535; change its owner, or write: \
                    share user";
    assert_eq!(refused, format!("demo.conf:2:1: workload \"a\": {expected}"));
    assert_eq!(verdict(&image, "root /r\nexec /bin/sh\nshare user"), "good");
}

#[test]
fn program_for_another_machine_or_without_its_loader_is_refused() {
    let mut image = image();
    image.file("r/bin/own", 0o755, own());
    let missing = verdict(&image, "root /r\nexec /bin/own");
    assert!(missing.contains("its interpreter /lib") && missing.ends_with("is not in /r; add it"), "{missing}");

    let mut foreign = own();
    // The loader alone is not enough.
    for loader in ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"] {
        if let Ok(bytes) = std::fs::read(loader) {
            image.file(&format!("r{loader}"), 0o755, bytes);
        }
    }
    let missing = verdict(&image, "root /r\nexec /bin/own");
    assert!(
        missing.contains("exec /bin/own: the library lib") && missing.ends_with("write in its [[root]]: check = false"),
        "{missing}"
    );
    // In all places that the loader may be configured to search.
    let mut facts = elf::facts(&own()).expect("an ELF file").libraries;
    facts.extend(
        ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"].map(str::to_owned),
    );
    facts.iter().for_each(|name| image.file(&format!("r/opt/own lib/{name}"), 0o755, *b"no ELF file"));
    assert_eq!(verdict(&image, "root /r\nexec /bin/own\nenv LD_LIBRARY_PATH \"/none:/opt/own lib\""), "good");
    let mut configured = image.clone();
    configured.file("r/etc/ld.so.conf.d/own.conf", 0o644, *b"# a comment\n/opt/own lib\n");
    assert_eq!(verdict(&configured, "root /r\nexec /bin/own"), "good");
    let unchecked = Roots { unchecked: ["/r".to_owned()].into(), ..Roots::default() };
    let text = b"hilum 1\n[workload a]\nroot /r\nexec /bin/own\n";
    assert!(check("demo.conf", text, &own(), &image, &unchecked).is_ok());

    // e_machine of the ELF header: 0xf3 is RISC-V.
    foreign[18..20].copy_from_slice(&[0xf3, 0]);
    image.file("r/bin/foreign", 0o755, foreign);
    let refused = verdict(&image, "root /r\nexec /bin/foreign");
    assert!(refused.contains("exec /bin/foreign: built for ELF machine 243, the board is "), "{refused}");
}

/// depmod(8) writes modules.alias where a kernel is installed; a package only contains the modules.
#[test]
fn modules_of_usb_lines_are_packed_with_their_patterns() {
    use crate::modules::tests::module;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.path().join(name), bytes).expect("a file");
    write("usbserial.ko", module(&["depends="]));
    let own = [
        "depends=usbserial",
        "alias=usb:v0403p6001d*dc*dsc*dp*ic*isc*ip*in*",
        "alias=usb:v0403p6015d*dc*dsc*dp*ic*isc*ip*in*",
    ];
    write("ftdi-sio.ko", module(&own));
    write("cdc-acm.ko", module(&["alias=usb:v*p*d*dc*dsc*dp*ic02isc02ip00in*", "alias=cdc_acm_alias"]));
    write("other.ko", module(&["alias=usb:v1111p2222d*dc*dsc*dp*ic*isc*ip*in*"]));
    let config = |lines: &str| format!("hilum 1\n[workload a]\nroot /r\nexec /x\n{lines}\n");
    let packed = |lines: &str, hotplug: &[String]| {
        let mut image = Image::new();
        let kernel = Kernel::of_folder(folder.path()).expect("files");
        add_modules(config(lines).as_bytes(), &kernel, &[], hotplug, &mut image).map(|()| {
            let names =
                ["usbserial", "ftdi_sio", "cdc_acm", "other"].into_iter().filter(|name| modules::has(&image, name));
            let aliases = match image.get(ALIASES) {
                Some((_, Node::File(contents))) => contents.text(),
                _ => String::new(),
            };
            (names.collect::<Vec<_>>(), aliases)
        })
    };
    let good = |lines: &str, hotplug: &[String]| packed(lines, hotplug).expect("good");
    assert_eq!(good("device /dev/ttyUSB0", &[]), (vec![], String::new()));
    let line = "usb:v0403p6001d*dc*dsc*dp*ic*isc*ip*in* ftdi_sio\n";
    assert_eq!(good("device usb=0403:6001:A1", &[]), (vec!["usbserial", "ftdi_sio"], line.to_owned()));
    let class = "usb:v*p*d*dc*dsc*dp*ic02isc02ip00in* cdc_acm\n";
    assert_eq!(good("device usb=2341:0043 class=tty", &[]), (vec!["cdc_acm"], class.to_owned()));
    assert_eq!(good("sys", &["cdc-acm".to_owned()]), (vec!["cdc_acm"], class.to_owned()));
    let error = packed("sys", &["nothing".to_owned()]).expect_err("there is none");
    assert_eq!(error.to_string(), "module nothing: the kernel has no such module");
    write("modules.alias", b"# Aliases extracted from modules themselves.\nalias usb:v0403p6001d* other\n".to_vec());
    assert_eq!(good("device usb=0403:6001", &[]), (vec!["other"], "usb:v0403p6001d* other\n".to_owned()));
}

#[test]
fn device_mapper_reads_few_hashes_before_a_verified_image_needs_them() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("dm-verity.ko"), crate::modules::tests::module(&["depends="])).expect("a file");
    let kernel = Kernel::of_folder(folder.path()).expect("files");
    let loaded = |lines: &str, more: &[String]| {
        let mut image = Image::new();
        add_modules(format!("hilum 1\n{lines}").as_bytes(), &kernel, more, &[], &mut image).expect("good");
        match image.get("lib/modules/load") {
            Some((_, Node::File(contents))) => contents.text(),
            _ => String::new(),
        }
    };
    let verified = format!("[workload a]\nroot /r verity={}\nexec /x\n", "0a".repeat(32));
    assert_eq!(loaded(&verified, &[]), format!("{VERITY}\n"));
    assert_eq!(loaded("[workload a]\nroot /r\nexec /x\n", &[]), "");
    // Someone else's choice counts.
    let own = "dm_verity prefetch_cluster=0".to_owned();
    assert_eq!(loaded(&verified, std::slice::from_ref(&own)), format!("{own}\n"));
    assert_eq!(loaded(&format!("[system]\nmodule dm_verity prefetch_cluster=0\n{verified}"), &[]), "");
}
