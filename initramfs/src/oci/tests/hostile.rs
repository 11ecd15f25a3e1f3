//! Images with fields that try to inject configuration lines, words, or terminal escape sequences.

use super::*;
use hilum::config::{self, Config};
use hilum::fixed_string::is_hidden;

/// Texts that are tried in each field, between other characters.
const HOSTILE: [&str; 22] = [
    "\n",
    "\r",
    "\r\n",
    "\"",
    "\\",
    "\\n",
    "\u{1b}[2J",
    "\0",
    "\u{7f}",
    "\u{9b}31m",
    "\u{202e}",
    "\u{2066}",
    "\u{200f}",
    "\u{61c}",
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "\u{feff}",
    "\u{e0041}",
    "\t",
    "#",
    "\nprivileged\nshare user pid net\n",
];
/// Keys that none of these images may result in.
const INJECTED: [&str; 4] = ["privileged", "share", "seccomp", "mount"];

/// Returns the image in a separate folder, with a hostile passwd file.
fn image(running: Value) -> Container {
    let folder = tempfile::tempdir().expect("a folder");
    let passwd = "root:x:0:0::/:\nweb:x:33:34::/:\nodd:x:0\u{1b}\rprivileged:0::/:\nwide:x:0 0:0::/:\n";
    let layers = [layer(&[("etc/passwd", passwd), ("etc/group", "staff:x:50:\nodd:x:5\r0:\n")])];
    layout_of(folder.path(), configuration_of(&layers, running), &layers, |_, bytes| bytes);
    read(folder.path(), Architecture::X86_64, None).expect("an image")
}

/// Checks lines as a person and as the board's parser would, and returns the words of each non-comment line.
fn words(lines: &str) -> Vec<Vec<String>> {
    assert_eq!(lines.chars().find(|found| is_hidden(*found) && !matches!(found, '\n' | '\t')), None, "{lines:?}");
    let program = if lines.lines().any(|line| line.starts_with("exec ")) { "" } else { "exec /x\n" };
    let text = format!("hilum 1\n[workload a]\nroot /r\n{lines}{program}");
    let mut config = Box::new(Config::EMPTY);
    if let Err(error) = config::parse(text.as_bytes(), &mut config) {
        panic!("{error}\n{text}");
    }
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<Vec<String>> = lines.map(split).collect();
    assert!(lines.iter().all(|line| !INJECTED.contains(&line[0].as_str())), "{lines:?}");
    // What PID 1 would use is byte for byte what the image says.
    let workload = &config.workloads[0];
    if let Some(exec) = lines.iter().find(|line| line[0] == "exec") {
        assert_eq!(config.pools.of(workload.exec), &exec[1..]);
    }
    let variables = config.pools.of(workload.env).iter().map(|variable| (variable.name, variable.value));
    let env = lines.iter().filter(|line| line[0] == "env").map(|line| (line[1].as_str(), line[2].as_str()));
    assert!(variables.eq(env), "{lines:?}");
    if let Some(directory) = lines.iter().find(|line| line[0] == "directory") {
        assert_eq!(workload.directory, directory[1]);
    }
    lines
}

/// Returns the words of a line by an independent implementation of the syntax.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line);
    while !rest.is_empty() {
        let (word, behind) = match rest.chars().next().filter(|first| ['"', '\''].contains(first)) {
            Some(quote) => rest[1..].split_once(quote).expect("a closing quote"),
            None => rest.split_once(' ').map_or((rest, ""), |(word, behind)| (word, behind)),
        };
        words.push(word.to_owned());
        rest = behind.trim_start_matches(' ');
    }
    words
}

/// Returns values with something hostile in them, alone or inside of a good value.
fn values(good: &str) -> impl Iterator<Item = String> {
    let good = good.to_owned();
    HOSTILE.iter().flat_map(move |hostile| {
        [
            (*hostile).to_owned(),
            format!("{good}{hostile}"),
            format!("{hostile}{good}"),
            format!("{good}{hostile}{good} x"),
        ]
    })
}

