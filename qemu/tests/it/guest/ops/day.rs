//! A whole day of a board with the appliance `ops`: its operator's host is a network namespace beside it, with servers for DHCP, time,
//! metrics, lines and updates, and OpenSSH's client.

use super::{Ops, SECONDS, done, edit_site, keep_host_key};
use crate::support::ddi::Ddi;
use crate::support::running::Running;
use crate::support::sntp::{Sntp, answer};
use crate::support::wire::{own_network, within};
use crate::support::{Booted, boot_command, page};
use hilum::Architecture;
use hilum::update::{Slot, Verdict};
use hilum_qemu::{Accelerator, End, firmware};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HOST: &str = "192.168.77.1";
const BOARD: &str = "192.168.77.50";
const PROMETHEUS: u16 = 9090;
/// The timeout for a boot, or for all that an update does, on a busy machine.
const LONG: Duration = Duration::from_secs(300);

/// Never ready, so a version with it is given up.
const SICK: &str = "\n[workload sick]\nroot /images/agent.erofs\nexec /bin/hilum-agent version\nrestart always delay=5s\nready tcp 81 within=10m\n";

/// Builds a version for this day. Only that of a version which is given up is waited for.
fn build(ops: &Ops, version: u64, sick: &str) -> std::path::PathBuf {
    let within = if sick.is_empty() { 600 } else { 20 };
    ops.build_with(version, &|folder| {
        let at = |name: &str| folder.join(name);
        let config = std::fs::read_to_string(at("hilum.conf")).expect("a configuration");
        let system = format!("hostname v{version}\nupdate after=1s within={within}s\ntime dhcp keep=/data/time");
        let config = config.replace(&format!("hostname v{version}\nupdate after=1s within=600s"), &system);
        let config = config.replace("control    status", "control    update");
        assert!(config.contains("time dhcp") && config.contains("control    update"), "{config}");
        std::fs::write(at("hilum.conf"), config + sick).expect("a file");
    })
}

/// Writes the name of the board, who may log in, and what the agent does, as a person does who has the disk in another computer. No
/// version has these: they stay while versions change.
fn write_site(ops: &Ops, disk: &Path) {
    let agent = format!(
        "[metrics]\nlisten = \"0.0.0.0:9100\"\ndisks = [\"/data\"]\n[logs]\nserver = \"{HOST}:10514\"\nspool = \"/data/spool\"\n\
         [updates]\nserver = \"http://{HOST}:8080\"\nstate = \"/data/action\"\n"
    );
    std::fs::write(ops.at("agent.toml"), agent).expect("a file");
    std::fs::write(ops.at("site.conf"), "hostname kitchen\n").expect("a file");
    let keys = ops.at("user.pub");
    let files =
        [("authorized_keys", &*keys), ("agent.toml", &ops.at("agent.toml")), ("site.conf", &ops.at("site.conf"))];
    edit_site(disk, &files);
}

/// The servers of the operator's host.
struct Servers {
    _running: [Running; 3],
    time: Sntp,
    updates: Ddi,
}

