//! The board's own disks, which may come and go.
//!
//! The kernel's mount table is the only record of what is mounted, and decides which workloads can run; a change of it
//! is an event, whoever caused it. A helper mounts, because that may wait for disks, and another one unmounts
//! filesystems whose device is gone. Device events (`uevents.rs`) say when to look.

use super::context::Context;
use super::log_file::LogFile;
use super::timeline::Moment;
use super::token::Token;
use super::uevents::Received;
use super::workloads::Workloads;
use crate::os::environment::Environment;
use crate::os::errno::describe;
use crate::os::helper::{self, Kept, Role};
use crate::os::wait::await_exit;
use crate::storage;
use crate::workload::{LONGEST_MS, wait};
use hilum::config::limits;
use hilum::supervise::{ExitReason, Part};
use hilum::uevent::Action;
use hilum_sys::{SignalFd, SignalSet};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, Signal, kill_process};

/// Milliseconds that the helper has to finish at shutdown.
const FINISH_MS: u64 = 10_000;
const FINISH_STEP_MS: u64 = 50;
/// How often a killed helper is started again.
const MAX_TRIES: u8 = 3;
/// Milliseconds until another attempt if a helper could not be created.
const AGAIN_MS: u64 = 1_000;
/// Minimum milliseconds between two looks at the devices.
const PAUSE_MS: u64 = 200;

/// Workloads that need no disk have priority.
const MOUNTER: Role = Role { nice: 10, ..Role::new(c"hilum-disks") };
const DETACHER: Role = Role::new(c"hilum-detach");

/// The device that is mounted for a `mount` line: major and minor number.
type Device = Option<(u32, u32)>;

/// The disks. A set of `mount` lines is a bit mask.
pub(super) struct Disks {
    /// The helper that mounts.
    mounter: Option<Pid>,
    /// Whether it is the helper of the boot, which waits as configured; and how often it was killed.
    is_boot: bool,
    tries: u8,
    /// The helper that unmounts, and its lines.
    detacher: Option<Pid>,
    detaching: u8,
    /// Reports changes of the mount table.
    table: Option<OwnedFd>,
    /// What is mounted, by line, if its device exists.
    devices: [Device; limits::SYSTEM_MOUNTS],
    present: u8,
    /// Lines whose device is gone, but whose mount is not.
    leaving: u8,
    /// Lines whose device was found and cannot be mounted; they are not tried again before a device was removed.
    refused: u8,
    /// Lines with a tmpfs instead of the disk.
    in_memory: u8,
    /// Whether the medium of a disk may be gone although the disk is not.
    is_unsure: bool,
    /// Whether something has changed; handled once per turn.
    has_news: bool,
    /// Whether to look at the devices, and the earliest time for it.
    is_wanted: bool,
    not_before: u64,
}

impl Disks {
    /// Creates the service before anything is mounted.
    pub(super) const fn none() -> Self {
        Self {
            mounter: None,
            is_boot: false,
            tries: 0,
            detacher: None,
            detaching: 0,
            table: None,
            devices: [None; _],
            present: 0,
            leaving: 0,
            refused: 0,
            in_memory: 0,
            is_unsure: false,
            has_news: false,
            is_wanted: false,
            not_before: 0,
        }
    }

    /// Checks before the first workload starts what is mounted. Missing disks are mounted from the next turn on.
    pub(super) fn begin(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        let config = cx.config.clone();
        let system = &config.get().system;
        if cx.environment == Environment::Container || system.mounts.is_empty() {
            return;
        }
        match storage::mount_table() {
            Ok(table) => {
                let _ = cx.events.watch(table.as_fd(), Token::MountTable);
                self.table = Some(table);
            }
            Err(errno) => cx.console.error(format_args!("disks: {}; none is mounted", describe(errno))),
        }
        workloads.begin_disks(self.look(cx));
        self.is_boot = !system.disks_come_first();
        self.is_wanted = self.is_boot;
        workloads.supervisor.set_awaited(Part::Disks, self.is_boot);
    }

    /// Handles a device event; without disks there is nothing to do.
    pub(super) fn handle_uevent(&mut self, received: &Received<'_>) {
        if self.table.is_none() {
            return;
        }
        let action = match received {
            Received::Event(event) if event.is_of("block") => {
                self.is_unsure |= event.is_of_medium();
                event.action
            }
            Received::Event(_) => return,
            Received::Lost => {
                self.is_unsure = true;
                Action::Remove
            }
        };
        if action != Action::Add {
            self.refused = 0;
        }
        (self.has_news, self.is_wanted) = (true, true);
    }

    /// Handles a change of the mount table.
    pub(super) fn table_changed(&mut self) {
        self.has_news = true;
    }

    /// Returns when [`Self::tick`] must be called.
    pub(super) fn deadline(&self, cx: &Context) -> Option<u64> {
        let detaches = self.leaving != 0 && self.detacher.is_none();
        (!cx.is_deferring() && (self.has_news || detaches || self.may_mount())).then_some(self.not_before)
    }

    fn may_mount(&self) -> bool {
        self.is_wanted && self.mounter.is_none() && self.leaving == 0 && self.table.is_some()
    }

    /// Handles changes since the last turn.
    pub(super) fn tick(&mut self, cx: &mut Context, workloads: &mut Workloads) {
        if core::mem::take(&mut self.has_news) {
            let before = self.devices;
            let missing = self.look(cx);
            let is_another = |(old, new): (&Device, &Device)| old.is_some() && new.is_some() && old != new;
            let replaced = before.iter().zip(&self.devices).enumerate();
            let replaced = replaced.fold(0, |all, (index, pair)| all | u8::from(is_another(pair)) << index);
            workloads.set_disks(cx, missing, replaced);
            self.is_wanted &= self.is_boot || self.is_unsure || (missing | self.in_memory) & !self.refused != 0;
        }
        if cx.is_deferring() || cx.now() < self.not_before {
            return;
        }
        if self.leaving != 0 && self.detacher.is_none() {
            self.detach(cx);
        }
        if self.may_mount() {
            self.mount(cx, workloads);
        }
    }

