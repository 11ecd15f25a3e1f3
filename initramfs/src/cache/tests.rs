use super::*;
use std::io::Write;

/// Returns the text of an entry, and whether it was made now.
fn entry(cache: &Cache, key: &Hash, text: &str) -> (String, bool) {
    let mut is_made = false;
    let source = cache.entry(key, &Progress::new(&()), &mut |path| {
        is_made = true;
        Ok(std::fs::write(path, text)?)
    });
    (text_of(&source.expect("an entry")), is_made)
}

fn text_of(source: &Arc<Source>) -> String {
    let bytes = source.file().expect("it is open").metadata().expect("it is there").len();
    crate::contents::Contents::part(source, 0, bytes).text()
}

fn cache(folder: &Path) -> Cache {
    Cache::open(folder, u64::MAX).expect("a cache")
}

#[test]
fn entry_is_made_once_and_by_all_of_its_inputs() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = cache(folder.path());
    let key = one.key("a", &[b"b", b"c"]);
    assert_eq!(entry(&one, &key, "first"), ("first".to_owned(), true));
    assert_eq!(entry(&one, &key, "second"), ("first".to_owned(), false));
    // So does the next builder.
    assert_eq!(entry(&cache(folder.path()), &key, "second"), ("first".to_owned(), false));
    for other in [one.key("a", &[b"bc"]), one.key("a", &[b"b", b"d"]), one.key("b", &[b"b", b"c"])] {
        assert_ne!(other, key);
    }
}

#[test]
fn damaged_entry_is_made_again_and_a_moved_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(folder.path());
    let key = cache.key("a", &[]);
    entry(&cache, &key, "first");
    let path = folder.path().join(hex(&key));
    std::fs::write(&path, "other").expect("a file");
    assert_eq!(entry(&cache, &key, "second"), ("second".to_owned(), true));
    // Shortened, as by a filesystem that was full; and without what is noted of it.
    std::fs::File::options().write(true).open(&path).expect("it is there").set_len(3).expect("shorter");
    assert_eq!(entry(&cache, &key, "third"), ("third".to_owned(), true));
    std::fs::remove_file(cache.sum(&hex(&key))).expect("it is there");
    assert_eq!(entry(&cache, &key, "fourth"), ("fourth".to_owned(), true));
    // Copied to another inode, as by cp -a.
    let copy = folder.path().join("copy");
    std::fs::copy(&path, &copy).expect("a copy");
    std::fs::rename(&copy, &path).expect("renamed");
    assert_eq!(entry(&cache, &key, "fifth"), ("fourth".to_owned(), false));
}

#[test]
fn what_fails_or_is_killed_leaves_no_entry() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut one = cache(folder.path());
    let key = one.key("a", &[]);
    let failed = one.entry(&key, &Progress::new(&()), &mut |path| {
        std::fs::write(path, "half")?;
        anyhow::bail!("no space")
    });
    assert!(failed.is_err() && !folder.path().join(hex(&key)).exists());
    // A builder that is killed removes nothing.
    one.scratch.disable_cleanup(true);
    let scratch = one.scratch().to_owned();
    std::fs::write(scratch.join("half"), "half").expect("a file");
    let second = cache(folder.path());
    assert!(scratch.exists(), "somebody works there");
    drop(one);
    assert_eq!(entry(&second, &key, "whole"), ("whole".to_owned(), true));
    // A process that another test starts has the lock as well, until it executes its program.
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while scratch.exists() {
        assert!(std::time::Instant::now() < deadline, "nobody works there");
        drop(cache(folder.path()));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn two_builders_at_once_get_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (cache(folder.path()), cache(folder.path()));
    let key = one.key("a", &[]);
    let outer = one.entry(&key, &Progress::new(&()), &mut |path| {
        assert_eq!(entry(&other, &key, "text"), ("text".to_owned(), true));
        Ok(std::fs::write(path, "text")?)
    });
    assert_eq!(text_of(&outer.expect("an entry")), "text");
    assert_eq!(entry(&other, &key, "third"), ("text".to_owned(), false));
}

#[test]
fn oldest_entries_go_where_there_is_no_room_and_used_ones_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = cache(folder.path());
    let keys: Vec<Hash> = (0_u8..4).map(|number| first.key("a", &[&[number]])).collect();
    for (age, key) in (1..).zip(keys.iter().rev()) {
        entry(&first, key, &"x".repeat(1000));
        let sum = File::open(first.sum(&hex(key))).expect("it is there");
        sum.set_modified(SystemTime::now() - Duration::from_secs(1000 - 10 * age)).expect("its time");
    }
    let bytes = |path: PathBuf| path.metadata().map_or(0, |file| file.len());
    let other = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "known") { bytes(path) } else { 0 }
    };
    let rest: u64 = std::fs::read_dir(folder.path()).expect("a folder").map(other).sum();
    let second = Cache::open(folder.path(), 2000 + rest).expect("a cache");
    // The last one is the oldest; it is used once more.
    assert!(!entry(&second, &keys[3], "").1);
    second.shrink().expect("a folder");
    let left: Vec<bool> = keys.iter().map(|key| folder.path().join(hex(key)).exists()).collect();
    assert_eq!(left, [true, false, false, true]);
}

#[test]
fn hash_of_a_file_is_that_of_its_bytes_whenever_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cache, path) = (cache(&folder.path().join("cache")), folder.path().join("file"));
    for text in ["one", "two", "two", "six"] {
        let mut file = File::create(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        // The same size, and perhaps the same tick of the clock.
        assert_eq!(cache.hash_of(&path).expect("it is there"), hash(text.as_bytes()).expect("bytes"), "{text}");
    }
    std::thread::sleep(2 * TICK);
    for _ in 0..2 {
        assert_eq!(cache.hash_of(&path).expect("it is there"), hash(&b"six"[..]).expect("bytes"));
    }
    let known = std::fs::read_to_string(cache.known(&path).expect("a name").place).expect("what is known");
    assert!(known.contains(&hex(&hash(&b"six"[..]).expect("bytes"))), "{known}");
}
