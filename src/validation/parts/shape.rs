//! Reads off a schema which names a part has, and of which types their texts are.
//!
//! It looks at `type`, `enum`, `const`, `items`, `properties` and `default`, through `$ref`s within the document, `allOf`, `anyOf` and `oneOf`.
//! Where several types are possible, a text is the first of null, true or false, a number, and text, that it can be.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Place;
use crate::error::ConfigError;

/// What a text may stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    pub null: bool,
    pub boolean: bool,
    pub integer: bool,
    /// Also with a fraction or an exponent.
    pub number: bool,
    pub text: bool,
}

/// How the texts of one name become a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// One text.
    One(Kinds),
    /// A list: of as many texts as there are, or of one that is cut at each of these characters.
    List(Kinds, Option<char>),
    /// Names in brackets behind this one: `filter[size]=2` (`deepObject`). What is not named is text.
    Object(HashMap<String, Kinds>),
}

/// A name that the schema knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub name: String,
    pub shape: Shape,
    pub default: Option<Value>,
}

/// The members of a part, and whether its schema speaks of others.
pub(super) fn members(schema: &Value, place: Place) -> Result<(Vec<Member>, bool), ConfigError> {
    let faces = faces(schema, schema);
    let mut members: Vec<Member> = Vec::new();
    for (name, property) in faces.iter().filter_map(|face| object(face, "properties")).flatten() {
        if members.iter().any(|known| known.name == *name) {
            continue;
        }
        members.push(Member {
            name: name.clone(),
            shape: shape(property, schema, place, name)?,
            default: default(property, schema),
        });
    }
    let speaks = |face: &&Map<String, Value>| {
        face.contains_key("patternProperties")
            || face.get("additionalProperties").is_some_and(|rest| *rest != Value::Bool(false))
    };
    if members.is_empty() && !faces.iter().any(speaks) {
        return Err(ConfigError::new(
            "the schema of a part is an object with \"properties\": the names that it may have",
        ));
    }
    Ok((members, faces.iter().any(speaks)))
}

fn shape(property: &Value, root: &Value, place: Place, name: &str) -> Result<Shape, ConfigError> {
    let faces = faces(property, root);
    let style = faces.iter().find_map(|face| face.get("x-style")).map(|style| style.as_str().unwrap_or("?"));
    let explode = match faces.iter().find_map(|face| face.get("x-explode")) {
        None => None,
        Some(Value::Bool(explode)) => Some(*explode),
        Some(_) => return Err(ConfigError::new(format!("{name:?}: x-explode is true or false"))),
    };
    let types = types(&faces);
    if types.contains(&"array") {
        let items = faces.iter().find_map(|face| face.get("items"));
        let items = items.map_or_else(Kinds::default, |items| kinds(&self::types(&self::faces(items, root))));
        return Ok(Shape::List(items, separator(place, style, explode, name)?));
    }
    if types.contains(&"object") {
        if !matches!(place, Place::Query | Place::Form) || style.is_some_and(|style| style != "deepObject") {
            return Err(ConfigError::new(format!(
                "{name:?} is an object, which is read in a query or form alone, as {name}[member]=value (deepObject)"
            )));
        }
        let inner = faces.iter().filter_map(|face| object(face, "properties")).flatten();
        let inner = inner.map(|(name, of)| (name.clone(), kinds(&self::types(&self::faces(of, root)))));
        return Ok(Shape::Object(inner.collect()));
    }
    if style.is_some() || explode.is_some() {
        return Err(ConfigError::new(format!("{name:?}: x-style and x-explode are of lists and objects")));
    }
    Ok(Shape::One(kinds(&types)))
}

/// As OpenAPI 3.1 writes lists (section 4.8.12.3): in a query by a name each unless told otherwise, elsewhere by commas.
fn separator(
    place: Place,
    style: Option<&str>,
    explode: Option<bool>,
    name: &str,
) -> Result<Option<char>, ConfigError> {
    let many = matches!(place, Place::Query | Place::Form);
    match (style, many) {
        (None | Some("form"), true) => Ok(if explode == Some(false) { Some(',') } else { None }),
        (Some("spaceDelimited"), true) if explode != Some(true) => Ok(Some(' ')),
        (Some("pipeDelimited"), true) if explode != Some(true) => Ok(Some('|')),
        (None | Some("simple"), false) if place != Place::Cookies => Ok(Some(',')),
        (None | Some("form"), false) if place == Place::Cookies && explode != Some(true) => Ok(Some(',')),
        _ => Err(ConfigError::new(format!(
            "{name:?}: this x-style and x-explode are not read there. In a query and a form: form, spaceDelimited or \
             pipeDelimited; in a path and headers: simple; in cookies: form without x-explode"
        ))),
    }
}

fn default(property: &Value, root: &Value) -> Option<Value> {
    faces(property, root).iter().find_map(|face| face.get("default")).cloned()
}

/// A schema's objects: itself, what it refers to, and its alternatives.
fn faces<'s>(schema: &'s Value, root: &'s Value) -> Vec<&'s Map<String, Value>> {
    let mut found: Vec<&Map<String, Value>> = Vec::new();
    let mut open = vec![schema];
    while let Some(next) = open.pop() {
        let Value::Object(map) = next else { continue };
        if found.len() >= MOST_FACES || found.iter().any(|seen| std::ptr::eq(*seen, map)) {
            continue;
        }
        found.push(map);
        if let Some(Value::String(reference)) = map.get("$ref") {
            let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(&decoded(pointer)));
            open.extend(target);
        }
        for word in ["oneOf", "anyOf", "allOf"] {
            if let Some(Value::Array(branches)) = map.get(word) {
                open.extend(branches.iter().rev());
            }
        }
    }
    found
}

/// A pointer in a fragment is percent-encoded (RFC 6901 section 6).
fn decoded(pointer: &str) -> String {
    super::text::decoded(pointer.as_bytes(), false)
        .map_or_else(|| pointer.to_owned(), |text| text.into_owned())
}

fn object<'s>(face: &'s Map<String, Value>, word: &str) -> Option<&'s Map<String, Value>> {
    face.get(word).and_then(Value::as_object)
}

fn types<'s>(faces: &[&'s Map<String, Value>]) -> Vec<&'s str> {
    let mut found = Vec::new();
    for face in faces {
        match face.get("type") {
            Some(Value::String(one)) => found.push(one.as_str()),
            Some(Value::Array(several)) => found.extend(several.iter().filter_map(Value::as_str)),
            _ => {
                let values =
                    face.get("enum").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                found.extend(
                    values.iter().chain(face.get("const")).map(|value| -> &'s str { type_of(value) }),
                );
            }
        }
    }
    found
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

fn kinds(types: &[&str]) -> Kinds {
    let has = |name| types.contains(&name);
    Kinds {
        null: has("null"),
        boolean: has("boolean"),
        integer: has("integer") || has("number"),
        number: has("number"),
        text: has("string") || types.is_empty(),
    }
}

/// A schema that says more in one place is the developer's own, and read as far as this.
const MOST_FACES: usize = 64;
