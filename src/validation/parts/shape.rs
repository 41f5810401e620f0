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
    /// Names in brackets behind this one: `filter[size]=2` (`deepObject`); and whether the schema speaks of others, which are text.
    Object(HashMap<String, Kinds>, bool),
}

/// A name that the schema knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub name: String,
    pub shape: Shape,
    pub default: Option<Value>,
}

/// The members of a part, and whether its schema speaks of others.
pub(super) fn members(
    schema: &Value,
    place: Place,
    strips: bool,
) -> Result<(Vec<Member>, bool), ConfigError> {
    let root = Root::of(schema);
    let mut properties: Vec<(&String, Vec<&Value>)> = Vec::new();
    for (name, property) in
        root.faces(schema, true).iter().filter_map(|face| object(face, "properties")).flatten()
    {
        match properties.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => all.push(property),
            None => properties.push((name, vec![property])),
        }
    }
    root.follows(schema)?;
    let speaks = speaks(&root.faces(schema, false), &root)?;
    if properties.is_empty() && !speaks {
        return Err(ConfigError::new(
            "the schema of a part is an object with \"properties\": the names that it may have",
        ));
    }
    if strips && speaks {
        return Err(ConfigError::new(
            "the schema speaks of names that are not under \"properties\", and those are left out here before it judges: list \
             them there",
        ));
    }
    for name in root.mentioned(schema) {
        if !speaks && !properties.iter().any(|(known, _)| *known == name) {
            return Err(ConfigError::new(format!(
                "the schema speaks of {name:?}, which is not under \"properties\""
            )));
        }
    }
    let made = properties.into_iter().map(|(name, all)| {
        let faces: Vec<_> = all.into_iter().flat_map(|property| root.faces(property, true)).collect();
        let shape = shape(&faces, &root, place, name)?;
        let default = faces.iter().find_map(|face| face.get("default")).cloned();
        Ok(Member { name: name.clone(), shape, default })
    });
    Ok((made.collect::<Result<_, ConfigError>>()?, speaks))
}

/// Whether an object's schema says itself what becomes of names that are not under `properties`.
fn speaks<'s>(faces: &[&'s Map<String, Value>], root: &Root<'s>) -> Result<bool, ConfigError> {
    let mut found = false;
    for other in faces.iter().flat_map(|face| {
        let patterns = object(face, "patternProperties").into_iter().flat_map(Map::values);
        patterns.chain(face.get("additionalProperties")).chain(face.get("unevaluatedProperties"))
    }) {
        if !kinds(&root.faces(other, true), "every other name")?.text {
            return Err(ConfigError::new(
                "what is not under \"properties\" has values that stay texts, and the schema wants another type of them",
            ));
        }
    }
    for face in faces {
        let rest = face.get("additionalProperties").or_else(|| face.get("unevaluatedProperties"));
        if face.contains_key("patternProperties") && rest.is_none() {
            return Err(ConfigError::new(
                "\"patternProperties\" lets every other name pass: write \"additionalProperties\": false beside it",
            ));
        }
        found |=
            face.contains_key("patternProperties") || rest.is_some_and(|rest| *rest != Value::Bool(false));
    }
    Ok(found)
}

fn shape<'s>(
    faces: &[&'s Map<String, Value>],
    root: &Root<'s>,
    place: Place,
    name: &str,
) -> Result<Shape, ConfigError> {
    let style = faces.iter().find_map(|face| face.get("x-style")).map(|style| style.as_str().unwrap_or("?"));
    let explode = match faces.iter().find_map(|face| face.get("x-explode")) {
        None => None,
        Some(Value::Bool(explode)) => Some(*explode),
        Some(_) => return Err(ConfigError::new(format!("{name:?}: x-explode is true or false"))),
    };
    let types = types(faces);
    for (kind, plural, words) in [("array", "lists", &OF_LISTS[..]), ("object", "objects", &OF_OBJECTS[..])] {
        if !types.contains(&kind)
            && faces.iter().any(|face| words.iter().any(|word| face.contains_key(*word)))
        {
            return Err(ConfigError::new(format!(
                "{name:?} has a rule for {plural} and no type, so its texts would stay texts, which the rule lets pass: say \
                 \"type\": \"{kind}\""
            )));
        }
    }
    if types.contains(&"array") {
        let items = faces.iter().find_map(|face| face.get("items"));
        let items = items.map(|items| kinds(&root.faces(items, true), name)).transpose()?;
        let items = items.unwrap_or(Kinds { text: true, ..Kinds::default() });
        return Ok(Shape::List(items, separator(place, style, explode, name)?));
    }
    if types.contains(&"object") {
        if !matches!(place, Place::Query | Place::Form) || style.is_some_and(|style| style != "deepObject") {
            return Err(ConfigError::new(format!(
                "{name:?} is an object, which is read in a query or form alone, as {name}[member]=value (deepObject)"
            )));
        }
        let inner = faces.iter().filter_map(|face| object(face, "properties")).flatten();
        let inner = inner.map(|(name, of)| Ok((name.clone(), kinds(&root.faces(of, true), name)?)));
        let inner: HashMap<_, _> = inner.collect::<Result<_, ConfigError>>()?;
        // One without any is free in what it holds.
        let speaks = inner.is_empty() || speaks(faces, root)?;
        return Ok(Shape::Object(inner, speaks));
    }
    if style.is_some() || explode.is_some() {
        return Err(ConfigError::new(format!("{name:?}: x-style and x-explode are of lists and objects")));
    }
    Ok(Shape::One(kinds(faces, name)?))
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

/// The document that references point into.
struct Root<'s> {
    schema: &'s Value,
    /// Before draft 2019-09, what stands beside a `$ref` does not count.
    lonely: bool,
}

