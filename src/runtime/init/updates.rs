//! The board's slots: which one runs, the trial of a new one, and updates.
//!
//! PID 1 keeps a copy of the record. Everything that reads or writes the disk is done by one helper at a time: it looks at boot,
//! writes an update, commits, or gives up.

use super::boot_tasks::BootTasks;
use super::client::{Client, Descriptors, Response, failed, send};
use super::context::Context;
use super::workloads::Workloads;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use crate::update::{Disk, RECORD, Reason, Starter, reason, receive, refused};
use hilum::fixed_string::text;
use hilum::namespaces::Namespaces;
use hilum::status::slots;
use hilum::supervise::{ExitReason, ShutdownKind};
use hilum::text;
use hilum::text::Text;
use hilum::update::boot::{Boot, decide};
use hilum::update::trial::{Step, Trial};
use hilum::update::{Record, Slot, Verdict};
use hilum::wire::Reply;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

/// Milliseconds that the disk has to appear after the boot.
const DISK_MS: u64 = 30_000;
/// Bytes of what a helper has seen: the record, the running slot, and what the boot is.
const SEEN_BYTES: usize = Record::BYTES + 2;
/// Bytes of a reason as text.
const REASON_BYTES: usize = 160;
/// The first byte of what a helper has seen that has found no record, although a slot is on trial.
const LOST: u8 = 1;
/// What a helper has seen, and then what it says.
type Answer = [u8; SEEN_BYTES + REASON_BYTES];

/// It may use much memory, and what it does can be repeated. The variables of UEFI firmware are attached for it alone.
const ROLE: Role = Role { nice: 10, namespaces: Namespaces::MNT, ..Role::lasting(c"hilum-update") };

/// What the helper does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    Look,
    Write,
    TryOther,
    Commit,
    GiveUp,
}

/// A helper.
struct Work {
    pid: Pid,
    job: Job,
    answer: OwnedFd,
    /// The connection of the client that waits for it.
    client: Option<OwnedFd>,
}

/// The slots.
pub(super) struct Updates {
    helper: Option<Work>,
    /// The record as a helper has last seen it, and the slot that runs. `None` if there is none.
    known: Option<(Record, Slot)>,
    /// Why there is none.
    why: heapless::String<REASON_BYTES>,
    has_looked: bool,
    /// The trial of the slot that runs.
    trial: Option<Trial>,
}

impl Updates {
    /// Creates the service before anything is known.
    pub(super) const fn none() -> Self {
        Self { helper: None, known: None, why: heapless::String::new(), has_looked: false, trial: None }
    }

    /// Has looked at the slots.
    #[cfg(test)]
    pub(super) fn know(&mut self, record: Record, running: Slot) {
        self.known = Some((record, running));
    }

    /// Returns when [`Self::tick`] must be called.
    pub(super) fn deadline(&self, cx: &Context) -> Option<u64> {
        Some(self.trial?.deadline(cx.config.get().system.update?, self.helper.is_some()))
    }

    /// Looks at the slots once the modules are loaded, and decides on a trial.
    pub(super) fn tick(&mut self, cx: &mut Context, workloads: &mut Workloads, boot_tasks: &BootTasks) {
        let Some(update) = cx.config.get().system.update.filter(|_| cx.environment == Environment::Machine) else {
            return;
        };
        if workloads.supervisor.shutting_down().is_some() {
            return;
        }
        if !self.has_looked && !cx.is_deferring() && !boot_tasks.is_running() {
            self.has_looked = true;
            if let Err(errno) = self.begin(Job::Look, None, None, "") {
                cx.console.error(format_args!("update: {}", describe(errno)));
            }
        }
        let Some(trial) = &mut self.trial else { return };
        let config = cx.config.clone();
        let unhealthy = workloads.supervisor.first_unhealthy(config.get());
        match trial.step(update, cx.now(), unhealthy.is_none(), self.helper.is_some()) {
            Step::Wait => {}
            // An error is one of the commit: it is tried again.
            Step::Commit => _ = self.begin(Job::Commit, None, None, ""),
            Step::GiveUp => {
                let name = unhealthy.unwrap_or("the commit");
                cx.console.error(format_args!("update: {name} is not healthy after {} s", update.within_ms / 1_000));
                self.give_up(cx, workloads, name);
            }
            Step::Restart => self.restart(cx, workloads),
        }
    }

