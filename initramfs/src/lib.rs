//! The image builder: an initramfs as a value, what it must hold, and what the board's ELF files must be.
//!
//! It runs on the machine that builds an appliance, as an ordinary user: device nodes and owners are bytes in an
//! archive here, never files.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod appliance;
pub mod build;
pub mod compression;
pub mod description;
pub mod disk;
pub mod elf;
pub mod fat;
pub mod filesystem;
mod image;
pub mod kernel;
mod links;
pub mod messages;
pub mod modules;
mod node;
pub mod oci;
pub mod pack;
pub mod resolve;
pub mod sbom;
pub mod sizes;
pub mod tar_reader;
pub mod tree;
pub mod unified;
pub mod untrusted;
pub mod verity;

pub use image::{Compression, Image};
pub use node::Node;
