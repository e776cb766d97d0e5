//! Feeds `dalsegno_fuzz::layout`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dalsegno_fuzz::layout::check(data));
