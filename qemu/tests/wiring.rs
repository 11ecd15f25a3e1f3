//! Networks on the host, in a network namespace of their own: a real DHCP server, what is left behind, and figures.

mod support;

use hilum_qemu::Namespace;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Host, SOON};

/// PID 1 in a network namespace of its own.
fn start(host: &Host, config: &str) -> Namespace {
    host.start_wrapped(config, &["unshare", "--net"])
}

/// Runs a command in the network namespace of PID 1; gives what it says.
fn inside(namespace: &Namespace, words: &[&str]) -> String {
    let pid = namespace.process_one().expect("it runs").as_raw_nonzero().to_string();
    let output = Command::new("nsenter").args(["--net", "--target", &pid, "--"]).args(words).output().expect("nsenter");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

/// What `hilum net` says there.
fn net(namespace: &Namespace) -> String {
    inside(namespace, &[support::hilum(support::host()).to_str().expect("UTF-8"), "net"])
}

/// Another network namespace with a server's end of a pair of links, and what runs in it; killed when this is dropped.
struct Peer {
    holder: Child,
    server: Option<Child>,
}

impl Peer {
    /// Connects it: the board's end is `eth0`, this one is 192.168.9.1.
    fn new(namespace: &Namespace) -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "600"]).spawn().expect("unshare");
        let own = std::fs::read_link("/proc/self/ns/net").expect("a link");
        let until = Instant::now() + SOON;
        while std::fs::read_link(format!("/proc/{}/ns/net", holder.id())).is_ok_and(|found| found == own) {
            assert!(Instant::now() < until, "it has no network namespace");
        }
        let peer = Self { holder, server: None };
        let (board, server) = (namespace.process_one().expect("it runs"), peer.holder.id().to_string());
        let board = board.as_raw_nonzero().to_string();
        let link = ["link", "add", "eth0", "netns", &board, "type", "veth", "peer", "name", "srv", "netns", &server];
        let made = Command::new("ip").args(link).status().expect("ip");
        assert!(made.success());
        for words in [&["addr", "add", "192.168.9.1/24", "dev", "srv"][..], &["link", "set", "srv", "up"]] {
            assert!(peer.command("ip").args(words).status().expect("ip").success());
        }
        peer
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.holder.id().to_string(), "--", program]);
        command
    }

    /// Starts dnsmasq; what it logs goes to a file.
    fn serve(&mut self, folder: &std::path::Path) -> std::path::PathBuf {
        let log = folder.join("dnsmasq.log");
        let mut command = self.command("dnsmasq");
        command.args([
            "--no-daemon",
            "--port=0",
            "--conf-file=/dev/null",
            "--interface=srv",
            "--log-dhcp",
            "--user=root",
        ]);
        // Renewed after ten seconds, the least that this client agrees to.
        command.args([
            "--dhcp-range=192.168.9.50,192.168.9.50,120",
            "--dhcp-option=58,10",
            "--dhcp-option=6,192.168.9.3",
        ]);
        command.arg(format!("--dhcp-leasefile={}", folder.join("leases").display()));
        let file = std::fs::File::create(&log).expect("a file");
        command.stderr(file.try_clone().expect("the file")).stdout(file).stdin(Stdio::null());
        self.server = Some(command.spawn().expect("dnsmasq"));
        log
    }

    fn count(log: &std::path::Path, word: &str) -> usize {
        std::fs::read_to_string(log).unwrap_or_default().matches(word).count()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for child in self.server.iter_mut().chain([&mut self.holder]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What happens within `SOON`, or the test fails.
fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !is_true() {
        assert!(Instant::now() < until, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn dhcp_lease_is_taken_renewed_and_asked_for_again() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\nlink eth0 dhcp\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = start(&host, config);
    let console = &namespace.console;
    // A board without a cable: it says so, and everything else goes on.
    console.expect("workload \"a\": started", SOON).expect("it does not wait");
    console.expect("link eth0: is not there", SOON).expect("that is told");
    let mut peer = Peer::new(&namespace);
    console.expect("link eth0: has a carrier", SOON).expect("a link that appears later is set up");
    let log = peer.serve(host.scratch.path());
    let line = "link eth0: 192.168.9.50/24 via 192.168.9.1 from 192.168.9.1 for 120 s";
    console.expect(line, SOON).expect("it gets an address");
    let text = net(&namespace);
    assert!(text.contains("address 192.168.9.50/24 on eth0"), "{text}");
    assert!(text.contains("route default via 192.168.9.1 over eth0"), "{text}");
    let given = Peer::count(&log, "DHCPACK");
    until("a renewal", || Peer::count(&log, "DHCPACK") > given);
    // The cable is pulled and put in again: it asks anew.
    let found = Peer::count(&log, "DHCPDISCOVER");
    for state in ["down", "up"] {
        assert!(peer.command("ip").args(["link", "set", "srv", state]).status().expect("ip").success());
        // The kernel tells of carriers once a second (linkwatch).
        std::thread::sleep(Duration::from_millis(2_500));
    }
    console.expect("link eth0: lost its carrier", SOON).expect("that is told");
    until("another question", || Peer::count(&log, "DHCPDISCOVER") > found);
    // The client is a process that can do nothing: nobody, no capability, nine system calls.
    let status = client_status(&namespace);
    for line in ["Uid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"), "{status}");
    // And one that is killed is made again.
    let pid = client_pid(&namespace).expect("it runs");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    console.expect("link eth0: its DHCP client ended; another one starts", SOON).expect("that is told");
    let found = Peer::count(&log, "DHCPDISCOVER");
    until("another client's question", || Peer::count(&log, "DHCPDISCOVER") > found);
}

/// The host's pid of the DHCP client: the child of PID 1 that runs as nobody.
fn client_pid(namespace: &Namespace) -> Option<i32> {
    let one = namespace.process_one().expect("it runs").as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{one}/task/{one}/children")).expect("its children");
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("Uid:\t65534")
    })
}

