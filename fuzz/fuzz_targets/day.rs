#![no_main]

//! A device's day as it is kept: no bytes make reading it panic, and what is accepted is written back byte for byte.

use gridtally_settlement::days::DeviceDay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(day) = DeviceDay::from_bytes(bytes) {
        assert_eq!(day.to_bytes(), bytes);
    }
});
