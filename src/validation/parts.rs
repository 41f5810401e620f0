//! Reads what is text in a request (query, path, headers, cookies, form) as values of the types that its schema names.
//!
//! 1. A query is taken apart by the rules of forms; what is no UTF-8, or ends in the middle of an escape, is refused.
//! 2. A name that the schema does not know is refused, or let through as text, or left out, as the view says.
//! 3. A name that comes twice is refused unless it is a list: of two values, one reader takes the first and the next one the last (CWE-235).
//! 4. A text becomes null, a boolean or a number only where the schema names such a type and JSON would write it so: neither `+1` nor `1_0` nor
//!    other scripts' digits are numbers, `1.0` is no integer, `True` no boolean. What is none stays text, and the schema refuses it.
//! 5. What is absent and has a default gets it.
//! 6. Then the schema judges all of it.
//!
//! Lists and objects are written as OpenAPI 3.1 says (section 4.8.12.3), by `x-style` and `x-explode` beside their type: see [`shape`].
//!
//! It does not read bodies of forms or cookies itself: it is given their pairs.

mod faces;
mod rules;
mod shape;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::Value;

use self::shape::{Kinds, Member, Shape, members};
use super::bounds::Bounds;
use super::explain::{Broken, MOST_BROKEN, push_segment};
use super::lint::unbounded::{From, unbounded};
use super::parser::{Builder, ParseError, parse, weight};
use super::value::copied;
use crate::error::ConfigError;
use crate::urlencoded;

/// Where a part is in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind the question mark.
    Query,
    /// What the route takes out of the path.
    Path,
    /// Fields of the head; names are the same in capitals and small letters.
    Headers,
    /// Cookies.
    Cookies,
    /// A body that a form has sent.
    Form,
}

/// What becomes of a name that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It breaks the contract.
    Reject,
    /// It passes, as text.
    Ignore,
    /// It is left out.
    Strip,
}

/// How a part is read.
pub struct Parts {
    place: Place,
    unknown: Unknown,
    /// Whether the schema says itself what becomes of other names.
    speaks: bool,
    members: Vec<Member>,
    /// By name; of headers in small letters.
    known: HashMap<String, usize>,
    unbounded: Vec<String>,
}

/// A part that was read.
pub struct Read<V> {
    /// An object of what is there.
    pub value: V,
    /// What breaks the contract before the schema has judged.
    pub broken: Vec<Broken>,
    /// What it weighs: see [`weight`](super::weight).
    pub weight: usize,
}

