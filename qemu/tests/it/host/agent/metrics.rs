//! What the agent serves to Prometheus, and what Prometheus makes of it.

use super::{Running, agent, eventually, example, free_port};
use crate::support::{Host, SOON, page};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs promtool. Returns whether it found nothing, and its output.
fn promtool(words: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new("promtool");
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool, of the package prometheus");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Returns the value of a metric with these labels.
#[track_caller]
fn value(page: &str, metric: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{metric} is missing:\n{page}"))
}

fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Three workloads of which one fails for good, and the most that there can be.
fn config() -> String {
    let mut config = "hilum 1\n[system]\ncontrol SOCKET\n\
        [workload good]\nroot ROOT\nexec /bin/probe on-term\n\
        [workload bad]\nroot ROOT\nexec /bin/probe exit 9\nrestart on-failure delay=10ms limit=2/60s\n\
        [workload later]\nroot ROOT\nexec /bin/probe on-term\nat-stop\n"
        .to_owned();
    for number in 3..hilum::config::limits::WORKLOADS {
        config += &format!("[workload w{number}]\nroot ROOT\nexec /bin/probe on-term\n");
    }
    config
}

/// One board for all of it, because thirty-two workloads take half a second to start.
#[test]
fn prometheus_sees_what_pid_1_says() {
    let host = host_or_return!();
    let namespace = host.start(&config());
    namespace.console.expect("w31 | ready", SOON).expect("they start");
    host.expect_state("bad", "failed");
    let (port, own) = (free_port(), free_port());
    let folder = host.scratch.path().display().to_string();
    let _agent = agent(&host, &format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\ndisks = [\"{folder}\"]\n"));
    let start = std::time::Instant::now();
    let reply = page(port, "/metrics");
    println!("32 workloads: {} bytes in {:?} on this host", reply.len(), start.elapsed());
    let text = body(&reply);

    // The same as the command says.
    assert_eq!(value(text, "hilum_up"), 1.0);
    for name in ["good", "bad", "later", "w31"] {
        let status = host.status(name);
        let labels = format!("{{name=\"{name}\"}}");
        assert_eq!(Some(value(text, &format!("hilum_workload_restarts_total{labels}"))), status["restarts"].as_f64());
        let state = status["state"].as_str().expect("a state");
        assert_eq!(value(text, &format!("hilum_workload_state{{name=\"{name}\",state=\"{state}\"}}")), 1.0);
    }
    let of = |metric: &str, name: &str| value(text, &format!("{metric}{{name=\"{name}\"}}"));
    assert_eq!((of("hilum_workload_healthy", "good"), of("hilum_workload_healthy", "bad")), (1.0, 0.0));
    assert_eq!((of("hilum_workload_ready", "good"), of("hilum_workload_ready", "later")), (1.0, 0.0));
    assert_eq!((of("hilum_workload_restarts_total", "bad"), of("hilum_workload_exit_status", "bad")), (2.0, 9.0));
    assert!(value(text, &format!("node_filesystem_size_bytes{{mountpoint=\"{folder}\"}}")) > 1e6);
    check_form(text);
    let page = std::fs::read_to_string(example("../agent.md")).expect("the page");
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(page.contains(&format!("`{family}`")), "docs/agent.md has no {family}");
    }
    let prometheus = start_prometheus(&host, port, own);
    asks(own);
    drop(prometheus);
}

/// promtool accepts the page. Names of `node_exporter` that it would have otherwise are no mistakes.
fn check_form(text: &str) {
    let (_, said) = promtool(&["check", "metrics"], text);
    let wrong: Vec<&str> = said.lines().filter(|line| !line.starts_with("node_memory_")).collect();
    assert_eq!(wrong, Vec::<&str>::new());
    assert_eq!(said.lines().count(), 5, "it looked at them: {said}");
}

fn start_prometheus(host: &Host, port: u16, own: u16) -> Running {
    let file = host.scratch.path().join("prometheus.yml");
    let rules = example("alerts.yml");
    let config = format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}\nrule_files: [{}]\n\
         scrape_configs: [{{job_name: hilum, static_configs: [{{targets: [\"127.0.0.1:{port}\"]}}]}}]\n",
        rules.display()
    );
    std::fs::write(&file, config).expect("its configuration");
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", host.scratch.path().join("tsdb").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{own}")).arg("--log.level=warn");
    Running::start(command.stdin(Stdio::null()))
}

/// Asks Prometheus for its targets, a value, the alerts, and what the dashboard asks.
fn asks(own: u16) {
    let query = |expression: &str| -> serde_json::Value {
        let reply = page(own, &format!("/api/v1/query?query={}", encoded(expression)));
        serde_json::from_str(body(&reply)).unwrap_or_default()
    };
    let results = |answer: &serde_json::Value| answer["data"]["result"].as_array().cloned().unwrap_or_default();
    let ready = eventually("a scrape", || {
        Some(results(&query("sum(hilum_workload_ready{job=\"hilum\"})"))).filter(|found| !found.is_empty())
    });
    assert_eq!(ready[0]["value"][1], "30", "all but the one that failed, and the one that runs at the end");
    eventually("an alert that waits for its two minutes", || {
        let alerts = results(&query("ALERTS{alertname=\"WorkloadUnhealthy\"}"));
        alerts.iter().any(|alert| alert["metric"]["name"] == "bad").then_some(())
    });
    let dashboard = std::fs::read_to_string(example("dashboard.json")).expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let board = results(&query("hilum_up"))[0]["metric"]["instance"].as_str().expect("an instance").to_owned();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let expression = target["expr"].as_str().expect("an expression").replace("$board", &board);
            let answer = query(&expression);
            assert_eq!(answer["status"], "success", "{}: {expression}: {answer}", panel["title"]);
            // A rate needs two scrapes.
            if !expression.contains('[') && !expression.contains("container_") {
                assert!(!results(&answer).is_empty(), "{}: {expression} has no result", panel["title"]);
            }
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    for words in [["check", "rules"], ["test", "rules"]] {
        let file = example(if words[0] == "check" { "alerts.yml" } else { "alerts-test.yml" });
        let (is_fine, said) = promtool(&[&words[..], &[file.to_str().expect("UTF-8")]].concat(), "");
        assert!(is_fine && said.contains("SUCCESS"), "{said}");
    }
}
