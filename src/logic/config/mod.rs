//! bytes -> Config: the vocabulary of hilum.conf, its limits, and errors with line and column.

pub mod limits;
mod model;

pub use model::*;
