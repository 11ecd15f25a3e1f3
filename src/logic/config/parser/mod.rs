//! Parses directives: sections, keys, and the words of each key.

mod arguments;
mod dispatch;
mod file;
mod isolation;
mod network;
mod order;
mod resources;
mod restart;
mod supervision;
mod values;

pub use file::parse;
