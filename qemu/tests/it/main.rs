//! All tests of this package in one program, so that it is linked once.
//!
//! `cargo test -p hilum-qemu host::supervision` runs one file; `guest::` needs QEMU, `host::` needs namespaces and
//! therefore root.

#[macro_use]
mod support;

mod docs;
mod guest;
mod host;
