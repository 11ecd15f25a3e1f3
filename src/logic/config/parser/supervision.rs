//! The keys about supervising a workload, and about the watchdog and boot counter of the board.

use super::super::error::Problem;
use super::super::keys::KeyId;
use super::super::limits;
use super::super::model::System;
use super::super::pools::Pools;
use super::super::source::Source;
use super::super::span::Span;
use super::super::supervision::{
    Boots, Check, Control, Health, LogFile, MountFallback, OnDamage, Ready, Right, Supervision, SystemMount, Time,
    Update, Watchdog,
};
use super::arguments::{Arguments, Reported};
use super::network::ip;
use super::values;
use crate::split::Split;
use crate::text;
use crate::text::Text;
use crate::time::SERVERS;

const PORT: Text = text!("a port from 1 to 65535");
const WITHIN: Text = text!("within= and a duration such as within=10s");
const READY: Text = text!("exec, exit, fd, tcp, after or notify");
const HEALTH: Text = text!("tcp, file, exec or notify");
const HEALTH_OPTION: Text = text!("interval=DURATION or failures=COUNT, with a count from 1 to 100");
const LOG_OPTION: Text = text!("quiet, or rate=COUNT/DURATION such as rate=100/1s");
const UPDATE_OPTION: Text = text!("after=DURATION or within=DURATION, such as within=5m");
const TIME_WORD: Text = text!("dhcp, the address of a time server, or keep=FILE");
const BOOTS_OPTION: Text = text!("limit=COUNT, with a count from 1 to 100, or after=DURATION");
const FILESYSTEM: Text =
    text!("the name of a filesystem such as ext4, but not btrfs (it may need several disks) or LUKS (it needs a key)");
const NAMELESS: Text =
    text!("a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md");
const NEW: Text = text!("ext4, the one filesystem that check=reformat can make and, without ro, grow enlarge");
const MOUNT_OPTION: Text = text!("ro, exec, grow, wait=DURATION, check=repair|ro|reformat or else=tmpfs|stop");
const FD: Text = text!("a descriptor from 3 to 63");

/// Defaults in milliseconds.
const READY_WITHIN_MS: u32 = 60_000;
const CRITICAL_MS: u32 = 60_000;
const DISK_MS: u32 = 5_000;
const AT_STOP_MS: u32 = 10_000;
const INTERVAL_MS: u32 = 10_000;
const FAILURES: u8 = 3;
/// The default size in bytes at which a log file is rotated.
const LOG_BYTES: u64 = 1 << 20;
/// The default limit of consecutive bad boots.
const BOOTS: u32 = 3;
/// The default time in milliseconds until a boot counts as good.
const WELL_MS: u32 = 60_000;
/// The default time in milliseconds after which a slot on trial is given up.
const TRIAL_MS: u32 = 300_000;

