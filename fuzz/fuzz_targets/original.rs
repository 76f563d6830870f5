#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gridtally_fuzz::decoders::original(bytes));
