//! A cache of intermediate results: files in one folder, each named by the hash of its inputs.
//!
//! Beside each entry a file `NAME.sum` has its hash and its [`Stamp`]. An entry with the same stamp is used as it is; with another
//! stamp its hash is compared, and it is made again if that differs. Entries are written under a temporary name and renamed, so a
//! builder that is killed, or that runs at the same time, never leaves an incomplete entry.

use crate::contents::{Hash, Source, Stamp, hash, hex};
use crate::progress::Progress;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The version of the entries' formats.
const VERSION: &str = "1";
/// A file that was changed more recently may change again without a new time, because the kernel's clock has ticks.
const TICK: Duration = Duration::from_millis(100);

/// A cache.
pub struct Cache {
    folder: PathBuf,
    /// The limit for the size of all entries in bytes.
    limit: u64,
    scratch: tempfile::TempDir,
    /// Its lock marks the scratch folder as used.
    _lock: File,
    builder: Hash,
    used: RefCell<BTreeSet<String>>,
}

impl Cache {
    /// Opens the cache in a folder, which is created if necessary. `limit` is the limit for the size of all entries in bytes.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn open(folder: &Path, limit: u64) -> Result<Self> {
        let place = || format!("{}: the cache", folder.display());
        std::fs::create_dir_all(folder).with_context(place)?;
        remove_abandoned(folder).with_context(place)?;
        let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(folder).with_context(place)?;
        let (new, lock) = (scratch.path().join("new"), scratch.path().join(LOCK));
        let file = File::create(&new)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        // So the file LOCK is locked from its beginning on.
        std::fs::rename(new, lock)?;
        let mut cache = Self {
            folder: folder.to_owned(),
            limit,
            scratch,
            _lock: file,
            builder: Hash::default(),
            used: RefCell::default(),
        };
        let own = std::env::current_exe().context("the builder's own file")?;
        cache.builder = cache.hash_of(&own)?;
        Ok(cache)
    }

    /// Opens a cache in a temporary folder, without a limit.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn temporary(folder: &tempfile::TempDir) -> Result<Self> {
        Self::open(folder.path(), u64::MAX)
    }

    /// Returns the key of an entry of some kind, by its inputs and the builder's own hash.
    pub fn key(&self, kind: &str, parts: &[&[u8]]) -> Hash {
        let mut digest = Sha256::new();
        for part in [VERSION.as_bytes(), &self.builder, kind.as_bytes()].iter().chain(parts) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// Returns the entry with this key. If there is none, `make` has to write it to a path.
    ///
    /// # Errors
    /// Those of `make`, and of writing.
    pub fn entry(
        &self,
        key: &Hash,
        progress: &Progress<'_>,
        make: &mut dyn FnMut(&Path) -> Result<()>,
    ) -> Result<Arc<Source>> {
        let name = hex(key);
        let path = self.folder.join(&name);
        self.used.borrow_mut().insert(name.clone());
        if let Some(file) = self.found(&name, progress) {
            return Ok(Source::new(file, *key));
        }
        let scratch = tempfile::Builder::new().tempfile_in(self.scratch.path())?.into_temp_path();
        make(&scratch)?;
        let mut file = File::open(&scratch)?;
        let sum = hash(&mut file)?;
        scratch.persist(&path).with_context(|| path.display().to_string())?;
        self.note(&name, &file, &sum)?;
        Ok(Source::new(file, *key))
    }

    /// Opens an entry, if it exists and is undamaged.
    fn found(&self, name: &str, progress: &Progress<'_>) -> Option<File> {
        let file = File::open(self.folder.join(name)).ok()?;
        let noted = std::fs::read_to_string(self.sum(name)).unwrap_or_default();
        let (sum, stamp) = noted.trim_end().split_once(' ').unwrap_or_default();
        if stamp != Stamp::of(&file.metadata().ok()?).word() {
            let found = hash(&file).ok()?;
            if hex(&found) != sum {
                progress.say(&format!("{}: damaged; it is made again", self.folder.join(name).display()));
                return None;
            }
            self.note(name, &file, &found).ok()?;
        } else if let Ok(sum) = File::open(self.sum(name)) {
            // The time of the last use.
            let _ = sum.set_modified(SystemTime::now());
        }
        Some(file)
    }

    fn sum(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{SUM}"))
    }

    /// Writes an entry's hash and stamp.
    fn note(&self, name: &str, file: &File, sum: &Hash) -> Result<()> {
        let text = format!("{} {}\n", hex(sum), Stamp::of(&file.metadata()?).word());
        self.write(&self.sum(name), text.as_bytes())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let scratch = tempfile::Builder::new().tempfile_in(self.scratch.path())?.into_temp_path();
        std::fs::write(&scratch, bytes)?;
        scratch.persist(path).with_context(|| path.display().to_string())
    }

    /// Returns a folder for temporary files, on the same filesystem as the entries.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Returns the hash of a file of this machine. The file is read only if its stamp has changed.
    ///
    /// # Errors
    /// Those of reading.
    pub fn hash_of(&self, path: &Path) -> Result<Hash> {
        let mut known = self.known(path)?;
        let (_, sum) = known.hash_of("", path)?;
        known.save(self)?;
        Ok(sum)
    }

    /// Returns a file of this machine as a source.
    ///
    /// # Errors
    /// Those of reading.
    pub fn source(&self, path: &Path) -> Result<Arc<Source>> {
        let id = self.hash_of(path)?;
        Ok(Source::new(File::open(path).with_context(|| path.display().to_string())?, id))
    }

    /// Returns the known hashes of the files of a folder, or of one file.
    ///
    /// # Errors
    /// A path that does not exist.
    pub fn known(&self, path: &Path) -> Result<Known> {
        let path = std::path::absolute(path)?;
        let name = hex(&Sha256::digest(path.as_os_str().as_encoded_bytes()).into());
        let place = self.folder.join(format!("{name}{KNOWN}"));
        let mut known = Known { place, before: BTreeMap::new(), now: BTreeMap::new() };
        for line in std::fs::read_to_string(&known.place).unwrap_or_default().lines() {
            let mut words = line.splitn(3, ' ');
            if let (Some(stamp), Some(sum), Some(name)) = (words.next(), words.next().and_then(unhex), words.next()) {
                known.before.insert(name.to_owned(), (stamp.to_owned(), sum));
            }
        }
        Ok(known)
    }

    /// Removes the entries that were not used for the longest time, down to the limit. Entries that this builder has used stay.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn shrink(&self) -> Result<()> {
        let (mut all, mut bytes) = (Vec::new(), 0);
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another builder may have removed it.
            let Ok(metadata) = entry.metadata() else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            if !metadata.is_file() || name.ends_with(SUM) {
                continue;
            }
            let sum = std::fs::metadata(self.sum(&name)).and_then(|sum| sum.modified());
            let used = sum.or_else(|_| metadata.modified())?;
            bytes += metadata.len();
            all.push((used, metadata.len(), name));
        }
        all.sort();
        for (_, size, name) in all {
            if bytes <= self.limit {
                break;
            }
            if !self.used.borrow().contains(&name) {
                bytes -= size;
                let _ = std::fs::remove_file(self.sum(&name));
                let _ = std::fs::remove_file(self.folder.join(&name));
            }
        }
        Ok(())
    }
}

