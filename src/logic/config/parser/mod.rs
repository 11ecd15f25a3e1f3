//! Directives in order: sections, keys, and what each key's words have to be.

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