    /// Writes the verdict on the slot that is on trial, and restarts.
    fn give_up(&mut self, cx: &mut Context, workloads: &mut Workloads, why: &str) {
        if let Some(trial) = &mut self.trial {
            trial.begin_verdict(cx.now());
        }
        if self.begin(Job::GiveUp, None, None, why).is_err() {
            self.restart(cx, workloads);
        }
    }

    fn restart(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        self.trial = None;
        workloads.supervisor.shut_down(cx.config.get(), ShutdownKind::Reboot, cx.now());
    }

    /// Starts an update from the descriptor of a request.
    pub(super) fn write(&mut self, client: &Client, descriptors: &Descriptors) -> Response {
        match descriptors.first() {
            Some(bundle) => self.answer(Job::Write, client, Some(bundle)),
            None => failed(format_args!("no bundle; use: hilum update < FILE")),
        }
    }

    /// Tries the other slot, or gives the one up that is on trial.
    pub(super) fn roll_back(&mut self, client: &Client, cx: &mut Context, workloads: &mut Workloads) -> Response {
        if self.trial.is_some() && self.helper.is_none() {
            self.give_up(cx, workloads, "hilum rollback");
            return super::client::done();
        }
        self.answer(Job::TryOther, client, None)
    }

    fn answer(&mut self, job: Job, client: &Client, bundle: Option<&OwnedFd>) -> Response {
        let Some((_, running)) = &self.known else {
            return failed(format_args!("{}", self.why()));
        };
        if self.trial.is_some() {
            return failed(format_args!("slot {} is on trial; wait until it is committed", running.name()));
        }
        if self.helper.is_some() {
            return failed(format_args!("another update is running"));
        }
        match self.begin(job, Some(client), bundle, "") {
            Ok(()) => Response::Delegated,
            Err(errno) => failed(format_args!("{}", describe(errno))),
        }
    }

