//! The image builder: builds initramfs images, and checks their contents and the board's ELF files.
//!
//! It runs on the build machine as an ordinary user: device nodes and owners are bytes in an archive, never files.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod appliance;
pub mod build;
pub mod bundle;
pub mod cache;
pub mod clock;
pub mod compression;
pub mod contents;
pub mod debian;
pub mod description;
pub mod disk;
pub mod elf;
pub mod fat;
pub mod filesystem;
mod image;
pub mod kernel;
pub mod kernel_options;
mod links;
pub mod messages;
pub mod modules;
mod node;
pub mod oci;
pub mod openssl;
pub mod pack;
pub mod progress;
pub mod resolve;
pub mod sbom;
pub mod signing;
pub mod sizes;
pub mod tar_reader;
pub mod tree;
pub mod unified;
pub mod untrusted;
pub mod verity;

pub use image::{Compression, Image, Layout};
pub use node::Node;
