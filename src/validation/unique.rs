//! `uniqueItems` in hardly more than linear time, whatever the peer puts into the array.
//!
//! The engine's own check hashes elements in a way that a peer can foresee: `[[1],[2]]` and
//! `[[1,2],[]]` hash alike, and so do some two thousand neighbouring 64-bit integers. An array of
//! such elements costs time in the square of its length (CWE-407). Here each element gets a
//! fingerprint under a random key ([`super::fingerprint`]); where all differ, so do the elements.
//! Otherwise each gets a canonical form ([`super::form`]), made once for a body, and the forms are sorted.

use std::borrow::Cow;

use jsonschema::json::{Array, Json, Node, Object};
use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value};

use super::fingerprint::Fingerprints;
use super::form::with_forms;

/// The keyword's name.
pub(super) const NAME: &str = "uniqueItems";

/// What the engine calls for each `uniqueItems` of a schema.
pub(super) fn factory<'a, F: Json>(
    _parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: Location,
) -> Result<Box<dyn for<'i> Keyword<'i, F>>, ValidationError<'a>> {
    Ok(Box::new(UniqueItems { required: value == &Value::Bool(true), fingerprints: Fingerprints::new() }))
}

struct UniqueItems {
    required: bool,
    fingerprints: Fingerprints,
}

/// Fingerprints of an array no longer than this need no memory from the heap.
const SHORT: usize = 64;

impl UniqueItems {
    /// Whether the elements are told apart by their fingerprints alone. If not, nothing is known.
    fn are_told_apart<'i, F: Json>(&self, array: &<F::Node<'i> as Node<'i, F>>::Array) -> bool {
        let (mut short, mut long) = ([0; SHORT], Vec::new());
        let prints = match short.get_mut(..array.len()) {
            Some(prints) => prints,
            None => {
                long.resize(array.len(), 0);
                long.as_mut_slice()
            }
        };
        // Records differ in their first member most of the time: a number, or a name.
        if let Some(name) = first_name::<F>(array) {
            for (slot, element) in prints.iter_mut().zip(array.elements()) {
                *slot = self.fingerprints.of_member::<F>(&element, &name);
            }
            if differ(prints) {
                return true;
            }
        }
        for (slot, element) in prints.iter_mut().zip(array.elements()) {
            match self.fingerprints.of::<F>(&element) {
                Some(print) => *slot = print,
                None => return false,
            }
        }
        differ(prints)
    }
}

impl<'i, F: Json> Keyword<'i, F> for UniqueItems {
    fn validate(&self, instance: F::Node<'i>) -> Result<(), ValidationError<'i>> {
        if Keyword::<F>::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom("an element occurs twice"))
    }

    // Overridden because it is asked of each value of a body that breaks any rule: nothing is made
    // where there is nothing to tell.
    fn iter_errors(&self, instance: F::Node<'i>) -> Box<dyn Iterator<Item = ValidationError<'i>> + 'i> {
        match Keyword::<F>::validate(self, instance) {
            Ok(()) => Box::new(std::iter::empty()),
            Err(error) => Box::new(std::iter::once(error)),
        }
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
        if self.are_told_apart::<F>(&array) {
            return true;
        }
        are_distinct::<F>(&array)
    }
}

fn differ(prints: &mut [u64]) -> bool {
    prints.sort_unstable();
    prints.is_sorted_by(|left, right| left < right)
}

/// The name of the first element's first member.
fn first_name<'i, F: Json>(array: &<F::Node<'i> as Node<'i, F>>::Array) -> Option<Cow<'i, str>> {
    let (name, _) = array.elements().next()?.as_object()?.members().next()?;
    Some(name.into())
}

