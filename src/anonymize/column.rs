//! What a rule does to the values of its column, and what it met.
//!
//! A rule says what is to be done with a value ([`Fate`]); whoever holds the value does it. One that it cannot read is refused, or
//! becomes nothing: it is never passed on as it was. Threads share the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::{OnError, Scrub};
use super::rules::Rule;
use super::suppress::Suppress;
use super::value::{Cell, Made, Refused};

/// What is to be done with one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate<'p> {
    /// The caller's function of this name says.
    Custom(&'p str),
    /// It is left out.
    Drop,
    /// This stands in its place.
    Put(Made),
    /// It has parts: each text in it is to be redacted.
    Redact,
}

/// A column that a rule names.
pub struct Column {
    path: String,
    word: &'static str,
    pub(super) rule: Rule,
    on_error: OnError,
    scrub: Option<Arc<dyn Scrub>>,
    /// Whether values of this name, or of one that it is in, are secret whatever they look like.
    secret: bool,
    met: AtomicU64,
    nulls: AtomicU64,
    suppressed: AtomicU64,
}

/// What a column met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// Values, nothings included.
    pub values: u64,
    /// Of these, nothings.
    pub nulls: u64,
    /// Of these, values that the rule could not read, and that became nothing.
    pub suppressed: u64,
}

impl Column {
    pub(super) fn new(
        path: &str,
        word: &'static str,
        rule: Rule,
        on_error: OnError,
        scrub: Option<Arc<dyn Scrub>>,
        secret: bool,
    ) -> Self {
        let [met, nulls, suppressed] = [const { AtomicU64::new(0) }; 3];
        Self { path: path.to_owned(), word, rule, on_error, scrub, secret, met, nulls, suppressed }
    }

    /// The path, as the plan writes it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The rule's word.
    pub fn word(&self) -> &'static str {
        self.word
    }

    /// Whether no value of it is in the result.
    pub fn is_dropped(&self) -> bool {
        matches!(self.rule, Rule::Suppress(Suppress::Drop))
    }

    /// What becomes of a value that the rule cannot read.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }

    pub(super) fn rule(&self) -> &Rule {
        &self.rule
    }

    pub(super) fn is_secret(&self) -> bool {
        self.secret
    }

    /// What it met so far, in all threads.
    pub fn met(&self) -> Met {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Met { values: read(&self.met), nulls: read(&self.nulls), suppressed: read(&self.suppressed) }
    }

    /// What is to be done with this value.
    ///
    /// # Errors
    /// Why the rule cannot read it, where the plan refuses such.
    pub fn treat(&self, cell: Cell<'_>) -> Result<Fate<'_>, Refused> {
        self.met.fetch_add(1, Ordering::Relaxed);
        if matches!(cell, Cell::Null) {
            self.nulls.fetch_add(1, Ordering::Relaxed);
        }
        self.judge(cell).or_else(|why| self.failed(why).map(Fate::Put))
    }

    /// The same for who counts by itself, with [`Self::count`], and does by itself what [`Self::on_error`] says.
    ///
    /// # Errors
    /// Why the rule cannot read it.
    pub fn judge(&self, cell: Cell<'_>) -> Result<Fate<'_>, Refused> {
        match &self.rule {
            Rule::Suppress(Suppress::Drop) => return Ok(Fate::Drop),
            Rule::Suppress(Suppress::Null) => return Ok(Fate::Put(Made::Null)),
            Rule::Suppress(Suppress::Constant(value)) => return Ok(Fate::Put(value.clone())),
            Rule::Keep => return Ok(Fate::Put(Made::Kept)),
            _ if matches!(cell, Cell::Null) => return Ok(Fate::Put(Made::Null)),
            Rule::Custom(name) => return Ok(Fate::Custom(name)),
            Rule::Redact if self.secret => return Ok(Fate::Put(Made::Text(REDACTED.to_owned()))),
            Rule::Redact => return Ok(scrubbed(self.scrub.as_deref(), cell)),
            _ => {}
        }
        self.rule.made(cell).unwrap_or(Err(Refused::Kind)).map(Fate::Put)
    }

    /// Adds what was met elsewhere.
    pub fn count(&self, met: Met) {
        self.met.fetch_add(met.values, Ordering::Relaxed);
        self.nulls.fetch_add(met.nulls, Ordering::Relaxed);
        self.suppressed.fetch_add(met.suppressed, Ordering::Relaxed);
    }

    /// What becomes of a value that could not be treated, for the caller's own functions as well.
    ///
    /// # Errors
    /// The same reason, where the plan refuses such.
    pub fn failed(&self, why: Refused) -> Result<Made, Refused> {
        match self.on_error {
            OnError::Refuse => Err(why),
            OnError::Suppress => {
                self.suppressed.fetch_add(1, Ordering::Relaxed);
                Ok(Made::Null)
            }
        }
    }

    /// The text that a token or a ciphertext of this column stands for; `None` if its rule is not one that can be undone.
    pub fn reversed(&self, text: &str) -> Option<Result<String, Refused>> {
        match &self.rule {
            Rule::Token(rule) => Some(rule.open(text)),
            Rule::Ff1(rule) => Some(rule.decrypt(text)),
            _ => None,
        }
    }
}

/// A value under `redact`.
pub(super) fn scrubbed(scrub: Option<&dyn Scrub>, cell: Cell<'_>) -> Fate<'static> {
    let Some(scrub) = scrub else { return Fate::Put(Made::Null) };
    match cell {
        Cell::Other => Fate::Redact,
        // A card number is one as a number too, and as the float that a table with gaps makes of it.
        Cell::Float(number) => changed(scrub.scrub(&number.to_string())),
        cell => changed(cell.text().ok().and_then(|text| scrub.scrub(&text))),
    }
}

fn changed(text: Option<String>) -> Fate<'static> {
    Fate::Put(text.map_or(Made::Kept, Made::Text))
}

/// What stands in the place of a value whose name is secret.
pub const REDACTED: &str = "[REDACTED]";
