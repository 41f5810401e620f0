//! Decides which parts of a text are secret, and replaces them.
//!
//! It finds, and replaces by `[REDACTED:<ENTITY>]`:
//! 1. secrets by *name*: the value of `password=…`, `"api_key": "…"`, `Cookie: …`, in plain text, JSON,
//!    Python reprs, header lines and query strings, also encoded; in pairs, parts and tags. The name stays (`fields.rs`);
//! 2. secrets by *prefix*: JWTs, private keys, and over 300 kinds of providers' tokens, each a row of a table
//!    (`rules/`); those without a form of their own by the provider's name near by (`nearby.rs`);
//! 3. secrets by *shape*: e-mail addresses, payment card numbers with a right check digit, passwords in
//!    URLs (`shapes.rs`).
//!
//! A developer chooses which entities are looked for, what is left alone and what is always hidden, and adds detectors
//! (`options.rs`, `own.rs`).
//!
//! Finds do not overlap: the leftmost wins, then the table's order. Replacing is idempotent: what is
//! already replaced is left alone.
//!
//! The time is linear in the text's length, whatever the text says: whoever can write a log line can attack
//! its redaction. A clean text of 200 bytes costs a fraction of a microsecond and no allocation.
//!
//! # How far each kind of find reads
//!
//! A find is *sure* when what says that it is one was read; where it *ends* may be known later (`tails.rs`). Both are bounded
//! in what they look at, so that a stream holds back a bounded number of bytes (`stream.rs`).
//!
//! | Find | Before its start | Sure after | End |
//! |---|---|---|---|
//! | token by prefix | 20 bytes (is it a word's start?) | its head, at most 320 bytes, and 96 that are checked | with its alphabet, however long |
//! | token of an exact length | 20 | its head and 1 byte | its head's |
//! | secret by a name near by | 40 and 20 | 128 bytes | at most 127 bytes |
//! | `Bearer`, `Basic` | 20 | its head and 96 bytes | with `token68`, however long |
//! | JWT | none | 768 bytes of each of two parts; what does not end there is one | after up to five parts |
//! | PEM private key | none | the BEGIN line, and 296 bytes | the END line |
//! | e-mail address | 256 bytes of a local part | 255 bytes of a domain; what goes on is one | the domain's |
//! | card number | 25 | 64 bytes | at most 19 digits, 18 separators |
//! | password in a URL | none | 512 bytes after `://`, and 256 behind a delimiter; what goes on is one | the last `@`, or a delimiter |
//! | value of a name | 400 (name, quotes, tag) | 256 blanks, and some 260 bytes; 1024 in three quotes | at its quote, bracket, delimiter, line; after what begins in it (`beyond.rs`) |
//! | content of an element | 320 | 4 KiB | at a tag, `]]>`, its line |
//! | value beside its name | 280 | 512 bytes | as above |
//! | second text of a list | none | 64, and 512 bytes | as above |
//! | part of a multipart body | 70 | 64, and four lines of 96 bytes | at its boundary, or with a line after 4 KiB |
//! | identifier | 64 | 192 bytes | at most 90 bytes |
//! | developer's detector | 64 and 256 (context) | 1024 and 256 (context) | at most 1024 bytes |
//! | denied word | 20 | 16 bytes | at most 1024 bytes |
//!
//! # What it does not do
//! It does not recognise people's names and addresses, nor identifiers that were not selected (`identifiers`), nor secrets without a name, prefix or shape
//! (32 random letters in a sentence), nor secrets that are encoded beyond percent-encoding (base64 of a
//! password), nor letters of a name that are escaped (`p\u0061ssword`). It is a net under a careful program, not
//! a permit to log secrets.
//!
//! # Deployment caveat
//! A program that logs to other places than through the redactor is not covered.
//!
//! Sources: the providers' own descriptions of their token formats; RFC 7515 (JWS), RFC 7468 (PEM), RFC 6750 and 7617
//! (`Authorization`), RFC 6265 (cookies), RFC 3986 (URLs), RFC 6531 (addresses), ISO/IEC 7812-1 (card numbers).

mod access_line;
mod ahead;
mod beside_lines;
mod between;
mod beyond;
mod checks;
mod coding;
mod elements;
mod fields;
mod heads;
mod identifiers;
mod labels;
mod lines;
mod literals;
mod markdown;
mod marks;
mod names;
mod nearby;
mod options;
mod outer;
mod own;
mod packed;
mod pairs;
mod pass;
mod prefixes;
mod references;
mod rules;
mod scan;
mod shapes;
mod sink;
mod stream;
mod tails;
mod target;
mod text;
mod values;

#[cfg(test)]
mod kinds;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use access_line::{Access, render};
pub use options::{Allow, Detector, Options};
pub use sink::{Failure, Outlet, Sink};
pub use stream::{Over, Receiver, Stream};

use crate::error::ConfigError;
use beyond::Key;
use scan::Engine;
use tails::Tail;
use text::MARKER;

/// Finds and replaces secrets. Built once, shared by all threads.
pub struct Redactor {
    engine: Engine,
}

/// A secret: which bytes of the text it takes. Its redactor says what it is: [`Redactor::entity`], [`Redactor::rule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
    /// `EMAIL_ADDRESS`, `PASSWORD`, …
    entity: &'static str,
    /// The row of the table that found it; empty for a shape or a name.
    rule: &'static str,
    /// The developer's detector that found it, by its number.
    own: Option<u16>,
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

