//! The client of time servers, against chrony, ntpsec and a scripted server with what these would not say. PID 1 is in a
//! container here, so it compares and never sets the clock: guests show that.

use crate::support::sntp::{Sntp, answer, kiss};
use crate::support::wire::{Peer, inside, start, until};
use crate::support::{Host, SOON, built, host};
use hilum_qemu::Namespace;
use std::path::Path;
use std::process::Command;

/// Returns a configuration with these servers, and a workload that waits for the right time.
fn config(servers: &str) -> String {
    format!(
        "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 192.168.9.2/24\ntime {servers}\n\
         [workload tls]\nroot ROOT\nexec /bin/probe on-term\nneeds time\n"
    )
}

const YEAR_MS: i64 = 365 * 86_400_000;

/// Returns the milliseconds until 2099.
fn to_2099() -> i64 {
    let there = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(4_070_908_800);
    i64::try_from(there.duration_since(std::time::SystemTime::now()).expect("before").as_millis())
        .expect("milliseconds")
}

/// Returns what `hilum time --json` says.
fn time(host: &Host) -> serde_json::Value {
    let (_, text) = host.ask(&["time", "--json"]);
    serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
}

/// Starts PID 1 with these servers at 192.168.9.1 to .4.
fn begin(host: &Host, servers: &str) -> (Namespace, Peer) {
    let namespace = start(host, &config(servers));
    namespace.console.expect("1 workload from", SOON).expect("the banner");
    let peer = Peer::new(&namespace);
    for last in 2..5 {
        // The board has .2.
        peer.ip(&["addr", "add", &format!("192.168.9.{last}1/24"), "dev", "srv"]);
    }
    (namespace, peer)
}

#[test]
fn wrong_answers_do_not_make_the_clock_right() {
    let host = host_or_return!();
    let (namespace, peer) = begin(&host, "192.168.9.1 192.168.9.21 192.168.9.31 192.168.9.41");
    let mut before: Option<Vec<u8>> = None;
    let servers = [
        // A replay of the answer before, and one with a guessed origin.
        Sntp::start(peer.pid(), "192.168.9.1", move |request, _| {
            let replayed = before.replace(answer(request, 0));
            let mut guessed = answer(request, 0);
            guessed[31] ^= 1;
            vec![replayed.unwrap_or_default(), guessed]
        }),
        // It does not know the time itself.
        Sntp::start(peer.pid(), "192.168.9.21", |request, _| {
            let mut unsynchronised = answer(request, 0);
            (unsynchronised[0], unsynchronised[1]) = (0xe4, 0);
            vec![unsynchronised]
        }),
        Sntp::start(peer.pid(), "192.168.9.31", |request, _| vec![answer(request, to_2099())]),
        Sntp::start(peer.pid(), "192.168.9.41", |request, _| vec![answer(request, -25 * YEAR_MS)]),
    ];
    let line = "time: 192.168.9.31 is refused: more than 20 years after the image";
    namespace.console.expect(line, SOON).expect("a jump of 73 years is told");
    namespace
        .console
        .expect("time: 192.168.9.41 is refused: before the floor", SOON)
        .expect("and one before the image");
    until("a second round, with a replay", || servers.iter().all(|server| server.asked() > 1));
    let told = time(&host);
    assert_eq!(
        told["servers"],
        serde_json::json!({
            "192.168.9.1": "gives no answer",
            "192.168.9.21": "gives no answer",
            "192.168.9.31": "is refused: more than 20 years after the image",
            "192.168.9.41": "is refused: before the floor"
        }),
        "{told}"
    );
    assert_eq!((&told["state"], &told["answered_s"]), (&"waiting".into(), &serde_json::Value::Null), "{told}");
    let status = host.status("tls");
    assert_eq!((&status["state"], &status["need"]), (&"waiting".into(), &"time".into()), "{status}");
    let (_, text) = host.ask(&["status"]);
    assert!(text.starts_with("the clock is not right; see: hilum time\n") && text.contains("waits for time"), "{text}");
    let (code, text) = host.ask(&["start", "tls", "-w"]);
    assert_eq!((code, text.contains("waits for a device, a disk or the time")), (1, true), "{text}");
    assert_eq!(namespace.console.text().matches(" is refused: ").count(), 2, "{}", namespace.console.tail());
}

#[test]
fn liar_among_three_is_outvoted_and_a_server_that_refuses_is_left_alone() {
    let host = host_or_return!();
    let (namespace, peer) = begin(&host, "192.168.9.1 192.168.9.21 192.168.9.31 192.168.9.41");
    let denying = Sntp::start(peer.pid(), "192.168.9.1", |request, _| vec![kiss(request, b"DENY")]);
    // Alone, the liar is no majority.
    let liar = Sntp::start(peer.pid(), "192.168.9.21", |request, _| vec![answer(request, 2 * YEAR_MS)]);
    namespace.console.expect("time: 192.168.9.1 refuses to serve", SOON).expect("that is told");
    until("another round", || liar.asked() > 1);
    assert_eq!((denying.asked(), time(&host)["state"].as_str()), (1, Some("waiting")));
    let good = Sntp::start(peer.pid(), "192.168.9.31", |request, _| vec![answer(request, 20)]);
    let _late = Sntp::start(peer.pid(), "192.168.9.41", |request, _| vec![answer(request, 50)]);
    namespace.console.expect("time: clock right: ", SOON).expect("a majority");
    namespace.console.expect("workload \"tls\": started", SOON).expect("it has waited for that");
    let told = time(&host);
    let offset = told["offset_us"].as_i64().expect("a number");
    // The middle of 20 ms, 50 ms and two years.
    assert!((10_000..390_000).contains(&offset) && told["interval_s"] == 32, "{told}");
    assert_eq!((denying.asked(), good.asked()), (1, 1));
}

