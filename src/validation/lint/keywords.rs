//! Refuses a schema that says something which its draft would silently not check.
//!
//! JSON Schema ignores what it does not know (2020-12 core, section 4.3.1), so `"maxLenght": 20` compiles and bounds nothing. In
//! each schema of a document it is told, with the cure:
//! 1. a member that is no keyword and close to one: `maxLenght`, `requried`, `min_length`;
//! 2. a keyword of another draft or dialect: `dependentRequired` in draft 7, `nullable`, a list as `items` in 2020-12;
//! 3. a keyword that needs another beside it: `then` without `if`, `maxContains` without `contains`;
//! 4. what stands beside a `$ref` up to draft 7, where it does not count;
//! 5. a keyword about values of another type than `type` admits: `maxLength` beside `"type": "integer"`.
//!
//! Let through: annotations, also OpenAPI's; names that begin with `x-`; and what is close to nothing, as the specification has
//! it. Names under `properties` and the like are no keywords, and what `enum`, `const`, `default` and `examples` hold is no schema.
//!
//! It follows references within the document, so that what is only reached by one is read as well.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::words::{
    ANNOTATIONS, About, D4, D6, D7, D2019, D2020, Drafts, FOREIGN, FORMATS, MANY, NAMED, ONE, keyword, meant,
};
use crate::error::ConfigError;

/// Examines every schema of the document `root`.
///
/// # Errors
/// A [`ConfigError`] that points at the first member that would check nothing.
pub(super) fn check(root: &Value) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    let mut open = vec![Spot { schema: root, pointer: String::new(), base: root, draft: D2020 }];
    while let Some(spot) = open.pop() {
        let Value::Object(map) = spot.schema else { continue };
        if !seen.insert(std::ptr::from_ref(map)) {
            continue;
        }
        let draft =
            map.get("$schema").and_then(Value::as_str).map_or(spot.draft, |uri| draft_of(uri, spot.draft));
        let is_resource = ["$id", "id"].iter().any(|word| {
            map.get(*word).and_then(Value::as_str).is_some_and(|id| !id.is_empty() && !id.starts_with('#'))
        });
        let base = if is_resource { spot.schema } else { spot.base };
        judge(map, &spot.pointer, draft)?;
        let from = open.len();
        for (schema, steps) in below(map) {
            open.push(Spot { schema, pointer: format!("{}{steps}", spot.pointer), base, draft });
        }
        if let Some(pointer) = map.get("$ref").and_then(Value::as_str).and_then(|uri| uri.strip_prefix('#')) {
            let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy().into_owned();
            if let Some(schema) = base.pointer(&pointer) {
                open.push(Spot { schema, pointer, base, draft });
            }
        }
        // The first one first.
        open[from..].reverse();
    }
    Ok(())
}

struct Spot<'s> {
    schema: &'s Value,
    pointer: String,
    /// What a pointer in a reference is about: the nearest schema around it with an address of its own.
    base: &'s Value,
    draft: Drafts,
}

fn draft_of(uri: &str, around: Drafts) -> Drafts {
    let known = [
        ("draft-04", D4),
        ("draft-06", D6),
        ("draft-07", D7),
        ("draft/2019-09", D2019),
        ("draft/2020-12", D2020),
    ];
    known.iter().find(|(mark, _)| uri.contains(mark)).map_or(around, |&(_, draft)| draft)
}

/// The schemas directly in a schema, with the way to each.
fn below(map: &Map<String, Value>) -> Vec<(&Value, String)> {
    let mut found = Vec::new();
    for (word, value) in map {
        match value {
            Value::Object(_) if ONE.contains(&word.as_str()) => found.push((value, format!("/{word}"))),
            Value::Object(named) if NAMED.contains(&word.as_str()) => {
                found.extend(named.iter().map(|(name, schema)| {
                    (schema, format!("/{word}/{}", name.replace('~', "~0").replace('/', "~1")))
                }))
            }
            Value::Array(items) if MANY.contains(&word.as_str()) => {
                found.extend(items.iter().enumerate().map(|(at, schema)| (schema, format!("/{word}/{at}"))));
            }
            _ => {}
        }
    }
    found
}

