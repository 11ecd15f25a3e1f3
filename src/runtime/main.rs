//! hilum, the program. The kernel, or a container engine, starts it as process 1: then it is the init. Started as any other
//! process it is a command that talks to a person.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

hilum_sys::entry!(hilum_runtime::main);
