//! `uniqueItems` in time linear in the size of the array, whatever the peer puts in it.
//!
//! The engine's own check hashes elements in a way that a peer can foresee: `[[1],[2]]` and
//! `[[1,2],[]]` hash alike, and so do some two thousand neighbouring 64-bit integers. An array of
//! such elements costs time in the square of its length (CWE-407). Here each element is written
//! out once in a canonical form, with lengths, and that form is hashed with a random key.

use std::collections::HashSet;

use jsonschema::json::{Array, Json, JsonNumber, Node, Object};
use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value};

/// The keyword's name.
pub(super) const NAME: &str = "uniqueItems";

/// What the engine calls for each `uniqueItems` of a schema.
pub(super) fn factory<'a, F: Json>(
    _parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: Location,
) -> Result<Box<dyn for<'i> Keyword<'i, F>>, ValidationError<'a>> {
    Ok(Box::new(UniqueItems { required: value == &Value::Bool(true) }))
}

struct UniqueItems {
    required: bool,
}

impl<'i, F: Json> Keyword<'i, F> for UniqueItems {
    fn validate(&self, instance: F::Node<'i>) -> Result<(), ValidationError<'i>> {
        if Keyword::<F>::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom("an element occurs twice"))
    }

    fn is_valid(&self, instance: F::Node<'i>) -> bool {
        if !self.required {
            return true;
        }
        let Some(array) = instance.as_array() else {
            return true;
        };
        if array.len() < 2 {
            return true;
        }
        let mut seen: HashSet<Box<[u8]>> = HashSet::with_capacity(array.len());
        let mut form = Vec::new();
        array.elements().all(|element| {
            form.clear();
            write_form::<F>(&element, &mut form, 0);
            seen.insert(form.as_slice().into())
        })
    }
}

/// Writes a form that two values share exactly when JSON Schema calls them equal: numbers by value,
/// objects without regard to order, `true` never equal to 1.
fn write_form<'a, F: Json>(value: &F::Node<'a>, out: &mut Vec<u8>, depth: usize) {
    if depth > super::bounds::Bounds::DEEPEST {
        // Unreachable for parsed bodies; for others it makes two elements look alike, which refuses.
        return out.push(b'!');
    }
    if let Some(text) = value.as_string() {
        write_text(b's', &text, out);
    } else if let Some(number) = value.as_number() {
        write_text(b'#', &number_form(&number), out);
    } else if let Some(flag) = value.as_boolean() {
        out.push(if flag { b't' } else { b'f' });
    } else if let Some(array) = value.as_array() {
        write_length(b'[', array.len(), out);
        for element in array.elements() {
            write_form::<F>(&element, out, depth + 1);
        }
    } else if let Some(object) = value.as_object() {
        let mut members: Vec<_> = object.members().collect();
        members.sort_by(|(left, _), (right, _)| left.as_ref().cmp(right.as_ref()));
        write_length(b'{', members.len(), out);
        for (name, member) in members {
            write_text(b'k', name.as_ref(), out);
            write_form::<F>(&member, out, depth + 1);
        }
    } else {
        out.push(b'n');
    }
}

fn write_text(tag: u8, text: &str, out: &mut Vec<u8>) {
    write_length(tag, text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn write_length(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

/// The integer that a number is, in decimal, or else the bits of its double.
fn number_form<N: JsonNumber>(number: &N) -> String {
    if let Some(value) = number.as_i64() {
        return value.to_string();
    }
    if let Some(value) = number.as_u64() {
        return value.to_string();
    }
    // Whole doubles call themselves integers as well, and may be written with an exponent.
    let text = number.as_str();
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return text.into_owned();
    }
    match number.as_f64() {
        // `-0.0` prints as "-0"; a whole double prints all of its digits.
        Some(0.0) => "0".to_owned(),
        Some(value) if value.fract() == 0.0 => format!("{value:.0}"),
        Some(value) => format!("{:016x}b", value.to_bits()),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    fn is_unique(array: &Value) -> bool {
        let schema = json!({"uniqueItems": true});
        let validator =
            jsonschema::options().with_keyword(super::NAME, super::factory).build(&schema).unwrap();
        validator.is_valid(array)
    }

    #[test]
    fn equal_values_are_found_however_they_are_written() {
        for twice in [
            json!([1, 1.0]),
            json!([0, -0.0]),
            json!([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]),
            json!(["a", "b", "a"]),
            json!([null, [], null]),
            json!([1e20, 100_000_000_000_000_000_000_f64]),
        ] {
            assert!(!is_unique(&twice), "{twice}");
        }
    }

    #[test]
    fn values_that_only_look_alike_are_told_apart() {
        for distinct in [
            json!([1, true, "1", [1], {"1": 1}, null, 0, false, "", [], {}]),
            json!([[[1], 2], [1, [2]], [[1, 2]], [1, 2]]),
            json!([["ab", "c"], ["a", "bc"]]),
            json!([9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64]),
            json!([{"a": {"b": 1}}, {"a": 1, "b": 1}]),
        ] {
            assert!(is_unique(&distinct), "{distinct}");
        }
        assert!(is_unique(&json!("not an array")));
    }

    #[test]
    fn elements_made_to_collide_do_not_cost_the_square_of_their_number() {
        // All bracketings of one sequence: they share a hash in the engine's own check.
        let shapes: Vec<Value> = (0..20_000_u32)
            .map(|bits| {
                Value::Array(
                    (0..16).map(|i| if bits >> i & 1 == 1 { json!([1]) } else { json!(1) }).collect(),
                )
            })
            .collect();
        let started = Instant::now();
        assert!(is_unique(&Value::Array(shapes)));
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
