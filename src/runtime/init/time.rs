//! The board's clock: the floor at boot, time servers, and the time that is kept while the power is off.
//!
//! The library decides (`hilum::time`). Helpers read and write the kept time and ask the servers, one after the other
//! ([`crate::net::ask`]); PID 1 sets the clock. A container never sets it, because it is the host's: it only compares.

use super::context::Context;
use super::workloads::Workloads;
use crate::console::Console;
use crate::net::{self, FOUND_BYTES, HostLinks};
use crate::os::clock::realtime_us;
use crate::os::deadline::with_timeout;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::sector;
use crate::workload::empty_folder;
use core::net::IpAddr;
use hilum::boot_count::TIME;
use hilum::config::{Config, Ip};
use hilum::fixed_string::text;
use hilum::status::Number;
use hilum::supervise::Part;
use hilum::time::{Clock, Correction, SERVERS, STATES, Utc};
use hilum_sys::{Change, change_clock};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::Pid;

/// When the image was built, as the builder wrote it.
const BUILT: &str = "/etc/hilum.time";
/// Milliseconds that a disk has at shutdown.
const FINISH_MS: u64 = 3_000;
/// Milliseconds after which a helper that could not be created is tried again.
const AGAIN_MS: u64 = 10_000;
/// Milliseconds after which a helper hangs: a server has a few seconds, so it is the disk.
const HELPER_MS: u64 = 30_000;
/// Milliseconds between two helpers, if links change all the time.
const FLAP_MS: u64 = 1_000;

/// The clock.
pub(super) struct Time {
    clock: Clock,
    /// The server that is asked now, or next.
    place: usize,
    /// The helper, and the pipe with what it found.
    helper: Option<(Pid, OwnedFd)>,
    /// When the last helper is given up; 0 before the first one.
    until: u64,
    /// Whether what it finds does not count, because it asks a server of a lease that was replaced.
    is_stale: bool,
    /// Whether the disk of the kept time hung a helper; the time is not kept there any more.
    is_stuck: bool,
    /// Whether the kept time was read, which is what the first helper does.
    has_read: bool,
    /// Whether somebody knows why the clock is not right.
    is_told: bool,
}

