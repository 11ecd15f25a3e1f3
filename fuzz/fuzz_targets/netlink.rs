//! Replies of rtnetlink and nf_tables: parsing always ends.
#![no_main]
use hilum::netlink::{AddressEntry, LinkEntry, Message, Messages, RouteEntry, RuleEntry, acknowledge};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut count = 0;
    for message in Messages::of(data) {
        count += 1;
        if let Ok(Message::Entry(kind, body)) = message {
            let _ = (LinkEntry::read(kind, body), AddressEntry::read(kind, body));
            let _ = (RouteEntry::read(kind, body), RuleEntry::read(kind, body));
        }
    }
    assert!(count <= data.len());
    let mut done = 0;
    let _ = acknowledge(data, 4, &mut done);
});
