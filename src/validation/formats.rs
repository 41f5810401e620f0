//! Formats: which a draft lacks and a later one has, and what to write in place of one that nobody checks.
//!
//! A schema is judged no less strictly for the draft it names: a `uuid` in draft 7 is checked as in 2020-12. A format that no draft
//! has is an error at start-up, as it would let everything pass; OpenAPI's among them have a cure of their own.
//!
//! Sources: JSON Schema validation, `format` of drafts 4 to 2020-12; OpenAPI Format Registry.

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use jsonschema::json::SerdeJson;
use referencing::Draft;
use serde_json::{Value, json};

/// Formats that a draft before [`Draft::Draft201909`] may lack, and the first that has them.
const LATER: [(&str, Draft); 8] = [
    ("duration", Draft::Draft201909),
    ("iri", Draft::Draft7),
    ("iri-reference", Draft::Draft7),
    ("json-pointer", Draft::Draft6),
    ("relative-json-pointer", Draft::Draft7),
    ("uri-reference", Draft::Draft6),
    ("uri-template", Draft::Draft6),
    ("uuid", Draft::Draft201909),
];

/// The formats that `draft` lacks.
pub(super) fn lacking(draft: Draft) -> impl Iterator<Item = &'static str> {
    LATER.iter().filter(move |(_, since)| draft < *since).map(|(name, _)| *name)
}

/// Whether a text has one of the formats that some draft lacks.
pub(super) fn is(name: &str, text: &str) -> bool {
    CHECKS.get(name).is_some_and(|check| check.is_valid(&Value::from(text)))
}

static CHECKS: LazyLock<HashMap<&'static str, Validator<SerdeJson>>> = LazyLock::new(|| {
    let check = |name: &'static str| {
        let options = jsonschema::options_for::<SerdeJson>().offline().should_validate_formats(true);
        // What cannot be made is missing, and then no text has that format.
        options.build(&json!({"format": name})).ok().map(|check| (name, check))
    };
    LATER.iter().filter_map(|(name, _)| check(name)).collect()
});

/// What to write in place of a format that no draft has.
pub(super) fn cure(name: &str) -> &'static str {
    match name {
        "int32" => {
            "write \"minimum\": -2147483648 and \"maximum\": 2147483647, which is what it means in OpenAPI"
        }
        "int64" => {
            "write \"minimum\": -9223372036854775808 and \"maximum\": 9223372036854775807, which is what it means in OpenAPI"
        }
        "float" | "double" | "password" | "binary" => "leave it out: it demands nothing",
        "byte" | "base64" | "base64url" => "leave it out, or write a \"pattern\" and \"maxLength\"",
        "idn-email" | "idn-hostname" => {
            "names in other scripts are not checked: leave it out, or write a \"pattern\""
        }
        "url" => "write \"uri\"",
        "ip" => "write \"anyOf\": [{\"format\": \"ipv4\"}, {\"format\": \"ipv6\"}]",
        "datetime" => "write \"date-time\"",
        "guid" => "write \"uuid\"",
        _ => "leave it out, or write a \"pattern\"",
    }
}
