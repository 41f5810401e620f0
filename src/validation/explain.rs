//! Says where a body breaks its schema, without repeating any of it.
//!
//! Each answer is a JSON Pointer (RFC 6901) and the keyword that was broken. Values are never in it.
//! Nor are names that the peer chose: a pointer stops at the last object whose member the schema
//! itself names, so it says "in `/labels`", not which label.
//!
//! Explaining costs more than judging, and the engine explains everything or one thing. So it is
//! asked for everything only when the body is small; for one thing when the schema has no
//! alternatives (which the engine explains branch by branch); and otherwise not at all.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write;

use jsonschema::error::ValidationErrorKind;
use jsonschema::json::{Array, Json, Node, Object};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// One rule that a body breaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// JSON Pointer into the body; the empty string is the body itself.
    pub pointer: String,
    /// The keyword of the schema, such as `required`.
    pub rule: String,
}

/// Which rules a body breaks, as far as saying so is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// At most [`MOST_BROKEN`], in document order of the schema, without repetitions.
    pub broken: Vec<Broken>,
    /// Whether there may be more.
    pub truncated: bool,
}

impl Explanation {
    /// What is told of it, as members of a JSON object: `"errors":[{"pointer":"/a","rule":"type"}]`.
    pub fn document(&self) -> String {
        let mut text = String::from("\"errors\":[");
        for (nth, broken) in self.broken.iter().enumerate() {
            // `Value` writes a text as JSON, and cannot fail to.
            let (pointer, rule) = (Value::from(&*broken.pointer), Value::from(&*broken.rule));
            let comma = if nth > 0 { "," } else { "" };
            let _ = write!(text, "{comma}{{\"pointer\":{pointer},\"rule\":{rule}}}");
        }
        text.push(']');
        text
    }
}

/// Most rules named in one explanation.
pub const MOST_BROKEN: usize = 20;

/// Heaviest body whose errors are all collected: each one copies the value that it is about.
const SMALL: usize = 1_000;

/// Most that the weight of such a body may be, times the number of subschemas: each may give an error.
const MOST_COPIED: usize = 500_000;

/// Most errors that are looked at: those of one place are told once, and may be many.
const MOST_ERRORS: usize = 1_000;

/// What a schema says of itself, kept to explain with.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// Every name that the schema gives to a member.
    pub(super) names: HashSet<String>,
    /// Whether there is an `anyOf` or `oneOf`.
    pub(super) alternatives: bool,
    /// Whether what it does not know is told from what its alternatives know.
    pub(super) strict: bool,
    /// How many objects it is made of, so at least how many subschemas.
    objects: usize,
}

impl Vocabulary {
    pub(super) fn of(schema: &Value) -> Self {
        let mut vocabulary = Self::default();
        vocabulary.collect(schema);
        vocabulary
    }

    fn collect(&mut self, schema: &Value) {
        match schema {
            Value::Object(map) => {
                self.objects += 1;
                self.alternatives |= map.contains_key("anyOf") || map.contains_key("oneOf");
                if let Some(Value::Object(properties)) = map.get("properties") {
                    self.names.extend(properties.keys().cloned());
                }
                if let Some(Value::Array(required)) = map.get("required") {
                    self.names.extend(required.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                map.values().for_each(|value| self.collect(value));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            _ => {}
        }
    }
}

/// Explains why `node`, of this [`weight`](super::weight), is not valid.
pub(super) fn explain<'a, F: Json>(
    validator: &'a Validator<F>,
    vocabulary: &Vocabulary,
    node: &F::Node<'a>,
    weight: usize,
) -> Explanation {
    let mut explanation = Explanation { broken: Vec::new(), truncated: false };
    if weight <= SMALL && weight.saturating_mul(vocabulary.objects) <= MOST_COPIED {
        for (index, error) in validator.iter_errors(node.clone()).enumerate() {
            if index == MOST_ERRORS {
                explanation.truncated = true;
                break;
            }
            let broken = describe::<F>(&error, vocabulary, node);
            if explanation.broken.contains(&broken) {
                continue;
            }
            if explanation.broken.len() == MOST_BROKEN {
                explanation.truncated = true;
                break;
            }
            explanation.broken.push(broken);
        }
    } else {
        explanation.truncated = true;
        if !vocabulary.alternatives
            && let Err(error) = validator.validate(node.clone())
        {
            explanation.broken.push(describe::<F>(&error, vocabulary, node));
        }
    }
    if vocabulary.strict {
        // Where no alternative holds, none knows a name either: that is no error of its own.
        let of_none: Vec<String> = explanation
            .broken
            .iter()
            .filter(|broken| matches!(&*broken.rule, "anyOf" | "oneOf"))
            .map(|broken| broken.pointer.clone())
            .collect();
        explanation
            .broken
            .retain(|broken| broken.rule != "additionalProperties" || !of_none.contains(&broken.pointer));
    }
    explanation
}

fn describe<F: Json>(error: &ValidationError<'_>, vocabulary: &Vocabulary, root: &F::Node<'_>) -> Broken {
    let mut pointer = known_pointer::<F>(error.instance_path().as_str(), vocabulary, root);
    let kind = error.kind();
    // The missing member's name is the schema's, so it may be told.
    if let ValidationErrorKind::Required { property: Value::String(name) } = kind {
        push_segment(&mut pointer, name);
    }
    let rule = match kind {
        // One rule for an unknown name, whatever tells that it is one.
        ValidationErrorKind::UnevaluatedProperties { .. } if vocabulary.strict => "additionalProperties",
        _ => kind.keyword(),
    };
    Broken { pointer, rule: rule.to_owned() }
}

/// As much of `path` as the schema could have written itself.
///
/// It walks the body along, because only the body tells index 4242 from a member named "4242".
fn known_pointer<F: Json>(path: &str, vocabulary: &Vocabulary, root: &F::Node<'_>) -> String {
    let mut pointer = String::new();
    let mut node = root.clone();
    for segment in path.split('/').skip(1) {
        let next = if let Some(array) = node.as_array() {
            segment.parse().ok().and_then(|index: usize| array.elements().nth(index))
        } else if let Some(object) = node.as_object() {
            let name = unescape(segment);
            vocabulary.names.contains(&*name).then(|| object.get(&F::prepare_key(&name))).flatten()
        } else {
            None
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
        pointer.push('/');
        pointer.push_str(segment);
    }
    pointer
}

/// The name that a segment stands for, almost always itself.
fn unescape(segment: &str) -> Cow<'_, str> {
    match segment.as_bytes().contains(&b'~') {
        true => Cow::Owned(segment.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(segment),
    }
}

pub(super) fn push_segment(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}