    fn begin(&mut self, job: Job, client: Option<&Client>, bundle: Option<&OwnedFd>, why: &str) -> Result<(), Errno> {
        let (answer, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let connection = client.map(|client| client.socket.as_fd());
        let keep = Kept::of(&[Some(writer.as_fd()), connection, bundle.map(AsFd::as_fd)]);
        let mut work = || {
            let send = |line: &str| _ = client.map(|client| client.send(&Reply::Event(0, line)));
            let mut bytes: Answer = [0; _];
            let result = work(job, bundle, why, &send, &mut bytes);
            let (status, said) = match &result {
                Ok(said) => (0, said),
                Err(why) => (1, why),
            };
            let said = text::<REASON_BYTES>(format_args!("{said}"));
            bytes[SEEN_BYTES..][..said.len()].copy_from_slice(said.as_bytes());
            let _ = rustix::io::write(&writer, &bytes[..SEEN_BYTES + said.len()]);
            status
        };
        let client = connection.map(|socket| fcntl_dupfd_cloexec(socket, 0)).transpose()?;
        let helper = helper::spawn(&ROLE, keep, &mut work)?;
        self.helper = Some(Work { pid: helper.pid, job, answer, client });
        Ok(())
    }

    /// Handles the exit of a process. Returns whether it was the helper.
    pub(super) fn exited(&mut self, cx: &mut Context, workloads: &mut Workloads, pid: Pid, end: ExitReason) -> bool {
        let Some(helper) = self.helper.take_if(|helper| helper.pid == pid) else { return false };
        let mut bytes: Answer = [0; _];
        let length = rustix::io::read(&helper.answer, &mut bytes).unwrap_or(0);
        let boot = self.learn(&bytes);
        let said = bytes.get(SEEN_BYTES..length).and_then(|said| core::str::from_utf8(said).ok());
        let said = said.unwrap_or("the helper was killed");
        let is_done = end == ExitReason::Exit(0);
        // Not by the helper: whoever reads this may ask for the next one, and PID 1 has to know that this one has ended.
        if let Some(client) = helper.client {
            send(client.as_fd(), &Reply::Done((!is_done).into(), said));
        }
        match (helper.job, boot) {
            (Job::Look, Some(boot)) if is_done => self.booted(cx, workloads, boot),
            (Job::Look, _) => {
                self.known = None;
                self.why = text(format_args!("{said}"));
                cx.console.error(format_args!("update: {said}; updates are refused"));
                if bytes[0] == LOST {
                    cx.console.error(format_args!("update: this is a trial; restarting"));
                    self.restart(cx, workloads);
                }
            }
            (Job::Write | Job::TryOther, _) if is_done => self.restart(cx, workloads),
            (Job::Write | Job::TryOther, _) => {}
            (Job::Commit, _) if is_done => {
                self.trial = None;
                self.tell(cx, text!("is committed"));
            }
            (Job::Commit, _) => {
                if let Some(trial) = &mut self.trial {
                    trial.failed(cx.now());
                }
                cx.console.error(format_args!("update: {said}; the commit is tried again"));
            }
            (Job::GiveUp, _) => self.restart(cx, workloads),
        }
        true
    }

    /// Keeps what a helper has seen. Returns what this boot is.
    fn learn(&mut self, bytes: &Answer) -> Option<Boot> {
        let running = Slot::ALL.get(usize::from(bytes[Record::BYTES]))?;
        self.known = Some((Record::read(bytes.first_chunk()?)?, *running));
        Boot::ALL.get(usize::from(bytes[Record::BYTES + 1])).copied()
    }

    fn booted(&mut self, cx: &mut Context, workloads: &mut Workloads, boot: Boot) {
        match boot {
            Boot::Committed => self.tell(cx, text!("is running")),
            Boot::Trial => {
                self.trial = Some(Trial::NEW);
                self.tell(cx, text!("is on trial"));
            }
            Boot::Failed | Boot::Adopted => self.describe(&mut |line| cx.console.error(format_args!("update: {line}"))),
            Boot::Restart => {
                self.tell(cx, text!("is not committed, and was started; restarting into the committed slot"));
                self.restart(cx, workloads);
            }
        }
    }

    fn tell(&self, cx: &mut Context, what: Text) {
        if let Some((record, running)) = &self.known {
            let version = record.version(*running);
            cx.console.error(format_args!("update: version {version} in slot {} {what}", running.name()));
        }
    }

    /// Returns why nothing is known of slots.
    fn why(&self) -> &str {
        if self.why.is_empty() {
            "slots are unknown: [system] has no update, or the board is booting"
        } else {
            &self.why
        }
    }

    /// Passes the state of the slots to `say`, line by line.
    pub(super) fn describe(&self, say: &mut dyn FnMut(&str)) {
        let Some((record, running)) = &self.known else {
            return say(self.why());
        };
        slots::lines(record, *running, say);
    }

    /// Sends what `hilum status` shows: lines for people, if there is anything to say, and JSON as an event at 1 us.
    pub(super) fn show(&self, client: &Client) {
        if self.has_looked {
            self.describe(&mut |line| _ = client.send(&Reply::Event(0, line)));
        }
        let json: heapless::String<384> = match &self.known {
            Some((record, running)) => text(format_args!("{}", slots::Json(record, *running))),
            None => text(format_args!("null")),
        };
        client.send(&Reply::Event(1, &json));
    }
}

/// Does the work of a helper, and writes what it has seen to `seen`. Returns what to say.
fn work(
    job: Job,
    bundle: Option<&OwnedFd>,
    why: &str,
    send: &dyn Fn(&str),
    seen: &mut Answer,
) -> Result<Reason, Reason> {
    let firmware = |errno| refused(text!("the firmware's variables: {}"), errno);
    let starter = Starter::of_board().map_err(firmware)?;
    let mut disk = Disk::find(if job == Job::Look { DISK_MS } else { 0 }).map_err(|errno| {
        seen[0] = (job == Job::Look && starter.end_lost_trial()).into();
        match errno {
            Errno::NOENT => reason(text!("no disk with slots"), 0),
            Errno::NOTUNIQ => reason(text!("two disks with slots"), 0),
            errno => refused(text!("the slots: {}"), errno),
        }
    })?;
    let running = starter.running(&disk.record);
    let mut boot = Boot::Committed;
    let result = match job {
        Job::Look => look(&mut disk, starter, running, &mut boot).map(|()| reason(text!(""), 0)),
        Job::Write => bundle.map_or_else(
            || Err(reason(text!(""), 0)),
            |bundle| {
                let mut tenths = 0;
                let slot = receive(bundle.as_fd(), &mut disk, running, &mut |done, all| {
                    if done * 10 / all > tenths {
                        tenths = done * 10 / all;
                        send(&text::<32>(format_args!("{} %", tenths * 10)));
                    }
                })?;
                start(&mut disk, starter, slot)
            },
        ),
        Job::TryOther => try_other(&mut disk, starter, running),
        Job::Commit | Job::GiveUp => {
            disk.record.end(if job == Job::Commit { Verdict::Committed } else { Verdict::Unhealthy }, why);
            let pointed = |disk: &mut Disk| {
                disk.write_record()?;
                let committed = disk.record.committed();
                if starter.points_elsewhere(disk, committed)? { starter.point_to(disk, committed) } else { Ok(()) }
            };
            pointed(&mut disk).map(|()| reason(text!(""), 0)).map_err(|errno| refused(RECORD, errno))
        }
    };
    seen[..Record::BYTES].copy_from_slice(disk.record.bytes());
    (seen[Record::BYTES], seen[Record::BYTES + 1]) = (running as u8, boot as u8);
    result
}

/// Finds out what this boot is, and writes that.
fn look(disk: &mut Disk, starter: Starter, running: Slot, boot: &mut Boot) -> Result<(), Reason> {
    starter.end_next(disk)?;
    let committed = disk.record.committed();
    let elsewhere = starter.points_elsewhere(disk, committed);
    let elsewhere = elsewhere.map_err(|errno| refused(text!("the pointer: {}"), errno))?;
    *boot = decide(&mut disk.record, running, elsewhere);
    let mut write = || {
        if !matches!(*boot, Boot::Committed) {
            disk.write_record()?;
        }
        if elsewhere && *boot != Boot::Adopted { starter.point_to(disk, committed) } else { Ok(()) }
    };
    write().map_err(|errno| refused(RECORD, errno))
}

/// Puts the other slot on trial.
fn try_other(disk: &mut Disk, starter: Starter, running: Slot) -> Result<Reason, Reason> {
    let (slot, record) = (running.other(), &mut disk.record);
    match record.version(slot) {
        0 => return Err(reason(text!("the other slot is empty"), 0)),
        version if version < record.floor() => {
            return Err(reason(text!("its version is below this board's floor {}"), record.floor()));
        }
        _ => record.try_next(slot),
    }
    disk.write_record().map_err(|errno| refused(RECORD, errno))?;
    start(disk, starter, slot)
}

/// Prepares the start of a slot that the record says is on trial. If that fails, the record says so.
fn start(disk: &mut Disk, starter: Starter, slot: Slot) -> Result<Reason, Reason> {
    if let Err(why) = starter.start_next(disk, slot) {
        disk.record.end(Verdict::NotStarted, &text::<REASON_BYTES>(format_args!("{why}")));
        // It could not be started, and the next boot would find that out as well.
        let _ = disk.write_record();
        return Err(why);
    }
    Ok(reason(text!("version {} is in the other slot; restarting into it"), disk.record.version(slot)))
}