/// Returns whether a line can contain it.
fn is_word(value: &str) -> bool {
    let has_both = value.contains('"') && value.contains('\'');
    !has_both && !value.chars().any(|found| is_hidden(found) && found != '\t')
}

#[test]
fn field_of_an_image_cannot_inject_a_line() {
    for value in values("/a") {
        let lines = words(&image(serde_json::json!({"Entrypoint": ["/bin/a", &value], "Cmd": [&value]})).lines());
        let expected = ["exec", "/bin/a", &value, &value].map(str::to_owned).to_vec();
        assert_eq!(lines, if is_word(&value) { vec![expected] } else { vec![] }, "{value:?}");

        let variables = serde_json::json!({"Env": [format!("A={value}"), format!("{value}=b"), &value, "C=d"]});
        let lines = words(&image(variables).lines());
        let expected = [["env", "A", &value], ["env", &value, "b"], ["env", "C", "d"]];
        assert!(lines.iter().all(|line| expected.iter().any(|one| line == one)), "{value:?}: {lines:?}");
        assert!(lines.len() == 1 || is_word(&value), "{value:?}: {lines:?}");
        assert!(!is_word(&value) || lines[0] == ["env", "A", &value], "{value:?}: {lines:?}");
        assert_eq!(lines.last().expect("a line"), &["env", "C", "d"]);

        let lines = words(&image(serde_json::json!({"StopSignal": &value})).lines());
        assert!(lines.is_empty(), "{value:?}: {lines:?}");
        let lines = words(&image(serde_json::json!({"WorkingDir": &value})).lines());
        let directory = format!("/{}", value.trim_start_matches('/'));
        assert!(lines.iter().all(|line| *line == ["directory", &directory] && is_word(&value)), "{value:?}: {lines:?}");
        for test in [vec!["CMD", "/a", &value], vec!["CMD", &value], vec!["CMD-SHELL", &value], vec![&value]] {
            let lines = words(&image(serde_json::json!({"Healthcheck": {"Test": test}})).lines());
            assert!(lines.iter().all(|line| line[0] == "health" && line[1] == "exec"), "{value:?}: {lines:?}");
        }
        let ports =
            serde_json::json!({"ExposedPorts": {&value: {}, format!("80/{value}"): {}, format!("80{value}"): {}}});
        assert_eq!(words(&image(ports).lines()).len(), 0, "{value:?}");
        let others = serde_json::json!({"Volumes": {&value: {}}, "Labels": {&value: &value}});
        assert_eq!(words(&image(others).lines()).len(), 0, "{value:?}");
    }
}

#[test]
fn user_of_an_image_becomes_numbers_or_a_comment() {
    let users = ["odd", "wide", "web:odd", "33:odd", "99999999999", "4294967295", "1:99999999999", "nonroot"];
    let users = users.into_iter().map(str::to_owned).chain(values("web")).chain(values("33:50"));
    for user in users.filter(|user| user != "web\\n") {
        let lines = image(serde_json::json!({"User": &user})).lines();
        assert!(words(&lines).is_empty() && lines.starts_with("# left out: User "), "{user:?}: {lines}");
    }
    for (user, numbers) in [("web", "33:34"), ("33", "33:34"), ("7", "7:0"), ("web:staff", "33:50"), ("7:8", "7:8")] {
        let lines = words(&image(serde_json::json!({"User": user})).lines());
        assert_eq!(lines, [["user", numbers]]);
    }
}