/// What was found under a name.
#[derive(Clone)]
enum Found<'t> {
    Nothing,
    One(Cow<'t, str>),
    Many(Vec<Cow<'t, str>>),
    /// Of an object.
    Members(Vec<(String, Cow<'t, str>)>),
}

impl Parts {
    /// How the part at `place` is read by a schema.
    ///
    /// # Errors
    /// A [`ConfigError`] for a schema that names no members, or a style that is not read there.
    pub fn of(schema: &Value, place: Place, unknown: Unknown) -> Result<Self, ConfigError> {
        let (members, speaks) = members(schema, place, unknown == Unknown::Strip)?;
        let key = |name: &str| if place == Place::Headers { field(name) } else { name.to_owned() };
        let known: HashMap<_, _> =
            members.iter().enumerate().map(|(at, member)| (key(&member.name), at)).collect();
        if known.len() < members.len() {
            return Err(ConfigError::new(
                "two headers of the schema are one: capitals and the kind of hyphen tell nothing apart",
            ));
        }
        // The names of a path are the route's.
        let closed = place == Place::Path || (unknown != Unknown::Ignore && !speaks);
        let unbounded = unbounded(schema, From::Texts { closed });
        Ok(Self { place, unknown, speaks, members, known, unbounded })
    }

    /// Where the schema lets a text be as long as the request, or a list or object as large: JSON Pointers into it.
    pub fn unbounded(&self) -> &[String] {
        &self.unbounded
    }

    /// The names that the schema knows, in its order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// Reads a query, as it stands behind the question mark; nothing if it cannot be taken apart.
    ///
    /// # Errors
    /// The builder's own fault.
    pub fn query<B: Builder>(
        &self,
        query: &[u8],
        bounds: &Bounds,
        builder: &mut B,
    ) -> Result<Option<Read<B::Value>>, B::Fault> {
        let mut taken = Vec::new();
        for pair in urlencoded::pairs(query) {
            match pair {
                Some(pair) if taken.len() < bounds.max_keys => taken.push(pair),
                _ => return Ok(None),
            }
        }
        self.pairs(taken.into_iter(), bounds, builder).map(Some)
    }

    /// Reads pairs of names and texts.
    ///
    /// # Errors
    /// The builder's own fault.
    pub fn pairs<'t, B: Builder>(
        &self,
        pairs: impl Iterator<Item = (Cow<'t, str>, Cow<'t, str>)>,
        bounds: &Bounds,
        builder: &mut B,
    ) -> Result<Read<B::Value>, B::Fault> {
        let mut found = vec![Found::Nothing; self.members.len()];
        let mut others: Vec<(Cow<'t, str>, Cow<'t, str>)> = Vec::new();
        let mut broken = Vec::new();
        let (mut values, mut length) = (1, 0);
        for (name, text) in pairs {
            values += 1;
            length += name.len() + text.len();
            match self.find(&name) {
                Some((at, inner)) => {
                    let Some(found) = found.get_mut(at) else { continue };
                    match inner {
                        None => found.add(text),
                        Some(member) => found.add_member(&member, text),
                    }
                }
                None => match self.unknown {
                    Unknown::Reject if !self.speaks => note(&mut broken, "", "additionalProperties"),
                    Unknown::Reject | Unknown::Ignore => others.push((name, text)),
                    Unknown::Strip => {}
                },
            }
        }
        let mut object = builder.object();
        let mut inserted = 0;
        for (member, found) in self.members.iter().zip(found) {
            let value = match (found, &member.shape) {
                (Found::Nothing, _) => match &member.default {
                    Some(default) => copied(default, builder)?,
                    None => continue,
                },
                (Found::One(text), Shape::One(kinds)) => scalar(&text, *kinds, bounds, builder)?,
                (Found::One(text), Shape::List(kinds, Some(separator))) => {
                    values += text.matches(*separator).count();
                    let items = text.split(*separator).map(|item| self.trimmed(item));
                    list(items, *kinds, bounds, builder)?
                }
                (Found::One(text), Shape::List(kinds, None)) => {
                    list(std::iter::once(&*text), *kinds, bounds, builder)?
                }
                (Found::Many(texts), Shape::List(kinds, None)) => {
                    list(texts.iter().map(|text| &**text), *kinds, bounds, builder)?
                }
                (Found::Members(mut pairs), Shape::Object(kinds, speaks)) => {
                    let before = pairs.len();
                    if !speaks && self.unknown != Unknown::Ignore {
                        pairs.retain(|(name, _)| kinds.contains_key(name));
                    }
                    if pairs.len() < before && self.unknown == Unknown::Reject {
                        note(&mut broken, &member.name, "additionalProperties");
                        continue;
                    }
                    let Some(value) = object_of(&pairs, kinds, bounds, builder)? else {
                        note(&mut broken, &member.name, "repeated");
                        continue;
                    };
                    value
                }
                // As a list where there is none, or as text where an object is: told as what it is.
                (Found::One(_) | Found::Members(_), _) => {
                    note(&mut broken, &member.name, "type");
                    continue;
                }
                (Found::Many(_), _) => {
                    note(&mut broken, &member.name, "repeated");
                    continue;
                }
            };
            let key = builder.key(&member.name)?;
            builder.insert(&mut object, key, value)?;
            inserted += 1;
        }
        let mut told = HashSet::new();
        for (name, text) in &others {
            // Whoever wants it twice says so in the schema.
            if !told.insert(&**name) {
                note(&mut broken, "", "repeated");
                continue;
            }
            let (key, value) = (builder.key(name)?, builder.string(text)?);
            builder.insert(&mut object, key, value)?;
            inserted += 1;
        }
        let value = builder.end_object(object, inserted);
        // All names are different, so it is there.
        let value = match value {
            Some(value) => value,
            None => builder.null(),
        };
        Ok(Read { value, broken, weight: weight(values, length) })
    }

    /// Which member a name is of, and of an object which of its own.
    fn find(&self, name: &str) -> Option<(usize, Option<String>)> {
        let lowered;
        let key = match self.place {
            Place::Headers => {
                lowered = field(name);
                &lowered
            }
            _ => name,
        };
        if let Some(&at) = self.known.get(key) {
            return Some((at, None));
        }
        let (outer, inner) = name.strip_suffix(']')?.split_once('[')?;
        let &at = self.known.get(outer)?;
        let is_object = matches!(self.members.get(at)?.shape, Shape::Object(..));
        // One level, as OpenAPI defines it.
        (is_object && !inner.is_empty() && !inner.contains(['[', ']'])).then(|| (at, Some(inner.to_owned())))
    }

    /// Around the commas of a field of the head may be blanks (RFC 9110 section 5.6.1).
    fn trimmed<'i>(&self, item: &'i str) -> &'i str {
        if self.place == Place::Headers { item.trim_matches([' ', '\t']) } else { item }
    }
}

