//! Feeds `dalsegno_fuzz::plan`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dalsegno_fuzz::plan::check(data));