const SUM: &str = ".sum";
const KNOWN: &str = ".known";
const SCRATCH: &str = "scratch-";
const LOCK: &str = "lock";

/// Removes the scratch folders of builders that were killed.
fn remove_abandoned(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_scratch = entry.file_name().to_string_lossy().starts_with(SCRATCH);
        let Some(lock) = is_scratch.then(|| File::open(entry.path().join(LOCK)).ok()).flatten() else { continue };
        if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Hashes of files by name, with their stamps.
pub struct Known {
    place: PathBuf,
    before: BTreeMap<String, (String, Hash)>,
    now: BTreeMap<String, (Stamp, Hash)>,
}

impl Known {
    /// Returns the stamp and the hash of a file; `name` identifies it here.
    ///
    /// # Errors
    /// Those of reading.
    pub fn hash_of(&mut self, name: &str, path: &Path) -> Result<(Stamp, Hash)> {
        let place = || path.display().to_string();
        let file = File::open(path).with_context(place)?;
        let stamp = Stamp::of(&file.metadata().with_context(place)?);
        let sum = match self.before.get(name) {
            Some((before, sum)) if *before == stamp.word() => *sum,
            _ => hash(&file).with_context(place)?,
        };
        self.now.insert(name.to_owned(), (stamp, sum));
        Ok((stamp, sum))
    }

    /// Saves the hashes for the next build.
    ///
    /// # Errors
    /// Those of writing.
    pub fn save(self, cache: &Cache) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let latest = i128::try_from(now.saturating_sub(TICK).as_nanos())?;
        let is_new = |(name, (stamp, _)): (&String, &(Stamp, Hash))| {
            self.before.get(name).is_none_or(|(before, _)| *before != stamp.word())
        };
        if self.now.len() == self.before.len() && !self.now.iter().any(is_new) {
            return Ok(());
        }
        let settled = self.now.iter().filter(|(name, (stamp, _))| stamp.changed() < latest && !name.contains('\n'));
        let text: String =
            settled.map(|(name, (stamp, sum))| format!("{} {} {name}\n", stamp.word(), hex(sum))).collect();
        cache.write(&self.place, text.as_bytes())
    }
}

fn unhex(text: &str) -> Option<Hash> {
    let mut sum = Hash::default();
    if text.len() != 2 * sum.len() || !text.is_ascii() {
        return None;
    }
    for (at, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests;
