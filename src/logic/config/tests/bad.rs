//! What is refused, with the exact line. Every table of a board has its "one too many" here.

use super::super::limits;
use super::refusal;

const WORKLOAD: &str = "[workload a]\nroot /r\nexec /x\n";

/// The error for a file whose third line is `line`, in the system section.
fn in_system(line: &str) -> String {
    refusal(format!("hilum 1\n[system]\n{line}\n").as_bytes())
}

/// The error for a file whose fifth line is `line`, in a workload that is complete.
fn in_workload(line: &str) -> String {
    refusal(format!("hilum 1\n{WORKLOAD}{line}\n").as_bytes())
}

#[test]
fn file_that_is_no_text_is_refused() {
    for (bytes, expected) in [
        (&b""[..], "1:1: the first line has to be: hilum 1"),
        (b"\n \n# only a comment\n", "1:1: the first line has to be: hilum 1"),
        (b"hilum\n", "1:1: the first line has to be: hilum 1"),
        (b"  [system]\n", "1:3: the first line has to be: hilum 1"),
        (b"hilum 2\n", "1:7: version \"2\" is not known; write: hilum 1"),
        (b"\xef\xbb\xbfhilum 1\n", "1:1: the file starts with a byte order mark; save it as plain UTF-8"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "1:1: control character 0x7f; only spaces and tabs separate words"),
        (b"hilum 1\n[system]\nhostname \xc3\xa4\xff\n", "3:11: byte 0xff is not UTF-8 text; save the file as UTF-8"),
        (b"hilum 1\n[system]\nhostname a\0b\n", "3:11: control character 0x00; only spaces and tabs separate words"),
        (b"hilum 1\r\n[system]\r\n", "1:8: the line ends with CR LF; use LF alone"),
        (b"hilum 1\n\x1b[2J\n", "2:1: control character 0x1b; only spaces and tabs separate words"),
    ] {
        assert_eq!(refusal(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn truncated_file_is_refused() {
    let whole = "hilum 1\n[workload a]\nroot /r\nexec /x \"y z\"\n";
    for (length, expected) in [
        (5, "1:1: the first line has to be: hilum 1"),
        (16, "2:1: \"[workloa\" is no section; expected [system] or [workload NAME]"),
        (19, "2:1: \"[workload\" is no section; expected [system] or [workload NAME]"),
        (20, "2:1: workload \"a\" has no \"root\", which every workload needs"),
        (23, "3:1: unknown key \"ro\" in [workload]; docs/config.md has every key"),
        (25, "3:5: \"root\" needs an absolute path, or LABEL=, UUID= or PARTUUID= with up to 40 bytes behind it"),
        (29, "2:1: workload \"a\" has no \"exec\", which every workload needs"),
        (39, "4:9: the quote is not closed on this line; put \" behind the word"),
    ] {
        assert_eq!(refusal(&whole.as_bytes()[..length]), expected, "{}", &whole[..length]);
    }
}

#[test]
fn malformed_word_or_section_is_refused() {
    for (line, expected) in [
        ("exec \"/x", "5:6: the quote is not closed on this line; put \" behind the word"),
        ("env A \"b\"c", "5:10: a blank is needed behind the closing quote"),
        ("env A b\"c\"", "5:8: a quote can only enclose a whole word"),
        ("[system", "5:1: \"[system\" is no section; expected [system] or [workload NAME]"),
        ("[system] x", "5:10: unexpected word \"x\"; remove it, or enclose words that belong together in quotes"),
        ("[workload b] x", "5:14: unexpected word \"x\"; remove it, or enclose words that belong together in quotes"),
        (
            "[workload B]",
            "5:11: found \"B\", expected a name of at most 32 lower-case letters, digits and -, starting with a letter",
        ),
        (
            "[workload ]",
            "5:11: found \"\", expected a name of at most 32 lower-case letters, digits and -, starting with a letter",
        ),
        ("\"[system]\"", "5:1: unknown key \"[system]\" in [workload]; docs/config.md has every key"),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
    assert_eq!(
        refusal(b"hilum 1\nroot /r\n"),
        "2:1: \"root\" stands before the first section; put it below [system] or [workload NAME]"
    );
    assert_eq!(
        refusal(b"hilum 1\n[system]\n[system]\n"),
        "3:1: [system] can stand only once; put its lines below the first one"
    );
}

#[test]
fn unknown_key_is_refused_with_the_one_that_was_meant() {
    assert_eq!(in_workload("memroy 3"), "5:1: unknown key \"memroy\" in [workload]; did you mean \"memory\"?");
    assert_eq!(in_workload("  restrat never"), "5:3: unknown key \"restrat\" in [workload]; did you mean \"restart\"?");
    assert_eq!(in_workload("colour blue"), "5:1: unknown key \"colour\" in [workload]; docs/config.md has every key");
    assert_eq!(in_system("exec /x"), "3:1: unknown key \"exec\" in [system]; it belongs into [workload]");
    assert_eq!(in_system("hostnam x"), "3:1: unknown key \"hostnam\" in [system]; did you mean \"hostname\"?");
}

#[test]
fn volume_without_the_folder_of_all_volumes_is_refused() {
    assert_eq!(
        in_workload("volume data /var/lib/x"),
        "5:1: volume needs a line in [system] that says where they are: volumes FOLDER"
    );
}

#[test]
fn key_that_stands_twice_is_refused_with_its_first_line() {
    assert_eq!(
        in_workload("root /other"),
        "5:1: \"root\" can stand only once; it was set in line 3: remove one of them"
    );
    assert_eq!(
        in_system("idle stay\nidle stay"),
        "4:1: \"idle\" can stand only once; it was set in line 3: remove one of them"
    );
    assert_eq!(in_workload("env A 1\nenv A 2"), "6:5: variable \"A\" is set twice; remove one of the lines");
}

#[test]
fn duplicate_workload_name_is_rejected() {
    assert_eq!(in_workload("[workload a]"), "5:11: a workload \"a\" is already in line 2; choose another name");
}

#[test]
fn value_that_is_none_is_refused_with_what_was_expected() {
    for (line, expected) in [
        ("hostname -a", "3:10: found \"-a\", expected a host name of at most 64 letters, digits, - and ."),
        ("hostname a..b", "3:10: found \"a..b\", expected a host name of at most 64 letters, digits, - and ."),
        ("hostname", "3:9: \"hostname\" needs a host name of at most 64 letters, digits, - and ."),
        ("hostname a b", "3:12: unexpected word \"b\"; remove it, or enclose words that belong together in quotes"),
        ("console loud", "3:9: found \"loud\", expected prompt, log or off"),
        (
            "console ../sda log",
            "3:9: found \"../sda\", expected a terminal below /dev such as ttyS0, or prompt, log or off",
        ),
        ("watchdog 15s", "3:10: found \"15s\", expected an absolute path without .., of at most 255 bytes"),
        ("watchdog /dev/watchdog", "3:23: \"watchdog\" needs a duration such as 100ms, 5s, 2m or 1h, up to a day"),
        ("control socket", "3:9: found \"socket\", expected off, or the absolute path of the socket"),
        (
            "boots /data/boots 3",
            "3:19: found \"3\", expected limit=COUNT, with a count from 1 to 100, or after=DURATION",
        ),
        ("mount /dev/vda data ext4", "3:16: found \"data\", expected an absolute path without .., not /"),
        ("mount /dev/vda /data", "3:21: \"mount\" needs the name of a filesystem such as ext4"),
        (
            "mount /dev/vda /data ext4 wait=5",
            "3:27: found \"wait=5\", expected ro, exec, wait=DURATION, check=repair|ro|reformat or else=tmpfs|stop",
        ),
        (
            "mount LABEL= /data ext4",
            "3:7: found \"LABEL=\", expected an absolute path, or LABEL=, UUID= or PARTUUID= with up to 40 bytes behind it",
        ),
        ("mount /dev/vda / ext4", "3:16: found \"/\", expected an absolute path without .., not /"),
        ("volumes data", "3:9: found \"data\", expected an absolute path without .., of at most 255 bytes"),
        ("log file", "3:5: found \"file\", expected kmsg, or the absolute path of a file"),
        ("log /data/log size=1", "3:15: found \"size=1\", expected size=BYTES such as size=1M"),
        ("idle sleep", "3:6: found \"sleep\", expected stay, poweroff or reboot"),
    ] {
        assert_eq!(in_system(line), expected, "{line}");
    }
    for (line, expected) in [
        ("ready", "5:6: \"ready\" needs exec, exit, fd, tcp, after or notify"),
        ("ready soon", "5:7: found \"soon\", expected exec, exit, fd, tcp, after or notify"),
        ("ready fd 2", "5:10: found \"2\", expected a descriptor from 3 to 63"),
        ("ready tcp 0", "5:11: found \"0\", expected a port from 1 to 65535"),
        ("ready tcp 65536", "5:11: found \"65536\", expected a port from 1 to 65535"),
        (
            "ready exec within=1s",
            "5:12: unexpected word \"within=1s\"; remove it, or enclose words that belong together in quotes",
        ),
        ("ready notify 5s", "5:14: found \"5s\", expected within= and a duration such as within=10s"),
        ("health ping", "5:8: found \"ping\", expected tcp, file, exec or notify"),
        ("health exec check", "5:13: found \"check\", expected an absolute path without .., of at most 255 bytes"),
        (
            "health tcp 80 every=1s",
            "5:15: found \"every=1s\", expected interval=DURATION or failures=COUNT, with a count from 1 to 100",
        ),
        (
            "health tcp 80 failures=0",
            "5:15: found \"failures=0\", expected interval=DURATION or failures=COUNT, with a count from 1 to 100",
        ),
        ("health exec /a b c d e f g h i", "5:30: too many words of a health check; the limit is 8"),
        ("critical 5s", "5:10: found \"5s\", expected within= and a duration such as within=10s"),
        ("safe yes", "5:6: unexpected word \"yes\"; remove it, or enclose words that belong together in quotes"),
        ("log loud", "5:5: found \"loud\", expected quiet, or rate=COUNT/DURATION such as rate=100/1s"),
        ("log rate=0/1s", "5:5: found \"rate=0/1s\", expected quiet, or rate=COUNT/DURATION such as rate=100/1s"),
        ("user root", "5:6: found \"root\", expected numbers, UID or UID:GID"),
        ("user +1", "5:6: found \"+1\", expected numbers, UID or UID:GID"),
        ("user 1:", "5:6: found \"1:\", expected numbers, UID or UID:GID"),
        ("user 4294967295", "5:6: found \"4294967295\", expected numbers, UID or UID:GID"),
        ("user 99999999999", "5:6: found \"99999999999\", expected numbers, UID or UID:GID"),
        ("directory a/b", "5:11: found \"a/b\", expected an absolute path without .., of at most 255 bytes"),
        ("directory /a/../b", "5:11: found \"/a/../b\", expected an absolute path without .., of at most 255 bytes"),
        ("env A=B c", "5:5: found \"A=B\", expected a name without ="),
        ("env A", "5:6: \"env\" needs a value, \"\" for an empty one"),
        ("env A b c", "5:9: unexpected word \"c\"; remove it, or enclose words that belong together in quotes"),
        ("stop SIGKILLL", "5:6: found \"SIGKILLL\", expected a signal's name such as TERM, INT, QUIT, HUP or USR1"),
        ("stop TERM 5", "5:11: found \"5\", expected a duration such as 100ms, 5s, 2m or 1h, up to a day"),
        ("stop TERM 0s", "5:11: found \"0s\", expected a duration such as 100ms, 5s, 2m or 1h, up to a day"),
        ("stop TERM 25h", "5:11: found \"25h\", expected a duration such as 100ms, 5s, 2m or 1h, up to a day"),
        (
            "stop TERM 9999999999h",
            "5:11: found \"9999999999h\", expected a duration such as 100ms, 5s, 2m or 1h, up to a day",
        ),
        ("stop TERM 5s 6s", "5:14: unexpected word \"6s\"; remove it, or enclose words that belong together in quotes"),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
}

#[test]
fn restart_line_that_makes_no_sense_is_refused() {
    const LIMIT: &str = "limit=COUNT/DURATION such as limit=5/60s, with a count from 1 to 1000";
    for (line, expected) in [
        ("restart", String::from("5:8: \"restart\" needs never, on-failure or always")),
        ("restart often", String::from("5:9: found \"often\", expected never, on-failure or always")),
        ("restart always quickly", String::from("5:16: found \"quickly\", expected delay=, max=, limit= or else=")),
        (
            "restart always delay=1s delay=2s",
            String::from(
                "5:25: unexpected word \"delay=2s\"; remove it, or enclose words that belong together in quotes",
            ),
        ),
        (
            "restart always delay=2s max=1s",
            String::from("5:9: max= is shorter than delay=; lengthen it, or leave it out"),
        ),
        ("restart always else=reboot", String::from("5:16: else= needs a limit= such as limit=5/60s")),
        ("restart always limit=0/60s", format!("5:16: found \"limit=0/60s\", expected {LIMIT}")),
        ("restart always limit=1001/60s", format!("5:16: found \"limit=1001/60s\", expected {LIMIT}")),
        ("restart always limit=5", format!("5:16: found \"limit=5\", expected {LIMIT}")),
        (
            "restart always limit=2/1s else=halt",
            String::from("5:27: found \"else=halt\", expected else=stop, else=reboot or else=poweroff"),
        ),
        (
            // 1 + 2 + 4 + 4 + 4 seconds.
            "restart always delay=1s max=4s limit=5/15s",
            String::from(
                "5:32: the limit cannot be reached: its restarts alone take 15000 ms; lower max= or lengthen the period",
            ),
        ),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
}

#[test]
fn name_that_is_no_workload_is_refused() {
    assert_eq!(in_workload("needs b"), "5:7: there is no workload \"b\"; correct the name, or add its section");
    assert_eq!(in_workload("after"), "5:6: \"after\" needs the name of a workload");
    assert_eq!(in_workload("needs a"), "5:7: workload \"a\" cannot name itself here; remove the name");
}

#[test]
fn cycle_is_refused_with_its_path() {
    let section = |name: &str, line: &str| format!("[workload {name}]\nroot /r\nexec /x\n{line}\n");
    let two = format!("hilum 1\n{}{}", section("a", "needs b"), section("b", "after a"));
    assert_eq!(
        refusal(two.as_bytes()),
        "2:1: workloads wait for each other in a circle: \"a\" waits for \"b\" waits for \"a\"; remove one of these lines"
    );
    // Who only waits for a circle is not part of it.
    let three = format!("hilum 1\n{}{}{}", section("out", "needs b"), section("b", "needs c"), section("c", "needs b"));
    assert_eq!(
        refusal(three.as_bytes()),
        "6:1: workloads wait for each other in a circle: \"b\" waits for \"c\" waits for \"b\"; remove one of these lines"
    );
}

#[test]
fn longest_cycle_is_refused_in_one_line() {
    let mut text = String::from("hilum 1\n");
    for index in 0..limits::WORKLOADS {
        let next = (index + 1) % limits::WORKLOADS;
        text.push_str(&format!("[workload w{index}]\nroot /r\nexec /x\nneeds w{next}\n"));
    }
    let found = refusal(text.as_bytes());
    assert!(found.starts_with("2:1: workloads wait for each other in a circle: \"w0\" waits for \"w1\""), "{found}");
    assert!(found.ends_with("\"w4\" waits for \"w5\" ...; remove one of these lines"), "{found}");
}

#[test]
fn everything_above_its_limit_is_refused() {
    let mut text = String::from("hilum 1\n");
    for index in 0..=limits::WORKLOADS {
        text.push_str(&format!("[workload w{index}]\nroot /r\nexec /x\n"));
    }
    assert_eq!(refusal(text.as_bytes()), "98:11: too many workloads; the limit is 32");

    let words = " a".repeat(limits::EXEC_WORDS);
    let exec = format!("hilum 1\n[workload a]\nroot /r\nexec /x{words}\n");
    assert_eq!(refusal(exec.as_bytes()), "4:71: too many words behind exec; the limit is 32");

    let env: String = (0..=limits::VARIABLES).map(|index| format!("env V{index} x\n")).collect();
    assert_eq!(in_workload(&env), "37:5: too many env lines; the limit is 32");

    let line = format!("needs{}", " a".repeat(limits::LINE_WORDS));
    assert_eq!(in_workload(&line), "5:85: too many words in a line; the limit is 40");

    assert_eq!(in_workload(&"x".repeat(limits::LINE_BYTES + 1)), "5:1: the line is longer than 1024 bytes; shorten it");
    assert_eq!(refusal(&[b'\n'; limits::FILE_BYTES + 1]), "1:1: the file is larger than 65536 bytes; shorten it");

    let path = format!("directory /{}", "d".repeat(limits::PATH_BYTES));
    assert!(in_workload(&path).contains("of at most 255 bytes"));
    let name = format!("[workload a{}]", "b".repeat(limits::NAME_BYTES));
    assert!(in_workload(&name).contains("at most 32"));
    assert!(in_system(&format!("hostname {}", "h".repeat(limits::HOSTNAME_BYTES + 1))).contains("at most 64"));
}

#[test]
fn long_word_is_shown_in_part() {
    let found = in_workload(&"ä".repeat(100));
    assert_eq!(
        found,
        format!("5:1: unknown key \"{}...\" in [workload]; docs/config.md has every key", "ä".repeat(20))
    );
}

#[test]
fn confinement_that_is_none_is_refused_with_what_was_expected() {
    for (line, expected) in [
        ("share mnt", "5:7: found \"mnt\", expected cgroup, ipc, net, net=NAME, pid, time, user or uts"),
        ("share", "5:6: \"share\" needs cgroup, ipc, net, net=NAME, pid, time, user or uts"),
        ("share net=b", "5:7: there is no workload \"b\"; correct the name, or add its section"),
        ("share net=a", "5:7: workload \"a\" cannot name itself here; remove the name"),
        ("ids 1000", "5:5: found \"1000\", expected the first of 65,536 ids, from 65536 up"),
        (
            "capability CAP_KILL",
            "5:12: found \"CAP_KILL\", expected the name of a capability such as net_admin, in lower case and without CAP_",
        ),
        ("seccomp", "5:8: \"seccomp\" needs default, strict or off"),
        ("seccomp default ptrace", "5:17: found \"ptrace\", expected +NAME or -NAME with the name of a system call"),
        ("seccomp default +ptrac", "5:17: found \"+ptrac\", expected +NAME or -NAME with the name of a system call"),
        (
            "seccomp off +ptrace",
            "5:13: unexpected word \"+ptrace\"; remove it, or enclose words that belong together in quotes",
        ),
        (
            "tcp bind=0",
            "5:5: found \"bind=0\", expected bind=PORT,... or connect=PORT,... with at most 8 ports each, or none",
        ),
        ("device /tmp/x", "5:8: found \"/tmp/x\", expected a path below /dev"),
        ("device /dev/x x", "5:15: found \"x\", expected r, w or rw"),
        (
            "mount /a /proc/x",
            "5:10: found \"/proc/x\", expected an absolute path, not / and not below /proc, /sys or /dev",
        ),
        ("mount /a /b rx", "5:13: found \"rx\", expected ro, rw, ro,exec or rw,exec"),
        ("memory 32MB", "5:8: found \"32MB\", expected a number of bytes such as 32M or 1G, or max"),
        ("memory 32M low=1M", "5:12: found \"low=1M\", expected high=, min= or swap= and a number of bytes"),
        ("pids many", "5:6: found \"many\", expected a number of processes, or max"),
        ("cpu 50", "5:5: found \"50\", expected a percentage of one processor such as 50% or 200%"),
        ("cpuset 0-", "5:8: found \"0-\", expected a list of processors such as 0-1,3"),
        ("io /dev/vda", "5:12: \"io\" needs rbps=, wbps=, riops= or wiops= and a number"),
        ("umask 800", "5:7: found \"800\", expected an octal number such as 022"),
        ("rlimit files 5", "5:8: found \"files\", expected the name of a resource such as nofile (getrlimit(2))"),
        ("rlimit nofile 9 5", "5:15: found \"9\", expected a soft limit below the hard one"),
        ("oom_score_adj 1001", "5:15: found \"1001\", expected a whole number from -1000 to 1000"),
        ("nice --5", "5:6: found \"--5\", expected a whole number from -20 to 19"),
        ("scheduler fifo", "5:15: \"scheduler\" needs a priority from 1 to 99"),
        ("ioprio best-effort 8", "5:20: found \"8\", expected a level from 0 to 7"),
        (
            "user 70000",
            "2:1: workload \"a\": a user or group id is above 65535, the last one of its own; use a lower one, or write: share user",
        ),
        (
            "share user\ncapability sys_admin",
            "2:1: workload \"a\": sys_admin with share user opens the whole board; if that is meant, write: privileged",
        ),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
}

/// A board with two bridges, and a workload on the first one.
fn with_network(system: &str, lines: &str) -> String {
    refusal(
        format!(
            "hilum 1\n[system]\nlink eth0 10.0.2.15/24 via 10.0.2.2\nbridge br0 10.77.0.1/24 fd77::1/64\n{system}\n\
             [workload a]\nroot /r\nexec /x\nlink veth br0 10.77.0.2/24 via 10.77.0.1\npublish 8080:80/tcp\n\
             [workload b]\nroot /r\nexec /x\n{lines}\n"
        )
        .as_bytes(),
    )
}

#[test]
fn network_line_that_is_wrong_by_itself_is_refused() {
    for (line, expected) in [
        ("link", "3:5: \"link\" needs a link's name of at most 15 letters, digits, -, _ and ."),
        (
            "link eth0",
            "3:10: \"link\" needs dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        (
            "link a-name-of-16-let up",
            "3:6: found \"a-name-of-16-let\", expected a link's name of at most 15 letters, digits, -, _ and .",
        ),
        ("link lo up", "3:6: found \"lo\", expected a link's name of at most 15 letters, digits, -, _ and ."),
        ("link eth/0 up", "3:6: found \"eth/0\", expected a link's name of at most 15 letters, digits, -, _ and ."),
        (
            "link eth0 10.0.0.256/24",
            "3:11: found \"10.0.0.256/24\", expected dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        (
            "link eth0 10.0.0.2/33",
            "3:11: found \"10.0.0.2/33\", expected dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        (
            "link eth0 10.0.0.0/24",
            "3:11: found \"10.0.0.0/24\", expected dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        (
            "link eth0 10.0.0.255/24",
            "3:11: found \"10.0.0.255/24\", expected dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        (
            "link eth0 127.0.0.1/8",
            "3:11: found \"127.0.0.1/8\", expected dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        (
            "link eth0 mac=1:2 up",
            "3:11: found \"mac=1:2\", expected dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        (
            "link eth0 mac=01:00:00:00:00:01 up",
            "3:11: found \"mac=01:00:00:00:00:01\", expected dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        (
            "link eth0 mtu=10 up",
            "3:11: found \"mtu=10\", expected dhcp, up, an address such as 10.0.0.2/24, via GATEWAY, mac=, path= or mtu=",
        ),
        ("link eth0 10.0.0.2/24 via", "3:26: \"link\" needs a gateway's address behind via, one for each family"),
        (
            "link eth0 10.0.0.2/24 via 10.0.0.1 via 10.0.0.3",
            "3:40: found \"10.0.0.3\", expected a gateway's address behind via, one for each family",
        ),
        ("bridge br0", "3:11: \"bridge\" needs an address and its network's bits such as 10.0.0.2/24 or fd00::2/64"),
        (
            "bridge br0 10.0.0.1",
            "3:12: found \"10.0.0.1\", expected an address and its network's bits such as 10.0.0.2/24 or fd00::2/64",
        ),
        (
            "route 10.9.0.1/16 via 10.0.0.1",
            "3:7: found \"10.9.0.1/16\", expected a network by its first address, such as 10.9.0.0/16",
        ),
        ("route 10.9.0.0/16 via fd00::1", "3:23: found \"fd00::1\", expected a gateway's address of the same family"),
        ("nameserver dns.example", "3:12: found \"dns.example\", expected the address of a name server"),
        ("sysctl net..x 1", "3:8: found \"net..x\", expected the name of a setting such as net.ipv4.ip_forward"),
        (
            "sysctl ../../etc/passwd 1",
            "3:8: found \"../../etc/passwd\", expected the name of a setting such as net.ipv4.ip_forward",
        ),
        ("sysctl net.ipv4.ip_forward", "3:27: \"sysctl\" needs a value"),
    ] {
        assert_eq!(in_system(line), expected, "{line}");
    }
    for (line, expected) in [
        ("link br0 10.0.0.2/24", "5:6: found \"br0\", expected veth, macvlan, ipvlan or move"),
        (
            "link veth br0 dhcp",
            "5:15: found \"dhcp\", expected an address such as 10.77.0.2/24, via GATEWAY, mac=, mtu= or spoof",
        ),
        ("publish 80", "5:9: found \"80\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp"),
        ("publish 80:80", "5:9: found \"80:80\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp"),
        ("publish 0:80/tcp", "5:9: found \"0:80/tcp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp"),
        (
            "publish 80:80/sctp",
            "5:9: found \"80:80/sctp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp",
        ),
        (
            "publish fd00::1:80:80/tcp",
            "5:9: found \"fd00::1:80:80/tcp\", expected [ADDRESS:]PORT:PORT/tcp or /udp such as 8080:80/tcp",
        ),
        ("resolv now", "5:8: unexpected word \"now\"; remove it, or enclose words that belong together in quotes"),
        ("talk", "5:5: \"talk\" needs the names of workloads, or board"),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
}

#[test]
fn network_line_that_does_not_go_with_others_is_refused() {
    for (system, lines, expected) in [
        (
            "bridge br1 10.77.0.128/25",
            "",
            "5:12: found \"10.77.0.128/25\", expected an address and its network's bits such as 10.0.0.2/24 or fd00::2/64",
        ),
        (
            "bridge br1 10.77.0.129/25",
            "",
            "5:12: found \"10.77.0.129/25\", expected a network that overlaps with none of another bridge or link",
        ),
        (
            "link eth1 10.0.0.1/16",
            "",
            "5:11: found \"10.0.0.1/16\", expected a network that overlaps with none of another bridge or link",
        ),
        ("link br0 up", "", "5:6: found \"br0\", expected a name that no other link or bridge has"),
        (
            "link eth1 10.1.0.2/24 via 10.2.0.1",
            "",
            "5:27: found \"10.2.0.1\", expected a gateway in the network of a link's address",
        ),
        ("masquerade br9 eth0", "", "5:12: found \"br9\", expected the name of a bridge line of [system]"),
        ("masquerade br0 eth9", "", "5:16: found \"eth9\", expected the name of a link line of [system]"),
        ("", "link veth br9 10.77.0.3/24", "14:11: found \"br9\", expected the name of a bridge line of [system]"),
        (
            "",
            "link veth br0 10.78.0.3/24",
            "14:15: found \"10.78.0.3/24\", expected an address in the bridge's network",
        ),
        (
            "",
            "link veth br0 10.77.0.3/24 via 10.77.0.9",
            "14:32: found \"10.77.0.9\", expected the bridge's own address: it is the only gateway there",
        ),
        ("", "link veth br0 10.77.0.1/24", "14:15: found \"10.77.0.1/24\", expected an address that is not taken"),
        ("", "link macvlan eth9 10.0.2.50/24", "14:14: found \"eth9\", expected the name of a link line of [system]"),
        ("", "link move eth0", "14:11: found \"eth0\", expected a link that no other line uses or gives an address"),
        (
            "",
            "link veth br0 10.77.0.3/24\npublish 90:90/tcp",
            "15:1: workload \"b\": publish needs a link veth with an address of that family and via",
        ),
        (
            "",
            "link veth br0 10.77.0.3/24 via 10.77.0.1\npublish 8080:90/tcp",
            "15:9: found \"8080:90/tcp\", expected a port of the board that no other line publishes",
        ),
        ("", "talk a", "14:1: workload \"b\": talk needs a link veth with an address"),
        (
            "",
            "link veth br0 10.77.0.3/24\ntalk c",
            "15:6: there is no workload \"c\"; correct the name, or add its section",
        ),
        ("", "link veth br0 10.77.0.3/24\ntalk b", "15:6: workload \"b\" cannot name itself here; remove the name"),
        (
            "",
            "share net\npublish 90:90/tcp",
            "11:1: workload \"b\": link and publish belong to a network of its own; remove them, or share net",
        ),
        (
            "",
            "link ipvlan eth0 10.0.2.50/24 spoof",
            "11:1: workload \"b\": spoof has a meaning for veth alone, mac= for veth and macvlan; remove them elsewhere",
        ),
        (
            "",
            "link macvlan eth0 10.0.2.50/24 spoof",
            "11:1: workload \"b\": spoof has a meaning for veth alone, mac= for veth and macvlan; remove them elsewhere",
        ),
        (
            "route 10.9.0.0/16 via 10.3.0.1",
            "",
            "5:23: found \"10.3.0.1\", expected a gateway in the network of a link's address",
        ),
        // A link that workloads have is none of the board's.
        (
            "route 10.9.0.0/16 via 10.77.0.2",
            "",
            "5:23: found \"10.77.0.2\", expected a gateway in the network of a link's address",
        ),
        (
            "link eth1 10.1.0.2/24 10.1.0.3/24 10.1.0.2/24",
            "",
            "5:35: found \"10.1.0.2/24\", expected an address that is not taken",
        ),
        ("bridge br1 fd01::1/64 fd01::1/64", "", "5:23: found \"fd01::1/64\", expected an address that is not taken"),
        (
            "",
            "link veth br0 10.77.0.3/24 10.77.0.3/24",
            "14:28: found \"10.77.0.3/24\", expected an address that is not taken",
        ),
        // Nobody who comes from outside would be answered.
        (
            "",
            "link veth br0 10.77.0.3/24 fd77::3/64 via 10.77.0.1\npublish [fd77::1]:90:90/tcp",
            "15:1: workload \"b\": publish needs a link veth with an address of that family and via",
        ),
    ] {
        assert_eq!(with_network(system, lines), expected, "{system} {lines}");
    }
    let expected = "14:15: found \"10.77.0.2/24\", expected an address that is not taken";
    assert_eq!(with_network("", "link veth br0 10.77.0.2/24"), expected);
}
