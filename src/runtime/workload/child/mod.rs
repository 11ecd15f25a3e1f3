//! The new process: it executes the plan and becomes the program.

mod filter;
mod identity;
mod landlock;
pub(crate) mod program;
mod reaper;
pub(crate) mod steps;
pub(crate) mod streams;
