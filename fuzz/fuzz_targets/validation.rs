//! JSON: what is read, serde_json reads as the same value; what is refused for its form, it refuses or bounds do.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::validation::Bounds;
use rampart::validation::parser::parse;
use rampart::validation::value::ValueBuilder;

static BOUNDS: LazyLock<Bounds> = LazyLock::new(|| Bounds::new(1 << 20, 64, 10_000, 309).expect("bounds"));

fuzz_target!(|data: &[u8]| {
    if let Ok(parsed) = parse(data, &BOUNDS, &mut ValueBuilder::default()) {
        let other: serde_json::Value = serde_json::from_slice(data).expect("serde_json reads what we read");
        assert_eq!(parsed.value, other);
    }
});
