//! What starts a slot: UEFI firmware, a Raspberry Pi's firmware, or a machine that is given a kernel.

use super::disk::Disk;
use super::{Reason, efi, kexec, refused};
use crate::os::files::{read_file, read_text, sys_path};
use crate::os::path::access;
use hilum::cmdline;
use hilum::text;
#[cfg(target_arch = "aarch64")]
use hilum::update::PARTITION_BITS;
use hilum::update::{Record, Slot};
use rustix::fs::Access;
use rustix::io::Errno;

/// Why the register of a Raspberry Pi's firmware cannot be used.
#[cfg(target_arch = "aarch64")]
const REGISTER: hilum::text::Text = text!("the register of the partition to start: {}");

/// How a slot is started for a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starter {
    /// By the firmware, which takes the slot of its variable BootNext once.
    Efi,
    /// By this kernel; on a Raspberry Pi by the firmware, which takes the partition of a register once.
    Kexec,
}

impl Starter {
    /// Returns how slots of this board are started.
    ///
    /// # Errors
    /// The variables of the firmware are not there.
    pub(crate) fn of_board() -> Result<Self, Errno> {
        if access("/sys/firmware/efi/efivars", Access::EXISTS).is_err() {
            return Ok(Self::Kexec);
        }
        efi::attach().map(|()| Self::Efi)
    }

    /// Returns the slot that runs. Without any other sign it is the committed one.
    pub(crate) fn running(self, record: &Record) -> Slot {
        let found = match self {
            Self::Efi => efi::running(record),
            Self::Kexec => said().0.or_else(|| by_partition(record)),
        };
        found.unwrap_or(record.committed())
    }

    /// Returns whether the firmware is pointed to another slot than this one.
    ///
    /// # Errors
    /// Those of reading the firmware's variables.
    pub(crate) fn points_elsewhere(self, disk: &Disk, slot: Slot) -> Result<bool, Errno> {
        match self {
            Self::Efi => efi::points_elsewhere(&disk.record, slot),
            Self::Kexec => Ok(disk.points_elsewhere(slot)),
        }
    }

    /// Points the firmware to a slot.
    ///
    /// # Errors
    /// Those of writing its variables, or its sector of the disk.
    pub(crate) fn point_to(self, disk: &Disk, slot: Slot) -> Result<(), Errno> {
        match self {
            Self::Efi => efi::point_to(&disk.record, slot),
            Self::Kexec => disk.point_to(slot),
        }
    }

    /// Prepares the next boot to start a slot once.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(crate) fn start_next(self, disk: &Disk, slot: Slot) -> Result<(), Reason> {
        match self {
            Self::Efi => efi::start_next(&disk.record, slot)
                .map_err(|errno| refused(text!("the firmware's BootNext: {}"), errno)),
            #[cfg(target_arch = "aarch64")]
            Self::Kexec if disk.record.pointer().is_some() => {
                super::partition::start_next(disk.record.partition(slot)).map_err(|errno| refused(REGISTER, errno))
            }
            Self::Kexec => kexec::load(disk, slot),
        }
    }

    /// Ends what [`Self::start_next`] has prepared, if the firmware does not: the next boots are those of its pointer.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(crate) fn end_next(self, disk: &Disk) -> Result<(), Reason> {
        #[cfg(target_arch = "aarch64")]
        if self == Self::Kexec && disk.record.pointer().is_some() {
            return super::partition::start_next(0).map_err(|errno| refused(REGISTER, errno));
        }
        let _ = disk;
        Ok(())
    }

    /// Returns whether this boot is a trial, by what has started it, for a slot that does not find the record. The next boot is one of
    /// the committed slot.
    pub(crate) fn end_lost_trial(self) -> bool {
        match self {
            Self::Efi => efi::end_lost_trial(),
            #[cfg(target_arch = "aarch64")]
            Self::Kexec if u64::from(PARTITION_BITS) & property("pm_rsts") > 0 => {
                super::partition::start_next(0).is_ok()
            }
            Self::Kexec => said().1,
        }
    }
}

/// Returns the slot that the kernel command line names, and whether it was started once.
fn said() -> (Option<Slot>, bool) {
    let mut buffer = [0; 4096];
    let words = cmdline::parse(read_text("/proc/cmdline", &mut buffer));
    (words.slot, words.trial)
}

/// Returns the slot whose partition a Raspberry Pi's firmware has started.
fn by_partition(record: &Record) -> Option<Slot> {
    if cfg!(target_arch = "x86_64") {
        return None;
    }
    let number = property("partition");
    Slot::ALL.into_iter().find(|slot| number > 0 && record.partition(*slot) == number)
}

/// Returns a number that a Raspberry Pi's firmware says in the device tree, such as the register that it has read; 0 if there is none
/// (<https://www.raspberrypi.com/documentation/computers/configuration.html>, "bootloader").
fn property(name: &str) -> u64 {
    let mut number = [0; 4];
    let _ = read_file(&sys_path(format_args!("/proc/device-tree/chosen/bootloader/{name}")), &mut number);
    u32::from_be_bytes(number).into()
}
