//! Text for the console and for readers of logs: splits a byte stream into lines, keeps the latest ones in queues and
//! rings of fixed size, and limits the rate.

mod line_buffer;
mod queue;
mod rate;
mod refusal;
mod ring;

pub use line_buffer::{LINE_BYTES, LineBuffer, MARK, Printable};
pub use queue::Queue;
pub use rate::{Passes, Rate};
pub use refusal::remedy;
pub use ring::{Cursor, Entry, Ring};
