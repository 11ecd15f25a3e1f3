//! bytes -> Config: the keys of hilum.conf, their limits, and errors with line and column.
//!
//! [`parse`] is the only entry point, on the board and on the host that builds its image. It fills a table that the
//! caller owns; all text in it is borrowed from the bytes of the file.

mod address;
pub mod capability;
mod device;
mod difference;
mod error;
pub mod hostname;
mod identity;
mod ids;
mod isolation;
mod keys;
mod lexer;
pub mod limits;
mod model;
mod modules;
mod network;
mod parser;
mod pools;
mod reach;
mod restart;
mod signal;
mod slot_map;
mod slots;
mod source;
mod span;
mod supervision;
mod workload_set;

/// What is between a configuration and the lines of a site in it: two lines begin there.
pub const SITE_HEADER: &[u8] = b"\n[site]\n";

/// Replaces by blanks what editors of other systems write into the file of a site: carriage returns, and a byte order mark at the start.
pub fn clean_site(lines: &mut [u8]) {
    for (index, byte) in lines.iter_mut().enumerate() {
        let is_mark = index < 3 && *byte >= 0x80;
        if *byte == b'\r' || is_mark {
            *byte = b' ';
        }
    }
}

pub use address::{Ip, Mac, Prefix};
pub use capability::Capabilities;
pub use device::{Device, DeviceSource, UsbId};
pub use difference::{has_same_system, unchanged};
pub use error::{Error, Problem};
pub use identity::*;
pub use ids::keep_ids;
pub use isolation::*;
pub use keys::{KEYS, Key, Section};
pub use model::*;
pub use modules::needed_modules;
pub use network::*;
pub use parser::parse;
pub use pools::{Pooled, Pools};
pub use restart::*;
pub use signal::Signal;
pub use slot_map::Slots;
pub use slots::keep_slots;
pub use source::Source;
pub use span::Span;
pub use supervision::*;
pub use workload_set::WorkloadSet;

#[cfg(test)]
mod tests;
