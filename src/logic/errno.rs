//! Error numbers as text: `EPERM (operation not permitted)`.
//!
//! The numbers are those of include/uapi/asm-generic/errno.h, which x86_64 and aarch64 share. The table contains those
//! that this project's calls can return; others are shown as a number.

use crate::split::Split;
use crate::text;
use crate::text::Text;
use core::fmt;

/// A positive error number of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

/// Number, name, and the text of strerror(3), one line each. As a single string the table needs no pointers and
/// lengths.
const TABLE: Text = text!(
    "\
1 EPERM operation not permitted
2 ENOENT no such file or directory
3 ESRCH no such process
4 EINTR interrupted system call
5 EIO input/output error
6 ENXIO no such device or address
7 E2BIG argument list too long
8 ENOEXEC exec format error
9 EBADF bad file descriptor
10 ECHILD no child processes
11 EAGAIN resource temporarily unavailable
12 ENOMEM cannot allocate memory
13 EACCES permission denied
14 EFAULT bad address
15 ENOTBLK block device required
16 EBUSY device or resource busy
17 EEXIST file exists
18 EXDEV invalid cross-device link
19 ENODEV no such device
20 ENOTDIR not a directory
21 EISDIR is a directory
22 EINVAL invalid argument
23 ENFILE too many open files in system
24 EMFILE too many open files
25 ENOTTY inappropriate ioctl for device
26 ETXTBSY text file busy
27 EFBIG file too large
28 ENOSPC no space left on device
30 EROFS read-only file system
31 EMLINK too many links
32 EPIPE broken pipe
36 ENAMETOOLONG file name too long
38 ENOSYS function not implemented
40 ELOOP too many levels of symbolic links
74 EBADMSG bad message
76 ENOTUNIQ name not unique on network
79 ELIBACC can not access a needed shared library
80 ELIBBAD accessing a corrupted shared library
87 EUSERS too many users
93 EPROTONOSUPPORT protocol not supported
95 EOPNOTSUPP operation not supported
97 EAFNOSUPPORT address family not supported by protocol
98 EADDRINUSE address already in use
99 EADDRNOTAVAIL cannot assign requested address
100 ENETDOWN network is down
101 ENETUNREACH network is unreachable
105 ENOBUFS no buffer space available
110 ETIMEDOUT connection timed out
111 ECONNREFUSED connection refused
113 EHOSTUNREACH no route to host
117 EUCLEAN structure needs cleaning
123 ENOMEDIUM no medium found
125 ECANCELED operation canceled\n\
126 ENOKEY required key not available"
);

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_number =
            &mut |line: &str| line.cut(b' ').is_some_and(|(number, _)| crate::number::number(number) == Some(self.0));
        let line = TABLE.line(has_number);
        match line.as_ref().and_then(|line| line.cut(b' ')?.1.cut(b' ')) {
            Some((name, words)) => write!(formatter, "{name} ({words})"),
            None => write!(formatter, "errno {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests;
