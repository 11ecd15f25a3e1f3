//! `hilum exec`: a further program in a workload, confined as the workload is.

use crate::host_or_return;
use crate::pair;
use crate::support::{SOON, has_line};
use std::time::Duration;

#[test]
fn exec_runs_inside_with_the_streams_and_the_exit_status_of_the_program() {
    let host_root = host_or_return!();
    let _namespace = pair(&host_root);
    assert_eq!(host_root.ask(&["exec", "a", "/bin/probe", "exit", "42"]), (42, String::new()));
    let (code, text) = host_root.ask(&["exec", "a", "probe", "do", "say:inside"]);
    assert_eq!((code, text.as_str()), (0, "inside\ndid say:inside 0\n"));
    let (code, text) = host_root.ask(&["exec", "a", "none"]);
    assert_eq!(code, 127);
    assert_eq!(
        text,
        "hilum: exec none: ENOENT (no such file or directory): the program is not in the root filesystem; write its path as it is inside\n"
    );
    assert_eq!(host_root.ask(&["exec", "none", "x"]).0, 125);
    // What is gone with its client is gone inside.
    let mut waiting = host_root.command(&["exec", "a", "/bin/probe", "sleep", "60000"]).spawn().expect("hilum");
    let count = || host_root.ask(&["exec", "a", "/bin/probe", "facts"]).1.matches("fact process ").count();
    let _ = count();
    std::thread::sleep(Duration::from_millis(100));
    waiting.kill().and_then(|()| waiting.wait()).expect("it is there");
    assert_eq!(host_root.ask(&["stop", "a", "-w"]).0, 0);
    assert_eq!(
        host_root.ask(&["exec", "a", "x"]),
        (125, "hilum: workload \"a\" does not run; start it with: hilum start a\n".to_owned())
    );
}

#[test]
fn exec_is_confined_as_the_workload_is() {
    let host_root = host_or_return!();
    let lines = "root ROOT\nuser 7:8\numask 077\nenv A 1\nrlimit nofile 99\nhostname same\nrestart never\n";
    let config = format!(
        "hilum 1\n[system]\ncontrol SOCKET\nconsole off\n[workload a]\nexec /bin/probe on-term\n{lines}\
         [workload b]\nexec /bin/probe facts\n{lines}"
    );
    let _namespace = host_root.start(&config);
    host_root.expect_state("a", "ready");
    host_root.expect_state("b", "finished");
    // What the workload's own program sees is compared with a table in `isolation.rs`. What a further one sees has to be
    // the same, but for what differs between any two workloads, and for the other processes that it sees.
    let facts = |text: &str| -> Vec<String> {
        let differs = ["fact namespace", "fact mount", "fact process", "fact argument", "fact pid", "fact session"];
        let facts = text.lines().filter_map(|line| Some(&line[line.find("fact ")?..]));
        // Of a descriptor its number: the streams are others.
        let facts = facts.map(|fact| if fact.starts_with("fact descriptor") { &fact[..17] } else { fact });
        facts.filter(|fact| !differs.iter().any(|start| fact.starts_with(start))).map(str::to_owned).collect()
    };
    let own = facts(&host_root.ask(&["log", "b"]).1);
    let (code, inside) = host_root.ask(&["exec", "a", "/bin/probe", "facts"]);
    assert_eq!(code, 0, "{inside}");
    assert!(own.len() > 40, "{own:?}");
    assert_eq!(facts(&inside), own);
    let (_, tried) =
        host_root.ask(&["exec", "a", "/bin/probe", "do", "mount:tmpfs:/tmp", "unshare:10000000", "kill:1"]);
    assert!(tried.contains("did mount:tmpfs:/tmp 1") && tried.contains("did unshare:10000000 1"), "{tried}");
}

/// CVE-2016-9962: what enters a workload is traced by somebody inside, and what it has is taken.
#[test]
fn process_that_enters_a_workload_cannot_be_opened_from_inside() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe prowl 4000\n\
        capability sys_ptrace\nseccomp off\nlandlock off\nrestart never\n";
    let namespace = host_root.start(config);
    host_root.expect_state("a", "ready");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (execs, seen) = std::thread::scope(|scope| {
        // The twin: with the board's own rights the same processes can be opened, so there is something to find.
        let twin = scope.spawn(|| {
            let mut seen = 0_u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                    let path = entry.path();
                    let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
                    let depth = status
                        .lines()
                        .find(|line| line.starts_with("NSpid:"))
                        .map_or(0, |line| line.split_whitespace().count());
                    let is_open = depth == 4 && std::fs::File::open(path.join("mem")).is_ok();
                    let comm = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
                    seen += u32::from(is_open && comm.starts_with("hilum"));
                }
            }
            seen
        });
        let mut execs = 0;
        while namespace.console.expect("prowled: of hilum", Duration::ZERO).is_err() && execs < 5_000 {
            execs += u32::from(host_root.ask(&["exec", "a", "/bin/probe", "exit", "0"]).0 == 0);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (execs, twin.join().expect("the twin"))
    });
    let console = namespace.console.expect("prowled: of hilum", SOON).expect("it ends");
    println!("{execs} programs entered, {seen} opened by the twin");
    has_line(&console, "a | prowled: of hilum 0");
    assert!(execs > 100 && seen > 0, "{execs} programs entered, {seen} opened by the twin");
}
