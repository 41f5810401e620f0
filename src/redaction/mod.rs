//! Decides which parts of a text are secret, and replaces them.
//!
//! It finds, and replaces by `[REDACTED:<ENTITY>]`:
//! 1. secrets by *name*: the value of `password=…`, `"api_key": "…"`, `Cookie: …`, in plain text, JSON,
//!    Python reprs, header lines and query strings, also percent-encoded. The name stays (`fields.rs`);
//! 2. secrets by *prefix*: JWTs, private keys, and the tokens of clouds, code hosts and AI providers, each a
//!    row of a table (`rules.rs`);
//! 3. secrets by *shape*: e-mail addresses, payment card numbers with a right check digit, passwords in
//!    URLs (`shapes.rs`).
//!
//! Finds do not overlap: the leftmost wins, then the table's order. Replacing is idempotent: what is
//! already replaced is left alone.
//!
//! The time is linear in the text's length, whatever the text says: whoever can write a log line can attack
//! its redaction. A clean text of 200 bytes costs a fraction of a microsecond and no allocation.
//!
//! # What it does not do
//! It does not recognise people's names and addresses, nor identifiers that were not selected (`identifiers`), nor secrets without a name, prefix or shape
//! (32 random letters in a sentence), nor secrets that are encoded beyond percent-encoding (base64 of a
//! password). A value that starts on another line than its name is not found. It is a net under a careful program, not
//! a permit to log secrets.
//!
//! # Deployment caveat
//! A program that logs to other places than through the redactor is not covered.
//!
//! Sources: the providers' own descriptions of their token formats; RFC 7515 (JWS), RFC 7468 (PEM), RFC 6750 and 7617
//! (`Authorization`), RFC 6265 (cookies), RFC 3986 (URLs), RFC 6531 (addresses), ISO/IEC 7812-1 (card numbers).

mod access_line;
mod checks;
mod fields;
mod identifiers;
mod json;
mod marks;
mod names;
mod packed;
mod rules;
mod scan;
mod shapes;
mod sink;
mod target;
mod text;
mod values;

#[cfg(test)]
mod leaks;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use access_line::{Access, render};
pub use sink::{Failure, Outlet, Sink};

use crate::error::ConfigError;
use identifiers::Identifiers;
use names::Names;
use scan::Engine;
use text::MARKER;

/// Finds and replaces secrets. Built once, shared by all threads.
pub struct Redactor {
    engine: Engine,
}

/// A secret: what it is, and which bytes of the text it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// `EMAIL_ADDRESS`, `PASSWORD`, …: one of [`Redactor::entities`].
    pub entity: &'static str,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
    /// Put round the replacement, where a bare JSON number becomes a text.
    quote: Option<Quote>,
}

/// A kind of number or address that identifies a person, and that can be selected.
#[derive(Debug, Clone, Copy)]
pub struct Identifier {
    /// `IBAN_CODE`, `UK_NHS`, ….
    pub entity: &'static str,
    /// ISO 3166-1 alpha-2, or empty.
    pub country: &'static str,
    /// One of these has to stand shortly before it, unless its form is unmistakable.
    pub words: &'static [&'static str],
    /// A text in which it is found.
    pub sample: &'static str,
    /// A text in which it is not.
    pub harmless: &'static str,
}

/// A quote as it stands in the text: escaped once for each level of JSON inside JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quote {
    byte: u8,
    slashes: u8,
}

impl Finding {
    fn new(start: usize, end: usize, entity: &'static str) -> Option<Self> {
        (start < end).then_some(Self { entity, start, end, quote: None })
    }

    fn replacement(&self, out: &mut Vec<u8>) {
        self.write_quote(out);
        out.extend_from_slice(MARKER);
        out.extend_from_slice(self.entity.as_bytes());
        out.push(b']');
        self.write_quote(out);
    }

    fn write_quote(&self, out: &mut Vec<u8>) {
        if let Some(Quote { byte, slashes }) = self.quote {
            out.extend((0..slashes).map(|_| b'\\'));
            out.push(byte);
        }
    }
}

impl Redactor {
    /// A redactor that takes the values of *names* for secret as well, beside the built-in names.
    ///
    /// # Errors
    /// If a name is empty, has fewer than three letters, is over 64 bytes long or is no name.
    pub fn new(names: &[&str]) -> Result<Self, ConfigError> {
        Self::with_entities(names, &[])
    }

    /// A redactor that also finds the identifiers of *entities*: `IBAN_CODE`, `UK_NHS`, …, the first of each of
    /// [`Redactor::identifiers`].
    ///
    /// # Errors
    /// Those of [`Redactor::new`], and if an entity is unknown.
    pub fn with_entities(names: &[&str], entities: &[&str]) -> Result<Self, ConfigError> {
        Ok(Self { engine: Engine::new(Names::new(names)?, Identifiers::new(entities)?)? })
    }

    /// What can be selected: the entity, its country (ISO 3166-1 alpha-2, or empty), the words that announce it, a text
    /// in which it is found, and one in which it is not.
    pub fn identifiers() -> impl Iterator<Item = Identifier> {
        identifiers::rows().map(|row| Identifier {
            entity: row.entity,
            country: row.country,
            words: row.words,
            sample: row.sample,
            harmless: row.harmless,
        })
    }

    /// *text* with its secrets replaced; *text* itself if it has none.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Finds start and end at characters; were one ever not to, a broken character is better than a secret.
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
        }
    }

    /// The same for bytes in any encoding that contains ASCII.
    pub fn redact_bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let findings = self.scan_bytes(text);
        if findings.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len() + 32);
        let mut done = 0;
        for finding in findings {
            out.extend_from_slice(&text[done..finding.start]);
            finding.replacement(&mut out);
            done = finding.end;
        }
        out.extend_from_slice(&text[done..]);
        Cow::Owned(out)
    }

    /// What is secret in *text*, from left to right, without overlaps; offsets in bytes.
    pub fn scan(&self, text: &str) -> Vec<Finding> {
        self.scan_bytes(text.as_bytes())
    }

    /// The same for bytes in any encoding that contains ASCII.
    pub fn scan_bytes(&self, text: &[u8]) -> Vec<Finding> {
        self.engine.scan(text)
    }

    /// Whether values of this name are secret: `password`, `X-Api-Key`, `clientSecret`.
    pub fn is_secret_name(&self, name: &str) -> bool {
        self.name_entity(name.as_bytes()).is_some()
    }

    /// Everything that a find can be called, in alphabetical order.
    pub fn entities(&self) -> Vec<&'static str> {
        let rules = rules::RULES.iter().map(|rule| rule.entity);
        let mut all: Vec<_> =
            rules.chain(self.engine.names().entities()).chain(self.engine.identifiers()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn name_entity(&self, name: &[u8]) -> Option<&'static str> {
        let mut name = name;
        while let length @ 1.. = text::index_before(name) {
            name = &name[..name.len() - length];
        }
        // `user[password]` ends in a bracket.
        let end = name.iter().rposition(|b| b.is_ascii_alphanumeric() || *b >= 0x80)?;
        self.engine.names().entity(&name[..=end])
    }
}
