//! Configurations of ordinary images: each becomes lines that the parser accepts, and nothing is lost.

use super::*;
use hilum::config::{self, Config};

/// Returns the lines of an image with these settings, which `hilum check` accepts.
fn lines(running: &Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let passwd = "root:x:0:0::/:\nweb:x:33:34::/:\ncaddy:x:101:101::/:\n";
    let group = "root:x:0:\nweb:x:34:\ndialout:x:20:caddy,web\nvideo:x:44:web\n";
    let files = [
        ("usr/lib/passwd", passwd),
        ("etc/group", group),
        ("usr/bin/caddy", "x"),
        ("opt/tool/bin/tool", "x"),
        ("srv/run.sh", "x"),
        ("bin/sh", "x"),
    ];
    let mut bytes = layer(&files);
    // The end marker comes after the link.
    bytes.truncate(bytes.len() - 1024);
    let mut builder = tar::Builder::new(bytes);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_mode(0o777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    builder.append_link(&mut header, "etc/passwd", "/usr/lib/passwd").expect("it fits");
    let layers = [builder.into_inner().expect("it fits")];
    layout_of(folder.path(), configuration_of(&layers, running.clone()), &layers, |_, bytes| bytes);
    let lines = read(folder.path(), Architecture::X86_64, None).expect("an image").lines();
    let program = if lines.lines().any(|line| line.starts_with("exec ")) { "" } else { "exec /x\n" };
    let text = format!("hilum 1\n[workload a]\nroot /r\n{lines}{program}");
    let mut config = Box::new(Config::EMPTY);
    config::parse(text.as_bytes(), &mut config).unwrap_or_else(|error| panic!("{running}: {error}\n{text}"));
    lines
}

#[test]
fn settings_of_ordinary_images_become_accepted_lines() {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let own = "/opt/tool/bin:/usr/bin:/bin";
    for (running, expected) in [
        (serde_json::json!({"Cmd": ["caddy", "run"]}), "exec /usr/bin/caddy run\n".to_owned()),
        (
            serde_json::json!({"Entrypoint": ["tool"], "Env": [format!("PATH={own}")]}),
            format!("exec /opt/tool/bin/tool\nenv PATH {own}\n"),
        ),
        (serde_json::json!({"Env": [format!("PATH={path}"), "LANG=C.UTF-8"]}), "env LANG C.UTF-8\n".to_owned()),
        (serde_json::json!({"Cmd": ["sh", "-c", "echo \"$HOME\""]}), "exec /bin/sh -c 'echo \"$HOME\"'\n".to_owned()),
        (
            serde_json::json!({"Cmd": ["./run.sh"], "WorkingDir": "srv/"}),
            "exec /srv/run.sh\ndirectory /srv\n".to_owned(),
        ),
        (serde_json::json!({"Cmd": ["none"]}), "# left out: Entrypoint and Cmd [\"none\"]: ".to_owned()),
        (serde_json::json!({"StopSignal": "15"}), "stop SIGTERM 5s\n".to_owned()),
        (serde_json::json!({"StopSignal": "SIGWINCH"}), "stop SIGWINCH 5s\n".to_owned()),
        (
            serde_json::json!({"StopSignal": "SIGRTMIN+3"}),
            "# left out: StopSignal [\"SIGRTMIN+3\", \"5s\"]: ".to_owned(),
        ),
        (serde_json::json!({"User": "caddy"}), "user 101:101\ngroups 20\n".to_owned()),
        (serde_json::json!({"User": "web"}), "user 33:34\ngroups 20 44\n".to_owned()),
        (serde_json::json!({"User": "web:dialout"}), "user 33:20\n".to_owned()),
        (serde_json::json!({"User": "65532"}), "user 65532:0\n".to_owned()),
        (serde_json::json!({"User": "nonroot"}), "# left out: User [\"nonroot\"]: user nonroot is not in".to_owned()),
        (
            serde_json::json!({"Volumes": {"/data": {}, "/var/lib/my db/": {}}}),
            "# volume data1 /data\n# volume data2 \"/var/lib/my db\"\n".to_owned(),
        ),
        (
            serde_json::json!({"Healthcheck": {"Test": ["CMD", "caddy", "ok"], "Interval": 1_500_000_000, "Retries": 2}}),
            "health exec /usr/bin/caddy ok interval=1500ms failures=2\n".to_owned(),
        ),
        (
            serde_json::json!({"Healthcheck": {"Test": ["CMD-SHELL", "caddy ok || exit 1"]}}),
            "health exec /bin/sh -c \"caddy ok || exit 1\" interval=30000ms failures=3\n".to_owned(),
        ),
        (serde_json::json!({"Healthcheck": {"Test": ["NONE"]}}), String::new()),
    ] {
        let found = lines(&running);
        let is_it = if expected.starts_with("# left") { found.starts_with(&expected) } else { found == expected };
        assert!(is_it, "{running}: {found}");
    }
}
