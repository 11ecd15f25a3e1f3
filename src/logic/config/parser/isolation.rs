//! The keys about sharing, confinement and identity of a workload.

use super::super::capability::{self, SYS_ADMIN};
use super::super::device::{Device, DeviceSource, SOURCE, is_below_dev};
use super::super::error::{Error, Problem};
use super::super::identity::{RESOURCES, ResourceLimit};
use super::super::isolation::{Bind, Overlay, Tcp, Volume};
use super::super::keys::KeyId;
use super::super::lexer::Line;
use super::super::limits;
use super::super::model::{Config, Workload};
use super::super::pools::Pools;
use super::arguments::{Arguments, Reported};
use super::values;
use crate::namespaces::Namespaces;
use crate::seccomp::{Call, Profile};
use crate::split::Split;
use crate::text;
use crate::text::Text;
use heapless::Vec;

const SHARE: Text = text!("cgroup, ipc, net, net=NAME, pid, time, user or uts");
const PROFILE: Text = text!("default, strict or off");
const PROFILES: &str = "default strict off";
const ACCESS: &str = "r w rw";
const CLASSES: &str = "realtime best-effort idle";
const CHANGE: Text = text!("+NAME or -NAME with the name of a system call");
const CAPABILITY: Text = text!("a capability such as net_admin, in lower case without CAP_");
const NICE: Text = text!("a whole number from -20 to 19");
const OOM: Text = text!("a whole number from -1000 to 1000");
const PRIORITY: Text = text!("a priority from 1 to 99");
const BELOW_DEV: Text = text!("a path below /dev");
const CLASS: Text = text!("class= and a name of /sys/class such as tty");
const LEVEL: Text = text!("a level from 0 to 7");