impl<'t> Found<'t> {
    fn add(&mut self, text: Cow<'t, str>) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::One(text),
            Self::One(first) => Self::Many(vec![first, text]),
            Self::Many(mut texts) => {
                texts.push(text);
                Self::Many(texts)
            }
            // Both `filter` and `filter[a]`.
            Self::Members(_) => Self::One(text),
        };
    }

    fn add_member(&mut self, name: &str, text: Cow<'t, str>) {
        match self {
            Self::Members(pairs) => pairs.push((name.to_owned(), text)),
            Self::Nothing => *self = Self::Members(vec![(name.to_owned(), text)]),
            Self::One(_) | Self::Many(_) => {}
        }
    }
}

/// What a field of the head is compared by: WSGI has one name for both hyphens (PEP 3333).
fn field(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn note(broken: &mut Vec<Broken>, name: &str, rule: &str) {
    let mut pointer = String::new();
    if !name.is_empty() {
        push_segment(&mut pointer, name);
    }
    let one = Broken { pointer, rule: rule.to_owned() };
    if broken.len() < MOST_BROKEN && !broken.contains(&one) {
        broken.push(one);
    }
}

fn scalar<B: Builder>(
    text: &str,
    kinds: Kinds,
    bounds: &Bounds,
    builder: &mut B,
) -> Result<B::Value, B::Fault> {
    if kinds.null && text.is_empty() && !kinds.text {
        return Ok(builder.null());
    }
    if kinds.boolean && matches!(text, "true" | "false") {
        return Ok(builder.boolean(text == "true"));
    }
    if kinds.integer && is_number(text, kinds.number) {
        match parse(text.as_bytes(), bounds, builder) {
            Ok(parsed) => return Ok(parsed.value),
            // Too long, or not finite: the schema says so of the text.
            Err(ParseError::Rejected(_)) => {}
            Err(ParseError::Fault(fault)) => return Err(fault),
        }
    }
    builder.string(text)
}

/// Whether it begins and ends as a number does; whether it is one, the parser of JSON says.
fn is_number(text: &str, may_have_fraction: bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    (first.is_ascii_digit() || *first == b'-')
        && last.is_ascii_digit()
        && (may_have_fraction || bytes.iter().skip(1).all(u8::is_ascii_digit))
}

fn list<'i, B: Builder>(
    items: impl Iterator<Item = &'i str>,
    kinds: Kinds,
    bounds: &Bounds,
    builder: &mut B,
) -> Result<B::Value, B::Fault> {
    let mut array = builder.array();
    for item in items {
        let value = scalar(item, kinds, bounds, builder)?;
        builder.push(&mut array, value)?;
    }
    builder.end_array(array)
}

fn object_of<B: Builder>(
    pairs: &[(String, Cow<'_, str>)],
    kinds: &HashMap<String, Kinds>,
    bounds: &Bounds,
    builder: &mut B,
) -> Result<Option<B::Value>, B::Fault> {
    let mut object = builder.object();
    for (name, text) in pairs {
        let of = kinds.get(name).copied().unwrap_or(Kinds { text: true, ..Kinds::default() });
        let (key, value) = (builder.key(name)?, scalar(text, of, bounds, builder)?);
        builder.insert(&mut object, key, value)?;
    }
    Ok(builder.end_object(object, pairs.len()))
}

#[cfg(test)]
mod tests;
