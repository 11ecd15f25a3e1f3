//! The new process's side: it carries out the plan on itself and becomes the program.

mod filter;
mod identity;
mod landlock;
pub(crate) mod program;
mod reaper;
pub(crate) mod steps;
pub(crate) mod streams;
