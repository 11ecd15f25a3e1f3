//! The words of the kernel command line for hilum: `hilum.config=PATH`, `hilum.fail=POLICY`, `hilum.safe`,
//! `hilum.panic`, `hilum.doctor`, `hilum.slot=NAME`, `hilum.trial`.
//!
//! They are parsed before the configuration, so they also work on a board whose configuration is broken.

use crate::split::Split;
use crate::update::Slot;

/// The default path of the configuration.
pub const DEFAULT_CONFIG: &str = "/etc/hilum.conf";

/// Seconds between an error that ends the boot and the action of its policy: time to read the message.
pub const FAIL_SECONDS: u64 = 10;

/// The settings of the kernel command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// `hilum.config=PATH`
    pub config: &'a str,
    /// `hilum.fail=reboot|poweroff|stay`
    pub fail: Fail,
    /// `hilum.safe`: start only workloads that are marked `safe`.
    pub safe: bool,
    /// `hilum.panic`: panic once after the boot, to test the board's reaction.
    pub panic: bool,
    /// `hilum.doctor`: report at boot which features the kernel supports.
    pub doctor: bool,
    /// `hilum.slot=a|b`: the slot that was started, said by whatever started it.
    pub slot: Option<Slot>,
    /// `hilum.trial`: this slot was started once, by kexec.
    pub trial: bool,
    /// The first word that starts with `hilum.` and is unknown or malformed.
    pub unknown: Option<&'a str>,
}

/// What happens after an error that ends the boot, such as a broken configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fail {
    /// Reboot after [`FAIL_SECONDS`].
    Reboot,
    /// Power off after [`FAIL_SECONDS`].
    Poweroff,
    /// Stay on, with the message on the console.
    Stay,
}

/// Parses the contents of /proc/cmdline. Other words are ignored. If a word is repeated, the last one counts, as for
/// the kernel's own parameters.
pub fn parse(line: &str) -> CommandLine<'_> {
    let mut found = CommandLine {
        config: DEFAULT_CONFIG,
        fail: Fail::Reboot,
        safe: false,
        panic: false,
        doctor: false,
        slot: None,
        trial: false,
        unknown: None,
    };
    for word in line.split_ascii_whitespace() {
        let Some(own) = word.strip_prefix("hilum.") else { continue };
        match own.cut(b'=') {
            Some(("config", path)) if path.starts_with('/') => found.config = path,
            Some(("fail", "reboot")) => found.fail = Fail::Reboot,
            Some(("fail", "poweroff")) => found.fail = Fail::Poweroff,
            Some(("fail", "stay")) => found.fail = Fail::Stay,
            Some(("slot", "a")) => found.slot = Some(Slot::A),
            Some(("slot", "b")) => found.slot = Some(Slot::B),
            None if own == "safe" => found.safe = true,
            None if own == "panic" => found.panic = true,
            None if own == "doctor" => found.doctor = true,
            None if own == "trial" => found.trial = true,
            _ => found.unknown = found.unknown.or(Some(word)),
        }
    }
    found
}

#[cfg(test)]
mod tests;
