//! JSON: what is read, serde_json reads too, as the same value.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::validation::Bounds;
use rampart::validation::parser::parse;
use rampart::validation::value::ValueBuilder;
use serde_json::Value;

// 300 digits: serde_json has no number beyond a double, Python has.
static BOUNDS: LazyLock<Bounds> = LazyLock::new(|| Bounds::new(1 << 20, 64, 10_000, 300).expect("bounds"));

/// The same value. `-0` is the integer 0 here, as in Python, and a double for serde_json.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(parsed) = parse(data, &BOUNDS, &mut ValueBuilder::default()) {
        let other: Value = serde_json::from_slice(data).expect("serde_json reads what we read");
        assert!(same(&parsed.value, &other), "{:?} is not {other:?}", parsed.value);
    }
});
