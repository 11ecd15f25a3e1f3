//! Random histories.

use super::*;
use crate::config::{Limit, Otherwise};
use proptest::prelude::*;

/// One step of a random history.
#[derive(Debug, Clone)]
enum Happens {
    Executed(usize),
    Ended(usize, u8),
    Later(u64),
    Down,
}

proptest! {
    /// Whatever happens: no process is started twice at once, a stop always ends, and the board leaves exactly once.
    #[test]
    fn every_history_ends_when_the_board_goes_down(
        needs in prop::collection::vec(prop::option::of(0_usize..6), 6),
        happens in prop::collection::vec(prop_oneof![
            (0_usize..6).prop_map(Happens::Executed),
            ((0_usize..6), any::<u8>()).prop_map(|(index, status)| Happens::Ended(index, status)),
            (0_u64..2_000).prop_map(Happens::Later),
            Just(Happens::Down),
        ], 0..200)
    ) {
        let limit = Some(Limit { count: 3, period_ms: 5_000, otherwise: Otherwise::Reboot });
        // A need points back only, so there is no cycle.
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
                    Action::Leave(_) => left += 1,
                    _ => {}
                }
            }
        };
        supervisor.begin(&config, false, now);
        for step in happens.into_iter().chain([Happens::Down]) {
            carry_out(&mut supervisor, &mut alive);
            match step {
                Happens::Executed(index) if alive[index] => supervisor.on(&config, index, Event::Executed, now),
                Happens::Ended(index, status) if alive[index] => {
                    alive[index] = false;
                    supervisor.on(&config, index, Event::Ended(End::Exit(status)), now);
                }
                Happens::Later(ms) => {
                    now += ms;
                    supervisor.tick(&config, now);
                }
                Happens::Down => supervisor.shut_down(&config, Down::Poweroff, now),
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
