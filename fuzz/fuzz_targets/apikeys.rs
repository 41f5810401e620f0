//! API keys: what is read has a right checksum, and is the only text that is read as that key.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::apikeys::Format;

static FORMAT: LazyLock<Format> = LazyLock::new(|| Format::new("rk", "live").expect("a format"));

fuzz_target!(|data: &[u8]| {
    if let Ok(candidate) = FORMAT.read(data) {
        assert_eq!(data.len(), FORMAT.length());
        assert!(data.windows(candidate.id().len()).any(|window| window == candidate.id().as_bytes()));
        // One bit changed anywhere is found by the checksum.
        for place in 0..data.len() {
            let mut other = data.to_vec();
            other[place] ^= 1;
            assert!(FORMAT.read(&other).is_err());
        }
    }
});