#[test]
fn inexpressible_setting_becomes_a_comment_with_its_field() {
    let running = serde_json::json!({
        "Entrypoint": ["a\nprivileged"], "Env": ["A=1", "NO", "A=2", format!("B={}", "x".repeat(2000))],
        "WorkingDir": "../srv", "StopSignal": "SIGTERM\nshare user pid net\nseccomp off", "ExposedPorts": {"80": {}, "x/tcp": {}},
    });
    let lines = image(running).lines();
    let expected = [
        r#"# left out: Entrypoint and Cmd ["a\nprivileged"]: a line cannot contain '\n'"#,
        "env A 1",
        r#"# left out: Env[1] ["NO"]: no ="#,
        r#"# left out: Env[2] ["A", "2"]: variable "A" is set twice; remove one of the lines"#,
    ];
    assert_eq!(lines.lines().take(4).collect::<Vec<_>>(), expected);
    let rest: Vec<&str> = lines.lines().skip(4).collect();
    assert!(
        rest[0].starts_with("# left out: Env[3] [\"B\", \"xxx")
            && rest[0].ends_with("...: the line is longer than 1024 bytes; shorten it")
    );
    assert!(rest[1].starts_with("# left out: WorkingDir [\"/../srv\"]: "), "{}", rest[1]);
    assert!(
        rest[2].starts_with(r#"# left out: StopSignal ["SIGTERM\nshare user pid net\nseccomp off", "5s"]: "#),
        "{}",
        rest[2]
    );
    assert_eq!(rest[3..], ["# publish 80:80/tcp", r#"# left out: ExposedPorts ["x/tcp"]: not a tcp or udp port"#]);
    words(&lines);
}

#[test]
fn settings_beyond_the_limits_are_left_out() {
    let variables: Vec<String> = (0..40).map(|number| format!("A{number}=x")).collect();
    let many: Vec<String> = (0..40).map(|number| format!("/{number}")).collect();
    let lines = image(serde_json::json!({"Entrypoint": many, "Env": variables})).lines();
    assert_eq!(words(&lines).len(), 32);
    assert!(lines.starts_with("# left out: Entrypoint and Cmd [\"/0\", \"/1\""), "{lines}");
    assert!(lines.contains("# left out: Env[32] [\"A32\", \"x\"]: too many "), "{lines}");
}

#[test]
fn error_about_an_image_is_always_one_line() {
    for hostile in HOSTILE {
        let folder = tempfile::tempdir().expect("a folder");
        // A digest, a media type, an architecture, names of layers and of the configuration.
        let refused = |file: &str, text: &Value| {
            std::fs::write(folder.path().join(file), serde_json::to_vec(text).expect("JSON")).expect("a file");
            let error = read(folder.path(), Architecture::X86_64, None).expect_err("refused");
            let line = crate::untrusted::escaped(&format!("{error:#}"));
            assert_eq!(line.chars().find(|found| is_hidden(*found)), None, "{line:?}");
        };
        let saved = |config: &str, layer: &str| serde_json::json!([{"Config": config, "RepoTags": [hostile], "Layers": [layer]}]);
        refused("manifest.json", &saved(hostile, "a"));
        std::fs::write(folder.path().join("config"), configuration(&[])).expect("a file");
        refused("manifest.json", &saved("config", &format!("a{hostile}")));
        let other =
            serde_json::json!({"architecture": hostile, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
        std::fs::write(folder.path().join("config"), serde_json::to_vec(&other).expect("JSON")).expect("a file");
        std::fs::write(folder.path().join("a"), "").expect("a file");
        refused("manifest.json", &saved("config", "a"));
        std::fs::write(folder.path().join("oci-layout"), "{}").expect("a file");
        let index = |digest: &str, kind: &str| {
            serde_json::json!({"schemaVersion": 2, "manifests": [{"mediaType": kind, "digest": digest, "size": u64::MAX,
                "annotations": {"org.opencontainers.image.ref.name": hostile}}]})
        };
        refused("index.json", &index(&format!("sha256:{hostile}"), "a"));
        refused("index.json", &index(&format!("sha256:{}", "0".repeat(64)), hostile));
    }
}

#[test]
fn absurd_size_is_refused_without_overflow() {
    for size in [u64::MAX, u64::MAX - 1, 1 << 63, 1] {
        let folder = tempfile::tempdir().expect("a folder");
        layout(folder.path(), |_, bytes| bytes);
        let place = folder.path().join("index.json");
        let mut index: Value = serde_json::from_slice(&std::fs::read(&place).expect("a file")).expect("JSON");
        index["manifests"][0]["size"] = size.into();
        std::fs::write(&place, serde_json::to_vec(&index).expect("JSON")).expect("a file");
        let error = format!("{:#}", read(folder.path(), Architecture::X86_64, None).expect_err("refused"));
        assert!(error.contains("bytes as declared") || error.contains("index.json"), "{error}");
    }
}
