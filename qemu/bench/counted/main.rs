//! Runs parts of the library on a fixed input, each in a function whose instructions callgrind counts: `parser`,
//! `planner`, `machine`. The test is qemu/tests/it/guest/budgets.rs; the budgets are in qemu/budget/instructions.

#![forbid(unsafe_code)]

use hilum::config::{self, Config};
use hilum::plan::plan;
use hilum::supervise::{Action, Event, ExitReason, ShutdownKind, Supervisor};
use std::hint::black_box;

/// The demo's configuration, and a configuration of maximum size.
const DEMO: &str = include_str!("../../../initramfs/appliances/web/hilum.conf");
const WORKLOADS: usize = 32;
/// How often each workload of the full board fails.
const FAILURES: usize = 20;

fn full_board() -> String {
    let mut text = "hilum 1\n[system]\nhostname counted\nidle poweroff\nbridge br0 10.77.0.1/16\n".to_owned();
    for number in 0..WORKLOADS {
        text += &format!(
            "[workload w{number}]\nroot /images/root\nexec /bin/program --port {number} \"two words\"\nuser {}\n\
             env LANG C.UTF-8\nmemory 32M high=24M\npids 50\nrestart on-failure delay=100ms max=30s limit=100/1h\n\
             stop INT 3s\nlink veth br0 10.77.1.{}/16 via 10.77.0.1\nhealth tcp 80 interval=5s\n",
            1000 + number,
            number + 1,
        );
        if number > 0 {
            text += &format!("after w{}\n", number - 1);
        }
    }
    text
}

#[inline(never)]
fn parser<'a>(texts: &[&'a str; 2], configs: &mut [Box<Config<'a>>; 2]) -> bool {
    texts.iter().zip(configs).all(|(text, config)| config::parse(text.as_bytes(), config).is_ok())
}

#[inline(never)]
fn planner(configs: &[Box<Config<'_>>; 2]) -> usize {
    let workloads = configs.iter().flat_map(|config| config.workloads.iter().map(|workload| (workload, &config.pools)));
    workloads.map(|(workload, pools)| black_box(plan(workload, pools)).steps.len()).sum()
}

/// Starts all workloads, lets them fail and restarts them repeatedly, and shuts the board down. Returns the number of
/// actions.
#[inline(never)]
fn machine(config: &Config<'_>, supervisor: &mut Supervisor) -> usize {
    let (mut now, mut actions) = (0, 0);
    supervisor.begin(config, false, now);
    actions += carry_out(config, supervisor, now);
    for failure in 0..FAILURES * WORKLOADS {
        now += 7;
        supervisor.handle_event(config, failure % WORKLOADS, Event::Exited(ExitReason::Exit(1)), now);
        actions += carry_out(config, supervisor, now);
        now = supervisor.deadline().unwrap_or(now).max(now);
        supervisor.tick(config, now);
        actions += carry_out(config, supervisor, now);
    }
    supervisor.shut_down(config, ShutdownKind::Poweroff, now);
    actions + carry_out(config, supervisor, now)
}

/// Performs actions at once and with success.
fn carry_out(config: &Config<'_>, supervisor: &mut Supervisor, now: u64) -> usize {
    let mut actions = 0;
    while let Some(action) = supervisor.next_action() {
        actions += 1;
        match action {
            Action::Start(index) => supervisor.handle_event(config, index, Event::Executed, now),
            Action::Check(index) => supervisor.handle_event(config, index, Event::Checked(true), now),
            Action::Signal(index) => supervisor.handle_event(config, index, Event::Exited(ExitReason::Signal(15)), now),
            Action::Kill(index) => supervisor.handle_event(config, index, Event::Exited(ExitReason::Signal(9)), now),
            _ => {}
        }
    }
    actions
}

fn main() {
    let full = full_board();
    let mut configs = [Box::new(Config::EMPTY), Box::new(Config::EMPTY)];
    let is_good = parser(&[DEMO, &full], &mut configs);
    let steps = planner(&configs);
    let actions = machine(&configs[1], &mut Box::new(Supervisor::new()));
    // Print results, so that the counted work is not optimised away.
    println!("parsed {is_good}, {steps} steps, {actions} actions");
}