fn judge(map: &Map<String, Value>, pointer: &str, draft: Drafts) -> Result<(), ConfigError> {
    let at = if pointer.is_empty() { "the schema".to_owned() } else { format!("the schema at {pointer}") };
    let tell = |word: &str, why: String| Err(ConfigError::new(format!("{at} has {word:?}, {why}")));
    let types: Option<Vec<&str>> = match map.get("type") {
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(several)) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => None,
    };
    let lonely = draft & (D4 | D6 | D7) != 0 && map.get("$ref").is_some_and(Value::is_string);
    for (word, value) in map {
        if word.starts_with("x-") || ANNOTATIONS.contains(&word.as_str()) {
            continue;
        }
        let Some((drafts, about)) = keyword(word) else {
            if word == "nullable" && value == &Value::Bool(false) {
                // OpenAPI 3.0's default: without it, null is refused as well.
                continue;
            }
            if let Some((_, cure)) = FOREIGN.iter().find(|(name, _)| name == word) {
                return tell(
                    word,
                    format!("which JSON Schema does not know, and so would check nothing: {cure}"),
                );
            }
            if let Some(meant) = meant(word).filter(|meant| may_hold(meant, value)) {
                return tell(
                    word,
                    format!(
                        "which is no keyword and would check nothing; did you mean {meant:?}? (A name of your own \
                         begins with \"x-\".)"
                    ),
                );
            }
            continue;
        };
        if drafts & draft == 0 {
            return tell(word, elsewhere(word, drafts, draft));
        }
        if let Some(why) = shape_of_another(word, value, draft) {
            return tell(word, why.to_owned());
        }
        if lonely
            && !matches!(&**word, "$ref" | "$schema" | "$id" | "id" | "$defs" | "definitions" | "default")
        {
            return tell(
                word,
                format!(
                    "which {} ignores beside \"$ref\": put the reference into \"allOf\", or use draft 2019-09 or later",
                    name_of(draft)
                ),
            );
        }
        if let Some(needed) = needs(word).filter(|needed| !map.contains_key(*needed)) {
            return tell(word, format!("which checks nothing without {needed:?} beside it"));
        }
        let is_for_strings = word == "format" && value.as_str().is_some_and(|name| FORMATS.contains(&name));
        let about = if is_for_strings { About::Strings } else { about };
        if let Some(types) = types.as_ref().filter(|types| !types.is_empty())
            && !types.iter().any(|kind| about.includes(kind))
        {
            return tell(
                word,
                format!(
                    "which is about {} and checks nothing beside \"type\": {}",
                    about.plural(),
                    map.get("type").map(Value::to_string).unwrap_or_default()
                ),
            );
        }
    }
    Ok(())
}

/// Whether what stands under a name could be what a keyword takes: a `note` that is a text was never a `not`.
fn may_hold(word: &str, value: &Value) -> bool {
    let takes_schemas = ONE.contains(&word) || MANY.contains(&word) || NAMED.contains(&word);
    !(takes_schemas && value.is_string())
}

/// What a keyword of other drafts is called in this one.
fn elsewhere(word: &str, drafts: Drafts, draft: Drafts) -> String {
    let is_new = drafts > draft;
    let cure = match word {
        "id" => "write \"$id\"",
        "$id" => "write \"id\"",
        "additionalItems" => "write \"items\", beside \"prefixItems\"",
        "prefixItems" => "write a list as \"items\"",
        "dependentRequired" | "dependentSchemas" => "write \"dependencies\"",
        "const" => "write \"enum\" with one value",
        "$recursiveRef" if draft == D2020 => "write \"$dynamicRef\"",
        "$recursiveAnchor" if draft == D2020 => "write \"$dynamicAnchor\"",
        "$dynamicRef" if draft == D2019 => "write \"$recursiveRef\"",
        "$dynamicAnchor" if draft == D2019 => "write \"$recursiveAnchor\"",
        _ => "say \"$schema\": \"https://json-schema.org/draft/2020-12/schema\"",
    };
    format!(
        "a keyword of {} JSON Schema, which {} would not check: {cure}",
        if is_new { "a newer" } else { "an older" },
        name_of(draft)
    )
}

/// What has this name in the draft, and another form in others.
fn shape_of_another(word: &str, value: &Value, draft: Drafts) -> Option<&'static str> {
    match word {
        "items" if draft == D2020 && value.is_array() => {
            Some("a list of schemas, which was so before draft 2020-12: write \"prefixItems\"")
        }
        "exclusiveMaximum" | "exclusiveMinimum" if draft != D4 && value.is_boolean() => Some(
            "true or false, which was draft 4's: it is the bound itself now, in place of \"maximum\" or \"minimum\"",
        ),
        "exclusiveMaximum" | "exclusiveMinimum" if draft == D4 && value.is_number() => {
            Some("a number; in draft 4 it is true, beside \"maximum\" or \"minimum\"")
        }
        "required" if value.is_boolean() => {
            Some("true or false, which was draft 3's: it is a list of names, in the schema of the object")
        }
        _ => None,
    }
}

fn needs(word: &str) -> Option<&'static str> {
    match word {
        "then" | "else" => Some("if"),
        "maxContains" | "minContains" => Some("contains"),
        _ => None,
    }
}

fn name_of(draft: Drafts) -> &'static str {
    match draft {
        D4 => "draft 4",
        D6 => "draft 6",
        D7 => "draft 7",
        D2019 => "draft 2019-09",
        _ => "draft 2020-12",
    }
}

#[cfg(test)]
mod tests;