/// Whether no two elements have one form. Forms are sorted, not hashed: all of them stand in one
/// piece of memory, and no peer can make a comparison sort take more than `n log n` of them.
fn are_distinct<'i, F: Json>(array: &<F::Node<'i> as Node<'i, F>>::Array) -> bool {
    let mut written = Vec::new();
    let mut ends = Vec::with_capacity(array.len());
    with_forms(|forms| {
        for element in array.elements() {
            forms.write::<F>(&element, &mut written);
            ends.push(written.len());
        }
    });
    let mut start = 0;
    let mut forms: Vec<&[u8]> = Vec::with_capacity(ends.len());
    for end in ends {
        forms.push(written.get(start..end).unwrap_or_default());
        start = end;
    }
    forms.sort_unstable();
    forms.is_sorted_by(|left, right| left < right)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, Instant};

    use jsonschema::json::SerdeJson;
    use serde_json::{Value, json};

    use super::super::value::parse_value;
    use super::super::{Bounds, Schema};

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
            json!([18_446_744_073_709_551_615_u64, 18_446_744_073_709_551_615_u64]),
            json!([9_223_372_036_854_775_808_u64, 2_f64.powi(63)]),
            json!([1e300, 1e300]),
            json!([{"a": 1}, {"b": 1}, {"b": 1.0}]),
            json!([{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 2, "a": 1}]),
            json!([{"a": u64::MAX}, {"a": 1}, {"a": u64::MAX}]),
            json!([{"a": [1]}, {"a": [2]}, {"a": [1]}]),
            json!([{}, [], {}]),
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
            json!([{"a": 1}, {"b": 1}, {"c": 1}, 1, {"a": 1, "b": 1}, {}]),
            json!([{"a": u64::MAX}, {"a": u64::MAX - 1}, {"a": 1e300}, {"a": [1]}, {"a": [2]}]),
            json!([[["a"]], ["a"], {"a": "a"}, [{"a": "a"}], [[]], [{}], "c"]),
            json!([1e300, -1e300, 1e-300, 2_f64.powi(127), -(2_f64.powi(127))]),
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

    /// Seconds are generous, for a debug build on a busy machine: before, they were minutes.
    fn judged_within(seconds: u64, schema: &Value, body: &str) {
        let bounds = Bounds::default();
        let schema = Schema::<SerdeJson>::compile(&schema.to_string(), &bounds).unwrap();
        let body = parse_value(body.as_bytes(), &bounds).unwrap().value;
        let started = Instant::now();
        assert!(schema.is_valid(&body));
        assert!(started.elapsed() < Duration::from_secs(seconds), "{:?}", started.elapsed());
    }

    #[test]
    fn large_doubles_cost_what_small_ones_do() {
        // CWE-407: 992 KB of e300 numbers took 2.2 s, each written out with its 300 digits.
        let numbers: Vec<String> = (0..100_000).map(|i| format!("{}e300", 1000 + i)).collect();
        judged_within(15, &json!({"uniqueItems": true}), &format!("[{}]", numbers.join(",")));
    }

    #[test]
    fn nesting_does_not_repeat_the_forms_of_what_is_nested() {
        // CWE-407: at 63 levels, 1 MB took more than 40 s, each level writing out all below it.
        let schema = json!({"uniqueItems": true, "items": {"$ref": "#"}});
        let numbers: Vec<String> = (0..90_000).map(|i| format!("{}e300", 1000 + i)).collect();
        for length in [2_500, 90_000] {
            let body = format!("{}[{}]{}", "[".repeat(60), numbers[..length].join(","), ",0]".repeat(60));
            judged_within(15, &schema, &body);
        }
        let integers: Vec<String> = (0..140_000).map(|i| (100_000 + i).to_string()).collect();
        judged_within(
            15,
            &schema,
            &format!("{}[{}]{}", "[".repeat(60), integers.join(","), ",0]".repeat(60)),
        );
    }

    #[test]
    fn forms_do_not_outlive_the_body_that_they_were_made_of() {
        let schema = json!({"uniqueItems": true, "items": {"$ref": "#"}}).to_string();
        let schema = Schema::<SerdeJson>::compile(&schema, &Bounds::default()).unwrap();
        // One place in memory, other contents.
        let mut body = json!([[[1], 0], [[2], 0]]);
        assert!(schema.is_valid(&body));
        body[1][0][0] = json!(1.0);
        assert!(!schema.is_valid(&body));
        body[1][0][0] = json!(3);
        assert!(schema.is_valid(&body));
    }
}