fn client_status(namespace: &Namespace) -> String {
    let mut found = None;
    until("a client", || {
        found = client_pid(namespace);
        found.is_some()
    });
    std::fs::read_to_string(format!("/proc/{}/status", found.expect("a pid"))).expect("its status")
}

#[test]
fn silent_server_is_told_and_blocks_nothing() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\nlink eth0 dhcp\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = start(&host, config);
    let _peer = Peer::new(&namespace);
    namespace.console.expect("workload \"a\": started", SOON).expect("it does not wait");
    let line = "link eth0: no DHCP server has answered yet; it is asked on";
    namespace.console.expect(line, SOON).expect("that is told");
}

/// So many workloads with a link, a published port and somebody to talk to.
fn linked(count: usize, lines: &str, exec: &str) -> String {
    let mut config = "hilum 1\n[system]\ncontrol SOCKET\nbridge br0 10.77.0.1/24 fd77::1/64\n".to_owned();
    for index in 0..count {
        let (address, next) = (index + 2, (index + 1) % count);
        let talk = if count > 1 { format!("talk w{next}\n") } else { String::new() };
        config += &format!(
            "[workload w{index}]\nroot ROOT\nexec {exec}\nlink veth br0 10.77.0.{address}/24 fd77::{address:x}/64 via 10.77.0.1\n\
             publish {}:80/tcp\n{talk}{lines}\n",
            9000 + index
        );
    }
    config
}

/// Links and rules that are there for workloads.
fn left(text: &str) -> Vec<&str> {
    let is_theirs =
        |line: &&str| line.starts_with("rule hilum-") || (line.starts_with("link w") && line.contains(" in br0"));
    text.lines().filter(is_theirs).collect()
}

