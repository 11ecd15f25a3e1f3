//! Requests of commands.

use super::parts::{Parts, put, put_text};
use super::{Malformed, Message, VERSION, WORDS};
use crate::config::Right;
use heapless::Vec;

/// The commands, by their number in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// The state of the board, and of one or all workloads. The first word is the workload's name, or empty for all; each
    /// further one is the name of a file of a workload's cgroup. With those, [`FILES`] at most, the status of a workload
    /// comes behind an event with the time [`TEXTS`] and the texts of all its files, each with [`END`] behind it; the text
    /// of a file that cannot be read is empty. What is beyond the first [`TEXTS_BYTES`] bytes is omitted.
    Status,
    /// The last `number` lines of a workload.
    Log,
    /// Start a workload.
    Start,
    /// Stop a workload.
    Stop,
    /// Stop a workload and start it again.
    Restart,
    /// Send signal `number` to a workload's first process.
    Signal,
    /// Freeze all processes of a workload.
    Freeze,
    /// Unfreeze them.
    Thaw,
    /// Run a program inside of a workload. The words are the workload's name, the terminal type, and the program with
    /// its arguments. The request carries no descriptors; the reply carries the ends of the program's standard streams.
    Exec,
    /// Read the configuration again.
    Reload,
    /// The timeline of events since the kernel's start.
    Timeline,
    /// Power off.
    Poweroff,
    /// Reboot.
    Reboot,
    /// Stop the processor.
    Halt,
    /// Stop showing the lines of one or all workloads on the console.
    Mute,
    /// Show them again.
    Unmute,
    /// The board's uplinks and leases.
    Uplinks,
    /// Write the bundle from the request's descriptor into the slot that does not run, and restart into it.
    Update,
    /// Restart into the other slot, or give the one up that is on trial.
    Rollback,
    /// The state of the slots.
    Slots,
    /// Not answered any more: [`Self::Status`] has the files of cgroups.
    Counters,
    /// What the clock is worth.
    Time,
}

/// Maximum files of a workload's cgroup in a request.
pub const FILES: usize = 8;
/// The time of an event with texts of files, in the reply to [`Command::Status`].
pub const TEXTS: u64 = 2;
/// The byte behind the text of a file; no file of a cgroup has it.
pub const END: u8 = 0x1e;
/// Bytes of these texts for one workload. Today's kernels need half of them. The messages for all workloads fit into the
/// buffer of a connection, 208 KiB (net.core.wmem_default), in which each takes 4 KiB and a descriptor of 232 bytes.
pub const TEXTS_BYTES: usize = 3_600;

impl Command {
    /// All commands, in the order of their numbers, which begin with 1.
    pub const ALL: [Self; 22] = [
        Self::Status,
        Self::Log,
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Signal,
        Self::Freeze,
        Self::Thaw,
        Self::Exec,
        Self::Reload,
        Self::Timeline,
        Self::Poweroff,
        Self::Reboot,
        Self::Halt,
        Self::Mute,
        Self::Unmute,
        Self::Uplinks,
        Self::Update,
        Self::Rollback,
        Self::Slots,
        Self::Counters,
        Self::Time,
    ];

    /// Returns the right that the socket of a workload needs for it.
    pub const fn right(self) -> Right {
        match self {
            Self::Status | Self::Log | Self::Timeline | Self::Uplinks | Self::Slots | Self::Counters | Self::Time => {
                Right::Status
            }
            Self::Start
            | Self::Stop
            | Self::Restart
            | Self::Signal
            | Self::Freeze
            | Self::Thaw
            | Self::Mute
            | Self::Unmute => Right::Operate,
            Self::Update => Right::Update,
            Self::Exec | Self::Reload | Self::Poweroff | Self::Reboot | Self::Halt | Self::Rollback => Right::All,
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
// Often used members first: a distance of at most 127 bytes is one byte of an instruction.
#[repr(C)]
pub struct Request<'a> {
    /// The command.
    pub command: Command,
    /// Whether the reply waits for completion. For `Log`: whether to follow further lines. For `Exec`: whether the
    /// program gets a terminal.
    pub is_waiting: bool,
    /// For `Exec`: whether standard error is separate from standard output.
    pub is_split: bool,
    /// The command's number; for `Exec` with a terminal its rows and columns, 16 bits each.
    pub number: u32,
    /// The workload's name and further words.
    pub words: Vec<&'a str, WORDS>,
}

impl<'a> Request<'a> {
    /// Returns a request without words.
    pub const fn new(command: Command) -> Self {
        Self { command, is_waiting: false, is_split: false, number: 0, words: Vec::new() }
    }

    /// Encodes the request.
    ///
    /// # Errors
    /// The words do not fit, or one contains a NUL.
    pub fn message(&self) -> Result<Message, Malformed> {
        let mut message = Message::new();
        let number = Command::ALL.iter().position(|known| *known == self.command).map_or(0, |at| at as u8 + 1);
        let flags = u8::from(self.is_waiting) | u8::from(self.is_split) << 1;
        put(&mut message, &[b'h', VERSION, number, flags])?;
        put(&mut message, &self.number.to_le_bytes())?;
        self.words.iter().try_for_each(|word| put_text(&mut message, word))?;
        Ok(message)
    }

    /// Decodes a request.
    ///
    /// # Errors
    /// The bytes are not a request of this version.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut parts = Parts(bytes);
        // Another version may continue in another way.
        let [mark, version] = parts.bytes()?;
        if mark != b'h' {
            return Err(Malformed::Bytes);
        }
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let [command, flags] = parts.bytes()?;
        let command = usize::from(command).checked_sub(1).and_then(|at| Command::ALL.get(at));
        let mut request = Self::new(*command.ok_or(Malformed::Command)?);
        if flags > 3 {
            return Err(Malformed::Bytes);
        }
        (request.is_waiting, request.is_split) = (flags & 1 != 0, flags & 2 != 0);
        request.number = parts.word32()?;
        while !parts.0.is_empty() {
            request.words.push(parts.text()?).map_err(|_| Malformed::Long)?;
        }
        Ok(request)
    }
}
