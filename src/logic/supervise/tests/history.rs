//! Random sequences of events.

use super::*;
use crate::config::{LimitAction, RestartLimit};
use proptest::prelude::*;

/// One random event.
#[derive(Debug, Clone)]
enum Happens {
    Executed(usize),
    Ended(usize, u8),
    Later(u64),
    ShutDown,
}

proptest! {
    /// For any sequence: no process is started twice at once, a stop always completes, and the board shuts down exactly
    /// once.
    #[test]
    fn every_history_ends_at_shutdown(
        needs in prop::collection::vec(prop::option::of(0_usize..6), 6),
        happens in prop::collection::vec(prop_oneof![
            (0_usize..6).prop_map(Happens::Executed),
            ((0_usize..6), any::<u8>()).prop_map(|(index, status)| Happens::Ended(index, status)),
            (0_u64..2_000).prop_map(Happens::Later),
            Just(Happens::ShutDown),
        ], 0..200)
    ) {
        let limit = Some(RestartLimit { count: 3, period_ms: 5_000, on_limit: LimitAction::Reboot });
        // Needs only refer to earlier workloads, so there is no cycle.
        let config = board(needs.iter().enumerate().map(|(index, need)| {
            let needs: Vec<usize> = need.iter().copied().filter(|need| *need < index).collect();
            workload(Restart { limit, ..ALWAYS }, &needs, &[])
        }).collect());
        let mut supervisor = Supervisor::new();
        let (mut alive, mut left, mut now) = ([false; 6], 0, 0);
        let mut carry_out = |supervisor: &mut Supervisor, alive: &mut [bool; 6]| {
            while let Some(action) = supervisor.next_action() {
                match action {
                    Action::Start(index) => {
                        assert!(!alive[index], "started while it still runs");
                        alive[index] = true;
                    }
                    Action::Shutdown(_) => left += 1,
                    _ => {}
                }
            }
        };
        supervisor.begin(&config, false, now);
        for step in happens.into_iter().chain([Happens::ShutDown]) {
            carry_out(&mut supervisor, &mut alive);
            match step {
                Happens::Executed(index) if alive[index] => supervisor.handle_event(&config, index, Event::Executed, now),
                Happens::Ended(index, status) if alive[index] => {
                    alive[index] = false;
                    supervisor.handle_event(&config, index, Event::Exited(ExitReason::Exit(status)), now);
                }
                Happens::Later(ms) => {
                    now += ms;
                    supervisor.tick(&config, now);
                }
                Happens::ShutDown => supervisor.shut_down(&config, ShutdownKind::Poweroff, now),
                _ => {}
            }
        }
        carry_out(&mut supervisor, &mut alive);
        while let Some(deadline) = supervisor.deadline() {
            prop_assert!(deadline <= now + 6 * (500 + KILL_MS), "a deadline far away: {deadline} at {now}");
            now = deadline;
            supervisor.tick(&config, now);
            carry_out(&mut supervisor, &mut alive);
        }
        prop_assert_eq!(left, 1);
    }
}

#[test]
fn workload_keeps_its_history_when_a_reload_moves_its_section() {
    use crate::config::{keep_slots, parse};
    let text = |names: &[&str]| {
        let section = |name: &&str| format!("[workload {name}]\nroot /r\nexec /b\n");
        format!("hilum 1\n{}", names.iter().map(section).collect::<String>())
    };
    let (first, second) = (text(&["a", "b", "c"]), text(&["x", "c", "b"]));
    let (mut old, mut new) = (Config::EMPTY, Config::EMPTY);
    parse(first.as_bytes(), &mut old).expect("a good configuration");
    parse(second.as_bytes(), &mut new).expect("a good configuration");
    let mut supervisor = Supervisor::new();
    supervisor.begin(&old, false, 0);
    while supervisor.next_action().is_some() {}
    supervisor.handle_event(&old, 2, Event::Executed, 10);
    while supervisor.next_action().is_some() {}
    keep_slots(&old, &mut new);
    let mut kept = crate::config::WorkloadSet::EMPTY;
    // "c" is unchanged, "b" is not.
    kept.insert(old.slots.of(2));
    supervisor.adopt(&new, kept, 20);
    let states = [0, 1, 2].map(|index| supervisor.state(index));
    assert_eq!(states.map(State::is_running), [true, true, true]);
    assert_eq!(supervisor.unit(1).since, 10);
    let mut started = Vec::new();
    while let Some(action) = supervisor.next_action() {
        started.push(action);
    }
    assert_eq!(started, [Action::Start(0), Action::Start(2)]);
}
