//! Tests of what is written: pages, the manual, the completion, messages.

mod corpus;
mod documentation;
mod keys;
mod manual;
mod markdown;
mod messages;
mod stability;
