//! `enum`, looked up instead of searched.
//!
//! The engine compares a number that is not written as an integer with every member in turn: a long
//! list of integers against a body full of `1.5` costs their product (CWE-407). Here a member is found
//! by its canonical form ([`super::form`]), except arrays and objects, which [`super::lint`] counts.

use std::collections::HashSet;

use jsonschema::json::{Json, Node, SerdeJson};
use jsonschema::paths::Location;
use jsonschema::{JsonType, Keyword, ValidationError};
use serde_json::{Map, Value};

use super::form::write_scalar;

/// The keyword's name.
pub(super) const NAME: &str = "enum";

/// What the engine calls for each `enum` of a schema.
pub(super) fn factory<'a, F: Json>(
    _parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: Location,
) -> Result<Box<dyn for<'i> Keyword<'i, F>>, ValidationError<'a>> {
    let members = value.as_array().ok_or_else(|| ValidationError::custom("enum takes an array"))?;
    let (mut texts, mut scalars, mut containers) = (Vec::new(), HashSet::new(), Vec::new());
    for member in members {
        let mut form = Vec::new();
        if let Value::String(text) = member {
            texts.push(text.as_str().into());
        } else if write_scalar::<SerdeJson>(&member, &mut form) {
            scalars.insert(form.into());
        } else {
            containers.push(member.clone());
        }
    }
    let texts = if texts.len() <= FEW { Texts::Few(texts) } else { Texts::Many(texts.into_iter().collect()) };
    Ok(Box::new(Choice { texts, scalars, containers }))
}

/// Comparing with as many texts, of which most differ in length or at once, costs less than a hash.
const FEW: usize = 8;

enum Texts {
    Few(Vec<Box<str>>),
    Many(HashSet<Box<str>>),
}

impl Texts {
    fn contains(&self, text: &str) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|member| **member == *text),
            Self::Many(texts) => texts.contains(text),
        }
    }
}

struct Choice {
    texts: Texts,
    /// Forms of numbers, booleans and null.
    scalars: HashSet<Box<[u8]>>,
    containers: Vec<Value>,
}

impl<'i, F: Json> Keyword<'i, F> for Choice {
    fn validate(&self, instance: F::Node<'i>) -> Result<(), ValidationError<'i>> {
        if Keyword::<F>::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom("none of the values"))
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
        if let Some(text) = instance.as_string() {
            return self.texts.contains(&text);
        }
        if matches!(instance.json_type(), JsonType::Array | JsonType::Object) {
            return self.containers.iter().any(|member| instance.equals_value(member));
        }
        let mut form = Vec::new();
        !self.scalars.is_empty()
            && write_scalar::<F>(&instance, &mut form)
            && self.scalars.contains(form.as_slice())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    fn is_one_of(value: &Value, members: &Value) -> bool {
        let schema = json!({"enum": members});
        let validator =
            jsonschema::options().with_keyword(super::NAME, super::factory).build(&schema).unwrap();
        validator.is_valid(value)
    }

    #[test]
    fn members_are_found_by_value_and_not_by_how_they_are_written() {
        let members = json!([1, 2.5, "a", null, true, [1, {"a": 2}], {"b": [3]}, 1e300, u64::MAX]);
        for member in members.as_array().unwrap() {
            assert!(is_one_of(member, &members), "{member}");
        }
        for equal in [json!(1.0), json!([1.0, {"a": 2.0}]), json!({"b": [3]})] {
            assert!(is_one_of(&equal, &members), "{equal}");
        }
        for other in [json!(0), json!("1"), json!(false), json!([1]), json!({}), json!(-1e300), json!("null")]
        {
            assert!(!is_one_of(&other, &members), "{other}");
        }
        assert!(!is_one_of(&json!(1), &json!(["1", true])));
    }

    #[test]
    fn long_lists_and_short_ones_hold_the_same_texts() {
        for length in [1, super::FEW, super::FEW + 1, 100] {
            let members: Vec<String> = (0..length).map(|index| format!("text {index}")).collect();
            for member in &members {
                assert!(is_one_of(&json!(member), &json!(members)), "{member} of {length}");
            }
            for other in ["", "text", "text ", "text 100", "Text 0"] {
                assert!(!is_one_of(&json!(other), &json!(members)), "{other} of {length}");
            }
        }
    }
}