#[test]
fn rate_slows_the_client_down_and_a_link_that_returns_speeds_it_up() {
    let host = host_or_return!();
    let (namespace, mut peer) = begin(&host, "192.168.9.1");
    let busy = Sntp::start(peer.pid(), "192.168.9.1", |request, _| vec![kiss(request, b"RATE")]);
    namespace.console.expect("time: 192.168.9.1 asks for fewer requests", SOON).expect("that is told");
    until("the interval", || time(&host)["interval_s"] == 64);
    drop(busy);
    let folder = host.scratch.path();
    let chrony = chrony(&mut peer, folder);
    peer.ip(&["link", "set", "srv", "down"]);
    until("a cable that is pulled", || !inside(&namespace, &["ip", "link", "show", "eth0"]).contains("LOWER_UP"));
    peer.ip(&["link", "set", "srv", "up"]);
    namespace.console.expect("time: clock right: ", SOON).expect("chrony is asked at once");
    assert!(Peer::count(&chrony, "") > 0);
    assert_eq!(time(&host)["servers"]["192.168.9.1"], "is used");
}

/// Returns a program of a Debian package that is not installed, because it would replace the time server of this machine.
fn program(folder: &Path, package: &str, path: &str) -> String {
    let archive = built(&format!("debian/packages/{}-bookworm/{package}.tar", host().name()));
    let unpacked = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder).status().expect("tar");
    assert!(unpacked.success());
    folder.join(path).to_str().expect("UTF-8").to_owned()
}

/// Returns a command for a server at the peer that cannot set this host's clock, whatever it tries.
fn harmless(peer: &Peer, program: &str) -> Command {
    let mut command = peer.command("setpriv");
    command.args(["--bounding-set", "-sys_time", "--inh-caps", "-sys_time", program]);
    command
}

/// Starts chrony, which serves this host's time and never sets it (`-x`). Returns its log.
fn chrony(peer: &mut Peer, folder: &Path) -> std::path::PathBuf {
    let program = program(folder, "chrony", "usr/sbin/chronyd");
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!("local stratum 8\nallow\ncmdport 0\nbindcmdaddress /\npidfile {}\n", at("chrony.pid"));
    std::fs::write(at("chrony.conf"), text).expect("a file");
    let mut command = harmless(peer, &program);
    command.args(["-x", "-d", "-u", "root", "-f", &at("chrony.conf")]);
    let log = folder.join("chrony.log");
    peer.run_server(command, &log);
    log
}

/// systemd-timesyncd: asks the servers of option 42 as well, and would set the clock.
#[test]
fn chrony_of_a_lease_makes_the_clock_right_and_one_that_is_wrong_does_not() {
    let host = host_or_return!();
    let namespace = start(&host, &config("dhcp").replace("192.168.9.2/24", "dhcp"));
    namespace.console.expect("1 workload from", SOON).expect("the banner");
    let mut peer = Peer::new(&namespace);
    let folder = host.scratch.path();
    peer.serve_options(folder, "192.168.9.50,192.168.9.50,120", &["--dhcp-option=42,192.168.9.1"]);
    namespace.console.expect("link eth0: 192.168.9.50/24", SOON).expect("a lease");
    until("its server", || time(&host)["servers"]["192.168.9.1"] == "gives no answer");
    // The server of leases is not needed any more.
    peer.stop_serving();
    let wrong = Sntp::start(peer.pid(), "192.168.9.1", |request, _| vec![answer(request, 100 * 86_400_000)]);
    let line = "time: clock not set: ";
    let text = namespace.console.expect(line, SOON).expect("a container does not set the clock");
    assert!(!text.contains("clock right"), "{text}");
    assert_eq!(time(&host)["state"], "waiting");
    drop(wrong);
    chrony(&mut peer, folder);
    inside(&namespace, &["ip", "link", "set", "eth0", "down"]);
    inside(&namespace, &["ip", "link", "set", "eth0", "up"]);
    namespace.console.expect("time: clock right: ", SOON).expect("the other one");
    namespace.console.expect("workload \"tls\": started", SOON).expect("it has waited for that");
}

#[test]
fn ntpsec_makes_the_clock_right() {
    let host = host_or_return!();
    let (namespace, mut peer) = begin(&host, "192.168.9.1");
    let folder = host.scratch.path();
    let program = program(folder, "ntpsec", "usr/sbin/ntpd");
    // Without a source, its own clock is one (orphan mode), which it never sets.
    let text = "disable ntp\nrestrict default\ntos orphan 5 orphanwait 1\n";
    std::fs::write(folder.join("ntp.conf"), text).expect("a file");
    let mut command = harmless(&peer, &program);
    command.args(["-n", "-c"]).arg(folder.join("ntp.conf"));
    peer.run_server(command, &folder.join("ntp.log"));
    let told = namespace.console.expect("time: clock right: ", 3 * SOON);
    let log = std::fs::read_to_string(folder.join("ntp.log")).unwrap_or_default();
    told.unwrap_or_else(|error| panic!("{error}\n{}\n{log}", time(&host)));
}
