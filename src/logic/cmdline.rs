//! The kernel command line's words for hilum: `hilum.config=PATH`, `hilum.fail=POLICY`, `hilum.safe`, `hilum.panic`,
//! `hilum.doctor`.
//!
//! A board whose configuration is broken still listens to these, so they are read before it.

/// Where the configuration is, unless a word says otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/hilum.conf";

/// Seconds between an error that ends the boot and what its policy does: time to read the line.
pub const FAIL_SECONDS: u64 = 10;

/// What the kernel command line says to hilum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// `hilum.config=PATH`
    pub config: &'a str,
    /// `hilum.fail=reboot|poweroff|stay`
    pub fail: Fail,
    /// `hilum.safe`: start only workloads that are marked `safe`.
    pub safe: bool,
    /// `hilum.panic`: panic once after the boot, to try what the board then does.
    pub panic: bool,
    /// `hilum.doctor`: say at boot what the kernel can enforce.
    pub doctor: bool,
    /// The first word that starts with `hilum.` and is none of these.
    pub unknown: Option<&'a str>,
}

/// What happens after an error that ends the boot, such as a broken configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fail {
    /// Reboot after [`FAIL_SECONDS`].
    Reboot,
    /// Power off after [`FAIL_SECONDS`].
    Poweroff,
    /// Stay, with the line on the console.
    Stay,
}

/// Reads a command line as /proc/cmdline gives it. Words of others are passed over; of two, the last one counts, as
/// with the kernel's own.
pub fn parse(line: &str) -> CommandLine<'_> {
    let mut found = CommandLine {
        config: DEFAULT_CONFIG,
        fail: Fail::Reboot,
        safe: false,
        panic: false,
        doctor: false,
        unknown: None,
    };
    for word in line.split_ascii_whitespace() {
        let Some(own) = word.strip_prefix("hilum.") else { continue };
        match own.split_once('=') {
            Some(("config", path)) if path.starts_with('/') => found.config = path,
            Some(("fail", "reboot")) => found.fail = Fail::Reboot,
            Some(("fail", "poweroff")) => found.fail = Fail::Poweroff,
            Some(("fail", "stay")) => found.fail = Fail::Stay,
            None if own == "safe" => found.safe = true,
            None if own == "panic" => found.panic = true,
            None if own == "doctor" => found.doctor = true,
            _ => found.unknown = found.unknown.or(Some(word)),
        }
    }
    found
}

#[cfg(test)]
mod tests;
