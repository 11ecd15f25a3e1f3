//! The three standard descriptors as borrowed ones.
//!
//! All programs with this crate keep descriptors 0 to 2 open for their whole life: PID 1 opens them first, and other
//! programs inherit them. No `OwnedFd` here ever owns one of them.

use rustix::fd::BorrowedFd;

/// Standard input, fd 0.
pub fn standard_input() -> BorrowedFd<'static> {
    // SAFETY: fd 0 is never closed (see above), only replaced by dup3(2).
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// Standard output, fd 1.
pub fn standard_output() -> BorrowedFd<'static> {
    // SAFETY: fd 1 is never closed (see above), only replaced by dup3(2).
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Standard error, fd 2.
pub fn standard_error() -> BorrowedFd<'static> {
    // SAFETY: fd 2 is never closed (see above), only replaced by dup3(2).
    unsafe { BorrowedFd::borrow_raw(2) }
}
