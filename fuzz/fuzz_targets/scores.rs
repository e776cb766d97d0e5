//! Feeds `dalsegno_fuzz::scores`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dalsegno_fuzz::scores::check(data));
