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
//!
//! What becomes of names that it does not know is the caller's to say: see `closing.rs` for refusing them, and
//! [`super::outline`] for taking them out, and for what `x-clean` and `default` do.

use jsonschema::json::{Json, SerdeJson};
use jsonschema::{PatternOptions, ValidationError, Validator};
use referencing::{Draft, Registry};
use serde_json::{Value, json};

use super::bounds::Bounds;
use super::choice;
use super::cleaners::{self, Cleaners};
use super::closing::{self, Closed};
use super::explain::{Explanation, MOST_BROKEN, Vocabulary, explain};
use super::form::remembering;
use super::formats;
use super::lint;
use super::lint::unbounded::{From, unbounded};
use super::multiple;
use super::order;
use super::outline::graph::{Node, with_graph};
use super::outline::places::{Place, places};
use super::outline::{Outline, Promise, Tree};
use super::parser::ParseError;
use super::parts::Unknown;
use super::unique;
use super::value::parse_rounding;
use crate::error::ConfigError;

/// A compiled schema over values of the kind `F`.
pub struct Schema<F: Json> {
    validator: Validator<F>,
    vocabulary: Vocabulary,
    /// Where names are known that no keyword of the schema itself can tell.
    aside: Option<(Validator<F>, Vocabulary)>,
    /// What is done to a value beside judging it.
    outline: Option<Outline>,
    bounds: Bounds,
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
    /// Reads, examines and compiles a schema for bodies within `bounds`, that may have names which it does not know.
    ///
    /// # Errors
    /// A [`ConfigError`] that says what cannot be accepted and, where there is one, the cure.
    pub fn compile(text: &str, bounds: &Bounds) -> Result<Self, ConfigError> {
        Self::with(text, bounds, Unknown::Ignore, &Cleaners::default())
    }

