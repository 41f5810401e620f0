//! Finds what a schema lets be as large as the whole body: strings, arrays and objects that nothing bounds.
//!
//! At each value that the schema describes, a string, array or object is bounded if something that applies there says so: its
//! `type` leaves it out; `enum` or `const`; of strings `maxLength`, a format of fixed length, a pattern that is anchored at both
//! ends and finite; of arrays `maxItems`, elements that must differ and are few, or `false` for all behind a tuple; of objects
//! `maxProperties`, or `false` for other names. It counts what must hold (`allOf`, `$ref`), and of alternatives what all say.
//!
//! Told is the place of the schema, as a JSON Pointer. Not told: members and elements of which the schema says nothing at all;
//! that the object or array may have them is told where it is not bounded. What `not` and `contains` say bounds nothing.
//!
//! It does not refuse: the bound on bodies holds in any case. Whoever serves strangers wants to know.

use std::collections::{HashMap, HashSet};

use regex_syntax::hir::Look;
use serde_json::{Map, Value};

/// Most places that are told.
pub const MOST_TOLD: usize = 20;

/// How many values of a schema are looked at, and how deep alternatives are followed.
const MOST_WORK: usize = 100_000;
const DEEPEST: usize = 64;

/// What the value that a schema judges is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// JSON, which says itself what its values are.
    Json,
    /// Texts with names, which are lists and objects only where the schema says so; and whether other names are let in.
    Texts {
        /// Whether names that the schema does not know are refused, or left out.
        closed: bool,
    },
}

/// Where `schema` bounds nothing; at most [`MOST_TOLD`].
pub fn unbounded(schema: &Value, from: From) -> Vec<String> {
    let mut survey = Survey { root: schema, lonely: is_lonely(schema), anchors: HashMap::new(), work: 0 };
    collect(schema, &mut survey.anchors);
    let mut told: Vec<String> = Vec::new();
    let mut seen: HashSet<Vec<usize>> = HashSet::new();
    let mut open = vec![(vec![Spot { schema, pointer: String::new() }], 0)];
    while let Some((spots, depth)) = open.pop() {
        if depth > DEEPEST || survey.work > MOST_WORK {
            continue;
        }
        if spots.iter().any(|spot| *spot.schema == Value::Bool(false)) {
            continue;
        }
        let faces = survey.faces(&spots, true);
        if let Some(at) = survey.open_at(&spots, &faces, from, depth)
            && !told.contains(&at)
        {
            told.push(at);
            if told.len() == MOST_TOLD {
                break;
            }
        }
        let at = open.len();
        for spots in survey.below(&spots, &faces) {
            let mut key: Vec<usize> =
                spots.iter().map(|spot| std::ptr::from_ref(spot.schema) as usize).collect();
            key.sort_unstable();
            // Here, not when it is taken: what refers to the same members many times must not be kept as often.
            if seen.insert(key) {
                open.push((spots, depth + 1));
            }
        }
        open[at..].reverse();
    }
    told
}

#[derive(Debug, Clone)]
struct Spot<'s> {
    schema: &'s Value,
    pointer: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Array,
    Object,
}

struct Survey<'s> {
    root: &'s Value,
    /// Before draft 2019-09, what stands beside a `$ref` does not count.
    lonely: bool,
    anchors: HashMap<&'s str, &'s Value>,
    work: usize,
}

