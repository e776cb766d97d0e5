//! Feeds `dalsegno_fuzz::config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dalsegno_fuzz::config::check(data));
