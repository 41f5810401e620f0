//! What a developer may choose: which secrets are looked for, what is left alone, what is always hidden, and detectors
//! of their own. Everything is checked when the redactor is built.

use regex::bytes::{Regex, RegexBuilder};

use super::identifiers::nearest;
use super::own::{self, Own};
use super::rules;
use super::scan::ALLOWED;
use crate::error::ConfigError;

/// What a [`super::Redactor`] is built from. The default finds all that the table has.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Further names whose values are secret.
    pub names: &'a [&'a str],
    /// Only what is called one of these is looked for, and what `deny` has. None: everything.
    pub entities: Option<&'a [&'a str]>,
    /// What is left alone although it looks secret.
    pub allow: &'a [Allow<'a>],
    /// Words that are always hidden, with the entity that they are called.
    pub deny: &'a [(&'a str, &'a str)],
    /// Further kinds of secrets.
    pub detectors: &'a [Detector<'a>],
    /// Further words that announce a number, by its entity, which must be among `entities` and one that is found
    /// behind words: `("US_SSN", &["member no"])`.
    pub context: &'a [(&'a str, &'a [&'a str])],
}

/// A secret that is none.
#[derive(Clone, Copy)]
pub enum Allow<'a> {
    /// Exactly this text, of at most 1024 bytes.
    Text(&'a str),
    /// What this pattern matches from its first byte to its last (Rust `regex`); at most 1024 bytes.
    Pattern(&'a str),
}

/// A kind of secret of the developer's own.
#[derive(Clone, Copy, Default)]
pub struct Detector<'a> {
    /// The row's name: `employee_number`. Lower-case letters, digits and `_`, at most 40.
    pub name: &'a str,
    /// What replaces a find: `[REDACTED:<entity>]`. Upper-case letters, digits and `_`, at most 40.
    pub entity: &'a str,
    /// What it looks like (Rust `regex`, Unicode): bounded, without anchors, and with a fixed text in it.
    pub pattern: &'a str,
    /// Texts of at least three bytes: every match contains one, at most 64 bytes after its start. Empty: they are
    /// derived from the pattern.
    pub literals: &'a [&'a str],
    /// Words of which one must be near a match, on its line, in any case of ASCII letters. Empty: none must.
    pub context: &'a [&'a str],
    /// How many bytes before a match the context may stand; at most 256.
    pub before: usize,
    /// How many bytes after it; at most 256.
    pub after: usize,
    /// Texts in which the detector must find something. Tried at once.
    pub samples: &'a [&'a str],
    /// Texts in which it must find nothing.
    pub counter_samples: &'a [&'a str],
}

/// What is left alone.
#[derive(Default)]
pub(super) struct Allowed {
    texts: std::collections::HashSet<Box<[u8]>>,
    patterns: Vec<Regex>,
}

/// What is read after a word to see whether it goes on, in bytes.
pub(super) const WORD_END: usize = 16;

const MOST_DETECTORS: usize = 200;
const MOST_WORDS: usize = 10_000;
const MOST_ALLOWED: usize = 10_000;
const MOST_PATTERNS: usize = 100;

