use super::*;

fn line<'a>(workload: &'a str, number: u32, text: &'a str) -> Message<'a> {
    Message { sequence: 0, time: None, host: "h", workload, line: Some(("b1", number)), text: text.as_bytes() }
}

fn rest(spool: &Spool, cursor: &mut Cursor) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let bytes = spool.read(cursor, 100).expect("it reads");
        if bytes.is_empty() {
            return found;
        }
        let mut at = 0;
        while let Some(length) = frame::length(&bytes[at..]) {
            let text = String::from_utf8_lossy(&bytes[at..at + length]).into_owned();
            found.push(text.rsplit("] ").next().expect("a text").to_owned());
            at += length;
        }
        assert_eq!(at, bytes.len(), "whole frames");
    }
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .expect("a folder")
        .filter(|entry| entry.as_ref().is_ok_and(|e| e.path().extension().is_some_and(|e| e == "log")))
        .count()
}

#[test]
fn messages_are_there_until_they_are_confirmed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(folder.path(), 100_000, "b1").expect("a spool");
    for number in 0..5 {
        spool.append(&line("web", number, &format!("t{number}"))).expect("room");
    }
    let mut cursor = spool.confirmed();
    assert_eq!(rest(&spool, &mut cursor), ["t0", "t1", "t2", "t3", "t4"]);
    assert_eq!(rest(&spool, &mut spool.confirmed()).len(), 5, "a link that broke begins anew");
    spool.confirm(cursor).expect("room");
    assert_eq!((rest(&spool, &mut spool.confirmed()), files(folder.path())), (Vec::new(), 0));
    spool.append(&line("web", 5, "t5")).expect("room");
    assert_eq!(rest(&spool, &mut cursor), ["t5"]);
}

#[test]
fn restart_knows_what_was_confirmed_and_which_lines_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(folder.path(), 100_000, "b1").expect("a spool");
    spool.append(&line("web", 0, "t0")).expect("room");
    let mut cursor = spool.confirmed();
    rest(&spool, &mut cursor);
    spool.append(&line("web", 1, "t1")).expect("room");
    spool.confirm(cursor).expect("room");
    spool.append(&line("web", 2, "t2")).expect("room");
    spool.append(&line("db", 9, "t3")).expect("room");
    // It is killed while it writes.
    drop(spool);
    let last = std::fs::read_dir(folder.path()).expect("a folder").filter_map(|e| Some(e.ok()?.path()));
    let last = last.filter(|path| path.extension().is_some_and(|e| e == "log")).max().expect("a segment");
    File::options().append(true).open(last).and_then(|mut file| file.write_all(b"99 <30>1 - half")).expect("it writes");
    let mut spool = Spool::open(folder.path(), 100_000, "b1").expect("a spool");
    assert_eq!((spool.line("web"), spool.line("db"), spool.line("x")), (Some(2), Some(9), None));
    assert_eq!(rest(&spool, &mut spool.confirmed()), ["t1", "t2", "t3"]);
    spool.append(&line("web", 3, "t4")).expect("room");
    assert_eq!(rest(&spool, &mut spool.confirmed()), ["t1", "t2", "t3", "t4"]);
    assert_eq!(spool.count(), 5);
    drop(spool);
    // After a boot lines count from 0 again, and what is in the spool stays.
    let spool = Spool::open(folder.path(), 100_000, "b2").expect("a spool");
    assert_eq!((spool.line("web"), rest(&spool, &mut spool.confirmed()).len()), (None, 4));
}

#[test]
fn full_spool_drops_the_oldest_and_counts_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let limit = 4_000;
    let mut spool = Spool::open(folder.path(), limit, "b1").expect("a spool");
    for number in 0..200 {
        spool.append(&line("web", number, &format!("t{number}"))).expect("room");
        assert!(spool.bytes() <= limit);
    }
    let kept = rest(&spool, &mut spool.confirmed());
    assert_eq!(kept.last().map(String::as_str), Some("t199"));
    assert_eq!(spool.dropped() + kept.len() as u64, 200, "each is kept or counted");
    assert!(spool.dropped() > 100 && kept.len() > 20, "{} {}", spool.dropped(), kept.len());
    // A reader in a segment that goes continues with the next one, and what was confirmed does not count as dropped.
    let mut cursor = spool.confirmed();
    spool.read(&mut cursor, 1).expect("it reads");
    spool.confirm(cursor).expect("room");
    let before = (spool.dropped(), rest(&spool, &mut cursor.clone()).len() as u64);
    for number in 200..260 {
        spool.append(&line("web", number, &format!("t{number}"))).expect("room");
    }
    let left = rest(&spool, &mut cursor).len() as u64;
    assert_eq!(spool.dropped() - before.0 + left, before.1 + 60);
    let again = Spool::open(folder.path(), limit, "b1").expect("a spool");
    assert_eq!((again.dropped(), again.line("web")), (spool.dropped(), Some(259)));
}
