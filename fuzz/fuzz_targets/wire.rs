//! Messages of the control socket: a decoded message is encoded to equivalent bytes.
#![no_main]
use hilum::wire::{Reply, Request};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(request) = Request::read(data)
        && let Ok(message) = request.message()
    {
        assert_eq!(format!("{:?}", Request::read(&message)), format!("{:?}", Ok::<_, ()>(request)));
    }
    if let Ok(reply) = Reply::read(data)
        && let Ok(message) = reply.message()
    {
        assert_eq!(format!("{:?}", Reply::read(&message)), format!("{:?}", Ok::<_, ()>(reply)));
    }
});
