//! Eight programs of Debian packages (`qemu/guests/programs`) under the default confinement, each with a real request. On x86_64 only:
//! Java's path names the architecture, and a second machine with all eight would take as long again.

use crate::support::{boot_command, build_update, page};
use hilum_qemu::{Accelerator, Architecture, Options};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For all programs together, on a busy machine.
const START: Duration = Duration::from_mins(10);
const ANSWER: Duration = Duration::from_mins(2);

/// What a program gets, by its name and the port of the board.
const PORTS: [(&str, u16); 7] = [
    ("nginx", 8001),
    ("redis", 8002),
    ("mosquitto", 8004),
    ("python", 8005),
    ("node", 8006),
    ("caddy", 8007),
    ("java", 8008),
];

#[test]
fn eight_programs_of_debian_serve_under_the_default_confinement() {
    let begin = Instant::now();
    let folder = tempfile::tempdir().expect("a scratch folder");
    build_update("qemu-x86_64", &programs().join("appliance.toml"), folder.path());
    println!("built in {:?}", begin.elapsed());
    let ports = PORTS.map(|(name, port)| (name, port, crate::support::free_port()));
    let forwards = ports.map(|(_, to, from)| format!(",hostfwd=tcp:127.0.0.1:{from}-:{to}")).concat();
    let mut words = hilum_qemu::network(&forwards);
    words.extend(hilum_qemu::writable_disk(&folder.path().join("data.img")));
    words.extend(["-smp", "2"].map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let options = Options {
        arch: Architecture::X86_64,
        kernel: &folder.path().join("vmlinuz"),
        initramfs: &folder.path().join("initramfs"),
        append: "",
        memory_mib: 1024,
        accelerator: Accelerator::Tcg,
        disk: None,
        more: &words,
    };
    let mut booted = boot_command(options.command(), "stdio");
    for name in ports.iter().map(|(name, ..)| *name).chain(["postgres"]) {
        booted.vm.console.expect(&format!("hilum: workload \"{name}\": ready"), START).expect(name);
    }
    println!("ready after {:?}", begin.elapsed());
    let port = |wanted: &str| ports.iter().find(|(name, ..)| *name == wanted).expect("its port").2;
    for (name, path, wanted) in [
        ("nginx", "/", "A page of an isolated workload."),
        ("caddy", "/", "Caddy works!"),
        ("python", "/page.txt", "A page of an isolated workload."),
        ("java", "/page.txt", "A page of an isolated workload."),
        ("node", "/some/path", "/some/path"),
    ] {
        let page = page(port(name), path);
        assert!(page.starts_with("HTTP/1.") && page.contains(" 200 ") && page.contains(wanted), "{name}: {page}");
    }
    talk(port("redis"), &[(b"SET answer 42\r\n", b"+OK\r\n"), (b"GET answer\r\n", b"$2\r\n42\r\n")]);
    // MQTT 3.1.1: CONNECT and CONNACK, SUBSCRIBE and SUBACK, PUBLISH, which comes back.
    talk(
        port("mosquitto"),
        &[
            (b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01t", b"\x20\x02\x00\x00"),
            (b"\x82\x06\x00\x01\x00\x01a\x00", b"\x90\x03\x00\x01\x00"),
            (b"\x30\x08\x00\x01ahello", b"\x30\x08\x00\x01ahello"),
        ],
    );
    // The database is not published: its client runs inside, with the same confinement.
    let query = "exec postgres /usr/lib/postgresql/17/bin/psql -Atc \"SELECT 'the answer is ' || 6 * 7\"\r";
    booted.vm.type_text(query).expect("a prompt");
    booted.vm.console.expect("the answer is 42", ANSWER).expect("the query's result");
    // The client gets what is typed until it has exited.
    let off = (0..12).any(|_| {
        booted.vm.type_text("poweroff\r").expect("a prompt");
        booted.vm.console.expect("hilum: stopping ", Duration::from_secs(10)).is_ok()
    });
    assert!(off, "{}", booted.vm.console.tail());
    let console = booted.vm.wait(START).expect("it powers off");
    println!("off after {:?}", begin.elapsed());
    assert!(!console.contains("restart 1"), "a program failed at first\n{console}");
    assert!(console.contains("hilum: power off"), "{console}");
}

/// The folder of the appliance.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/programs")
}

/// Sends each request over one connection, and compares the answer.
fn talk(port: u16, dialog: &[(&[u8], &[u8])]) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
    stream.set_read_timeout(Some(ANSWER)).expect("a timeout");
    for (request, wanted) in dialog {
        stream.write_all(request).expect("a connection");
        let mut answer = vec![0; wanted.len()];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer.escape_ascii().to_string(), wanted.escape_ascii().to_string());
    }
}

/// What the page shows is what is tested: nothing here opens the confinement.
#[test]
fn configuration_of_the_eight_programs_permits_nothing_beyond_the_default() {
    let config = std::fs::read_to_string(programs().join("hilum.conf")).expect("a file");
    let keys: std::collections::BTreeSet<&str> =
        config.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for key in ["privileged", "seccomp", "landlock", "capability", "share", "device", "sys", "ids", "groups"] {
        assert!(!keys.contains(key), "{key}");
    }
    assert_eq!(config.matches("\n[workload ").count(), 9, "eight programs, and initdb");
}
