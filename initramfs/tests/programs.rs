//! Workloads that run as their container image says (`exec image`).

mod support;

use hilum_initramfs::build::{Places, build};
use hilum_initramfs::progress::Event;
use std::path::Path;
use support::packed_config;

const NO_PROGRAM: &str =
    "hilum.conf:4: workload \"web\": exec image: the image names no program that a line can hold; write: exec PROGRAM";

/// What an image of docker save says of its program.
fn settings() -> serde_json::Value {
    serde_json::json!({
        "Entrypoint": ["serve"], "Cmd": ["--port", "80 a"], "Env": ["PATH=/opt/bin:/bin", "MODE=image", "LANG=C"], "User": "www",
        "WorkingDir": "/srv", "StopSignal": "SIGQUIT", "Volumes": {"/data": {}}, "ExposedPorts": {"80/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "/opt/bin/serve", "--check"]},
    })
}

/// Builds a board whose root filesystem is an image with these settings; returns the packed configuration, and what was reported.
fn built(folder: &Path, settings: serde_json::Value, workload: &str) -> (Result<String, String>, Vec<String>) {
    let mut layer = tar::Builder::new(Vec::new());
    for (path, text) in [
        ("opt/bin/serve", "#!/bin/serve\n"),
        ("bin/serve", "#!/bin/serve\n"),
        ("etc/passwd", "www:x:33:34::/:\n"),
        ("srv/a", ""),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        layer.append_data(&mut header, path, text.as_bytes()).expect("it fits");
    }
    let layer = layer.into_inner().expect("it fits");
    let digest = <sha2::Sha256 as sha2::Digest>::new_with_prefix(&layer);
    let digest: String = sha2::Digest::finalize(digest).iter().map(|byte| format!("{byte:02x}")).collect();
    let manifest = serde_json::json!([{"Config": "config", "RepoTags": ["a:1"], "Layers": ["layer"]}]);
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let mut image = tar::Builder::new(std::fs::File::create(folder.join("image.tar")).expect("a file"));
    let files = [
        ("manifest.json", manifest.to_string().into_bytes()),
        ("config", config.to_string().into_bytes()),
        ("layer", layer),
    ];
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        image.append_data(&mut header, name, bytes.as_slice()).expect("it fits");
    }
    image.finish().expect("it fits");
    std::fs::write(folder.join("vmlinuz"), "Linux version 6.1.0-50 (x)").expect("a file");
    std::fs::write(folder.join("hilum.conf"), format!("hilum 1\n{workload}")).expect("a file");
    let text = "architecture = \"x86_64\"\nkernel = \"./vmlinuz\"\nconfig = \"hilum.conf\"\noutputs = [\"initramfs\"]\n[[root]]\n\
                path = \"/images/web\"\nformat = \"folder\"\nimage = \"image.tar\"\n";
    std::fs::write(folder.join("board.toml"), text).expect("a file");
    let init = "/bin/true";
    let places = Places::new(init, folder, folder.join("output"));
    let (mut reported, here) = (Vec::new(), format!("{}/", folder.display()));
    let result = build(&[folder.join("board.toml")], &places, &mut |event| {
        if let Event::Line(line) = event {
            reported.push(line.replace(&here, ""));
        }
    });
    let result = result.map_err(|error| format!("{error:#}").replace(&here, ""));
    (result.map(|_| packed_config(&folder.join("output/initramfs"))), reported)
}

#[test]
fn program_of_the_image_is_run_with_its_settings_and_lines_of_the_section_come_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = "[workload web]\nroot /images/web # of the image\nexec image\nreaper\n[workload other]\nroot /images/web\nexec /bin/serve\n";
    let (config, reported) = built(folder.path(), settings(), whole);
    let lines = "exec /opt/bin/serve --port \"80 a\"\nenv PATH /opt/bin:/bin\nenv MODE image\nenv LANG C\nuser 33:34\ndirectory /srv\n\
                 stop SIGQUIT 5s\nhealth exec /opt/bin/serve --check interval=30000ms failures=3\n";
    assert_eq!(config.expect("it is built"), format!("hilum 1\n{}", whole.replace("exec image\n", lines)));
    let first = "hilum.conf:4: workload \"web\": exec image: exec /opt/bin/serve --port \"80 a\"";
    assert!(reported.iter().any(|line| line == first), "{reported:?}");
    // Hints and what was left out stay comments of the report.
    assert!(reported.iter().any(|line| line == "# publish 80:80/tcp"), "{reported:?}");

    let own = "[workload web]\nroot /images/web\nexec image\nenv MODE own\nuser 7\nstop TERM 1s\n";
    let (config, _) = built(folder.path(), settings(), own);
    let lines = "exec /opt/bin/serve --port \"80 a\"\nenv PATH /opt/bin:/bin\nenv LANG C\ndirectory /srv\n\
                 health exec /opt/bin/serve --check interval=30000ms failures=3\n";
    assert_eq!(config.expect("it is built"), format!("hilum 1\n{}", own.replace("exec image\n", lines)));
}

#[test]
fn line_without_an_image_or_with_one_without_a_program_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let nothing = serde_json::json!({"Env": ["MODE=image"]});
    let (config, _) = built(folder.path(), nothing, "[workload web]\nroot /images/web\nexec image\n");
    assert_eq!(config, Err(NO_PROGRAM.to_owned()));
    let (config, _) = built(folder.path(), settings(), "[workload web]\nroot /data/web\nexec image\n");
    let expected = "hilum.conf:4: workload \"web\": exec image: its root is not made of a container image here; write: exec PROGRAM";
    assert_eq!(config, Err(expected.to_owned()));
    // Nothing that an image says can be more than its words.
    let hostile = serde_json::json!({"Cmd": ["/bin/serve", "a\nprivileged"], "Env": ["A=b\nshare user pid net"], "User": "0\nprivileged"});
    let (config, _) = built(folder.path(), hostile, "[workload web]\nroot /images/web\nexec image\n");
    assert_eq!(config, Err(NO_PROGRAM.to_owned()));
}
