//! Blocks of verified images that do not match their hashes.

use super::*;
use crate::config::{OnCorruption, Verity};

fn verified(on_corruption: OnCorruption) -> Config<'static> {
    let mut image = workload(ALWAYS, &[], &[]);
    image.verity = Some(Verity { digest: Verity::PLACEHOLDER, on_corruption });
    board(vec![image, workload(ALWAYS, &[], &[])])
}

#[test]
fn corrupt_workload_keeps_running_by_default() {
    let config = verified(OnCorruption::Report);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 0, Event::Corrupt, 1_000);
    assert_eq!((supervisor.state(0), actions(&mut supervisor)), (State::Ready, vec![]));
}

#[test]
fn corrupt_workload_is_stopped_and_not_restarted() {
    let config = verified(OnCorruption::Stop);
    let mut supervisor = started(&config);
    for _ in 0..2 {
        // The kernel reports each block.
        supervisor.handle_event(&config, 0, Event::Corrupt, 1_000);
    }
    assert_eq!((supervisor.state(0), actions(&mut supervisor)), (State::Stopping(1_500), vec![Action::Signal(0)]));
    supervisor.handle_event(&config, 0, Event::Exited(ExitReason::Signal(15)), 1_001);
    supervisor.tick(&config, 100_000);
    assert_eq!((supervisor.state(0), actions(&mut supervisor)), (State::Failed, vec![]));
    // A person who has replaced the image can start it.
    supervisor.handle_event(&config, 0, Event::Requested(WorkloadRequest::Start), 100_001);
    assert_eq!(actions(&mut supervisor), [Action::Start(0)]);
}

#[test]
fn corrupt_image_reboots_the_board_and_counts_as_a_bad_boot() {
    let config = verified(OnCorruption::Reboot);
    let mut supervisor = started(&config);
    supervisor.handle_event(&config, 0, Event::Corrupt, 1_000);
    assert!(supervisor.is_escalated());
    assert_eq!(supervisor.shutting_down(), Some(ShutdownKind::Reboot));
    // During shutdown it is not reported again.
    supervisor.handle_event(&config, 0, Event::Corrupt, 1_001);
    assert_eq!(supervisor.shutting_down(), Some(ShutdownKind::Reboot));
}