#[test]
fn a_thousand_starts_leave_no_link_and_no_rule() {
    let host = host_or_return!();
    // Each ends again and again, and then stays down; many are killed in the middle of their set-up.
    let runs = 124;
    let config = linked(8, &format!("restart always delay=1ms max=1ms limit={runs}/1h else=stop"), "/bin/probe exit 0");
    let namespace = start(&host, &config);
    namespace.console.expect("started, pid", SOON).expect("the first one starts");
    let begin = Instant::now();
    let one = namespace.process_one().expect("it runs").as_raw_nonzero().get();
    let (mut killed, mut chance) = (0_u32, 12_345_u32);
    while begin.elapsed() < Duration::from_secs(200) {
        let text = namespace.console.text();
        if (0..8).all(|index| text.contains(&format!("workload \"w{index}\": gave up"))) {
            break;
        }
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_millis(u64::from(chance >> 26)));
        let children = std::fs::read_to_string(format!("/proc/{one}/task/{one}/children")).unwrap_or_default();
        let children: Vec<i32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if let Some(pid) = children.get((chance >> 8) as usize % children.len().max(1)) {
            let pid = rustix::process::Pid::from_raw(*pid).expect("a pid");
            killed += u32::from(rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok());
        }
    }
    let starts = 8 * (runs + 1);
    println!("{starts} starts, {killed} processes killed on the way, in {:?}", begin.elapsed());
    let mut text = String::new();
    until("the end of every link and rule", || {
        text = net(&namespace);
        left(&text).is_empty()
    });
    // Nothing but the bridge, its addresses and the board's own table.
    assert!(text.contains("link br0") && text.contains("rule hilum forward"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("link ")).count(), 2, "{text}");
}

#[test]
fn thirty_two_workloads_with_links_start_at_once() {
    let host = host_or_return!();
    let time = |count: usize| {
        let begin = Instant::now();
        let namespace = start(&host, &linked(count, "", "/bin/probe on-term"));
        for index in 0..count {
            namespace.console.expect(&format!("workload \"w{index}\": started"), SOON).expect("it starts");
        }
        let passed = begin.elapsed();
        let text = net(&namespace);
        assert_eq!(left(&text).iter().filter(|line| line.starts_with("link")).count(), count, "{text}");
        passed
    };
    let (one, all) = (time(1), time(32));
    println!("1 workload with a link: {one:?}; 32 of them: {all:?}");
}

#[test]
fn addresses_are_in_status_and_a_new_workload_is_wired_by_a_reload() {
    let host = host_or_return!();
    let namespace = start(&host, &linked(1, "", "/bin/probe on-term"));
    host.expect_state("w0", "ready");
    assert_eq!(host.status("w0")["addresses"], serde_json::json!(["10.77.0.2", "fd77::2"]));
    let (_, table) = host.ask(&["status"]);
    assert!(table.contains(" 10.77.0.2 "), "{table}");
    let pid = host.status("w0")["pid"].clone();
    host.configure(&linked(2, "", "/bin/probe on-term").replace("talk w1\n", ""));
    assert_eq!(host.ask(&["reload"]), (0, String::new()), "{}", namespace.console.tail());
    host.expect_state("w1", "ready");
    assert_eq!(host.status("w0")["pid"], pid, "it goes on as it was");
    let neighbours = inside(&namespace, &["ip", "neigh", "show", "dev", "br0"]);
    assert!(neighbours.contains("10.77.0.3 lladdr") && neighbours.contains("PERMANENT"), "{neighbours}");
    // Stopped, it leaves neither rules nor ports.
    assert_eq!(host.ask(&["stop", "w1", "-w"]).0, 0);
    until("the end of its link and rules", || !left(&net(&namespace)).iter().any(|line| line.contains("w1")));
    assert!(left(&net(&namespace)).iter().any(|line| line.contains("publish 9000:80/tcp")));
}

