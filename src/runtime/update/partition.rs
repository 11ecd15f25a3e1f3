//! The register by which a Raspberry Pi's firmware is told which partition to start, once or until the power is off. It comes before
//! autoboot.txt (<https://www.raspberrypi.com/documentation/computers/config_txt.html#autoboot-txt>, "boot_partition").

use crate::os::files::each;
use crate::os::path::open;
use hilum::split::Split;
use hilum::update::{PARTITION_BITS, arm64, partition_bits};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Devices of the driver of power management, which are named by their address: 3f100000.watchdog.
const DEVICES: &str = "/sys/bus/platform/drivers/bcm2835-pm";
/// The register PM_RSTS, and what its driver writes into the upper byte of each register (drivers/watchdog/bcm2835_wdt.c).
const RSTS: u64 = 0x20;
const PASSWORD: u32 = 0x5a << 24;

/// Makes the firmware start a partition at the next restart; 0 for the one that autoboot.txt names.
///
/// # Errors
/// ENODEV if the board has no such register, EPERM if the kernel's command line lacks `iomem=relaxed`.
pub(super) fn start_next(number: u64) -> Result<(), Errno> {
    let mut registers = 0;
    each(DEVICES, &mut |name| {
        if let Some((address, "watchdog")) = name.cut(b'.') {
            registers = arm64::address(address);
        }
        Ok(())
    })?;
    if registers == 0 {
        return Err(Errno::NODEV);
    }
    let memory = open("/dev/mem", OFlags::RDWR | OFlags::CLOEXEC | OFlags::SYNC, Mode::empty())?;
    let bits = PASSWORD | partition_bits(number);
    hilum_sys::change_register(memory.as_fd(), (registers + RSTS) as usize, 0xff << 24 | PARTITION_BITS, bits)
}
