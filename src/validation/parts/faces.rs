//! The objects of a schema that judge one value: itself, what it refers to, and its branches.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::ConfigError;

/// How far [`Root::faces`] goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// What must hold.
    Certain,
    /// Also alternatives, of which one may hold.
    Alternatives,
    /// Also conditions and what must not hold: whatever judges the value at all.
    Everything,
}

/// The document that references point into.
pub(super) struct Root<'s> {
    schema: &'s Value,
    /// Before draft 2019-09, what stands beside a `$ref` does not count.
    lonely: bool,
}

impl<'s> Root<'s> {
    pub(super) fn of(schema: &'s Value) -> Self {
        let dialect = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
        Self { schema, lonely: dialect.contains("draft-0") }
    }

    /// A schema's objects, each once, in the order of the document.
    pub(super) fn faces(&self, schema: &'s Value, reach: Reach) -> Vec<&'s Map<String, Value>> {
        let mut found: Vec<&Map<String, Value>> = Vec::new();
        let mut seen: HashSet<*const Map<String, Value>> = HashSet::new();
        let mut open = vec![schema];
        while let Some(next) = open.pop() {
            let Value::Object(map) = next else { continue };
            if !seen.insert(std::ptr::from_ref(map)) {
                continue;
            }
            let target = self.target(map);
            open.extend(target);
            if map.contains_key("$ref") && self.lonely && reach != Reach::Everything {
                continue;
            }
            found.push(map);
            let branches: &[&str] =
                if reach == Reach::Certain { &["allOf"] } else { &["oneOf", "anyOf", "allOf"] };
            for word in branches {
                open.extend(map.get(*word).and_then(Value::as_array).into_iter().flatten().rev());
            }
            if reach == Reach::Everything {
                open.extend(["if", "then", "else", "not"].iter().filter_map(|word| map.get(*word)));
                for word in ["dependentSchemas", "dependencies"] {
                    open.extend(object(map, word).into_iter().flat_map(Map::values));
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
    pub(super) fn follows(&self, schema: &Value) -> Result<(), ConfigError> {
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
    pub(super) fn mentioned(&self, schema: &'s Value) -> Vec<&'s String> {
        let mut names = Vec::new();
        for map in self.faces(schema, Reach::Everything) {
            names.extend(object(map, "properties").into_iter().flat_map(Map::keys));
            names.extend(texts(map.get("required")));
            for word in ["dependentRequired", "dependentSchemas", "dependencies"] {
                for (name, needs) in object(map, word).into_iter().flatten() {
                    names.push(name);
                    names.extend(texts(Some(needs)));
                }
            }
        }
        names
    }
}

/// The object under a keyword.
pub(super) fn object<'s>(face: &'s Map<String, Value>, word: &str) -> Option<&'s Map<String, Value>> {
    face.get(word).and_then(Value::as_object)
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
