use super::TakeCell;
use std::thread;

#[test]
fn table_is_handed_out_once() {
    static TABLE: TakeCell<[u32; 4]> = TakeCell::new([1, 2, 3, 4]);
    let table = TABLE.take().expect("the first call");
    table[0] = 7;
    assert!(TABLE.take().is_none());
    assert_eq!(*table, [7, 2, 3, 4]);
}

#[test]
fn only_one_of_several_threads_gets_the_table() {
    static TABLE: TakeCell<[u64; 64]> = TakeCell::new([0; 64]);
    let takers: Vec<_> = (1..=4)
        .map(|number| {
            thread::spawn(move || {
                TABLE.take().map(|table| {
                    table.fill(number);
                    (number, &*table)
                })
            })
        })
        .collect();
    let taken: Vec<_> = takers.into_iter().filter_map(|taker| taker.join().expect("no panic")).collect();
    let [(number, table)] = taken[..] else { panic!("{} threads have it", taken.len()) };
    assert_eq!(*table, [number; 64]);
}

#[test]
fn flag_is_before_the_table() {
    assert_eq!(core::mem::offset_of!(TakeCell<[u8; 100_000]>, taken), 0);
}
