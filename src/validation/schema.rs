//! A JSON Schema that was examined and compiled once, at registration.
//!
//! Every draft gets the same strictness, whatever its own default:
//! - `format` is asserted, and a format that the engine does not know is refused, because a
//!   misspelt one would let everything pass;
//! - patterns run on a linear-time engine; one that needs look-around or a back reference is refused;
//! - references stay inside the document. Nothing is fetched, ever: connexion, fastjsonschema and
//!   the engine's own default fetch `http:` and `file:` (CWE-918);
//! - the schema itself must be valid under its draft's meta-schema;
//! - its cost must grow no faster than the body, and nothing in it may silently check nothing: [`super::lint`].

use jsonschema::json::Json;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::bounds::Bounds;
use super::choice;
use super::explain::{Explanation, Vocabulary, explain};
use super::form::remembering;
use super::lint;
use super::lint::unbounded::{From, unbounded};
use super::multiple;
use super::unique;
use super::value::parse_rounding;
use crate::error::ConfigError;

/// A compiled schema over values of the kind `F`.
pub struct Schema<F: Json> {
    validator: Validator<F>,
    vocabulary: Vocabulary,
    unbounded: Vec<String>,
}

/// `$schema` values that are understood, without the empty fragment that some write at their end.
const DIALECTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

impl<F: Json> Schema<F> {
    /// Reads, examines and compiles a schema for bodies within `bounds`.
    ///
    /// # Errors
    /// A [`ConfigError`] that says what cannot be accepted and, where there is one, the cure.
    pub fn compile(text: &str, bounds: &Bounds) -> Result<Self, ConfigError> {
        let (parsed, rounded) = parse_rounding(text.as_bytes(), &SCHEMA_BOUNDS)
            .map_err(|rejection| ConfigError::new(format!("the schema cannot be read: {rejection}")))?;
        if let Some(literal) = rounded {
            return Err(ConfigError::new(format!(
                "the schema holds {literal:.40}, an integer beyond 64 bits that would be rounded; write it \
                 with an exponent if the nearest double will do"
            )));
        }
        let schema = parsed.value;
        check_dialect(&schema)?;
        lint::check_words(&schema)?;
        let validator = jsonschema::options_for::<F>()
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(PatternOptions::regex())
            .with_keyword(multiple::NAME, multiple::factory::<F>)
            .with_keyword(unique::NAME, unique::factory::<F>)
            .with_keyword(choice::NAME, choice::factory::<F>)
            .build(&schema)
            .map_err(|error| ConfigError::new(teach(&error)))?;
        lint::check(&schema, bounds.max_depth)?;
        let unbounded = unbounded(&schema, From::Json);
        Ok(Self { validator, vocabulary: Vocabulary::of(&schema), unbounded })
    }

    /// Whether `node` is valid.
    pub fn is_valid(&self, node: F::Node<'_>) -> bool {
        remembering(|| self.validator.is_valid(node))
    }

    /// Why `node`, of this [`weight`](super::weight), is not valid.
    pub fn explain<'a>(&'a self, node: &F::Node<'a>, weight: usize) -> Explanation {
        remembering(|| explain(&self.validator, &self.vocabulary, node, weight))
    }

    /// Where the schema lets a string, an array or an object be as large as the whole body: JSON Pointers into it.
    pub fn unbounded(&self) -> &[String] {
        &self.unbounded
    }

    /// Every name that the schema gives to a member, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.vocabulary.names.iter().map(String::as_str)
    }
}

/// A schema is the developer's, but it is read by the same parser: a member named twice in it would
/// be dropped without a word otherwise.
const SCHEMA_BOUNDS: Bounds = Bounds {
    max_bytes: 8 << 20,
    max_depth: Bounds::DEEPEST,
    max_keys: 200_000,
    max_digits: Bounds::LONGEST_NUMBER,
};

fn check_dialect(schema: &Value) -> Result<(), ConfigError> {
    let declared = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(map) => map.get("$schema"),
        _ => return Err(ConfigError::new("a schema is a JSON object, or true or false")),
    };
    let known = match declared {
        None => true,
        Some(Value::String(uri)) => DIALECTS.contains(&uri.strip_suffix('#').unwrap_or(uri)),
        Some(_) => false,
    };
    if known {
        return Ok(());
    }
    let declared = declared.map(Value::to_string).unwrap_or_default();
    Err(ConfigError::new(format!(
        "$schema is {declared}, which is not understood; use \"{}\" (or draft 2019-09, 07, 06, 04)",
        DIALECTS[4]
    )))
}

fn teach(error: &jsonschema::ValidationError<'_>) -> String {
    use jsonschema::error::ValidationErrorKind;

    let at = match error.instance_path().as_str() {
        "" => "the schema".to_owned(),
        path => format!("the schema at {path}"),
    };
    match error.kind() {
        ValidationErrorKind::Referencing(reason) => format!(
            "{at} has a reference that cannot be followed ({reason}); nothing outside the schema is ever \
             fetched: put what it refers to under \"$defs\" and write \"#/$defs/name\""
        ),
        ValidationErrorKind::Format { format } if format == "regex" => format!(
            "{at} holds the pattern {}, which cannot be matched in linear time or is no pattern; \
             look-around and back references are not supported",
            error.instance()
        ),
        _ if error.to_string().starts_with("Unknown format") => {
            format!(
                "{at} names the format {}, which is not known and so would not be checked",
                error.instance()
            )
        }
        _ => format!("{at} cannot be used: {error}"),
    }
}

#[cfg(test)]
mod tests;
