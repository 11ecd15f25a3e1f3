//! Device events of the kernel, with names that come from the devices.
#![no_main]

use hilum::uevent::Uevent;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(event) = Uevent::read(data) {
        assert!(event.path.starts_with('/'));
        for key in ["SUBSYSTEM", "DEVNAME", "MODALIAS", "PRODUCT"] {
            assert!(event.value(key).is_none_or(|value| !value.contains('\0')));
        }
        let _ = event.device();
    }
});
