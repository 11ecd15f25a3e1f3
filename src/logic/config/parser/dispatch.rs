//! Passes each key to the function that reads it, and reads the keys that have no file of their own.

use super::super::error::{Error, Problem};
use super::super::identity::Variable;
use super::super::isolation::{OnCorruption, Overlay, Verity};
use super::super::keys::KeyId;
use super::super::limits;
use super::super::model::{Config, ConsoleMode, Idle, Module, Swap, Workload};
use super::super::pools::Pools;
use super::super::span::Span;
use super::arguments::{Arguments, Reported};
use super::{restart, values};
use crate::split::Split;
use crate::text;
use crate::text::Text;

/// The words that may follow the path of a root filesystem.
const ROOT_WORDS: Text = text!(
    "overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot"
);

/// Reads one word after the path of a root filesystem; each may appear once.
fn root_word<'a>(workload: &mut Workload<'a>, text: &'a str) -> Option<()> {
    let (name, value) = text.cut(b'=').map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, value) {
        ("overlay", value) if workload.overlay == Overlay::None => {
            workload.overlay = match value {
                None => Overlay::Memory,
                Some(folder) => Overlay::Folder(values::path(folder)?),
            };
        }
        ("verity", Some(digest)) if workload.verity.is_none() => {
            let is_digest = digest.len() == 64 && digest.bytes().all(|digit| digit.is_ascii_hexdigit());
            let is_digest = is_digest || digest == Verity::PLACEHOLDER;
            let verity = Verity { digest, on_corruption: OnCorruption::Report };
            workload.verity = Some(is_digest.then_some(verity)?);
        }
        ("corrupt", value) => {
            let verity = workload.verity.as_mut().filter(|verity| verity.on_corruption == OnCorruption::Report)?;
            verity.on_corruption = match value? {
                "stop" => OnCorruption::Stop,
                "reboot" => OnCorruption::Reboot,
                _ => return None,
            };
        }
        _ => return None,
    }
    Some(())
}

