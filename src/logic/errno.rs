//! Error numbers as people read them: `EPERM (operation not permitted)`.
//!
//! The numbers are those of include/uapi/asm-generic/errno.h, which x86_64 and aarch64 share. The table holds those
//! that the calls of this project give; another number is shown as a number.

use core::fmt;

/// An error number of the kernel, positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

/// Number, name, and the words of strerror(3).
const NAMES: &[(u16, &str, &str)] = &[
    (1, "EPERM", "operation not permitted"),
    (2, "ENOENT", "no such file or directory"),
    (3, "ESRCH", "no such process"),
    (4, "EINTR", "interrupted system call"),
    (5, "EIO", "input/output error"),
    (6, "ENXIO", "no such device or address"),
    (7, "E2BIG", "argument list too long"),
    (8, "ENOEXEC", "not an executable of this machine"),
    (9, "EBADF", "bad file descriptor"),
    (10, "ECHILD", "no child process"),
    (11, "EAGAIN", "resource temporarily unavailable"),
    (12, "ENOMEM", "out of memory"),
    (13, "EACCES", "permission denied"),
    (14, "EFAULT", "bad address"),
    (15, "ENOTBLK", "block device required"),
    (16, "EBUSY", "device or resource busy"),
    (17, "EEXIST", "file exists"),
    (18, "EXDEV", "crosses a mount"),
    (19, "ENODEV", "no such device or filesystem type"),
    (20, "ENOTDIR", "not a directory"),
    (21, "EISDIR", "is a directory"),
    (22, "EINVAL", "invalid argument"),
    (23, "ENFILE", "too many open files in the system"),
    (24, "EMFILE", "too many open files"),
    (25, "ENOTTY", "not a terminal"),
    (26, "ETXTBSY", "text file busy"),
    (27, "EFBIG", "file too large"),
    (28, "ENOSPC", "no space left"),
    (30, "EROFS", "read-only filesystem"),
    (31, "EMLINK", "too many links"),
    (32, "EPIPE", "broken pipe"),
    (36, "ENAMETOOLONG", "name too long"),
    (38, "ENOSYS", "the kernel lacks this system call"),
    (40, "ELOOP", "a symbolic link is in the way"),
    (74, "EBADMSG", "a checksum is wrong"),
    (79, "ELIBACC", "a needed library is missing"),
    (80, "ELIBBAD", "a library is corrupted"),
    (87, "EUSERS", "too many users"),
    (93, "EPROTONOSUPPORT", "protocol not supported"),
    (95, "EOPNOTSUPP", "operation not supported"),
    (97, "EAFNOSUPPORT", "address family not supported"),
    (98, "EADDRINUSE", "address in use"),
    (99, "EADDRNOTAVAIL", "address not available"),
    (100, "ENETDOWN", "network is down"),
    (101, "ENETUNREACH", "network unreachable"),
    (105, "ENOBUFS", "no buffer space"),
    (110, "ETIMEDOUT", "timed out"),
    (111, "ECONNREFUSED", "connection refused"),
    (113, "EHOSTUNREACH", "no way to that host"),
    (117, "EUCLEAN", "the filesystem is damaged"),
    (123, "ENOMEDIUM", "no medium in the device"),
    (125, "ECANCELED", "the board goes down"),
];

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _, _)| *number == self.0) {
            Some((_, name, words)) => write!(formatter, "{name} ({words})"),
            None => write!(formatter, "errno {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_is_shown_with_name_and_words() {
        assert_eq!(Errno(1).to_string(), "EPERM (operation not permitted)");
        assert_eq!(Errno(110).to_string(), "ETIMEDOUT (timed out)");
    }

    #[test]
    fn unknown_errno_is_shown_as_a_number() {
        assert_eq!(Errno(4000).to_string(), "errno 4000");
    }

    #[test]
    fn table_is_sorted_and_without_duplicates() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