    /// Checks what is mounted, and the devices. Returns the lines without a mount or with a removed device.
    fn look(&mut self, cx: &mut Context) -> u8 {
        let (config, console) = (cx.config.clone(), &mut cx.console);
        let mounts = &config.get().system.mounts;
        let mut devices: [Device; limits::SYSTEM_MOUNTS] = [None; _];
        let (mut present, mut in_memory) = (0, 0);
        let looked = storage::each_mount(&mut |entry| {
            for (index, mount) in mounts.iter().enumerate().filter(|(_, mount)| entry.is_at(mount.target)) {
                let bit = 1 << index;
                let was_there = self.present & bit != 0 && self.devices[index] == Some(entry.device);
                let is_there = storage::has_medium(entry.device);
                if was_there && !is_there && self.leaving & bit == 0 {
                    self.leaving |= bit;
                    console.error(format_args!(
                        "mount {}: {} removed; workloads that use it stop until it is back",
                        mount.target, entry.source
                    ));
                }
                devices[index] = Some(entry.device);
                present = present & !bit | if is_there || was_there { bit } else { 0 };
                in_memory = in_memory & !bit | if entry.kind == "tmpfs" { bit } else { 0 };
            }
        });
        if let Err(errno) = looked {
            console.error(format_args!("disks: {}", describe(errno)));
        }
        (self.devices, self.present, self.in_memory) = (devices, present, in_memory);
        let missing = (0..mounts.len()).filter(|index| devices[*index].is_none());
        missing.fold(self.leaving, |all, index| all | 1 << index)
    }

    /// Starts a helper that mounts what is present and not mounted.
    fn mount(&mut self, cx: &mut Context, workloads: &Workloads) {
        let (config, ready) = (cx.config.clone(), workloads.gate());
        let (waits, refused, is_unsure) = (self.is_boot, self.refused, self.is_unsure);
        let [terminal, kernel_log, file] = cx.console.descriptors();
        let keep = Kept::of(&[ready.map(AsFd::as_fd), terminal, kernel_log, file]);
        let console = &mut cx.console;
        let mut work = || {
            console.become_helper();
            // Disks need the modules.
            if let Some(ready) = ready {
                wait(ready, LONGEST_MS);
            }
            // PID 1 blocks all signals from its first instruction on. In this helper, SIGTERM means shutdown.
            let signals = SignalFd::open(SignalSet::of(Signal::TERM.as_raw().unsigned_abs())).ok();
            let down = signals.as_ref().map(SignalFd::fd);
            if is_unsure {
                storage::look_for_media();
            }
            let found = storage::mount_all(config.get(), waits, refused, down, console);
            console.flush_blocking();
            i32::from(found & !refused)
        };
        match helper::spawn(&MOUNTER, keep, &mut work) {
            Ok(helper) => {
                self.mounter = Some(helper.pid);
                (self.is_wanted, self.is_unsure) = (false, false);
                self.not_before = cx.now() + PAUSE_MS;
            }
            Err(_) => self.not_before = cx.now() + AGAIN_MS,
        }
    }

    /// Starts a helper that unmounts the lines whose device is gone, so that nothing starts on them any more.
    fn detach(&mut self, cx: &Context) {
        let (config, leaving) = (cx.config.clone(), self.leaving);
        let mut work = || {
            let mounts = config.get().system.mounts.iter().enumerate().rev();
            mounts.filter(|(index, _)| leaving & 1 << index != 0).for_each(|(_, mount)| storage::detach(mount));
            0
        };
        match helper::spawn(&DETACHER, Kept::none(), &mut work) {
            Ok(helper) => (self.detacher, self.detaching) = (Some(helper.pid), leaving),
            Err(_) => self.not_before = cx.now() + AGAIN_MS,
        }
    }

    /// Handles the exit of a process. Returns whether it was one of the helpers.
    pub(super) fn exited(
        &mut self,
        cx: &mut Context,
        workloads: &mut Workloads,
        log_file: &mut LogFile,
        pid: Pid,
        end: ExitReason,
    ) -> bool {
        let is_it = |helper: &mut Pid| *helper == pid;
        if self.detacher.take_if(is_it).is_some() {
            self.leaving &= !self.detaching;
            // The next device may already be there.
            (self.has_news, self.is_wanted) = (true, true);
            log_file.disk_left(cx.config.get(), self.detaching, &mut cx.console);
            return true;
        }
        if self.mounter.take_if(is_it).is_none() {
            return false;
        }
        self.has_news = true;
        match end {
            ExitReason::Exit(refused) => self.refused |= refused,
            // It was killed, or memory was short. All its work can be repeated.
            _ if self.tries < MAX_TRIES => {
                self.tries += 1;
                self.is_wanted = true;
                return true;
            }
            _ => {}
        }
        self.tries = 0;
        if core::mem::take(&mut self.is_boot) {
            workloads.supervisor.set_awaited(Part::Disks, false);
            cx.timeline.note(Moment::DisksReady);
        }
        true
    }

    /// Lets the helper that mounts complete its current disk: a repair that is killed may cause more damage.
    pub(super) fn finish(&mut self) {
        let Some(pid) = self.mounter else { return };
        let _ = kill_process(pid, Signal::TERM);
        await_exit(pid, FINISH_MS, FINISH_STEP_MS);
    }
}
