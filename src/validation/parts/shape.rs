//! Reads off a schema which names a part has, and of which types their texts are.
//!
//! It looks at `type`, `enum`, `const`, `items`, `properties` and `default`, through `$ref`s within the document, `allOf`, `anyOf` and `oneOf`.
//! Where several types are possible, a text is the first of null, true or false, a number, and text, that it can be.
//! What any subschema says of a name, also under a condition, must be about such a type: see [`rules`](super::rules).

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Place;
use super::faces::{Reach, Root, object};
use super::rules::{self, types};
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

impl Kinds {
    /// What nothing is said of.
    pub(super) const TEXT: Self =
        Self { null: false, boolean: false, integer: false, number: false, text: true };

    /// Whether a text may be read as a `type` of this name.
    pub(super) fn includes(self, kind: &str) -> bool {
        match kind {
            "null" => self.null,
            "boolean" => self.boolean,
            "integer" | "number" => self.integer,
            "string" => self.text,
            _ => false,
        }
    }
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
    for (name, property) in named(&root.faces(schema, Reach::Alternatives)) {
        match properties.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => all.push(property),
            None => properties.push((name, vec![property])),
        }
    }
    let everywhere = root.faces(schema, Reach::Everything);
    root.follows(schema)?;
    let speaks = speaks(&root.faces(schema, Reach::Certain), &root)?;
    rules::others(&everywhere, &root)?;
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
    let mut said: HashMap<&String, Vec<&Value>> = HashMap::new();
    for (name, property) in named(&everywhere) {
        said.entry(name).or_default().push(property);
    }
    let made = properties.into_iter().map(|(name, all)| {
        let faces: Vec<_> =
            all.iter().flat_map(|property| root.faces(property, Reach::Alternatives)).collect();
        let shape = shape(&faces, &root, place, name)?;
        rules::check(said.get(name).unwrap_or(&all), &all, &shape, &root, name)?;
        let default = faces.iter().find_map(|face| face.get("default")).cloned();
        Ok(Member { name: name.clone(), shape, default })
    });
    Ok((made.collect::<Result<_, ConfigError>>()?, speaks))
}

/// What faces of an object say of its members, by their names.
fn named<'s>(faces: &[&'s Map<String, Value>]) -> impl Iterator<Item = (&'s String, &'s Value)> {
    faces.iter().filter_map(|face| object(face, "properties")).flatten()
}

/// Whether an object's schema says itself what becomes of names that are not under `properties`.
fn speaks<'s>(faces: &[&'s Map<String, Value>], root: &Root<'s>) -> Result<bool, ConfigError> {
    let mut found = false;
    for other in faces.iter().flat_map(|face| {
        let patterns = object(face, "patternProperties").into_iter().flat_map(Map::values);
        patterns.chain(face.get("additionalProperties")).chain(face.get("unevaluatedProperties"))
    }) {
        if !kinds(&root.faces(other, Reach::Alternatives)).text {
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
    if types.contains(&"array") {
        let elements = faces.iter().flat_map(|face| rules::elements_of_all(face));
        let elements: Vec<_> = elements.map(|of| root.faces(of, Reach::Alternatives)).collect();
        let together = kinds(&elements.concat());
        // One after the other, each would be read by what is said of all: `5` as a number where a text belongs.
        let in_tuples = faces
            .iter()
            .any(|face| face.contains_key("prefixItems") || face.get("items").is_some_and(Value::is_array));
        if in_tuples && elements.iter().any(|of| kinds(of) != together) {
            return Err(ConfigError::new(format!(
                "{name:?} has elements of several types by their places, which is not read: give all one type"
            )));
        }
        let items = together;
        return Ok(Shape::List(items, separator(place, style, explode, name)?));
    }
    if types.contains(&"object") {
        if !matches!(place, Place::Query | Place::Form) || style.is_some_and(|style| style != "deepObject") {
            return Err(ConfigError::new(format!(
                "{name:?} is an object, which is read in a query or form alone, as {name}[member]=value (deepObject)"
            )));
        }
        let mut inner: HashMap<String, Vec<_>> = HashMap::new();
        for (name, of) in named(faces) {
            inner.entry(name.clone()).or_default().extend(root.faces(of, Reach::Alternatives));
        }
        let inner: HashMap<_, _> = inner.into_iter().map(|(name, faces)| (name, kinds(&faces))).collect();
        // One without any is free in what it holds.
        let speaks = inner.is_empty() || speaks(faces, root)?;
        return Ok(Shape::Object(inner, speaks));
    }
    if style.is_some() || explode.is_some() {
        return Err(ConfigError::new(format!("{name:?}: x-style and x-explode are of lists and objects")));
    }
    Ok(Shape::One(kinds(faces)))
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

fn kinds(faces: &[&Map<String, Value>]) -> Kinds {
    let types = types(faces);
    let has = |name| types.contains(&name);
    Kinds {
        null: has("null"),
        boolean: has("boolean"),
        integer: has("integer") || has("number"),
        number: has("number"),
        text: has("string") || types.is_empty(),
    }
}
