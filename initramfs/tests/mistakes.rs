//! What description files name and is not there: one line each, with the file and the line that names it.

use hilum_initramfs::build::{Places, build};
use hilum_initramfs::signing::Signer;
use std::path::Path;

/// The error for a description with these lines; the folder's name is left out.
fn refusal(folder: &Path, lines: &str) -> String {
    refusal_of(folder, lines, None)
}

/// The same for an image that is to be signed.
fn refusal_of(folder: &Path, lines: &str, signer: Option<Signer>) -> String {
    let vmlinuz = folder.join("vmlinuz");
    std::fs::write(&vmlinuz, "Linux version 6.1.0-50 (x)").expect("a file");
    std::fs::create_dir_all(folder.join("root/bin")).expect("a folder");
    std::fs::write(folder.join("root/bin/run"), "#!/bin/run\n").expect("a file");
    let config = "hilum 1\n[system]\nmodule none\n[workload a]\nroot /images/a\nexec /bin/run\n";
    let config = if lines.contains("site.conf") { config } else { "hilum 1\n" };
    std::fs::write(folder.join("hilum.conf"), config).expect("a file");
    std::fs::write(folder.join("site.conf"), config).expect("a file");
    let head = "architecture = \"x86_64\"\nkernel = \"./vmlinuz\"\n";
    let config = if lines.contains("config =") { "" } else { "config = \"hilum.conf\"\n" };
    let file = folder.join("board.toml");
    std::fs::write(&file, format!("{head}{config}{lines}")).expect("a file");
    let init = "/bin/true";
    let places = Places { signer, ..Places::new(init, folder, folder.join("output")) };
    let error = build(&[file], &places, &mut |_| {}).expect_err("it is refused");
    assert!(!folder.join("output").exists(), "nothing is written");
    format!("{error:#}").replace(&format!("{}/", folder.display()), "")
}

#[test]
fn missing_input_is_reported_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    for (lines, expected) in [
        ("modules = [\n\"nothing\"]\n", "board.toml:5: module nothing: the kernel has no such module"),
        ("[[file]]\npath = \"/x\"\nfrom = \"gone\"\n", "board.toml:5: file /x: gone: No such file or directory"),
        ("[[file]]\npath = \"/x\"\nfrom = \"vmlinuz\"\nmode = \"9\"\n", "board.toml:5: file /x: mode 9: invalid digit"),
        ("[[root]]\npath = \"/images/a\"\nfolder = \"gone\"\n", "board.toml:5: root /images/a: "),
        (
            "[[root]]\npath = \"/images/a\"\npackages = [\"p\"]\ndependencies = false\n",
            "board.toml:5: root /images/a: package p: p.tar not found",
        ),
        (
            "[[root]]\npath = \"/images/a\"\npacked = \"vmlinuz\"\n",
            "board.toml:5: root /images/a: vmlinuz is not an erofs",
        ),
        ("kernel-modules = \"root\"\nconfig = \"site.conf\"\n", "site.conf:3:1: module none: no /lib/modules/none.ko"),
        ("outputs = [\"uefi-disk\"]\n", "board.toml:4: package systemd-boot-efi: systemd-boot-efi.tar not found"),
        ("outputs = [\"sd-card\"]\n", "board.toml:4: an SD card needs [firmware]"),
    ] {
        let error = refusal(folder.path(), lines);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn signature_without_a_key_or_without_a_disk_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("own.key");
    let missing = |name: &str| {
        let error = Signer::new(&key).expect_err("a file is missing").to_string();
        let expected = format!("{}: no such file; a key is KEY.key with", folder.path().join(name).display());
        assert!(error.starts_with(&expected), "{error}");
    };
    missing("own.key");
    std::fs::write(&key, "no key").expect("a file");
    missing("own.crt");
    std::fs::write(folder.path().join("own.crt"), "no certificate").expect("a file");
    let signer = Signer::new(&key).expect("both are there");
    let error =
        signer.sign(&b"no PE file".as_slice().into(), folder.path()).expect_err("sbsign refuses it").to_string();
    assert!(error.starts_with("sbsign ") && !error.contains('\n'), "{error}");
    let error = refusal_of(folder.path(), "", Some(signer));
    assert_eq!(error, "--sign: the board has no output that can be signed; choose a board with uefi-disk");
}

/// An archive of docker save whose image stops at this signal and has these layers, besides an empty one.
fn saved(file: &Path, signal: &str, layers: &[&str]) {
    let empty = tar::Builder::new(Vec::new()).into_inner().expect("it fits");
    let digest: String = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(&empty))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let layers: Vec<&str> = layers.iter().copied().chain(["layer"]).collect();
    let manifest = serde_json::json!([{"Config": "config", "RepoTags": ["a:1"], "Layers": layers}]);
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/a"], "StopSignal": signal},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let mut builder = tar::Builder::new(std::fs::File::create(file).expect("a file"));
    for (name, bytes) in [
        ("manifest.json", manifest.to_string().into_bytes()),
        ("config", config.to_string().into_bytes()),
        ("layer", empty),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).expect("it fits");
    }
    builder.finish().expect("it fits");
}

#[test]
fn inspect_prints_no_injected_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("image.tar");
    let inspect = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hilum-initramfs"));
        let output = command.arg("inspect").arg(&file).args(["--architecture", "x86_64"]).output().expect("it runs");
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
    };
    saved(&file, "SIGTERM\nprivileged\nshare user pid net\nseccomp off\u{1b}[2J\u{202e}", &[]);
    let [lines, errors] = inspect();
    let (said, left_out) = lines.rsplit_once("# left out: ").expect("a comment");
    assert_eq!((said, errors.as_str()), ("# 1 files and folders\nexec /bin/a\n", ""));
    let value = r#"StopSignal ["SIGTERM\nprivileged\nshare user pid net\nseccomp off\u{1b}[2J\u{202e}", "5s"]: "#;
    assert!(left_out.starts_with(value) && left_out.lines().count() == 1, "{left_out}");
    let text = format!("hilum 1\n[workload a]\nroot /r\n{lines}");
    let mut config = Box::new(hilum::config::Config::EMPTY);
    hilum::config::parse(text.as_bytes(), &mut config).expect("what is printed is a configuration");
    // What is wrong with it is told in one line as well.
    saved(&file, "SIGTERM", &["gone\nhilum-initramfs: all is well\u{1b}[2J\u{202e}"]);
    let [lines, errors] = inspect();
    assert_eq!((lines.as_str(), errors.lines().count()), ("", 1), "{errors}");
    assert!(errors.contains(r"gone\nhilum-initramfs: all is well\u{1b}[2J\u{202e}: not in the image"), "{errors}");
}
