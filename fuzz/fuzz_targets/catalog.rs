//! Feeds `dalsegno_fuzz::catalog`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dalsegno_fuzz::catalog::check(data));
