//! Feeds `dalsegno_fuzz::filter`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dalsegno_fuzz::filter::check(data));