impl<'s> Survey<'s> {
    /// The place to tell if some kind of value is not bounded here.
    fn open_at(
        &mut self,
        spots: &[Spot<'s>],
        faces: &[Spot<'s>],
        from: From,
        depth: usize,
    ) -> Option<String> {
        let names = |kind: Kind| faces.iter().any(|face| types(face.schema).contains(&kind.name()));
        let open = [Kind::String, Kind::Array, Kind::Object].into_iter().find(|&kind| {
            let is_there = match (from, depth) {
                (From::Json, _) => true,
                (From::Texts { closed }, 0) => kind == Kind::Object && !closed,
                (From::Texts { .. }, _) => kind == Kind::String || names(kind),
            };
            is_there && !spots.iter().any(|spot| self.closes(spot.schema, kind, 0))
        })?;
        // Where the cure belongs: beside the type.
        let beside = faces.iter().find(|face| types(face.schema).contains(&open.name()));
        beside.or(spots.first()).map(|spot| spot.pointer.clone())
    }

    /// Whether no value of `kind` without a bound is valid under `schema`.
    fn closes(&mut self, schema: &'s Value, kind: Kind, depth: usize) -> bool {
        let Value::Object(map) = schema else { return *schema == Value::Bool(false) };
        self.work += 1;
        if depth > DEEPEST || self.work > MOST_WORK {
            return false;
        }
        let mut targets = self.targets(map).into_iter();
        if targets.any(|target| self.closes(target, kind, depth + 1)) {
            return true;
        }
        if self.lonely && map.contains_key("$ref") {
            return false;
        }
        let types = types(schema);
        if (!types.is_empty() && !types.contains(&kind.name()))
            || map.contains_key("const")
            || map.contains_key("enum")
            || map.contains_key(kind.most())
        {
            return true;
        }
        let by_kind = match kind {
            Kind::String => {
                map.get("format").and_then(Value::as_str).is_some_and(|name| FIXED.contains(&name))
                    || map.get("pattern").and_then(Value::as_str).is_some_and(is_finite)
            }
            Kind::Array => self.is_tuple(map, depth) || self.is_set(map),
            Kind::Object => self.has_closed_names(map, depth),
        };
        if by_kind {
            return true;
        }
        let list =
            |word: &str| map.get(word).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if list("allOf").iter().any(|branch| self.closes(branch, kind, depth + 1)) {
            return true;
        }
        for word in ["anyOf", "oneOf"] {
            let branches = list(word);
            if !branches.is_empty() && branches.iter().all(|branch| self.closes(branch, kind, depth + 1)) {
                return true;
            }
        }
        let mut says = |word: &str| map.get(word).is_some_and(|branch| self.closes(branch, kind, depth + 1));
        map.contains_key("if") && says("else") && (says("then") || says("if"))
    }

    fn is_tuple(&mut self, map: &'s Map<String, Value>, depth: usize) -> bool {
        let none = |word: &str| map.get(word) == Some(&Value::Bool(false));
        none("items")
            || (map.get("items").is_some_and(Value::is_array) && none("additionalItems"))
            || (none("unevaluatedItems")
                && !self.lets_more(map, &["items", "additionalItems", "unevaluatedItems", "contains"], depth))
    }

    fn has_closed_names(&mut self, map: &'s Map<String, Value>, depth: usize) -> bool {
        let none = |word: &str| map.get(word) == Some(&Value::Bool(false));
        let is_listed = |names: &Value| names.get("enum").is_some() || names.get("const").is_some();
        (none("additionalProperties") && !map.contains_key("patternProperties"))
            || map.get("propertyNames").is_some_and(is_listed)
            || (none("unevaluatedProperties")
                && !self.lets_more(
                    map,
                    &["additionalProperties", "patternProperties", "unevaluatedProperties"],
                    depth,
                ))
    }

    /// Whether something applied along with this lets in what `unevaluated…: false` would refuse.
    fn lets_more(&mut self, map: &'s Map<String, Value>, words: &[&str], depth: usize) -> bool {
        let lets = |map: &Map<String, Value>| {
            words.iter().any(|word| {
                map.get(*word).is_some_and(|value| *value != Value::Bool(false) && !value.is_array())
            })
        };
        if lets(map) || depth > DEEPEST {
            return true;
        }
        let inner = self.applied(map, true);
        inner.into_iter().any(|(schema, _)| {
            self.work += 1;
            let Value::Object(map) = schema else { return false };
            self.work > MOST_WORK || self.lets_more(map, words, depth + 1)
        })
    }

    fn is_set(&self, map: &'s Map<String, Value>) -> bool {
        let few =
            map.get("items").is_some_and(|items| items.get("enum").is_some() || items.get("const").is_some());
        few && map.get("uniqueItems") == Some(&Value::Bool(true))
    }

    /// What applies to the same value: itself, what must hold too, and alternatives if they are wanted.
    fn faces(&mut self, spots: &[Spot<'s>], with_alternatives: bool) -> Vec<Spot<'s>> {
        let (mut found, mut seen, mut open) = (Vec::new(), HashSet::new(), spots.to_vec());
        open.reverse();
        while let Some(spot) = open.pop() {
            let Value::Object(map) = spot.schema else { continue };
            self.work += 1;
            if self.work > MOST_WORK || !seen.insert(std::ptr::from_ref(map)) {
                continue;
            }
            let inner = self.applied(map, with_alternatives).into_iter();
            let inner: Vec<_> = inner
                .map(|(schema, way)| {
                    let pointer = match way {
                        Way::Step(step) => format!("{}{step}", spot.pointer),
                        Way::Pointer(pointer) => pointer,
                        Way::Anchor => spot.pointer.clone(),
                    };
                    Spot { schema, pointer }
                })
                .collect();
            open.extend(inner.into_iter().rev());
            if !(self.lonely && map.contains_key("$ref")) {
                found.push(spot);
            }
        }
        found
    }

    fn applied(&self, map: &'s Map<String, Value>, with_alternatives: bool) -> Vec<(&'s Value, Way)> {
        let mut found = Vec::new();
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            let way = match reference.strip_prefix('#') {
                Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                    Way::Pointer(decoded(pointer))
                }
                _ => Way::Anchor,
            };
            found.extend(self.target(reference).map(|target| (target, way)));
            if self.lonely {
                return found;
            }
        }
        for word in ["$dynamicRef", "$recursiveRef"] {
            let target = map.get(word).and_then(Value::as_str).and_then(|reference| self.target(reference));
            found.extend(target.map(|target| (target, Way::Anchor)));
        }
        let lists: &[&str] = if with_alternatives { &["allOf", "anyOf", "oneOf"] } else { &["allOf"] };
        for word in lists {
            let branches = map.get(*word).and_then(Value::as_array).into_iter().flatten().enumerate();
            found.extend(branches.map(|(at, branch)| (branch, Way::Step(format!("/{word}/{at}")))));
        }
        if with_alternatives {
            for word in ["then", "else"] {
                found.extend(map.get(word).map(|branch| (branch, Way::Step(format!("/{word}")))));
            }
            for word in ["dependentSchemas", "dependencies"] {
                let branches = map.get(word).and_then(Value::as_object).into_iter().flatten();
                found.extend(branches.map(|(name, branch)| (branch, Way::Step(step(word, name)))));
            }
        }
        found
    }

    fn targets(&self, map: &'s Map<String, Value>) -> Vec<&'s Value> {
        let words = ["$ref", "$dynamicRef", "$recursiveRef"].into_iter();
        words.filter_map(|word| self.target(map.get(word)?.as_str()?)).collect()
    }

    fn target(&self, reference: &str) -> Option<&'s Value> {
        match reference.strip_prefix('#') {
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                self.root.pointer(&decoded(pointer))
            }
            Some(name) => self.anchors.get(name).copied(),
            None => self.anchors.get(reference).copied(),
        }
    }

    /// The values in this one of which the schema says something, each with all that applies to it.
    fn below(&mut self, spots: &[Spot<'s>], faces: &[Spot<'s>]) -> Vec<Vec<Spot<'s>>> {
        let certain = self.faces(spots, false);
        let closed_to = |kind: Kind| {
            certain.iter().any(|face| {
                let types = types(face.schema);
                !types.is_empty() && !types.contains(&kind.name())
            })
        };
        let (no_arrays, no_objects) = (closed_to(Kind::Array), closed_to(Kind::Object));
        let mut found = Vec::new();
        for face in faces {
            let Value::Object(map) = face.schema else { continue };
            let make = |schema, way: String| Spot { schema, pointer: format!("{}{way}", face.pointer) };
            for (name, schema) in object(map, "properties").filter(|_| !no_objects) {
                // What must hold of this name wherever it is said.
                let others = certain.iter().filter_map(|other| {
                    let schema = other.schema.get("properties")?.get(name)?;
                    Some(Spot { schema, pointer: format!("{}{}", other.pointer, step("properties", name)) })
                });
                let mut all = vec![make(schema, step("properties", name))];
                all.extend(others.filter(|other| !std::ptr::eq(other.schema, schema)));
                found.push(all);
            }
            for (name, schema) in object(map, "patternProperties").filter(|_| !no_objects) {
                found.push(vec![make(schema, step("patternProperties", name))]);
            }
            let other_names =
                ["additionalProperties", "unevaluatedProperties"].map(|word| (word, no_objects));
            let elements = ["items", "additionalItems", "unevaluatedItems"].map(|word| (word, no_arrays));
            for (word, is_out) in other_names.into_iter().chain(elements) {
                match map.get(word).filter(|_| !is_out) {
                    Some(schema) if schema.is_object() => found.push(vec![make(schema, format!("/{word}"))]),
                    Some(schema) if word == "items" && schema == &Value::Bool(true) => {
                        found.push(vec![make(schema, "/items".to_owned())]);
                    }
                    _ => {}
                }
            }
            for word in ["prefixItems", "items"] {
                let tuple =
                    map.get(word).and_then(Value::as_array).filter(|_| !no_arrays).into_iter().flatten();
                found.extend(
                    tuple.enumerate().map(|(at, schema)| vec![make(schema, format!("/{word}/{at}"))]),
                );
            }
            self.work += found.len();
            if self.work > MOST_WORK {
                break;
            }
        }
        found
    }
}

