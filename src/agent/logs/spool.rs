//! Messages on a volume until the server has them.
//!
//! A folder with segments: files of whole frames, each named by the number of its first message. Messages are appended to the last one.
//! When there are too many bytes, the oldest segment goes, and its messages count as dropped. The file `state` says up to where the
//! server has them, and which lines of each workload are in the spool. Lines that came later are found in the segments, so the state is
//! written seldom.

use super::frame::{self, Message};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Segments in a full spool: the share that is dropped at once.
const SEGMENTS: u64 = 8;

/// A place between two messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The number of the first message in the segment.
    segment: u64,
    /// Bytes from its start.
    offset: u64,
}

/// The file `state`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    /// What is before it is on the server.
    confirmed: Cursor,
    /// The number of the next message.
    next: u64,
    /// Messages that were dropped since the spool was made.
    dropped: u64,
    /// The boot of `lines`.
    boot: String,
    /// The last line of each workload that was taken.
    lines: BTreeMap<String, u32>,
}

#[derive(Debug)]
struct Segment {
    first: u64,
    bytes: u64,
    messages: u64,
}

/// A spool.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    limit: u64,
    state: State,
    segments: VecDeque<Segment>,
    /// The last segment.
    last: Option<File>,
}

impl Spool {
    /// Opens a spool of at most so many bytes for a boot.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub(super) fn open(folder: &Path, limit: u64, boot: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        // A state that cannot be read is that of a spool which never was confirmed: messages are sent twice, not lost.
        let state = std::fs::read(folder.join("state")).ok();
        let mut state: State = state.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        if state.boot != boot {
            (state.boot, state.lines) = (boot.to_owned(), BTreeMap::new());
        }
        let mut spool = Self { folder: folder.to_owned(), limit, state, segments: VecDeque::new(), last: None };
        let mut firsts: Vec<u64> = std::fs::read_dir(folder)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".log")?.parse().ok())
            .collect();
        firsts.sort_unstable();
        for first in firsts {
            spool.recover(first)?;
        }
        spool.forget_confirmed();
        Ok(spool)
    }

    /// Takes a segment of an earlier run, and cuts off a frame that is not complete.
    fn recover(&mut self, first: u64) -> Result<()> {
        let path = self.path(first);
        let bytes = std::fs::read(&path)?;
        let (mut at, mut messages) = (0, 0);
        while let Some(length) = frame::length(&bytes[at..]) {
            if let Some((workload, boot, number)) = frame::origin(&bytes[at..at + length])
                && boot == self.state.boot
            {
                self.state.lines.insert(workload.to_owned(), number);
            }
            at += length;
            messages += 1;
        }
        if at < bytes.len() {
            File::options().write(true).open(&path)?.set_len(at as u64)?;
        }
        self.state.next = self.state.next.max(first + messages);
        self.segments.push_back(Segment { first, bytes: at as u64, messages });
        Ok(())
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{first:020}.log"))
    }

    /// Returns the number of the last line of a workload that was taken in this boot.
    pub(super) fn line(&self, workload: &str) -> Option<u32> {
        self.state.lines.get(workload).copied()
    }

    /// Returns how many messages were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.state.dropped
    }

    /// Returns how many bytes are in it.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Returns the number of the next message, which is how many there were.
    pub(super) fn count(&self) -> u64 {
        self.state.next
    }

    /// Appends a message; its `sequence` is set here.
    ///
    /// # Errors
    /// The volume is full or gone. The message is not in the spool, and its line is not taken.
    pub(super) fn append(&mut self, message: &Message<'_>) -> Result<()> {
        let frame = Message { sequence: self.state.next, ..*message }.frame();
        let full = self.segments.back().is_none_or(|last| last.bytes >= self.limit / SEGMENTS);
        if full || self.last.is_none() {
            let first = if full { self.state.next } else { self.segments.back().map_or(0, |last| last.first) };
            self.last = Some(File::options().create(true).append(true).open(self.path(first))?);
            if full {
                self.segments.push_back(Segment { first, bytes: 0, messages: 0 });
            }
        }
        let (Some(file), Some(segment)) = (&mut self.last, self.segments.back_mut()) else { return Ok(()) };
        if let Err(error) = file.write_all(&frame) {
            // Half a frame must not be followed by another one.
            let _ = file.set_len(segment.bytes);
            return Err(error.into());
        }
        segment.bytes += frame.len() as u64;
        segment.messages += 1;
        self.state.next += 1;
        if let Some((_, number)) = message.line {
            self.state.lines.insert(message.workload.to_owned(), number);
        }
        while self.bytes() > self.limit && self.segments.len() > 1 {
            self.drop_oldest()?;
        }
        Ok(())
    }

    fn drop_oldest(&mut self) -> Result<()> {
        let Some(oldest) = self.segments.pop_front() else { return Ok(()) };
        let confirmed = self.state.confirmed;
        let kept = if confirmed.segment == oldest.first { self.messages_before(confirmed)? } else { 0 };
        self.state.dropped += oldest.messages - kept.min(oldest.messages);
        std::fs::remove_file(self.path(oldest.first))?;
        self.state.confirmed = confirmed.max(self.start());
        self.save()
    }

    fn messages_before(&self, cursor: Cursor) -> Result<u64> {
        let bytes = std::fs::read(self.path(cursor.segment))?;
        let mut rest = &bytes[..bytes.len().min(usize::try_from(cursor.offset)?)];
        let mut messages = 0;
        while let Some(length) = frame::length(rest) {
            rest = &rest[length..];
            messages += 1;
        }
        Ok(messages)
    }

    fn start(&self) -> Cursor {
        Cursor { segment: self.segments.front().map_or(self.state.next, |first| first.first), offset: 0 }
    }

    /// Returns where the next connection begins to read.
    pub(super) fn confirmed(&self) -> Cursor {
        self.state.confirmed.max(self.start())
    }

    /// Reads whole frames of at most so many bytes, but at least one, and moves the cursor behind them. Nothing is left if it is empty.
    ///
    /// # Errors
    /// The volume is gone.
    pub(super) fn read(&self, cursor: &mut Cursor, most: u64) -> Result<Vec<u8>> {
        *cursor = (*cursor).max(self.start());
        for segment in &self.segments {
            if segment.first < cursor.segment {
                continue;
            }
            if segment.first > cursor.segment {
                *cursor = Cursor { segment: segment.first, offset: 0 };
            }
            let left = segment.bytes.saturating_sub(cursor.offset);
            if left == 0 {
                continue;
            }
            let mut file = File::open(self.path(segment.first))?;
            file.seek(SeekFrom::Start(cursor.offset))?;
            let mut bytes = Vec::new();
            // A frame has less than five thousand bytes.
            file.take(left.min(most.max(8 * 1024))).read_to_end(&mut bytes)?;
            let mut whole = 0;
            while let Some(length) = frame::length(&bytes[whole..]) {
                whole += length;
            }
            bytes.truncate(whole);
            cursor.offset += whole as u64;
            return Ok(bytes);
        }
        Ok(Vec::new())
    }

    /// Returns whether there is nothing behind a cursor.
    pub(super) fn is_read(&self, cursor: Cursor) -> bool {
        let cursor = cursor.max(self.start());
        let offset = |segment: &Segment| if segment.first == cursor.segment { cursor.offset } else { 0 };
        self.segments.iter().all(|segment| segment.first < cursor.segment || segment.bytes <= offset(segment))
    }

    /// Notes that the server has everything before a cursor.
    ///
    /// # Errors
    /// The volume is full or gone.
    pub(super) fn confirm(&mut self, cursor: Cursor) -> Result<()> {
        self.state.confirmed = cursor.max(self.state.confirmed);
        self.forget_confirmed();
        self.save()
    }

    fn forget_confirmed(&mut self) {
        let confirmed = self.state.confirmed;
        while let Some(first) = self.segments.front() {
            let is_last = self.segments.len() == 1;
            let is_done = first.first < confirmed.segment
                || (first.first == confirmed.segment && confirmed.offset >= first.bytes && first.bytes > 0);
            if !is_done {
                break;
            }
            // One that cannot be removed is sent again after a restart.
            let _ = std::fs::remove_file(self.path(first.first));
            self.segments.pop_front();
            if is_last {
                self.last = None;
            }
        }
    }

    /// Writes the state, in place of the old one.
    ///
    /// # Errors
    /// The volume is full or gone.
    pub(super) fn save(&self) -> Result<()> {
        let new = self.folder.join("state.new");
        std::fs::write(&new, serde_json::to_vec(&self.state)?)?;
        std::fs::rename(&new, self.folder.join("state"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
