//! bytes -> Config: the vocabulary of hilum.conf, its limits, and errors with line and column.
//!
//! [`parse`] is the one way in, on the board and on the host that builds an image for it. It fills a table that the
//! caller owns and borrows every text from the bytes of the file.

mod error;
pub mod limits;
mod lines;
mod model;
mod order;
mod parser;
mod restart;
mod values;
mod vocabulary;

pub use error::{Error, Problem};
pub use model::*;
pub use parser::parse;
pub use vocabulary::{Key, Section, VOCABULARY};

#[cfg(test)]
mod tests;
