//! Networks on the host, in a network namespace of their own: what is left behind, and figures.

mod support;

use std::time::{Duration, Instant};
use support::SOON;
use support::wire::{Peer, inside, net, start, until};

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