    /// The same, with what becomes of unknown names, and what `x-clean` and `format` may say beside JSON Schema's words.
    ///
    /// # Errors
    /// As [`Schema::compile`]; and for an `x-clean` or a `default` that cannot be meant.
    pub fn with(
        text: &str,
        bounds: &Bounds,
        unknown: Unknown,
        cleaners: &Cleaners,
    ) -> Result<Self, ConfigError> {
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
        let validator = build::<F>(&schema, cleaners, None)?;
        lint::check(&schema, bounds.max_depth)?;
        let mut made = Self {
            validator,
            vocabulary: Vocabulary::of(&schema),
            aside: None,
            outline: None,
            bounds: *bounds,
            unbounded: unbounded(&schema, From::Json),
        };
        let refines = unknown == Unknown::Strip || speaks_of(&schema, &["default", cleaners::NAME]);
        if unknown == Unknown::Ignore && !refines {
            return Ok(made);
        }
        if schema.is_object() {
            with_graph(&schema, |nodes| {
                let places = places(nodes)?;
                let kept = |promises: &[Promise<'_>]| broken(&schema, cleaners, promises);
                if refines {
                    made.outline = Outline::of(nodes, &places, unknown, cleaners, kept)?;
                }
                if unknown == Unknown::Reject {
                    made.close(&schema, nodes, &places, cleaners)
                } else {
                    Ok(())
                }
            })?;
        }
        Ok(made)
    }

    fn close(
        &mut self,
        schema: &Value,
        nodes: &[Node<'_>],
        places: &[Place<'_>],
        cleaners: &Cleaners,
    ) -> Result<(), ConfigError> {
        let mut closed = closing::close(schema, nodes, places, true);
        if closed.strict && lint::check(&closed.schema, self.bounds.max_depth).is_err() {
            closed = closing::close(schema, nodes, places, false);
        }
        // What is not strict costs what the schema costs, which was examined: names are looked up, and nothing is judged twice. Beside
        // it, one subschema judges each value, so it is within the stack at any depth that a body can have.
        let Closed { schema: whole, aside, strict } = closed;
        if whole != *schema {
            self.validator = build(&whole, cleaners, None)?;
        }
        if let Some(aside) = aside {
            self.aside = Some((build(&aside, cleaners, None)?, Vocabulary::of(&aside)));
        }
        self.vocabulary.strict = strict;
        Ok(())
    }

    /// Whether `node` is valid.
    pub fn is_valid(&self, node: F::Node<'_>) -> bool {
        let Some((aside, _)) = &self.aside else {
            return remembering(|| self.validator.is_valid(node));
        };
        remembering(|| self.validator.is_valid(node.clone())) && aside.is_valid(node)
    }

    /// Why `node`, of this [`weight`](super::weight), is not valid.
    pub fn explain<'a>(&'a self, node: &F::Node<'a>, weight: usize) -> Explanation {
        let mut told = remembering(|| explain(&self.validator, &self.vocabulary, node, weight));
        if let Some((aside, vocabulary)) = &self.aside {
            let more = explain(aside, vocabulary, node, weight);
            told.truncated |= more.truncated;
            for broken in more.broken {
                if told.broken.len() == MOST_BROKEN {
                    told.truncated = true;
                } else if !told.broken.contains(&broken) {
                    told.broken.push(broken);
                }
            }
        }
        told
    }

    /// Whether a value is changed before or after it is judged.
    pub fn refines(&self) -> bool {
        self.outline.is_some()
    }

    /// Takes out names that nobody knows, where that was asked for, and cleans texts: to be judged afterwards. Gives by how much
    /// the [`weight`](super::weight) has grown.
    ///
    /// # Errors
    /// If cleaning makes more of the texts than a body may hold; or the tree's own fault.
    pub fn prepare<T: Tree>(
        &self,
        tree: &mut T,
        value: &mut T::Value,
    ) -> Result<usize, ParseError<T::Fault>> {
        self.outline.as_ref().map_or(Ok(0), |outline| outline.prepare(tree, value, &self.bounds))
    }

    /// Puts in what is absent and has a default, once the value was judged.
    ///
    /// # Errors
    /// The tree's own fault.
    pub fn complete<T: Tree>(&self, tree: &mut T, value: &mut T::Value) -> Result<(), ParseError<T::Fault>> {
        self.outline.as_ref().map_or(Ok(()), |outline| outline.complete(tree, value))
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

fn build<F: Json>(
    schema: &Value,
    cleaners: &Cleaners,
    within: Option<(&Registry<'_>, &Value)>,
) -> Result<Validator<F>, ConfigError> {
    let whole = within.map_or(schema, |(_, whole)| whole);
    let mut options = jsonschema::options_for::<F>()
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(PatternOptions::regex())
        .with_keyword(multiple::NAME, multiple::factory::<F>)
        .with_keyword(unique::NAME, unique::factory::<F>)
        .with_keyword(choice::NAME, choice::factory::<F>);
    if order::needed(whole) {
        let [exclusive_maximum, exclusive_minimum, maximum, minimum] = order::NAMES;
        options = options
            .with_keyword(exclusive_maximum, order::exclusive_maximum::<F>)
            .with_keyword(exclusive_minimum, order::exclusive_minimum::<F>)
            .with_keyword(maximum, order::maximum::<F>)
            .with_keyword(minimum, order::minimum::<F>);
    }
    for name in formats::lacking(Draft::default().detect(whole)) {
        options = options.with_format(name, move |text: &str| formats::is(name, text));
    }
    for (name, is) in cleaners.formats() {
        options = options.with_format(name, is);
    }
    if let Some((registry, _)) = within {
        options = options.with_registry(registry);
    }
    options.build(schema).map_err(|error| ConfigError::new(teach(&error)))
}

/// The first value that is not what the subschema at its pointer says, and which rule it breaks.
fn broken(
    schema: &Value,
    cleaners: &Cleaners,
    promises: &[Promise<'_>],
) -> Result<Option<(usize, String)>, ConfigError> {
    const WHOLE: &str = "rampart:///schema";
    let fault =
        |error: referencing::Error| ConfigError::new(format!("a reference cannot be resolved: {error}"));
    let draft = Draft::default().detect(schema);
    let registry =
        Registry::new().draft(draft).add(WHOLE, schema).map_err(fault)?.prepare().map_err(fault)?;
    // All at once: to compile one costs as much as to compile all.
    let refer = |pointer: &str| json!({"$ref": format!("{WHOLE}#{}", encoded(pointer))});
    let all: Vec<Value> = promises.iter().map(|(pointer, ..)| refer(pointer)).collect();
    let values: Value = promises.iter().map(|(_, _, value)| value.clone()).collect();
    let validator = build::<SerdeJson>(&json!({"prefixItems": all}), cleaners, Some((&registry, schema)))?;
    let error = remembering(|| validator.validate(&values).err());
    Ok(error.map(|error: ValidationError<'_>| {
        let path = error.instance_path().as_str();
        let at = path.split('/').nth(1).and_then(|index| index.parse().ok()).unwrap_or_default();
        (at, error.kind().keyword().to_owned())
    }))
}

/// A pointer as a fragment (RFC 6901 section 6).
fn encoded(pointer: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'~');
    percent_encoding::utf8_percent_encode(pointer, KEPT).to_string()
}

/// Whether any object in a schema has one of these members.
fn speaks_of(schema: &Value, words: &[&str]) -> bool {
    match schema {
        Value::Object(map) => {
            words.iter().any(|word| map.contains_key(*word))
                || map.values().any(|value| speaks_of(value, words))
        }
        Value::Array(items) => items.iter().any(|item| speaks_of(item, words)),
        _ => false,
    }
}

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
                "{at} names the format {}, which is not known and so would not be checked; {}",
                error.instance(),
                formats::cure(error.instance().as_str().unwrap_or_default())
            )
        }
        _ => format!("{at} cannot be used: {error}"),
    }
}

#[cfg(test)]
mod tests;
