//! The keywords of JSON Schema: which drafts have them, and of which type of value they are about.
//!
//! Sources: the meta-schemas of drafts 4, 6, 7, 2019-09 and 2020-12; OpenAPI 3.0 and 3.1 for what their schemas say beside.

use std::sync::LazyLock;

/// The drafts that have a keyword, one bit each.
pub(super) type Drafts = u8;

pub(super) const D4: Drafts = 1;
pub(super) const D6: Drafts = 2;
pub(super) const D7: Drafts = 4;
pub(super) const D2019: Drafts = 8;
pub(super) const D2020: Drafts = 16;
const ALL: Drafts = 31;
const SINCE_6: Drafts = ALL & !D4;
const SINCE_7: Drafts = SINCE_6 & !D6;
const SINCE_2019: Drafts = D2019 | D2020;

/// The types that JSON Schema's keywords are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Anything,
    Numbers,
    Strings,
    Arrays,
    Objects,
}

impl About {
    /// Whether a `type` of this name has values that the keyword looks at.
    pub(super) fn includes(self, kind: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Numbers => matches!(kind, "number" | "integer"),
            Self::Strings => kind == "string",
            Self::Arrays => kind == "array",
            Self::Objects => kind == "object",
        }
    }

    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Anything => "values",
            Self::Numbers => "numbers",
            Self::Strings => "strings",
            Self::Arrays => "arrays",
            Self::Objects => "objects",
        }
    }
}

/// Every keyword that judges or locates something.
///
/// `definitions` and `$defs` are in all drafts: a reference leads to either in any. `dependencies` is what the engine
/// checks in any draft, and what the later meta-schemas still list.
pub(super) const KEYWORDS: &[(&str, Drafts, About)] = &[
    ("$anchor", SINCE_2019, About::Anything),
    ("$defs", ALL, About::Anything),
    ("$dynamicAnchor", D2020, About::Anything),
    ("$dynamicRef", D2020, About::Anything),
    ("$id", SINCE_6, About::Anything),
    ("$recursiveAnchor", D2019, About::Anything),
    ("$recursiveRef", D2019, About::Anything),
    ("$ref", ALL, About::Anything),
    ("$schema", ALL, About::Anything),
    ("additionalItems", ALL & !D2020, About::Arrays),
    ("additionalProperties", ALL, About::Objects),
    ("allOf", ALL, About::Anything),
    ("anyOf", ALL, About::Anything),
    ("const", SINCE_6, About::Anything),
    ("contains", SINCE_6, About::Arrays),
    ("contentEncoding", ALL, About::Strings),
    ("contentMediaType", ALL, About::Strings),
    ("contentSchema", ALL, About::Strings),
    ("default", ALL, About::Anything),
    ("definitions", ALL, About::Anything),
    ("dependencies", ALL, About::Objects),
    ("dependentRequired", SINCE_2019, About::Objects),
    ("dependentSchemas", SINCE_2019, About::Objects),
    ("else", SINCE_7, About::Anything),
    ("enum", ALL, About::Anything),
    ("exclusiveMaximum", ALL, About::Numbers),
    ("exclusiveMinimum", ALL, About::Numbers),
    ("format", ALL, About::Anything),
    ("id", D4, About::Anything),
    ("if", SINCE_7, About::Anything),
    ("items", ALL, About::Arrays),
    ("maxContains", SINCE_2019, About::Arrays),
    ("maxItems", ALL, About::Arrays),
    ("maxLength", ALL, About::Strings),
    ("maxProperties", ALL, About::Objects),
    ("maximum", ALL, About::Numbers),
    ("minContains", SINCE_2019, About::Arrays),
    ("minItems", ALL, About::Arrays),
    ("minLength", ALL, About::Strings),
    ("minProperties", ALL, About::Objects),
    ("minimum", ALL, About::Numbers),
    ("multipleOf", ALL, About::Numbers),
    ("not", ALL, About::Anything),
    ("oneOf", ALL, About::Anything),
    ("pattern", ALL, About::Strings),
    ("patternProperties", ALL, About::Objects),
    ("prefixItems", D2020, About::Arrays),
    ("properties", ALL, About::Objects),
    ("propertyNames", SINCE_6, About::Objects),
    ("required", ALL, About::Objects),
    ("then", SINCE_7, About::Anything),
    ("type", ALL, About::Anything),
    ("unevaluatedItems", SINCE_2019, About::Arrays),
    ("unevaluatedProperties", SINCE_2019, About::Objects),
    ("uniqueItems", ALL, About::Arrays),
];

