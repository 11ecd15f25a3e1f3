//! Text on its way to the console: lines cut from a byte stream, and a queue of fixed size that keeps the tail.

mod lines;
mod queue;

pub use lines::{LINE_BYTES, LineBuffer, Printable};
pub use queue::Queue;