impl<'s> Root<'s> {
    fn of(schema: &'s Value) -> Self {
        let dialect = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
        Self { schema, lonely: dialect.contains("draft-0") }
    }

    /// A schema's objects: itself, what it refers to, what else must hold, and its alternatives if they are wanted.
    fn faces(&self, schema: &'s Value, with_alternatives: bool) -> Vec<&'s Map<String, Value>> {
        let mut found: Vec<&Map<String, Value>> = Vec::new();
        let mut seen: Vec<&Map<String, Value>> = Vec::new();
        let mut open = vec![schema];
        while let Some(next) = open.pop() {
            let Value::Object(map) = next else { continue };
            if seen.len() >= MOST_FACES || seen.iter().any(|seen| std::ptr::eq(*seen, map)) {
                continue;
            }
            seen.push(map);
            let target = self.target(map);
            open.extend(target);
            if map.contains_key("$ref") && self.lonely {
                continue;
            }
            found.push(map);
            let branches: &[&str] = if with_alternatives { &["oneOf", "anyOf", "allOf"] } else { &["allOf"] };
            for word in branches {
                if let Some(Value::Array(branches)) = map.get(*word) {
                    open.extend(branches.iter().rev());
                }
            }
        }
        found
    }

    fn target(&self, map: &Map<String, Value>) -> Option<&'s Value> {
        let reference = map.get("$ref")?.as_str()?;
        self.schema.pointer(&decoded(reference.strip_prefix('#')?))
    }

    /// Whether all references are followed that matter to how texts are read.
    fn follows(&self, schema: &Value) -> Result<(), ConfigError> {
        let mut open = vec![schema];
        while let Some(next) = open.pop() {
            match next {
                Value::Object(map) => {
                    let is_lost = map.get("$ref").is_some_and(Value::is_string) && self.target(map).is_none();
                    if is_lost || map.get("$dynamicRef").is_some_and(Value::is_string) {
                        return Err(ConfigError::new(
                            "a reference of a part's schema that is no pointer within it (\"#/$defs/name\") is not followed there",
                        ));
                    }
                    open.extend(map.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        Ok(())
    }

    /// The names that a schema of an object speaks of, wherever it does.
    fn mentioned(&self, schema: &'s Value) -> Vec<&'s String> {
        let mut names = Vec::new();
        let mut seen: Vec<&Value> = Vec::new();
        let mut open = vec![schema];
        while let Some(next) = open.pop() {
            let Value::Object(map) = next else { continue };
            if seen.len() >= MOST_FACES || seen.iter().any(|seen| std::ptr::eq(*seen, next)) {
                continue;
            }
            seen.push(next);
            open.extend(self.target(map));
            names.extend(object(map, "properties").into_iter().flat_map(Map::keys));
            names.extend(texts(map.get("required")));
            for word in ["dependentRequired", "dependentSchemas", "dependencies"] {
                for (name, needs) in object(map, word).into_iter().flatten() {
                    names.push(name);
                    names.extend(texts(Some(needs)));
                    open.push(needs);
                }
            }
            open.extend(["if", "then", "else", "not"].iter().filter_map(|word| map.get(*word)));
            for word in ["oneOf", "anyOf", "allOf"] {
                open.extend(map.get(word).and_then(Value::as_array).into_iter().flatten());
            }
        }
        names
    }
}

/// The texts of a list.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &String> {
    let all = value.and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|one| if let Value::String(text) = one { Some(text) } else { None })
}

/// A pointer in a fragment is percent-encoded (RFC 6901 section 6).
fn decoded(pointer: &str) -> String {
    crate::urlencoded::decoded(pointer.as_bytes(), false)
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

fn kinds(faces: &[&Map<String, Value>], name: &str) -> Result<Kinds, ConfigError> {
    let types = types(faces);
    let has = |name| types.contains(&name);
    let numeric = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
    let counts = faces.iter().any(|face| numeric.iter().any(|word| face.contains_key(*word)));
    if counts && !has("integer") && !has("number") {
        return Err(ConfigError::new(format!(
            "{name:?} has a rule for numbers and no type, so its texts would stay texts, which the rule lets pass: say \
             \"type\": \"integer\" or \"number\""
        )));
    }
    Ok(Kinds {
        null: has("null"),
        boolean: has("boolean"),
        integer: has("integer") || has("number"),
        number: has("number"),
        text: has("string") || types.is_empty(),
    })
}

const OF_LISTS: [&str; 6] = ["items", "minItems", "maxItems", "uniqueItems", "contains", "prefixItems"];
const OF_OBJECTS: [&str; 5] =
    ["properties", "required", "minProperties", "maxProperties", "additionalProperties"];
/// A schema that says more in one place is the developer's own, and read as far as this.
const MOST_FACES: usize = 1000;