/// What describes and never judges: of JSON Schema, and of OpenAPI's schemas. Its spelling is nobody's risk.
pub(super) const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$vocabulary",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "externalDocs",
    "readOnly",
    "title",
    "writeOnly",
    "xml",
];

/// What other dialects and libraries call it, and the cure.
pub(super) const FOREIGN: &[(&str, &str)] = &[
    ("disallow", "it is draft 3's; write \"not\""),
    ("divisibleBy", "it is draft 3's; write \"multipleOf\""),
    ("extends", "it is draft 3's; write \"allOf\""),
    ("max", "write \"maximum\", \"maxLength\" or \"maxItems\""),
    ("maxLen", "write \"maxLength\""),
    ("min", "write \"minimum\", \"minLength\" or \"minItems\""),
    ("minLen", "write \"minLength\""),
    (
        "nullable",
        "it is OpenAPI 3.0's; write \"null\" beside the type, as in \"type\": [\"string\", \"null\"], or beside a reference: \
         \"anyOf\": [{\"$ref\": …}, {\"type\": \"null\"}]",
    ),
    ("regex", "write \"pattern\""),
    ("regexp", "write \"pattern\""),
];

/// Formats that are about strings, as all are that the engine knows.
pub(super) const FORMATS: &[&str] = &[
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// Keywords whose value is one schema.
pub(super) const ONE: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value is a list of schemas.
pub(super) const MANY: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems", "items"];

/// Keywords whose value is an object of schemas, by names that are no keywords.
pub(super) const NAMED: &[&str] =
    &["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// The keyword of this name.
pub(super) fn keyword(name: &str) -> Option<(Drafts, About)> {
    KEYWORDS.iter().find(|(known, ..)| *known == name).map(|&(_, drafts, about)| (drafts, about))
}

/// What somebody who wrote `name` may have meant: the nearest keyword, if one is near.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    if name.len() > LONGEST {
        return None;
    }
    let written = Plain::of(name);
    let near = PLAIN.iter().filter_map(|(keyword, wanted)| {
        let shorter = wanted.text.len().min(written.text.len());
        // Two slips in a long word; one in a short one, whose first letter is then right: `when` is not `then`.
        let most = if shorter < 6 { 1 } else { 2 };
        if wanted.is_far(&written, most) {
            return None;
        }
        let same_start = written.text.first() == wanted.text.first();
        let distance = distance(&written.text, &wanted.text);
        let is_near = distance == 0 || (shorter > 2 && distance <= most && (same_start || shorter >= 6));
        is_near.then_some((distance, *keyword))
    });
    near.min().map(|(_, keyword)| keyword)
}

/// A word in small letters, without what divides words or stands before them.
struct Plain {
    text: Vec<u8>,
    /// Which letters are in it, one bit each.
    letters: u32,
}

impl Plain {
    fn of(name: &str) -> Self {
        let kept = name.bytes().filter(|letter| !matches!(letter, b'_' | b'-' | b'$'));
        let text: Vec<u8> = kept.map(|letter| letter.to_ascii_lowercase()).collect();
        let letters = text.iter().fold(0, |letters, letter| letters | 1 << (letter & 31));
        Self { text, letters }
    }

    /// Whether more than `most` slips lie between two words for certain: each changes the length by one, the letters by two.
    fn is_far(&self, other: &Self, most: usize) -> bool {
        self.text.len().abs_diff(other.text.len()) > most
            || (self.letters ^ other.letters).count_ones() as usize > 2 * most
    }
}

static PLAIN: LazyLock<Vec<(&str, Plain)>> =
    LazyLock::new(|| KEYWORDS.iter().map(|&(keyword, ..)| (keyword, Plain::of(keyword))).collect());

const LONGEST: usize = 32;

/// How many letters to change, add, take away or swap with their neighbour (optimal string alignment).
fn distance(from: &[u8], to: &[u8]) -> usize {
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=to.len()).collect());
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut least = (row[j] + 1).min(last[j + 1] + 1).min(last[j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}