/// Somebody on the board's wire knows the way to a workload's network, and sends there.
#[test]
fn neighbour_on_the_wire_does_not_get_through_the_board() {
    let host = host_or_return!();
    let config = linked(1, "", "/bin/probe on-term")
        .replace("[system]\n", "[system]\nlink eth0 192.168.9.2/24\nroute 10.9.0.0/16 via 192.168.9.1\n");
    let namespace = start(&host, &config);
    let peer = Peer::new(&namespace);
    host.expect_state("w0", "ready");
    until("the board's address", || net(&namespace).contains("address 192.168.9.2/24 on eth0"));
    assert!(net(&namespace).contains("route 10.9.0.0/16 via 192.168.9.1 over eth0"), "{}", net(&namespace));
    let ping =
        |address: &str| peer.command("ping").args(["-c", "1", "-W", "1", address]).status().expect("ping").success();
    let way = ["route", "add", "10.77.0.0/24", "via", "192.168.9.2"];
    assert!(peer.command("ip").args(way).status().expect("ip").success());
    assert!(ping("192.168.9.2"), "the board answers");
    assert!(!ping("10.77.0.2"), "what is behind it does not");
    let text = net(&namespace);
    let refused = text.lines().find(|line| line.starts_with("rule hilum forward: refused to br0")).expect("the rule");
    assert!(!refused.ends_with("; 0 packets 0 bytes"), "it came that far: {refused}");
}

/// Milliseconds from the start of PID 1 to a workload's program, without a link and with one.
#[test]
fn cost_of_a_link_is_printed() {
    let host = host_or_return!();
    let first = |config: &str| {
        let namespace = start(&host, config);
        let text = namespace.console.expect("first workload after", SOON).expect("it starts");
        let rest = text.split("first workload after ").nth(1).unwrap_or_default().to_owned();
        namespace.console.expect(" us", SOON).expect("the whole line");
        rest.split(' ').next().and_then(|us| us.trim().parse::<u64>().ok())
    };
    let plain = "hilum 1\n[workload w0]\nroot ROOT\nexec /bin/probe on-term\n";
    println!(
        "microseconds from PID 1 to the program: {:?} without a link, {:?} with bridge, rules and link",
        first(plain),
        first(&linked(1, "", "/bin/probe on-term"))
    );
}

/// Bytes that pass through a workload's link, against those of a pair and a bridge that were made by hand.
#[test]
fn link_is_as_fast_as_one_made_by_hand() {
    let host = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\nbridge br0 10.77.0.1/24\n[workload far]\nroot /\n\
                  exec /usr/bin/iperf3 -s -1 --forceflush\nlink veth br0 10.77.0.2/24 via 10.77.0.1\nrestart never\n";
    let namespace = start(&host, config);
    namespace.console.expect("far | Server listening", SOON).expect("it listens");
    let rate = |text: &str| {
        let all: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        all["end"]["sum_received"]["bits_per_second"].as_f64().unwrap_or_else(|| panic!("iperf3 says: {text}")) / 1e9
    };
    let ours = rate(&inside(&namespace, &["iperf3", "-c", "10.77.0.2", "-t", "2", "-J"]));
    let script = "ip link add br7 type bridge; ip addr add 10.7.0.1/24 dev br7; ip link set br7 up; unshare --net sleep 30 & \
                  pid=$!; sleep 0.3; ip link add far0 type veth peer name eth0 netns $pid; ip link set far0 master br7 up; \
                  nsenter -t $pid -n ip addr add 10.7.0.2/24 dev eth0; nsenter -t $pid -n ip link set eth0 up; \
                  nsenter -t $pid -n iperf3 -s -1 >/dev/null & sleep 0.7; iperf3 -c 10.7.0.2 -t 2 -J; kill $pid";
    let by_hand = rate(&inside(&namespace, &["sh", "-c", script]));
    println!("through a workload's link {ours:.1} Gbit/s, by hand {by_hand:.1} Gbit/s: {:.2}", ours / by_hand);
}