impl<'a> Arguments<'_, 'a> {
    /// Reads the line into `config`.
    pub(super) fn read(mut self, config: &mut Config<'a>) -> Result<(), Error<'a>> {
        let line = self.line.number;
        if self.key.id == KeyId::Restart {
            if let Some(workload) = config.workloads.last_mut() {
                workload.restart = restart::read(self.line)?;
            }
            return Ok(());
        }
        match (self.read_words(config), self.problem) {
            (Err(Reported), Some((column, problem))) => Err(Error { line, column, problem }),
            _ => Ok(()),
        }
    }

    fn read_words(&mut self, config: &mut Config<'a>) -> Result<(), Reported> {
        match self.key.id {
            KeyId::Hostname => config.system.hostname = Some(self.text(values::HOSTNAME, values::hostname_of_board)?),
            KeyId::Console => self.console(config)?,
            KeyId::Idle => {
                let chosen = self.choose(text!("stay, poweroff or reboot"), "stay poweroff reboot")?;
                config.system.idle = [Idle::Stay, Idle::Poweroff, Idle::Reboot][chosen];
            }
            KeyId::Module => self.module(config)?,
            KeyId::Swap => config.system.swap = Some(self.swap()?),
            KeyId::Watchdog
            | KeyId::Control
            | KeyId::Boots
            | KeyId::Update
            | KeyId::Time
            | KeyId::SystemLog
            | KeyId::SystemMount
            | KeyId::Volumes
            | KeyId::Site => self.system(&mut config.system)?,
            KeyId::Sysctl | KeyId::Link | KeyId::Bridge | KeyId::Masquerade | KeyId::Route | KeyId::Nameserver => {
                self.system_network(&mut config.system)?
            }
            // Names are resolved when all workloads are known.
            KeyId::Needs | KeyId::After => return Ok(()),
            _ => {
                if let Some(workload) = config.workloads.last_mut() {
                    self.workload(workload, &mut config.pools)?;
                }
            }
        }
        match self.line.words.get(self.next) {
            Some(extra) => self.error(extra.column, Problem::Extra(extra.text)),
            None => Ok(()),
        }
    }

    fn workload(&mut self, workload: &mut Workload<'a>, pools: &mut Pools<'a>) -> Result<(), Reported> {
        match self.key.id {
            KeyId::Root => {
                workload.root = self.text(values::SOURCE, values::source)?;
                while self.has_more() {
                    self.take(ROOT_WORDS, |text| root_word(workload, text))?;
                }
            }
            KeyId::Exec => self.exec(&mut workload.exec, pools)?,
            KeyId::Env => self.env(&mut workload.env, pools)?,
            KeyId::Directory => workload.directory = self.path()?,
            KeyId::WorkloadHostname => workload.hostname = self.text(values::HOSTNAME, values::hostname)?,
            KeyId::User => workload.identity.user = self.take(values::USER, values::user)?,
            KeyId::Stop => {
                workload.stop.signal = self.take(values::SIGNAL, values::signal)?;
                if self.has_more() {
                    workload.stop.grace_ms = self.figure(values::DURATION, values::duration_ms)?;
                }
            }
            _ => {
                let _ = self.isolation(workload, pools)?
                    || self.resources(&mut workload.resources, pools)?
                    || self.supervision(&mut workload.supervision, pools)?
                    || self.network(&mut workload.network, pools)?;
            }
        }
        Ok(())
    }

    /// `console [DEVICE] prompt|log|off`
    fn console(&mut self, config: &mut Config<'a>) -> Result<(), Reported> {
        if self.line.words.len() > 2 {
            config.system.console.device = Some(self.text(values::DEVICE, values::device)?);
        }
        let chosen = self.choose(text!("prompt, log or off"), "prompt log off")?;
        config.system.console.mode = [ConsoleMode::Prompt, ConsoleMode::Log, ConsoleMode::Off][chosen];
        Ok(())
    }

    /// `module NAME [PARAMETERS]`
    fn module(&mut self, config: &mut Config<'a>) -> Result<(), Reported> {
        let name = self.text(text!("a module's name such as virtio_net"), values::module)?;
        let parameters = if self.has_more() { self.word(text!("its parameters"))? } else { "" };
        match config.system.modules.push(Module { name, parameters }) {
            Ok(()) => Ok(()),
            Err(_) => self.too_many(text!("module lines"), limits::MODULES),
        }
    }

    /// `swap zram SIZE [ALGORITHM]`
    fn swap(&mut self) -> Result<Swap<'a>, Reported> {
        /// More than a few times the memory never fits, however well it is compressed.
        const SIZE: Text = text!("a size from 1M up such as 256M, or from 1% to 400% of the memory");
        let _ = self.choose(text!("zram"), "zram")?;
        let (size, percent) = self.take(SIZE, |text| match text.strip_suffix('%') {
            Some(percent) => {
                values::number(percent).filter(|percent| (1..=400).contains(percent)).map(|percent| (0, percent))
            }
            None => values::amount(text).filter(|size| (1 << 20..u64::MAX).contains(size)).map(|size| (size, 0)),
        })?;
        let mut algorithm = "lzo-rle";
        if self.has_more() {
            self.choose(text!("lzo-rle, lzo, lz4, lz4hc or zstd"), "lzo-rle lzo lz4 lz4hc zstd")?;
            algorithm = self.line.words[self.next - 1].text;
        }
        Ok(Swap { size, percent: percent.into(), algorithm })
    }

    /// `exec PROGRAM ARGUMENT...`
    fn exec(&mut self, exec: &mut Span<&'a str>, pools: &mut Pools<'a>) -> Result<(), Reported> {
        let program = self.path()?;
        // The first word always fits: the table is empty.
        let _ = pools.push(exec, program, limits::EXEC_WORDS);
        while let Some(word) = self.line.words.get(self.next) {
            self.next += 1;
            if !pools.push(exec, word.text, limits::EXEC_WORDS) {
                return self
                    .error(word.column, Problem::TooMany(text!("arguments of exec"), limits::EXEC_WORDS as u32));
            }
        }
        Ok(())
    }

    /// `env NAME VALUE`
    fn env(&mut self, env: &mut Span<Variable<'a>>, pools: &mut Pools<'a>) -> Result<(), Reported> {
        let name = self.text(values::VARIABLE, values::variable)?;
        let value = self.word(text!("a value, \"\" for an empty one"))?;
        let column = self.line.words[1].column;
        if pools.of(*env).iter().any(|variable| variable.name == name) {
            return self.error(column, Problem::SameVariable(name));
        }
        if !pools.push(env, Variable { name, value }, limits::VARIABLES) {
            return self.error(column, Problem::TooMany(text!("env lines"), limits::VARIABLES as u32));
        }
        Ok(())
    }
}
