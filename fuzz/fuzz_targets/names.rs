//! Feeds `dalsegno_fuzz::names`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dalsegno_fuzz::names::check(data));
