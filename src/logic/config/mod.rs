//! bytes -> Config: the vocabulary of hilum.conf, its limits, and errors with line and column.
//!
//! [`parse`] is the one way in, on the board and on the host that builds an image for it. It fills a table that the
//! caller owns and borrows every text from the bytes of the file.

mod address;
pub mod capability;
mod difference;
mod error;
mod ids;
mod isolation;
pub mod limits;
mod lines;
mod lists;
mod model;
mod modules;
mod network;
mod order;
mod parser;
mod restart;
mod slots;
mod supervision;
mod values;
mod vocabulary;

pub use address::{Mac, Prefix};
pub use capability::Capabilities;
pub use difference::{has_same_system, unchanged};
pub use error::{Error, Problem};
pub use ids::keep_ids;
pub use isolation::*;
pub use lists::{Listed, Lists, Part};
pub use model::*;
pub use modules::needed_modules;
pub use network::*;
pub(crate) use parser::may_set_groups;
pub use parser::parse;
pub use slots::{Slots, keep_slots};
pub use supervision::*;
pub use vocabulary::{Key, Section, VOCABULARY};

#[cfg(test)]
mod tests;
