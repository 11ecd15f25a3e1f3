//! Helpers that ask time servers, one at a time.

use super::*;

/// Lets the helper that asks time servers end, if there is one. Returns how many there were.
fn end_of_time_helpers(board: &mut Board) -> usize {
    let pids = fake::helpers(c"hilum-time");
    pids.iter().for_each(|pid| fake::exit(*pid, ExitReason::Exit(0)));
    board.init.has_exits |= !pids.is_empty();
    board.settle();
    pids.len()
}

#[test]
fn disk_that_hangs_does_not_keep_time_servers_from_being_asked() {
    let mut board = Board::boot("time 192.0.2.1 keep=FOLDER/time\n");
    board.settle();
    let [hung] = fake::helpers(c"hilum-time")[..] else { panic!("one helper") };
    fake::pass_ms(29_999);
    board.settle();
    assert_eq!(fake::helpers(c"hilum-time"), [hung]);
    fake::pass_ms(1);
    board.settle();
    assert!(board.lines().contains("time: the disk of the kept time hangs; the time is not kept"));
    assert!(matches!(fake::helpers(c"hilum-time")[..], [first, _] if first == hung), "the next one asks");
}

#[test]
fn helper_that_hangs_without_a_kept_time_blames_no_disk() {
    for (keep, blames) in [("", 0), (" keep=FOLDER/time", 1)] {
        let before = fake::helpers(c"hilum-time").len();
        let mut board = Board::boot(&format!("time 192.0.2.1{keep}\n"));
        for _ in 0..3 {
            board.settle();
            fake::pass_ms(30_000);
        }
        board.settle();
        assert_eq!(fake::helpers(c"hilum-time").len() - before, 4, "it is asked again");
        assert_eq!(board.lines().matches("the disk of the kept time hangs").count(), blames, "with \"{keep}\"");
    }
}

#[test]
fn link_that_flaps_has_one_helper_for_time_servers_at_a_time() {
    let mut board = Board::boot("time dhcp 192.0.2.1\n");
    let mut helpers = 0;
    for turn in 0..100 {
        board.init.links.has_news = true;
        board.settle();
        assert!(fake::helpers(c"hilum-time").len() <= 1, "in turn {turn}");
        if turn % 3 == 2 {
            helpers += end_of_time_helpers(&mut board);
        }
        fake::pass_ms(100);
    }
    assert!((5..=12).contains(&helpers), "{helpers} helpers in ten seconds");
}
