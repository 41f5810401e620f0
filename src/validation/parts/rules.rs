//! Refuses rules that the texts of a part would pass unseen.
//!
//! JSON Schema's rules let values of other types pass: `{"minimum": 1}` is no rule for the text `"0"`, `{"not": {"const": 0}}`
//! none either. So what any subschema says of a name must be about a type that its texts are read as, wherever it is said: under
//! `if`, `then`, `not`, `dependentSchemas`, `contains`, in another branch.

use serde_json::{Map, Value};

use super::faces::{Reach, Root, object};
use super::shape::{Kinds, Shape};
use crate::error::ConfigError;

/// Refuses a rule about `name`, wherever it is in `said`, that values of this `shape` would pass unseen. The shape was read off
/// those of them that are in `read`.
pub(super) fn check<'s>(
    said: &[&'s Value],
    read: &[&'s Value],
    shape: &Shape,
    root: &Root<'s>,
    name: &str,
) -> Result<(), ConfigError> {
    let faces = everything(said, root);
    let certain = alternatives(read, root);
    let plural = [("array", "lists", &OF_LISTS[..]), ("object", "objects", &OF_OBJECTS[..])];
    for (kind, plural, words) in plural {
        let is_read = match shape {
            Shape::List(..) => kind == "array",
            Shape::Object(..) => kind == "object",
            Shape::One(_) => false,
        };
        if !is_read && faces.iter().any(|face| words.iter().any(|word| face.contains_key(*word))) {
            return Err(ConfigError::new(format!(
                "{name:?} has a rule for {plural} and no type, so its texts would stay texts, which the rule lets pass: say \
                 \"type\": \"{kind}\" under \"properties\""
            )));
        }
    }
    match shape {
        Shape::One(kinds) => texts(&faces, &certain, *kinds, name),
        Shape::List(kinds, _) => {
            numbers(&faces, Kinds::default(), name)?;
            let elements: Vec<&Value> = faces.iter().flat_map(|face| elements(face)).collect();
            let certain: Vec<&Value> = certain.iter().flat_map(|face| elements_of_all(face)).collect();
            texts(&everything(&elements, root), &alternatives(&certain, root), *kinds, name)
        }
        Shape::Object(kinds, _) => {
            numbers(&faces, Kinds::default(), name)?;
            for face in &faces {
                for (inner, of) in object(face, "properties").into_iter().flatten() {
                    let kinds = kinds.get(inner).copied().unwrap_or(Kinds::TEXT);
                    let certain: Vec<&Value> =
                        certain.iter().filter_map(|face| object(face, "properties")?.get(inner)).collect();
                    texts(&everything(&[of], root), &alternatives(&certain, root), kinds, inner)?;
                }
            }
            others(&faces, root)
        }
    }
}

/// Refuses a rule about names that are not under `properties`, whose values stay texts.
pub(super) fn others<'s>(faces: &[&'s Map<String, Value>], root: &Root<'s>) -> Result<(), ConfigError> {
    for face in faces {
        let patterns = object(face, "patternProperties").into_iter().flat_map(Map::values);
        for other in patterns.chain(face.get("additionalProperties")).chain(face.get("unevaluatedProperties"))
        {
            texts(
                &everything(&[other], root),
                &alternatives(&[other], root),
                Kinds::TEXT,
                "every other name",
            )?;
        }
    }
    Ok(())
}

/// Refuses what is said of one text and is about no type that it is read as. What `certain` says of types decided what it is
/// read as.
fn texts(
    faces: &[&Map<String, Value>],
    certain: &[&Map<String, Value>],
    kinds: Kinds,
    name: &str,
) -> Result<(), ConfigError> {
    numbers(faces, kinds, name)?;
    for face in faces {
        if certain.iter().any(|one| std::ptr::eq(*one, *face)) {
            continue;
        }
        let listed =
            face.get("enum").and_then(Value::as_array).into_iter().flatten().chain(face.get("const"));
        let odd = listed.map(type_of).find(|kind| !kinds.includes(kind));
        let wanted = types_of(face);
        let odd = odd.or_else(|| {
            let is_read = wanted.is_empty() || wanted.iter().any(|kind| kinds.includes(kind));
            wanted.first().copied().filter(|_| !is_read)
        });
        if let Some(odd) = odd {
            return Err(ConfigError::new(format!(
                "{name:?} is told apart from {odd} values somewhere in the schema, and its texts are never read as such: say \
                 its \"type\" under \"properties\""
            )));
        }
    }
    Ok(())
}

fn numbers(faces: &[&Map<String, Value>], kinds: Kinds, name: &str) -> Result<(), ConfigError> {
    if kinds.integer || !faces.iter().any(|face| NUMERIC.iter().any(|word| face.contains_key(*word))) {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "{name:?} has a rule for numbers and no type, so its texts would stay texts, which the rule lets pass: say \
         \"type\": \"integer\" or \"number\" under \"properties\""
    )))
}

fn everything<'s>(said: &[&'s Value], root: &Root<'s>) -> Vec<&'s Map<String, Value>> {
    said.iter().flat_map(|schema| root.faces(schema, Reach::Everything)).collect()
}

fn alternatives<'s>(said: &[&'s Value], root: &Root<'s>) -> Vec<&'s Map<String, Value>> {
    said.iter().flat_map(|schema| root.faces(schema, Reach::Alternatives)).collect()
}

/// Every schema that judges elements of a list.
fn elements(face: &Map<String, Value>) -> Vec<&Value> {
    elements_of_all(face).into_iter().chain(face.get("contains")).collect()
}

/// Those that say what all elements are, or the one at its place.
pub(super) fn elements_of_all(face: &Map<String, Value>) -> Vec<&Value> {
    let words = ["prefixItems", "items", "additionalItems", "unevaluatedItems"].into_iter();
    let mut found = Vec::new();
    for schema in words.filter_map(|word| face.get(word)) {
        match schema {
            Value::Array(tuple) => found.extend(tuple),
            Value::Object(_) => found.push(schema),
            _ => {}
        }
    }
    found
}

/// The types that faces name, or show by what they list.
pub(super) fn types<'s>(faces: &[&'s Map<String, Value>]) -> Vec<&'s str> {
    let mut found = Vec::new();
    for face in faces {
        let named = types_of(face);
        if named.is_empty() {
            let listed = face.get("enum").and_then(Value::as_array).into_iter().flatten();
            found.extend(listed.chain(face.get("const")).map(|value| -> &'s str { type_of(value) }));
        }
        found.extend(named);
    }
    found
}

fn types_of(face: &Map<String, Value>) -> Vec<&str> {
    match face.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

const NUMERIC: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const OF_LISTS: [&str; 7] =
    ["items", "minItems", "maxItems", "uniqueItems", "contains", "prefixItems", "unevaluatedItems"];
const OF_OBJECTS: [&str; 9] = [
    "properties",
    "patternProperties",
    "propertyNames",
    "required",
    "minProperties",
    "maxProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "dependentRequired",
];