impl Allowed {
    pub(super) fn new(allow: &[Allow<'_>]) -> Result<Self, ConfigError> {
        let mut allowed = Self::default();
        if allow.len() > MOST_ALLOWED {
            return Err(ConfigError::new(format!(
                "at most {MOST_ALLOWED} texts can be allowed, not {}",
                allow.len()
            )));
        }
        for entry in allow {
            match entry {
                Allow::Text("") => return Err(ConfigError::new("an allowed text is empty")),
                Allow::Text(text) if text.len() > ALLOWED => {
                    return Err(ConfigError::new(format!(
                        "an allowed text is longer than {ALLOWED} bytes: so long a find is never left alone"
                    )));
                }
                Allow::Text(text) => {
                    allowed.texts.insert(text.as_bytes().into());
                }
                Allow::Pattern(pattern) => allowed.patterns.push(allowed_pattern(pattern)?),
            }
        }
        if allowed.patterns.len() > MOST_PATTERNS {
            let many = allowed.patterns.len();
            return Err(ConfigError::new(format!(
                "at most {MOST_PATTERNS} patterns can be allowed, not {many}"
            )));
        }
        Ok(allowed)
    }

    /// Whether *secret*, the whole of a find, is to be left alone.
    #[inline]
    pub(super) fn has(&self, secret: &[u8]) -> bool {
        (!self.texts.is_empty() && self.texts.contains(secret))
            || self.patterns.iter().any(|pattern| pattern.is_match(secret))
    }
}

fn allowed_pattern(pattern: &str) -> Result<Regex, ConfigError> {
    let wrong = |what: &str| ConfigError::new(format!("the allowed pattern {pattern:?} {what}"));
    regex_syntax::parse(pattern)
        .map_err(|error| wrong(&format!("is no regular expression of Rust's `regex`: {error}")))?;
    let whole = RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .map_err(|_| wrong("needs over 1 MiB. Use smaller classes or fewer repetitions"))?;
    if whole.is_match(b"") {
        return Err(wrong(
            "matches the empty text, and so more than one secret. Say what it is that may be seen",
        ));
    }
    // A pattern that lets an address, a token and a key pass lets everything pass.
    if rules::all().filter(|rule| whole.is_match(rule.secret.as_bytes())).count() * 2 > rules::all().count() {
        return Err(wrong("lets most kinds of secrets pass. Say what it is that may be seen"));
    }
    Ok(whole)
}

/// A detector, and the texts that it is looked for by.
pub(super) type Sought = (Own, Vec<Vec<u8>>);

/// The developer's detectors and words, compiled, each with the texts that it is looked for by.
pub(super) fn own(options: &Options<'_>, known: &[&str]) -> Result<Vec<Sought>, ConfigError> {
    if options.detectors.len() > MOST_DETECTORS || options.deny.len() > MOST_WORDS {
        return Err(ConfigError::new(format!(
            "at most {MOST_DETECTORS} detectors and {MOST_WORDS} denied words can be added, not {} and {}",
            options.detectors.len(),
            options.deny.len()
        )));
    }
    let mut own = Vec::new();
    for (i, (word, entity)) in options.deny.iter().enumerate() {
        // The word itself may be a secret: it is told by its number.
        let number = (i + 1).to_string();
        check_word(word, &number)?;
        check_entity("denied word", &number, entity)?;
        own.push((Own::word(word, entity), vec![word.as_bytes().to_vec()]));
    }
    for (i, detector) in options.detectors.iter().enumerate() {
        check(detector)?;
        let taken = options.detectors[..i].iter().any(|other| other.name == detector.name)
            || rules::all().any(|rule| rule.name == detector.name)
            || RESERVED.contains(&detector.name);
        if taken {
            return Err(invalid(
                "detector",
                detector.name,
                "has the name of another. Give it one of its own",
            ));
        }
        own.push(Own::new(detector)?);
    }
    if let Some(entities) = options.entities {
        check_selection(entities, known, options)?;
    }
    Ok(own)
}

/// What finds of other sorts are said to be found by.
const RESERVED: &[&str] = &["named", "deny"];

fn check_selection(entities: &[&str], known: &[&str], options: &Options<'_>) -> Result<(), ConfigError> {
    if entities.is_empty() {
        return Err(ConfigError::new(
            "entities is empty, so that nothing would be found. Leave it out to look for everything",
        ));
    }
    let own: Vec<&str> = options.detectors.iter().map(|detector| detector.entity).collect();
    for entity in entities {
        if !known.contains(entity) && !own.contains(entity) {
            let hint = nearest(entity, known.iter().chain(&own).copied());
            let hint = hint.map(|name| format!(" Did you mean {name}?")).unwrap_or_default();
            return Err(ConfigError::new(format!("{entity:?} is no entity.{hint}")));
        }
    }
    Ok(())
}

fn check(detector: &Detector<'_>) -> Result<(), ConfigError> {
    let name = detector.name;
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let named =
        name.len() <= 40 && name.bytes().all(lower) && name.starts_with(|c: char| c.is_ascii_lowercase());
    if !named {
        let what =
            "has a name that is not of lower-case letters, digits and `_`, at most 40, as in employee_number";
        return Err(invalid("detector", name, what));
    }
    check_entity("detector", name, detector.entity)?;
    if detector.before > own::CONTEXT || detector.after > own::CONTEXT {
        return Err(invalid("detector", name, "looks for its context more than 256 bytes away"));
    }
    if detector.context.iter().any(|word| word.len() < 2) {
        return Err(invalid(
            "detector",
            name,
            "has a word of context under 2 bytes, which is nearly everywhere",
        ));
    }
    if !detector.context.is_empty() && detector.before + detector.after == 0 {
        return Err(invalid(
            "detector",
            name,
            "has a context and looks for it in 0 bytes. Give before, after or both",
        ));
    }
    Ok(())
}

fn check_entity(what: &str, name: &str, entity: &str) -> Result<(), ConfigError> {
    let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if entity.len() <= 40 && entity.bytes().all(upper) && entity.starts_with(|c: char| c.is_ascii_uppercase())
    {
        return Ok(());
    }
    let problem = format!(
        "is called {entity:?}. An entity is of upper-case letters, digits and `_`, at most 40, as in EMPLOYEE_NUMBER"
    );
    Err(invalid(what, name, &problem))
}

fn check_word(word: &str, number: &str) -> Result<(), ConfigError> {
    let wrong = |what: &str| Err(invalid("denied word", number, what));
    if word.chars().count() < 3 || word.len() > own::LONGEST {
        return wrong("is shorter than three characters, or longer than 1024 bytes");
    }
    if word.trim() != word || word.chars().any(char::is_control) {
        return wrong("starts or ends in a blank, or contains a control character");
    }
    if word.contains("[REDACTED:") || "[REDACTED:".contains(word) {
        return wrong("is what replaces a secret");
    }
    // Hidden, it would be no name and no prefix any more, and what follows it would be seen.
    if rules::all()
        .flat_map(|rule| rule.literals)
        .any(|literal| literal.starts_with(word) || word.ends_with(literal))
    {
        return wrong("is how a token starts, which would then be seen. Deny more of it, or leave it out");
    }
    Ok(())
}

/// *what* with this *name* cannot be used.
pub(super) fn invalid(what: &str, name: &str, problem: &str) -> ConfigError {
    ConfigError::new(format!("the {what} {name} {problem}"))
}
