//! Tests of documentation: pages, the manual page, the completion, messages.

mod corpus;
mod documentation;
mod keys;
mod manual;
mod markdown;
mod messages;
mod stability;