impl Time {
    /// Knows nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            clock: Clock::new(0),
            place: 0,
            helper: None,
            until: 0,
            is_stale: false,
            is_stuck: false,
            has_read: false,
            is_told: false,
        }
    }

    /// Sets the clock of a machine forward to the build time of the image, if it is behind.
    #[inline(never)]
    pub(super) fn begin(&mut self, cx: &mut Context) {
        if cx.config.get().system.time.is_on() {
            self.clock = Clock::new(sector::read(TIME, BUILT).unwrap_or(0).into());
            self.rise(cx.environment, &mut cx.console);
        }
    }

    /// Sets the clock of a machine forward to the floor.
    fn rise(&self, environment: Environment, console: &mut Console) {
        let floor_us = self.clock.floor_us();
        let by_us = floor_us - realtime_us();
        if environment == Environment::Machine && by_us > 0 {
            match change_clock(by_us, Change::Rise) {
                Ok(()) => console.info(format_args!("time: clock set forward to {}, the floor", Utc(floor_us))),
                Err(errno) => console.error(format_args!("time: clock not set: {}", describe(errno))),
            }
        }
    }

    /// Returns when [`Self::tick`] must be called.
    pub(super) fn deadline(&self, cx: &Context, workloads: &Workloads, links: &HostLinks) -> Option<u64> {
        let time = &cx.config.get().system.time;
        let is_busy = cx.is_deferring() || workloads.supervisor.shutting_down().is_some();
        if self.helper.is_some() && !is_busy {
            return Some(self.until);
        }
        let may_read = time.keep.is_none()
            || self.is_stuck
            || kept(cx, workloads).is_some()
            || !workloads.supervisor.awaits(Part::Disks);
        let is_due = if self.has_read { server(cx, links, 0).is_some() || !time.has_servers() } else { may_read };
        (time.is_on() && !is_busy && is_due).then_some(self.clock.next_at)
    }

    /// Asks the next server if that is due.
    #[inline(never)]
    pub(super) fn tick(&mut self, cx: &mut Context, workloads: &mut Workloads, links: &mut HostLinks) {
        if core::mem::take(&mut links.has_news) {
            let are_others = cx.config.get().system.time.has_dhcp;
            self.clock.ask_again(are_others, cx.now());
            if are_others {
                (self.place, self.is_stale) = (0, self.helper.is_some());
                self.clock.next_at = cx.now().max((self.until + FLAP_MS).saturating_sub(HELPER_MS));
            }
        }
        if self.deadline(cx, workloads, links).is_none_or(|at| at > cx.now()) {
            return;
        }
        if self.helper.take().is_some() {
            (self.has_read, self.is_stale) = (true, false);
            // Without a kept time, or once it is given up, it hangs for another reason, such as a machine that stood still.
            if cx.config.get().system.time.keep.is_some() && !core::mem::replace(&mut self.is_stuck, true) {
                cx.console.error(format_args!("time: the disk of the kept time hangs; the time is not kept"));
            }
        }
        let server = server(cx, links, self.place);
        if server.is_some() && self.has_read && !self.clock.may_ask(self.place) {
            return self.go_on(cx, workloads, links);
        }
        let request = net::Request {
            server: server.filter(|_| self.has_read),
            floor_us: self.clock.floor_us(),
            kept: kept(cx, workloads).filter(|_| !self.is_stuck),
            is_right: self.clock.is_right(),
            root: empty_folder(cx.environment),
        };
        match net::ask(&request) {
            Ok((helper, found)) => (self.helper, self.until) = (Some((helper.pid, found)), cx.now() + HELPER_MS),
            Err(_) => self.clock.next_at = cx.now() + AGAIN_MS,
        }
    }

    /// Handles the exit of a process. Returns whether it was the helper.
    #[inline(never)]
    pub(super) fn exited(&mut self, cx: &mut Context, workloads: &mut Workloads, links: &HostLinks, pid: Pid) -> bool {
        let Some((_, found)) = self.helper.take_if(|(helper, _)| *helper == pid) else { return false };
        let mut bytes = [0; FOUND_BYTES];
        // It may have been killed; then it has said nothing.
        let length = rustix::io::read(&found, &mut bytes);
        let [sample, kept_us] = [0, 8].map(|at| i64::from_ne_bytes(core::array::from_fn(|byte| bytes[at + byte])));
        if self.clock.raise_floor(kept_us) {
            self.rise(cx.environment, &mut cx.console);
        }
        let is_stale = core::mem::take(&mut self.is_stale);
        if core::mem::replace(&mut self.has_read, true) && !is_stale {
            if let Some(server) = server(cx, links, self.place)
                && length == Ok(FOUND_BYTES)
                && self.clock.hear(self.place, sample, realtime_us())
            {
                let verdict = self.clock.verdicts[self.place].text();
                cx.console.info(format_args!("time: {} {verdict}", Ip(server)));
            }
            self.go_on(cx, workloads, links);
        }
        true
    }

    /// Goes on to the next server; after the last one, does what they say.
    fn go_on(&mut self, cx: &mut Context, workloads: &mut Workloads, links: &HostLinks) {
        let asked = if server(cx, links, self.place).is_some() { self.place + 1 } else { 0 };
        self.place = asked;
        if server(cx, links, asked).is_some() {
            return;
        }
        self.place = 0;
        let was_right = self.clock.is_right();
        let correction = self.clock.decide(asked, cx.now());
        if asked == 0 {
            if !was_right && hilum_sys::is_clock_synchronised() {
                self.clock.set_right(true);
                workloads.set_time(cx);
            }
            return;
        }
        let Some(correction) = correction else {
            if !was_right && self.clock.exponent() >= 6 && !core::mem::replace(&mut self.is_told, true) {
                cx.console.info(format_args!("time: no server has set the clock; still asking"));
            }
            return;
        };
        let Correction { by_us, is_step } = correction;
        let done = match cx.environment {
            Environment::Container if is_step => Err(Errno::PERM),
            Environment::Container => Ok(()),
            Environment::Machine if is_step => change_clock(by_us, Change::Step),
            Environment::Machine => change_clock(by_us, Change::Slew(self.clock.exponent() - 4)),
        };
        let what = match done {
            Ok(()) if is_step => "clock set",
            Ok(()) => "clock right",
            Err(_) => "clock not set",
        };
        let is_news = if done.is_ok() { is_step || !was_right } else { !self.is_told };
        if is_news {
            let (time, ms) = (Utc(realtime_us()), by_us / 1_000);
            cx.console.info(format_args!("time: {what}: {time}, {ms} ms off"));
        }
        self.is_told = done.is_err();
        match done {
            Ok(()) if !was_right => workloads.set_time(cx),
            Ok(()) => {}
            Err(_) => self.clock.set_right(false),
        }
    }

    /// Keeps the time at shutdown.
    pub(super) fn finish(&self, cx: &Context, workloads: &Workloads) {
        if let Some(path) = kept(cx, workloads).filter(|_| self.clock.is_right() && !self.is_stuck) {
            let _ = with_timeout(FINISH_MS, &mut || net::keep(path, Some(0)).map(|_| 0));
        }
    }

    /// Returns its state, as a place in [`STATES`].
    pub(super) fn state(&self, config: &Config<'_>) -> u8 {
        u8::from(config.system.time.is_on()) * (1 + u8::from(self.clock.is_right()))
    }

    /// Passes what is known to `say`, as the lines of a JSON object.
    #[inline(never)]
    pub(super) fn describe(&self, cx: &Context, links: &HostLinks, say: &mut dyn FnMut(&str)) {
        let clock = &self.clock;
        let at = Some(clock.answered_at).filter(|at| *at > 0);
        say(&text::<256>(format_args!(
            "{{\n \"state\": \"{}\",\n \"clock\": \"{}\",\n \"floor\": \"{}\",\n \"offset_us\": {},\n \"answered_s\": {},\n \
             \"interval_s\": {},\n \"servers\": {{",
            STATES[usize::from(self.state(cx.config.get()))],
            Utc(realtime_us()),
            Utc(clock.floor_us()),
            clock.offset_us,
            Number(at.map(|at| cx.now().saturating_sub(at) / 1_000), "null"),
            1_u32 << clock.exponent(),
        )));
        for (place, verdict) in clock.verdicts.iter().enumerate() {
            let Some(server) = server(cx, links, place) else { break };
            let comma = if place > 0 { "," } else { "" };
            say(&text::<128>(format_args!("  {comma}\"{}\": \"{}\"", Ip(server), verdict.text())));
        }
        say(" }\n}");
    }
}

/// Returns the path of the kept time, if its disk is mounted.
fn kept<'a>(cx: &'a Context, workloads: &Workloads) -> Option<&'a str> {
    let config = cx.config.get();
    config.system.time.keep.filter(|path| workloads.has_disk_of(config, path))
}

/// Returns a server by its number: those of the line, then those of leases.
#[inline(never)]
fn server(cx: &Context, links: &HostLinks, number: usize) -> Option<IpAddr> {
    let time = &cx.config.get().system.time;
    if number >= SERVERS {
        return None;
    }
    match number.checked_sub(time.servers.len()) {
        None => time.servers.get(number).copied(),
        Some(number) if time.has_dhcp => links.time_server(number),
        Some(_) => None,
    }
}
