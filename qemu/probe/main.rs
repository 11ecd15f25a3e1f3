//! probe
#![no_std]
#![no_main]
hilum_sys::entry!(main);
fn main(_: hilum_sys::Arguments) -> i32 {
    0
}
