//! The hilum program. As PID 1, started by the kernel or a container engine, it is the init; otherwise it is a
//! command-line client.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

hilum_sys::entry!(hilum_runtime::main);
