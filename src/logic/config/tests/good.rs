//! What is taken, and what it becomes.

use super::super::{
    ConsoleMode, Idle, Limit, Otherwise, Restart, Signal, Stop, User, VOCABULARY, Variable, When, limits,
};
use super::with;

const SMALLEST: &str = "hilum 1\n[workload a]\nroot /r\nexec /x\n";

#[test]
fn smallest_file_has_the_documented_defaults() {
    with(SMALLEST, |config| {
        assert_eq!(config.system.hostname, None);
        assert_eq!((config.system.console.device, config.system.console.mode), (None, ConsoleMode::Log));
        assert_eq!(config.system.idle, Idle::Stay);
        let workload = &config.workloads[0];
        assert_eq!((workload.name, workload.line), ("a", 2));
        assert_eq!((workload.root, workload.exec.as_slice()), ("/r", &["/x"][..]));
        assert_eq!((workload.directory, workload.hostname), ("/", "a"));
        assert_eq!(workload.user, User { uid: 0, gid: 0 });
        assert!(workload.env.is_empty() && workload.needs.is_empty() && workload.after.is_empty());
        let restart = Restart { when: When::OnFailure, delay_ms: 100, max_ms: 30_000, limit: None };
        assert_eq!(workload.restart, restart);
        assert_eq!(workload.stop, Stop { signal: Signal(15), grace_ms: 5_000 });
    });
}

#[test]
fn version_alone_is_a_board_without_workloads() {
    with("hilum 1", |config| assert!(config.workloads.is_empty()));
}

#[test]
fn every_key_is_read() {
    let text = "# a board\nhilum 1 # version\n\n[system]\n\thostname sensor-7.lab\nconsole ttyS0 off\nidle reboot\n\
        [workload web]\nroot /images/web\nexec /bin/httpd -f \"a b # c\" \"\"\nenv A \"1 2\"\nenv B \"\"\n\
        directory /srv\nhostname front\nuser 1000:50\nneeds db log\nafter late\n\
        restart always delay=1s max=2m limit=5/1h else=reboot\nstop SIGINT 250ms\n\
        [workload db]\nroot /\nexec /d\nuser 7\nrestart never\n[workload log]\nroot /\nexec /d\n[workload late]\nroot /\nexec /d\n";
    with(text, |config| {
        assert_eq!(config.system.hostname, Some("sensor-7.lab"));
        assert_eq!((config.system.console.device, config.system.console.mode), (Some("ttyS0"), ConsoleMode::Off));
        assert_eq!(config.system.idle, Idle::Reboot);
        let web = &config.workloads[0];
        assert_eq!(web.exec.as_slice(), ["/bin/httpd", "-f", "a b # c", ""]);
        let env = [Variable { name: "A", value: "1 2" }, Variable { name: "B", value: "" }];
        assert_eq!(web.env.as_slice(), env);
        assert_eq!((web.directory, web.hostname), ("/srv", "front"));
        assert_eq!(web.user, User { uid: 1000, gid: 50 });
        assert_eq!(web.needs.iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(web.after.iter().collect::<Vec<_>>(), [3]);
        let limit = Some(Limit { count: 5, period_ms: 3_600_000, otherwise: Otherwise::Reboot });
        assert_eq!(web.restart, Restart { when: When::Always, delay_ms: 1_000, max_ms: 120_000, limit });
        assert_eq!(web.stop, Stop { signal: Signal(2), grace_ms: 250 });
        assert_eq!(config.workloads[1].user, User { uid: 7, gid: 7 });
        assert_eq!(config.workloads[1].restart.when, When::Never);
    });
}

#[test]
fn everything_at_its_limit_is_taken() {
    let mut text = String::from("hilum 1\n");
    for index in 0..limits::WORKLOADS {
        let name = format!("w{index:0width$}", width = limits::NAME_BYTES - 1);
        let words = " a".repeat(limits::EXEC_WORDS - 1);
        text.push_str(&format!("[workload {name}]\nroot /{}\nexec /x{words}\n", "r".repeat(limits::PATH_BYTES - 1)));
    }
    for index in 0..limits::VARIABLES {
        text.push_str(&format!("env V{index} x\n"));
    }
    text.push_str(&format!("hostname {}\n", "h".repeat(limits::HOSTNAME_BYTES)));
    text.push_str(&format!("# {}\n", "c".repeat(limits::LINE_BYTES - 2)));
    text.push_str(&format!("#{}", "\n".repeat(limits::FILE_BYTES - text.len() - 1)));
    with(&text, |config| assert_eq!(config.workloads.len(), limits::WORKLOADS));
}

#[test]
fn line_with_as_many_words_as_fit_is_split() {
    // That is more than any key takes, so it is the key that refuses, not the line.
    let words = " a".repeat(limits::LINE_WORDS - 2);
    let found = super::refusal(format!("hilum 1\n[workload a]\nroot /{words}\n").as_bytes());
    assert_eq!(found, "3:8: unexpected word \"a\"");
}

#[test]
fn empty_table_is_all_zero_bytes_so_that_it_lies_in_bss() {
    // The first words of a section without text: no pointer, no default that is not zero.
    let empty = &super::super::Config::EMPTY;
    assert!(empty.system.hostname.is_none() && empty.system.console.device.is_none());
    assert_eq!((empty.system.console.mode as u8, empty.system.idle as u8, empty.workloads.len()), (0, 0, 0));
}

#[test]
fn every_key_is_in_the_documentation() {
    let documentation = include_str!("../../../../docs/config.md");
    for key in VOCABULARY {
        let heading = format!("`{}", key.name);
        assert!(documentation.contains(&heading), "docs/config.md does not tell of {}", key.name);
    }
}

#[test]
fn example_of_the_documentation_is_taken() {
    let documentation = include_str!("../../../../docs/config.md");
    let example = documentation.split("```").find(|block| block.starts_with("\nhilum 1")).expect("there is an example");
    with(example, |config| assert!(config.workloads.len() >= 2));
}