fn start(command: &mut Command) -> Running {
    Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("ip");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes the network of the board, and starts them there. Lines go to the file `messages` of the folder.
fn servers(folder: &Path, holder: u32) -> Servers {
    ip("link set lo up");
    ip("tuntap add tap0 mode tap");
    ip(&format!("addr add {HOST}/24 dev tap0"));
    ip("link set tap0 up");
    let at = |name: &str| folder.join(name).display().to_string();
    let mut dhcp = Command::new("dnsmasq");
    dhcp.args(["--no-daemon", "--port=0", "--conf-file=/dev/null", "--interface=tap0", "--user=root"]);
    // Its own address is also that of the time server.
    dhcp.args([&format!("--dhcp-range={BOARD},{BOARD},1h"), &format!("--dhcp-option=42,{HOST}")]);
    dhcp.arg(format!("--dhcp-leasefile={}", at("leases")));
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agent/alerts.yml");
    let config = format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 2s}}\nrule_files: [{}]\n\
         scrape_configs: [{{job_name: hilum, static_configs: [{{targets: [\"{BOARD}:9100\"]}}]}}]\n",
        rules.canonicalize().expect("the rules").display()
    );
    std::fs::write(folder.join("prometheus.yml"), config).expect("a file");
    let mut prometheus = Command::new("prometheus");
    prometheus
        .arg(format!("--config.file={}", at("prometheus.yml")))
        .arg(format!("--storage.tsdb.path={}", at("tsdb")));
    prometheus.args([&format!("--web.listen-address=127.0.0.1:{PROMETHEUS}"), "--log.level=warn"]);
    let config = format!(
        "global(workDirectory=\"{}\")\nmain_queue(queue.type=\"Direct\")\nmodule(load=\"imtcp\")\n\
         template(name=\"all\" type=\"string\" string=\"%hostname% %app-name% %structured-data% %msg%\\n\")\n\
         input(type=\"imtcp\" address=\"{HOST}\" port=\"10514\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"all\" asyncWriting=\"off\" flushOnTXEnd=\"on\" ioBufferSize=\"1k\")\n",
        folder.display(),
        at("messages")
    );
    std::fs::write(folder.join("rsyslog.conf"), config).expect("a file");
    let mut rsyslog = Command::new("/usr/sbin/rsyslogd");
    rsyslog.args(["-n", "-f", &at("rsyslog.conf"), "-i", &at("rsyslog.pid")]);
    let running = [start(&mut dhcp), start(&mut prometheus), start(&mut rsyslog)];
    let time = Sntp::start(holder, HOST, |request, _| vec![answer(request, 0)]);
    Servers { _running: running, time, updates: Ddi::start(&format!("{HOST}:8080")) }
}

/// Waits until something is true, with what is known otherwise.
#[track_caller]
fn wait(what: &str, known: &dyn Fn() -> String, is_true: &mut dyn FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !is_true() {
        assert!(Instant::now() < until, "{what} does not happen\n{}", known());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Returns the values that Prometheus has now.
fn values(expression: &str) -> Vec<f64> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let reply = page(PROMETHEUS, &format!("/api/v1/query?query={encoded}"));
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let answer: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    results.iter().filter_map(|one| one["value"][1].as_str()?.parse().ok()).collect()
}

#[track_caller]
fn sees(booted: &Booted, expression: &str, expected: f64) {
    let known = || format!("{:?}\n{}", values(expression), booted.vm.console.tail());
    wait(&format!("{expression} = {expected}"), &known, &mut || values(expression) == [expected]);
}

fn messages(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join("messages")).unwrap_or_default()).into_owned()
}

/// Boots the committed slot, as the firmware does.
fn boot(ops: &Ops, disk: &Path) -> Booted {
    let slot = firmware::direct(disk, None, ops.folder.path()).expect("a slot");
    let mut command = hilum_qemu::command(ops.arch, Accelerator::Tcg);
    command.args(["-m", "512", "-rtc", "base=1970-01-01"]).args(hilum_qemu::writable_disk(disk));
    command.args(["-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no"]);
    command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
    slot.add_to(&mut command, "");
    boot_command(command, "stdio")
}

fn ssh(ops: &Ops, words: &[&str]) -> String {
    let mut command = ops.client("ssh", "user");
    command.arg(format!("operator@{BOARD}")).args(words);
    done(command)
}

fn day(arch: Architecture) {
    let mut ops = Ops::of(arch);
    ops.port = 22;
    let (one, two, three) = (build(&ops, 1, ""), build(&ops, 2, SICK), build(&ops, 3, ""));
    let [two, three] = [two, three].map(|image| ops.bundle_as(&image, text_of(&image)));
    let disk = one.join("disk.img");
    keep_host_key(&ops, &disk);
    write_site(&ops, &disk);
    let holder = own_network();
    let pid = holder.0.id();
    within(pid, move || spend(&ops, &disk, pid, [&two, &three]));
}

fn text_of(image: &Path) -> String {
    image.file_name().expect("a name").to_string_lossy().into_owned() + ".bundle"
}

fn spend(ops: &Ops, disk: &Path, holder: u32, [two, three]: [&Path; 2]) {
    let begin = Instant::now();
    let told = |what: &str| println!("{}: {:3} s: {what}", ops.arch.name(), begin.elapsed().as_secs());
    let folder = ops.folder.path();
    let servers = servers(folder, holder);
    let mut booted = boot(ops, disk);
    booted.vm.console.expect("clock set forward to ", LONG).expect("from 1970 to the time of the image");
    booted.vm.console.expect("time: clock set: ", LONG).expect("by the server that DHCP named");
    booted.vm.console.expect("workload \"agent\": ready", LONG).expect("it listens");
    booted.vm.console.expect("workload \"ssh\": ready", LONG).expect("it listens");
    assert!(servers.time.asked() > 0);
    told("the clock is right, and everything is ready");

    is_seen_from_elsewhere(ops, &booted, &told);
    // Version 2 is tried, and given up: the board restarts by itself, and the firmware boots the committed slot.
    servers.updates.offer(17, two);
    let (console, end) = booted.vm.wait_end(LONG).expect("it restarts");
    assert!(console.contains("update: version 2 in slot b is on trial"), "{console}");
    assert_eq!(end, End::Restart, "{console}");
    let record = firmware::record(disk).expect("a record");
    assert_eq!((record.committed(), record.trial(), record.verdict().0), (Slot::A, None, Verdict::Unhealthy));
    told("version 2 was tried, and is given up");
    drop(booted);
    let booted = boot(ops, disk);
    let closed = |number| servers.updates.told(number).last().is_some_and(|told| told.starts_with("closed"));
    let known = |number| format!("{:?}\n{}", servers.updates.told(number), booted.vm.console.tail());
    wait("the server hears of it", &|| known(17), &mut || closed(17));
    let said = servers.updates.told(17);
    assert_eq!(said.first().map(String::as_str), Some("proceeding none: downloading"), "{said:?}");
    let end = said.last().expect("one").clone();
    assert!(end.starts_with("closed failure: version 2 was not healthy in time: "), "{said:?}");
    sees(&booted, "hilum_update_rolled_back", 2.0);
    sees(&booted, "count(ALERTS{alertname=\"UpdateRolledBack\"})", 1.0);
    told("the server has heard why, and an alert fires");

    // Version 3 is committed.
    servers.updates.offer(18, three);
    wait("a commit", &|| known(18), &mut || closed(18));
    let said = servers.updates.told(18);
    assert_eq!(said.last().map(String::as_str), Some("closed success: version 3 is committed"), "{said:?}");
    sees(&booted, "sum(hilum_slot_version * hilum_slot_running)", 3.0);
    sees(&booted, "hilum_update_rolled_back", 0.0);
    let status = ssh(ops, &["hilum", "update", "--status"]);
    assert!(status.contains("slot b: version 3, committed, running"), "{status}");
    told("version 3 is committed, by metrics, the server and ssh");
    boots_have_told(folder, &booted);
    let said = messages(folder);
    // rsyslogd's own lines have no id of a boot.
    let names = said.lines().filter(|line| line.contains(" boot=\"")).filter_map(|line| line.split(' ').next());
    let names: BTreeSet<_> = names.collect();
    assert_eq!(names, BTreeSet::from(["kitchen"]), "the name of the site, in all boots and versions");
    told("lines of each boot arrived");
    draw(ops, begin.elapsed());
}

/// Prometheus, ssh, and rsyslog.
fn is_seen_from_elsewhere(ops: &Ops, booted: &Booted, told: &dyn Fn(&str)) {
    let folder = ops.folder.path();
    sees(booted, "up{job=\"hilum\"}", 1.0);
    sees(booted, "hilum_clock_state{state=\"right\"}", 1.0);
    sees(booted, "sum(hilum_workload_ready)", 3.0);
    sees(booted, "abs(node_time_seconds - timestamp(node_time_seconds)) < bool 10", 1.0);
    told("Prometheus sees it");
    let json: serde_json::Value = serde_json::from_str(&ssh(ops, &["hilum", "status", "--json"])).expect("JSON");
    assert_eq!((&json["clock"], &json["slots"]["running"]), (&"right".into(), &"a".into()), "{json}");
    told("ssh works");
    let login = "Accepted publickey for operator";
    let has = |what: &str| messages(folder).lines().any(|line| line.starts_with("kitchen ssh ") && line.contains(what));
    wait("the line of the login at rsyslog", &|| booted.vm.console.text() + &messages(folder), &mut || has(login));
    told("its line arrived at rsyslog");
}

/// Draws the dashboard of this time, if it is asked for.
fn draw(ops: &Ops, time: Duration) {
    if let Some(picture) = std::env::var_os("HILUM_DAY_PICTURE").filter(|_| ops.arch == Architecture::X86_64) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agent/draw");
        let mut draw = Command::new("timeout");
        draw.arg(SECONDS).arg(script).args([format!("http://127.0.0.1:{PROMETHEUS}"), format!("{BOARD}:9100")]);
        done({
            draw.arg(time.as_secs().to_string()).arg(picture);
            draw
        });
    }
}

/// Each boot has an id of its own in its messages. The trial that was given up may have been too short for the network.
fn boots_have_told(folder: &Path, booted: &Booted) {
    let boots = || {
        let ids = messages(folder);
        let ids = ids.lines().filter_map(|line| line.split_once(" boot=\"")?.1.split('"').next().map(str::to_owned));
        ids.collect::<BTreeSet<_>>().len()
    };
    wait("lines of the boots", &|| booted.vm.console.tail(), &mut || boots() >= 3);
}

#[test]
#[ignore = "make day builds the agent, and runs this: two minutes"]
fn board_has_a_whole_day_x86_64() {
    day(Architecture::X86_64);
}

#[test]
#[ignore = "make day builds the agent of aarch64, and runs this"]
fn board_has_a_whole_day_aarch64() {
    day(Architecture::Aarch64);
}