/// A find, as far as it is known: its beginning, and what finds its end.
#[derive(Debug, Clone)]
struct Find {
    /// Its end is that of what was read.
    finding: Finding,
    tail: Tail,
    /// Its beginning is not there any more.
    is_cut: bool,
    /// A private key that begins in the value of a name.
    key: Key,
}

impl Find {
    fn new(finding: Finding, tail: Tail) -> Self {
        Self { finding, tail, is_cut: false, key: Key::within(finding.start) }
    }

    /// One whose end is known.
    fn whole(finding: Finding) -> Self {
        Self::new(finding, Tail::ended(finding.end))
    }

    fn by(self, rule: &'static str) -> Self {
        Self { finding: self.finding.by(rule), ..self }
    }

    /// What is left of it after *floor*.
    fn after(&self, floor: usize) -> Option<Self> {
        let mut left = self.clone();
        left.tail.skip_to(floor);
        left.finding.start = left.finding.start.max(floor);
        (left.finding.start < left.tail.least()).then_some(left)
    }

    fn shift(&mut self, cut: usize) {
        self.is_cut |= self.finding.start < cut;
        self.finding = self.finding.shifted(cut);
        self.tail.shift(cut);
        self.key.shift(cut);
    }
}

impl Finding {
    /// The same after so many bytes were cut off in front.
    fn shifted(self, cut: usize) -> Self {
        Self { start: self.start.saturating_sub(cut), end: self.end.saturating_sub(cut), ..self }
    }

    fn new(start: usize, end: usize, entity: &'static str) -> Option<Self> {
        (start < end).then_some(Self { start, end, entity, rule: "", own: None, quote: None })
    }

    fn by(self, rule: &'static str) -> Self {
        Self { rule, ..self }
    }

    /// What is put on both sides of its replacement: a quote, where a bare number of a JSON text becomes a text.
    pub fn quote(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_quote(&mut out);
        out
    }

    fn replacement(&self, entity: &str, out: &mut Vec<u8>) {
        self.write_quote(out);
        out.extend_from_slice(MARKER);
        out.extend_from_slice(entity.as_bytes());
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
        Self::build(Options { names, ..Options::default() })
    }

    /// A redactor by these options.
    ///
    /// # Errors
    /// If a name, an entity, an allowed pattern, a denied word or a detector cannot be used, with the reason; also if a
    /// detector does not find one of its samples, or finds something in a counter-sample.
    pub fn build(options: Options<'_>) -> Result<Self, ConfigError> {
        let redactor = Self { engine: Engine::new(&options)? };
        for detector in options.detectors {
            redactor.try_samples(detector, &options)?;
        }
        Ok(redactor)
    }

    fn try_samples(&self, detector: &Detector<'_>, options: &Options<'_>) -> Result<(), ConfigError> {
        if options.entities.is_some_and(|entities| !entities.contains(&detector.entity)) {
            return Ok(());
        }
        let finds = |text: &&&str| self.scan(text).iter().any(|found| self.rule(found) == detector.name);
        let missed = detector.samples.iter().position(|text| !finds(&text));
        let hit = detector.counter_samples.iter().position(|text| finds(&text));
        let problem = match (missed, hit) {
            (Some(i), _) => format!("finds nothing in sample {} of its own", i + 1),
            (_, Some(i)) => format!("finds something in counter-sample {} of its own", i + 1),
            _ => return Ok(()),
        };
        Err(options::invalid("detector", detector.name, &problem))
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
            finding.replacement(self.entity(&finding), &mut out);
            done = finding.end;
        }
        out.extend_from_slice(&text[done..]);
        Cow::Owned(out)
    }

    /// Writes what takes the place of *finding*.
    pub fn mark(&self, finding: &Finding, out: &mut Vec<u8>) {
        finding.replacement(self.entity(finding), out);
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

    /// What values of this name are called: `PASSWORD`; `None` if they are not secret, or not looked for.
    pub fn entity_of_name(&self, name: &str) -> Option<&'static str> {
        self.name_entity(name.as_bytes()).filter(|entity| self.engine.selects(entity))
    }

    /// Whether a find that is all of *value* is left alone.
    pub fn allows(&self, value: &[u8]) -> bool {
        self.engine.allows_value(value)
    }

    /// What a find of this redactor is called: `EMAIL_ADDRESS`, `PASSWORD`, … One of [`Redactor::entities`].
    pub fn entity(&self, finding: &Finding) -> &str {
        match finding.own.and_then(|number| self.engine.own(number)) {
            Some(own) => &own.entity,
            None => finding.entity,
        }
    }

    /// Which row found it: the table's (`github_token`), a detector's name, `deny`, or `named` for the value of a secret name.
    pub fn rule(&self, finding: &Finding) -> &str {
        match finding.own.and_then(|number| self.engine.own(number)) {
            Some(own) => &own.name,
            None if finding.rule.is_empty() => rules::shape(finding.entity),
            None => finding.rule,
        }
    }

    /// Everything that a find can be called, in alphabetical order.
    pub fn entities(&self) -> Vec<&str> {
        let mut all = self.engine.entities();
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
