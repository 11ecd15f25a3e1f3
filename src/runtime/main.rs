//! hilum
#![no_std]
#![no_main]
#![forbid(unsafe_code)]
hilum_sys::entry!(main);
fn main(a: hilum_sys::Arguments) -> i32 {
    hilum_sys::print(format_args!("hello {:?} {}\n", a.get(0), hilum_sys::boottime_us()));
    let x = a.iter().count();
    assert!(x < 3, "too many {x}");
    0
}
