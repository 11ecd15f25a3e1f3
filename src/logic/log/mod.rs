//! Text on its way to the console and to whoever asks for it: lines cut from a byte stream, a queue and rings of fixed
//! size that keep the tail, a limit for floods.

mod line_buffer;
mod queue;
mod rate;
mod ring;

pub use line_buffer::{LINE_BYTES, LineBuffer, MARK, Printable};
pub use queue::Queue;
pub use rate::{Passes, Rate};
pub use ring::{Cursor, Entry, Ring};