impl<'a> Arguments<'_, 'a> {
    /// Reads a key of this file. Returns false if the key belongs elsewhere.
    pub(super) fn isolation(&mut self, workload: &mut Workload<'a>, pools: &mut Pools<'a>) -> Result<bool, Reported> {
        match self.key.id {
            KeyId::Share => self.share(workload)?,
            KeyId::Ids => {
                let (first, last) = limits::FIRST_ID.into_inner();
                let expected = text!("the first of 65,536 ids, from 65536 up");
                workload.isolation.first_id = self.number(expected, first.into()..=last.into())? as u32;
                workload.isolation.has_own_ids = true;
            }
            KeyId::Capability => self.each(CAPABILITY, &mut |text| {
                workload.isolation.capabilities.0 |= 1 << capability::number(text)?;
                Some(true)
            })?,
            KeyId::Seccomp => self.seccomp(workload)?,
            KeyId::Landlock => workload.isolation.has_landlock = self.choose(text!("on or off"), "off on")? == 1,
            KeyId::Tcp => self.tcp(workload)?,
            KeyId::Device => self.device(workload, pools)?,
            KeyId::Mount => self.mount(workload, pools)?,
            KeyId::Volume => self.volume(workload, pools)?,
            KeyId::Sys => workload.isolation.has_sys = true,
            KeyId::Tmp => {
                let size = |text| values::amount(text).filter(|bytes| (4096..u64::MAX).contains(bytes));
                workload.isolation.tmp_bytes = self.take(text!("a number of bytes such as 64M"), size)?;
                workload.isolation.tmp_is_executable = self.has_more() && self.choose(text!("exec"), "exec")? == 0;
            }
            KeyId::Privileged => workload.isolation.is_privileged = true,
            KeyId::Groups => {
                let groups = &mut workload.identity.groups;
                self.each(text!("group ids"), &mut |text| {
                    let group = values::number(text).filter(|id| limits::ID.contains(id))?;
                    Some(groups.push(group).is_ok())
                })?;
            }
            KeyId::Umask => {
                let octal = |text: &str| crate::number::number_of_radix(text, 8).filter(|mask| *mask <= 0o777);
                workload.identity.umask = self.take(text!("an octal number such as 022"), octal)?;
            }
            KeyId::Rlimit => self.rlimit(workload, pools)?,
            KeyId::OomScoreAdj => workload.identity.oom_score_adj = self.number(OOM, -1000..=1000)? as i16,
            KeyId::Nice => workload.identity.nice = self.number(NICE, -20..=19)? as i8,
            KeyId::Scheduler => self.scheduler(workload)?,
            KeyId::Ioprio => self.ioprio(workload)?,
            KeyId::Personality => {
                let chosen = self.choose(text!("linux or linux32"), "linux linux32")?;
                workload.identity.personality = Some([0, 8][chosen]);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads all further words, at least one. `keep` returns `None` for a word that is not what is expected, and false if
    /// there is no room.
    fn each(&mut self, expected: Text, keep: &mut dyn FnMut(&'a str) -> Option<bool>) -> Result<(), Reported> {
        loop {
            if !self.take(expected, &mut *keep)? {
                return self.too_many(text!("words in this line"), limits::GROUPS);
            }
            if !self.has_more() {
                return Ok(());
            }
        }
    }

    /// `share NAMESPACE...`; the name after `net=` is resolved when all workloads are known.
    fn share(&mut self, workload: &mut Workload<'a>) -> Result<(), Reported> {
        self.each(SHARE, &mut |text| {
            let name = if text.starts_with("net=") { "net" } else { text };
            let (_, flag) = Namespaces::NAMES.iter().find(|(known, _)| *known == name && *known != "mnt")?;
            workload.isolation.shared |= flag;
            Some(true)
        })
    }

    /// `seccomp PROFILE [+NAME|-NAME]...`
    fn seccomp(&mut self, workload: &mut Workload<'a>) -> Result<(), Reported> {
        let seccomp = &mut workload.isolation.seccomp;
        let chosen = self.choose(PROFILE, PROFILES)?;
        seccomp.profile = [Profile::Default, Profile::Strict, Profile::Off][chosen];
        if seccomp.profile == Profile::Off || !self.has_more() {
            return Ok(());
        }
        self.each(CHANGE, &mut |text| {
            let (sign, name) = text.split_at_checked(1)?;
            let is_allowed = "- +".place_of_word(sign)? == 1;
            Some(seccomp.changes.push((is_allowed, Call::named(name)?)).is_ok())
        })
    }

    /// `tcp [bind=PORT,...] [connect=PORT,...]`
    fn tcp(&mut self, workload: &mut Workload<'a>) -> Result<(), Reported> {
        const EXPECTED: Text = text!("bind=PORT,... or connect=PORT,... with at most 8 ports each, or none");
        let ports = |text: &str| {
            let mut ports = Vec::new();
            for port in text.parts(b',').filter(|_| !text.is_empty()) {
                let port = values::number(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)?;
                ports.push(port).ok()?;
            }
            Some(ports)
        };
        let mut tcp = Tcp { bind: Vec::new(), connect: Vec::new() };
        if let Some("none") = self.line.words.get(self.next).map(|word| word.text) {
            self.next += 1;
        } else {
            self.each(EXPECTED, &mut |text| {
                let (name, list) = text.cut(b'=')?;
                let which = "bind connect".place_of_word(name)?;
                *[&mut tcp.bind, &mut tcp.connect][which] = ports(list)?;
                Some(true)
            })?;
        }
        workload.isolation.tcp = Some(tcp);
        Ok(())
    }

    /// `device SOURCE [class=NAME] [as PATH] [r|w|rw]`
    fn device(&mut self, workload: &mut Workload<'a>, pools: &mut Pools<'a>) -> Result<(), Reported> {
        let word = self.word(SOURCE)?;
        let source = DeviceSource::of(word).map_err(|expected| self.unexpected(expected))?;
        let mut device = Device { source, class: "", name: "", read: true, write: true };
        let mut next = self.line.words.get(self.next).map_or("", |word| word.text);
        if let Some(class) = next.strip_prefix("class=").filter(|_| device.is_searched()) {
            self.next += 1;
            device.class = values::module(class).ok_or_else(|| self.unexpected(CLASS))?;
            next = self.line.words.get(self.next).map_or("", |word| word.text);
        }
        if next == "as" {
            self.next += 1;
            device.name = self.word(BELOW_DEV)?;
            if !is_below_dev(device.name) {
                return Err(self.unexpected(BELOW_DEV));
            }
        }
        if self.has_more() {
            let access = self.choose(text!("r, w or rw"), ACCESS)?;
            (device.read, device.write) = (access != 1, access != 0);
        }
        if !pools.push(&mut workload.isolation.devices, device, limits::DEVICES) {
            return self.too_many(text!("device lines"), limits::DEVICES);
        }
        Ok(())
    }

    /// `mount SOURCE TARGET [ro|rw][,exec]`
    fn mount(&mut self, workload: &mut Workload<'a>, pools: &mut Pools<'a>) -> Result<(), Reported> {
        let source = self.path()?;
        let target = self.target()?;
        const OPTIONS: &str = "ro rw ro,exec rw,exec";
        let chosen = if self.has_more() { self.choose(text!("ro, rw, ro,exec or rw,exec"), OPTIONS)? } else { 0 };
        let (is_writable, is_executable) = (chosen % 2 == 1, chosen >= 2);
        let bind = Bind { source, target, is_writable, is_executable };
        if !pools.push(&mut workload.isolation.mounts, bind, limits::MOUNTS) {
            return self.too_many(text!("mount lines"), limits::MOUNTS);
        }
        Ok(())
    }

    /// Reads the path inside of the workload.
    fn target(&mut self) -> Result<&'a str, Reported> {
        self.text(text!("an absolute path, not / and not below /proc, /sys or /dev"), |text| {
            let first = text.parts(b'/').find(|part| !part.is_empty())?;
            values::path(text).filter(|_| !["proc", "sys", "dev"].contains(&first))
        })
    }

    /// `volume NAME TARGET`; the parent folder is filled in when all sections are known.
    fn volume(&mut self, workload: &mut Workload<'a>, pools: &mut Pools<'a>) -> Result<(), Reported> {
        let name = self.text(values::NAME, values::name)?;
        let target = self.target()?;
        if !pools.push(&mut workload.isolation.volumes, Volume { folder: "", name, target }, limits::VOLUMES) {
            return self.too_many(text!("volume lines"), limits::VOLUMES);
        }
        Ok(())
    }

    /// `rlimit RESOURCE SOFT [HARD]`
    fn rlimit(&mut self, workload: &mut Workload<'a>, pools: &mut Pools<'a>) -> Result<(), Reported> {
        const AMOUNT: Text = text!("a number with an optional K, M or G, or max");
        let resource = self.choose(text!("the name of a resource such as nofile (getrlimit(2))"), RESOURCES)? as u8;
        let soft = self.amount(AMOUNT)?;
        let hard = if self.has_more() { self.amount(AMOUNT)? } else { soft };
        let limits = &mut workload.identity.rlimits;
        if soft > hard || pools.of(*limits).iter().any(|limit| limit.resource == resource) {
            let word = self.line.words[if soft > hard { 2 } else { 1 }];
            let expected =
                if soft > hard { text!("a soft limit below the hard one") } else { text!("each resource only once") };
            return self.error(word.column, Problem::Value(word.text, expected));
        }
        // Each resource may appear once, so there is room for all.
        let _ = pools.push(limits, ResourceLimit { resource, soft, hard }, limits::RLIMITS);
        Ok(())
    }

    /// `scheduler other|batch|idle`, or `fifo PRIORITY`, or `rr PRIORITY`, by the numbers of sched(7)
    fn scheduler(&mut self, workload: &mut Workload<'a>) -> Result<(), Reported> {
        const POLICIES: &str = "other fifo rr batch idle";
        let policy = [0, 1, 2, 3, 5][self.choose(text!("other, batch, idle, fifo or rr"), POLICIES)?];
        let priority = if matches!(policy, 1 | 2) { self.number(PRIORITY, 1..=99)? } else { 0 };
        workload.identity.scheduler = Some((policy, priority as u8));
        Ok(())
    }

    /// `ioprio realtime|best-effort LEVEL`, or `idle`, by the numbers of ioprio_set(2)
    fn ioprio(&mut self, workload: &mut Workload<'a>) -> Result<(), Reported> {
        let class = self.choose(text!("realtime, best-effort or idle"), CLASSES)?;
        let level = if class == 2 { 0 } else { self.number(LEVEL, 0..=7)? };
        // The class is in the upper three bits of sixteen (include/uapi/linux/ioprio.h).
        workload.identity.ioprio = Some(((class as u16 + 1) << 13) | level as u16);
        Ok(())
    }
}

/// The second pass over `share net=NAME`.
pub(super) fn read_net<'a>(line: &Line<'a>, config: &mut Config<'a>, index: usize) -> Result<(), Error<'a>> {
    for word in &line.words[1..] {
        let Some(name) = word.text.strip_prefix("net=") else { continue };
        let error = |problem| Err(Error { line: line.number, column: word.column, problem });
        match config.find(name) {
            None => return error(Problem::NoWorkload(name)),
            Some(other) if other == index => return error(Problem::Itself(name)),
            Some(other) if config.workload(other).isolation.net_of.is_some() => {
                return error(Problem::Value(word.text, text!("a workload with a network of its own")));
            }
            Some(other) => {
                let isolation = &mut config.workloads[index].isolation;
                (isolation.net_of, isolation.is_net_shared) = (Some(other as u8), true);
                config.workloads[other].isolation.is_net_shared = true;
            }
        }
    }
    Ok(())
}

/// The second pass over `volume`: fills in the parent folder from the board's line.
pub(super) fn place_volume<'a>(line: &Line<'a>, config: &mut Config<'a>, index: usize) -> Result<(), Error<'a>> {
    let Some(folder) = config.system.volumes else {
        return Err(Error { line: line.number, column: line.words[0].column, problem: Problem::NoVolumes });
    };
    config.pools.of_mut(config.workloads[index].isolation.volumes).iter_mut().for_each(|volume| volume.folder = folder);
    Ok(())
}

/// Checks the rules for a workload as a whole. Returns the problem and the remedy, or `None`.
pub(super) fn broken_rule(workload: &Workload<'_>) -> Option<Text> {
    let (isolation, identity) = (&workload.isolation, &workload.identity);
    let shares_user = isolation.shared & Namespaces::USER != 0;
    let ids = [identity.user.uid, identity.user.gid];
    if !shares_user && ids.iter().chain(&identity.groups).any(|id| *id >= limits::IDS) {
        return Some(text!("a user or group id is above 65535, the last of its own; lower it, or write: share user"));
    }
    if shares_user && isolation.capabilities.contains(SYS_ADMIN) && !isolation.is_privileged {
        return Some(text!("sys_admin with share user gives full control of the host; if intended, write: privileged"));
    }
    if workload.overlay != Overlay::None && workload.root == "/" {
        return Some(text!("the host's root cannot be below an overlay"));
    }
    if workload.verity.is_some() && workload.root == "/" {
        return Some(text!(
            "the board's own root has no hash tree; write verity behind an image file or a block device"
        ));
    }
    let supervision = &workload.supervision;
    if supervision.has_reaper && isolation.shared & Namespaces::PID != 0 {
        return Some(text!("a reaper needs its own PID namespace; remove reaper, or share pid"));
    }
    if supervision.at_stop_ms > 0 && (supervision.critical_ms > 0 || supervision.health.is_some()) {
        return Some(text!("at-stop runs only at shutdown; remove critical and health"));
    }
    None
}