fn port(text: &str) -> Option<u16> {
    values::number(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

fn within(text: &str) -> Option<u32> {
    values::duration_ms(text.strip_prefix("within=")?)
}

/// `COUNT/DURATION`
fn rate(text: &str) -> Option<(u32, u32)> {
    let (count, period) = text.cut(b'/')?;
    Some((values::number(count).filter(|count| *count > 0)?, values::duration_ms(period)?))
}

impl<'a> Arguments<'_, 'a> {
    /// Reads a workload's key of this file. Returns false if the key belongs elsewhere.
    pub(super) fn supervision(&mut self, place: &mut Supervision<'a>, pools: &mut Pools<'a>) -> Result<bool, Reported> {
        match self.key.id {
            KeyId::Ready => (place.ready, place.ready_within_ms) = self.ready()?,
            KeyId::Health => place.health = Some(self.health(pools)?),
            KeyId::Critical => place.critical_ms = self.or_within(CRITICAL_MS)?,
            KeyId::AtStop => place.at_stop_ms = self.or_within(AT_STOP_MS)?,
            KeyId::Safe => place.is_safe = true,
            KeyId::Reaper => place.has_reaper = true,
            KeyId::Rights => {
                place.control = Right::ALL[self.choose(text!("status, operate, update or all"), Right::NAMES)?];
            }
            KeyId::Log => {
                while self.has_more() {
                    let found = self.take(LOG_OPTION, |text| match text.strip_prefix("rate=") {
                        Some(text) => rate(text).map(Some),
                        None => (text == "quiet").then_some(None),
                    })?;
                    match found {
                        Some(rate) => place.rate = Some(rate),
                        None => place.is_quiet = true,
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads a key of the board's section that belongs to this file.
    pub(super) fn system(&mut self, system: &mut System<'a>) -> Result<(), Reported> {
        match self.key.id {
            KeyId::Watchdog => {
                let device = self.path()?;
                system.watchdog =
                    Some(Watchdog { device, timeout_ms: self.figure(values::DURATION, values::duration_ms)? });
            }
            KeyId::Control => {
                system.control = self.take(text!("off, or the absolute path of the socket"), |text| match text {
                    "off" => Some(Control::Off),
                    _ => values::path(text).filter(|path| path.len() <= limits::SOCKET_BYTES).map(Control::At),
                })?;
            }
            KeyId::Boots => system.boots = Some(self.boots()?),
            KeyId::Update => system.update = Some(self.update()?),
            KeyId::Time => self.time(&mut system.time)?,
            KeyId::SystemLog => self.system_log(system)?,
            KeyId::SystemMount => self.system_mount(system)?,
            KeyId::Volumes => system.volumes = Some(self.path()?),
            KeyId::Site => system.site = Some(self.path()?),
            _ => {}
        }
        Ok(())
    }

    /// `boots FILE [limit=COUNT] [after=DURATION]`
    fn boots(&mut self) -> Result<Boots<'a>, Reported> {
        let path = self.path()?;
        let mut boots = Boots { path, limit: BOOTS, after_ms: WELL_MS };
        while self.has_more() {
            let count = |text: &str| values::number(text).filter(|count| (1..=100).contains(count));
            let (is_limit, value) = self.take(BOOTS_OPTION, |text| match text.cut(b'=')? {
                ("limit", text) => Some((true, count(text)?)),
                ("after", text) => Some((false, values::duration_ms(text)?)),
                _ => None,
            })?;
            *(if is_limit { &mut boots.limit } else { &mut boots.after_ms }) = value;
        }
        Ok(boots)
    }

    /// `update [after=DURATION] [within=DURATION]`
    fn update(&mut self) -> Result<Update, Reported> {
        let mut update = Update { after_ms: WELL_MS, within_ms: TRIAL_MS };
        while self.has_more() {
            let (is_after, value) = self.take(UPDATE_OPTION, |text| {
                let (name, value) = text.cut(b'=')?;
                let value = values::duration_ms(value).filter(|value| *value > 0)?;
                "within after".place_of_word(name).map(|at| (at == 1, value))
            })?;
            *(if is_after { &mut update.after_ms } else { &mut update.within_ms }) = value;
        }
        if update.within_ms <= update.after_ms {
            let word = self.line.words[self.next - 1];
            return self.error(word.column, Problem::Value(word.text, text!("within= longer than after=")));
        }
        Ok(update)
    }

    /// `time [dhcp] [ADDRESS...] [keep=FILE]`, at least one of them
    fn time(&mut self, time: &mut Time<'a>) -> Result<(), Reported> {
        while self.has_more() || !time.is_on() {
            let server = self.take(TIME_WORD, |text| match text.strip_prefix("keep=") {
                Some(path) => values::path(path).map(|path| time.keep = Some(path)).map(|()| None),
                None if text == "dhcp" => {
                    time.has_dhcp = true;
                    Some(None)
                }
                None => ip(text).map(Some),
            })?;
            if server.is_some_and(|server| time.servers.push(server).is_err()) {
                return self.too_many(text!("time servers"), SERVERS);
            }
        }
        Ok(())
    }

    /// `log kmsg | FILE [size=BYTES]`
    fn system_log(&mut self, system: &mut System<'a>) -> Result<(), Reported> {
        let path = self.take(text!("kmsg, or the absolute path of a file"), |text| match text {
            "kmsg" => Some(None),
            _ => values::path(text).map(Some),
        })?;
        let size = |text: &str| values::amount(text.strip_prefix("size=")?).filter(|bytes| *bytes >= 4096);
        match path {
            None => system.has_kmsg = true,
            Some(path) => {
                let bytes =
                    if self.has_more() { self.take(text!("size=BYTES such as size=1M"), size)? } else { LOG_BYTES };
                system.log_file = Some(LogFile { path, bytes });
            }
        }
        Ok(())
    }

    /// `mount SOURCE TARGET FILESYSTEM [OPTION...]`
    fn system_mount(&mut self, system: &mut System<'a>) -> Result<(), Reported> {
        let source = self.text(values::SOURCE, values::source)?;
        let target = self.text(text!("an absolute path without .., not /"), |text| {
            values::path(text).filter(|path| !path.without_end(b'/').is_empty())
        })?;
        let kind = self.text(FILESYSTEM, |text| {
            values::module(text).filter(|kind| !["btrfs", "crypto_LUKS", "luks"].contains(kind))
        })?;
        if !Source::of(source).is_some_and(|source| source.is_kept_by(kind)) {
            return self.error(self.line.words[1].column, Problem::Value(source, NAMELESS));
        }
        let mut mount = SystemMount {
            source,
            target,
            kind,
            is_read_only: false,
            is_executable: false,
            grows: false,
            wait_ms: DISK_MS,
            check: OnDamage::Repair,
            fallback: MountFallback::Stop,
        };
        while self.has_more() {
            self.take(MOUNT_OPTION, |text| {
                match (text, text.strip_prefix("wait=").and_then(values::duration_ms)) {
                    (_, Some(wait_ms)) => mount.wait_ms = wait_ms,
                    ("ro", _) => mount.is_read_only = true,
                    ("exec", _) => mount.is_executable = true,
                    ("grow", _) => mount.grows = true,
                    ("check=repair", _) => mount.check = OnDamage::Repair,
                    ("check=ro", _) => mount.check = OnDamage::ReadOnly,
                    ("check=reformat", _) => mount.check = OnDamage::Reformat,
                    ("else=stop", _) => mount.fallback = MountFallback::Stop,
                    ("else=tmpfs", _) => mount.fallback = MountFallback::Tmpfs,
                    _ => return None,
                }
                Some(())
            })?;
        }
        let needs_ext4 = mount.check == OnDamage::Reformat || mount.grows;
        if needs_ext4 && kind != "ext4" || mount.grows && mount.is_read_only {
            return self.error(self.line.words[3].column, Problem::Value(kind, NEW));
        }
        match system.mounts.push(mount) {
            Ok(()) => Ok(()),
            Err(_) => self.too_many(text!("mount lines"), limits::SYSTEM_MOUNTS),
        }
    }

    /// `within=DURATION`, or the default.
    fn or_within(&mut self, usual_ms: u32) -> Result<u32, Reported> {
        if self.has_more() { self.figure(WITHIN, within) } else { Ok(usual_ms) }
    }

    /// `ready exec | exit | fd N | tcp PORT | after DURATION | notify [within=DURATION]`
    fn ready(&mut self) -> Result<(Ready, u32), Reported> {
        let ready = match self.choose(READY, "exec exit fd tcp after notify")? {
            0 => return Ok((Ready::Exec, 0)),
            1 => return Ok((Ready::Exit, self.or_within(0)?)),
            2 => Ready::Fd(self.number(FD, 3..=63)? as u8),
            3 => Ready::Tcp(self.take(PORT, port)?),
            4 => return Ok((Ready::After(self.figure(values::DURATION, values::duration_ms)?), 0)),
            _ => Ready::Notify,
        };
        Ok((ready, self.or_within(READY_WITHIN_MS)?))
    }

    /// `health tcp PORT | file PATH | exec PROGRAM... | notify [interval=DURATION] [failures=COUNT]`
    fn health(&mut self, pools: &mut Pools<'a>) -> Result<Health<'a>, Reported> {
        let mut health = Health { check: Check::Notify, interval_ms: INTERVAL_MS, failures: FAILURES };
        let is_option = |text: &str| text.starts_with("interval=") || text.starts_with("failures=");
        match self.choose(HEALTH, "tcp file exec notify")? {
            0 => health.check = Check::Tcp(self.take(PORT, port)?),
            1 => health.check = Check::File(self.path()?),
            2 => {
                let mut words = Span::NONE;
                // The first word always fits, because the list is empty.
                let _ = pools.push(&mut words, self.path()?, limits::CHECK_WORDS);
                while let Some(word) = self.line.words.get(self.next).filter(|word| !is_option(word.text)) {
                    self.next += 1;
                    if !pools.push(&mut words, word.text, limits::CHECK_WORDS) {
                        let problem = Problem::TooMany(text!("words of a health check"), limits::CHECK_WORDS as u32);
                        return self.error(word.column, problem);
                    }
                }
                health.check = Check::Exec(words);
            }
            _ => {}
        }
        while self.has_more() {
            let count = |text: &str| values::number(text).filter(|count| (1..=100).contains(count));
            let (is_interval, value) = self.take(HEALTH_OPTION, |text| match text.cut(b'=')? {
                ("interval", text) => Some((true, values::duration_ms(text)?)),
                ("failures", text) => Some((false, count(text)?)),
                _ => None,
            })?;
            if is_interval {
                health.interval_ms = value;
            } else {
                health.failures = value as u8;
            }
        }
        Ok(health)
    }
}
