//! Tests of what is written: pages, the manual, the completion, messages.

mod documentation;
mod messages;
mod stability;
