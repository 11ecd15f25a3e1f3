//! Tables that a board has grown, as sfdisk(8), sgdisk(8) and Linux's reader read them: whole, and cut after each sector.

use super::*;
use hilum::storage::{Disk as Sectors, Kept, grow};
use std::os::unix::fs::FileExt;
use std::process::Command;

/// A file that is a disk, and what is written to it.
struct Card {
    file: File,
    /// Sectors that are written before the power is cut.
    left: usize,
    written: usize,
}

impl Sectors for Card {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> bool {
        self.file.read_exact_at(bytes, at).is_ok()
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> bool {
        for (place, sector) in (at..).step_by(SECTOR as usize).zip(bytes.chunks(SECTOR as usize)) {
            let Some(left) = self.left.checked_sub(1) else { return false };
            self.left = left;
            self.written += 1;
            self.file.write_all_at(sector, place).expect("a write");
        }
        true
    }
}

/// Runs a judge. Returns what it prints, and what it says on standard error.
fn ask(program: &str, words: &[&str], file: &Path) -> (String, String) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(words).arg(file).env("PATH", &path).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; see initramfs/debian/install unit"));
    let [printed, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{program}: {said}");
    (printed, said)
}

/// Runs a judge that has nothing to say. Returns what it prints.
fn judge(program: &str, words: &[&str], file: &Path) -> String {
    let (printed, said) = ask(program, words, file);
    assert!(said.is_empty(), "{program}: {said}");
    printed
}

/// Returns start and size of each partition, according to sfdisk.
fn sizes(file: &Path) -> Vec<(u64, u64)> {
    let found: serde_json::Value = serde_json::from_str(&judge("sfdisk", &["--json"], file)).expect("JSON");
    let partitions = found["partitiontable"]["partitions"].as_array().expect("partitions").iter();
    partitions.map(|found| (found["start"].as_u64().unwrap(), found["size"].as_u64().unwrap())).collect()
}

fn data(mib: usize) -> Partition {
    Partition { role: Role::Data, contents: vec![0xda; mib << 20].into(), bytes: 0 }
}

#[test]
fn grown_tables_are_in_order_for_sfdisk_and_sgdisk_after_every_sector() {
    const BYTES: u64 = (3 << 30) + 5 * SECTOR;
    for table in [Table::Gpt, Table::Dos] {
        let folder = tempfile::tempdir().expect("a folder");
        let (image, file) = (folder.path().join("image"), folder.path().join("disk"));
        let boot = Partition { role: Role::Boot, contents: vec![0xb0; 3 << 20].into(), bytes: 0 };
        disk(&image, table, "card", &[boot, data(2)], None).expect("it fits");
        let copy = |left| {
            std::fs::copy(&image, &file).expect("a copy");
            let file = File::options().read(true).write(true).open(&file).expect("a disk");
            file.set_len(BYTES).expect("a larger card");
            Card { file, left, written: 0 }
        };
        let mut whole = copy(usize::MAX);
        let size = grow(&mut whole, BYTES, 2, 4 << 20).expect("it grows");
        // GPT: the last MiB has the backup.
        let expected = BYTES / MIB - 4 - u64::from(table == Table::Gpt);
        assert_eq!(size, Some(expected * MIB));
        let (old, new) = ((8192, 2 * MIB / SECTOR), (8192, expected * MIB / SECTOR));
        assert_eq!(sizes(&file), [(2048, 6144), new]);
        let said = judge("sfdisk", &["--verify"], &file);
        assert!(said.contains("No errors detected"), "{said}");
        if table == Table::Gpt {
            let said = judge("sgdisk", &["--verify"], &file);
            assert!(said.contains("No problems found"), "{said}");
        }
        for left in 0..whole.written {
            let mut cut = copy(left);
            assert_eq!(grow(&mut cut, BYTES, 2, 4 << 20), Err(Kept::Device));
            // A table whose backup is not at the end is told by sfdisk, and read.
            let (text, _) = ask("sfdisk", &["--dump"], &file);
            let line = text
                .lines()
                .find(|line| line.contains("start=        8192"))
                .unwrap_or_else(|| panic!("{left}: {text}"));
            let has = |(_, size)| line.contains(&format!("size= {size:>11}"));
            assert!(has(old) || has(new), "{left}: {line}");
        }
        eprintln!("{table:?}: {} sectors", whole.written);
    }
}