/// How a schema is reached from the one that applies it.
enum Way {
    Step(String),
    Pointer(String),
    Anchor,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    fn most(self) -> &'static str {
        match self {
            Self::String => "maxLength",
            Self::Array => "maxItems",
            Self::Object => "maxProperties",
        }
    }
}

/// Formats of which the engine takes no longer text: see its own checks of length. An `email` or a time may be long.
const FIXED: &[&str] = &["date", "hostname", "ipv4", "ipv6", "uuid"];

/// Whether a pattern matches the whole of a text, and no text without a bound.
fn is_finite(pattern: &str) -> bool {
    let Ok(hir) = regex_syntax::parse(pattern) else { return false };
    let about = hir.properties();
    about.look_set_prefix().contains(Look::Start)
        && about.look_set_suffix().contains(Look::End)
        && about.maximum_len().is_some()
}

fn is_lonely(schema: &Value) -> bool {
    schema.get("$schema").and_then(Value::as_str).is_some_and(|uri| uri.contains("draft-0"))
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn collect<'s>(schema: &'s Value, anchors: &mut HashMap<&'s str, &'s Value>) {
    match schema {
        Value::Object(map) => {
            for word in ["$anchor", "$dynamicAnchor", "$id", "id"] {
                if let Some(Value::String(name)) = map.get(word) {
                    anchors.entry(name.strip_prefix('#').unwrap_or(name)).or_insert(schema);
                }
            }
            map.values().for_each(|inner| collect(inner, anchors));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, anchors)),
        _ => {}
    }
}

fn object<'s>(map: &'s Map<String, Value>, word: &str) -> impl Iterator<Item = (&'s String, &'s Value)> {
    map.get(word).and_then(Value::as_object).into_iter().flatten()
}

fn step(word: &str, name: &str) -> String {
    format!("/{word}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn decoded(pointer: &str) -> String {
    percent_encoding::percent_decode_str(pointer).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests;
