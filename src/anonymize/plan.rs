//! Decides which rule a column has, and what becomes of one that has none.
//!
//! A plan is a table, as TOML or as the same in other clothes:
//!
//! ```toml
//! default = "refuse"                  # or "drop", "keep", "redact": columns that no rule names
//! on_error = "refuse"                 # or "suppress": values that a rule cannot read
//! quasi_identifiers = ["birth"]       # what the result is measured by
//! sensitive = ["diagnosis"]
//! [columns]
//! note = "drop"
//! [columns."user.email"]
//! do = "pseudonym"
//! scope = "mail"
//! on_error = "suppress"
//! ```
//!
//! 1. The plan is whole or nothing: an unknown member, rule or value stops it, with the nearest right spelling.
//! 2. Two rules never meet one value: a path may not lead on from another's end.
//! 3. No key stands in a plan. It is handed over beside it ([`Hands`]).
//! 4. A value that a rule cannot read is refused, or becomes nothing: it is never passed on as it was.
//!
//! Each column counts what it met, so that a rule that met nothing, whose path was mistyped perhaps, can be told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use super::key::MasterKey;
use super::path::{Step, steps};
use super::reading::Fields;
use super::rules::Rule;
use super::suppress::Suppress;
use super::token::Sealer;
use super::value::{Cell, Made, Refused};
use crate::error::ConfigError;

/// Finds secrets in text, for the rule `redact`.
pub trait Scrub: Send + Sync {
    /// The text without its secrets, if it has some.
    fn scrub(&self, text: &str) -> Option<String>;

    /// Whether values of this name are secret.
    fn is_secret_name(&self, name: &str) -> bool;
}

/// Makes what tokens are sealed with, for a scope.
pub type SealerFor<'h> = &'h dyn Fn(&str) -> Result<Box<dyn Sealer>, ConfigError>;

/// What a plan is given beside its text.
#[derive(Default)]
pub struct Hands<'h> {
    /// The key from which those of pseudonyms, tokens and FF1 are derived.
    pub key: Option<&'h MasterKey>,
    /// What seals tokens; without it, AES-SIV under a key that is derived.
    pub sealer: Option<SealerFor<'h>>,
    /// What redacts.
    pub scrub: Option<Arc<dyn Scrub>>,
    /// Names of functions that the caller has for `custom`.
    pub customs: Vec<String>,
}

/// What becomes of a column that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// It is left out.
    Drop,
    /// It stays as it is.
    Keep,
    /// It stays, without secrets that are known by shape or name.
    Redact,
    /// The record is refused.
    Refuse,
}

/// What becomes of a value that a rule cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The record is refused.
    Refuse,
    /// It becomes nothing.
    Suppress,
}

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
    rule: Rule,
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
        match self.rule.made(cell) {
            Some(Ok(made)) => Ok(Fate::Put(made)),
            Some(Err(why)) => self.failed(why).map(Fate::Put),
            None => self.failed(Refused::Kind).map(Fate::Put),
        }
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

/// A place in the records that the plan knows: one that has a rule, or that leads to some.
#[derive(Default)]
pub struct Node {
    column: Option<usize>,
    members: HashMap<String, Node>,
    each: Option<Box<Node>>,
}

impl Node {
    /// The place of a member.
    pub fn member(&self, name: &str) -> Option<&Node> {
        self.members.get(name)
    }

    /// The place of each element.
    pub fn each(&self) -> Option<&Node> {
        self.each.as_deref()
    }

    /// Whether members are named below it.
    pub fn has_members(&self) -> bool {
        !self.members.is_empty()
    }
}

/// Which rule each column has.
pub struct Plan {
    columns: Vec<Column>,
    root: Node,
    unnamed: Unnamed,
    on_error: OnError,
    quasi_identifiers: Vec<String>,
    sensitive: Vec<String>,
    scrub: Option<Arc<dyn Scrub>>,
}

/// What stands in the place of a value whose name is secret.
pub const REDACTED: &str = "[REDACTED]";

const MAX_COLUMNS: usize = 10_000;
const MAX_TEXT: usize = 1 << 20;

impl Plan {
    /// A plan that is written in TOML.
    ///
    /// # Errors
    /// If it is not TOML, longer than one MiB, or not a plan.
    pub fn parse(text: &str, hands: &Hands<'_>) -> Result<Self, ConfigError> {
        if text.len() > MAX_TEXT {
            return Err(ConfigError::new("a plan has at most one MiB"));
        }
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            // Its own display quotes the line, which is the developer's; the place is enough.
            let at = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
            ConfigError::new(format!("line {line} of the plan is not TOML: {}", error.message()))
        })?;
        Self::new(&Value::Object(members(table)?), hands)
    }

    /// A plan that was read already.
    ///
    /// # Errors
    /// For anything that is unknown or cannot be.
    pub fn new(table: &Value, hands: &Hands<'_>) -> Result<Self, ConfigError> {
        let mut fields = Fields::new("", table)?;
        let unnamed = match fields.word("default", &["refuse", "drop", "keep", "redact"])? {
            Some("drop") => Unnamed::Drop,
            Some("keep") => Unnamed::Keep,
            Some("redact") if hands.scrub.is_none() => {
                return Err(fields.wrong("default", "there is nothing here that redacts"));
            }
            Some("redact") => Unnamed::Redact,
            _ => Unnamed::Refuse,
        };
        let on_error = on_error(&mut fields)?.unwrap_or(OnError::Refuse);
        let mut plan = Self {
            columns: Vec::new(),
            root: Node::default(),
            unnamed,
            on_error,
            quasi_identifiers: scalars(&mut fields, "quasi_identifiers")?,
            sensitive: scalars(&mut fields, "sensitive")?,
            scrub: hands.scrub.clone(),
        };
        let columns = fields.get("columns").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        fields.finish()?;
        let Value::Object(columns) = columns else {
            return Err(ConfigError::new("columns: a table is expected"));
        };
        if columns.len() > MAX_COLUMNS {
            return Err(ConfigError::new(format!("columns: at most {MAX_COLUMNS} rules")));
        }
        for (path, table) in &columns {
            plan.add(path, table, hands)?;
        }
        plan.check_measured()?;
        Ok(plan)
    }

    fn add(&mut self, path: &str, table: &Value, hands: &Hands<'_>) -> Result<(), ConfigError> {
        let at = format!("columns.{path:?}");
        let bare;
        let table = match table {
            Value::String(_) => {
                bare = Value::Object(Map::from_iter([("do".to_owned(), table.clone())]));
                &bare
            }
            other => other,
        };
        let mut fields = Fields::new(at.as_str(), table)?;
        // What a rule says of its own members does not say where it stands.
        let told = |error: ConfigError| {
            let text = error.to_string();
            if text.contains(at.as_str()) { error } else { ConfigError::new(format!("{at}: {text}")) }
        };
        let (rule, word) = Rule::read(&mut fields, hands).map_err(told)?;
        let on_error = on_error(&mut fields)?.unwrap_or(self.on_error);
        fields.finish()?;
        let mut node = &mut self.root;
        let taken =
            || ConfigError::new(format!("{at}: another rule treats this place, or one that it leads to"));
        let mut secret = false;
        for step in steps(path)? {
            if node.column.is_some() {
                return Err(taken());
            }
            node = match step {
                Step::Member(name) => {
                    secret |= hands.scrub.as_ref().is_some_and(|scrub| scrub.is_secret_name(&name));
                    node.members.entry(name).or_default()
                }
                Step::Each => node.each.get_or_insert_default(),
            };
        }
        if node.column.is_some() || node.each.is_some() || node.has_members() {
            return Err(taken());
        }
        node.column = Some(self.columns.len());
        self.columns.push(Column {
            path: path.to_owned(),
            word,
            rule,
            on_error,
            scrub: hands.scrub.clone(),
            secret,
            met: AtomicU64::new(0),
            nulls: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        });
        Ok(())
    }

    /// What is measured must be there to be measured.
    fn check_measured(&self) -> Result<(), ConfigError> {
        for (name, paths) in [("quasi_identifiers", &self.quasi_identifiers), ("sensitive", &self.sensitive)]
        {
            for path in paths {
                let known = self.place(path)?.and_then(|node| self.column(node));
                if known.is_none() && matches!(self.unnamed, Unnamed::Drop | Unnamed::Refuse) {
                    return Err(ConfigError::new(format!(
                        "{name}: no rule names {path:?}, so it is not in the result"
                    )));
                }
                if self.quasi_identifiers.contains(path) && self.sensitive.contains(path) {
                    return Err(ConfigError::new(format!(
                        "sensitive: {path:?} is a quasi-identifier already; it is one of the two"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The place of a whole record.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The rule of a place, if it is one that has its own.
    pub fn column(&self, node: &Node) -> Option<&Column> {
        self.columns.get(node.column?)
    }

    /// The place that a path leads to, if the plan knows it.
    ///
    /// # Errors
    /// If it is no path.
    pub fn place(&self, path: &str) -> Result<Option<&Node>, ConfigError> {
        Ok(steps(path)?.iter().try_fold(&self.root, |node, step| match step {
            Step::Member(name) => node.member(name),
            Step::Each => node.each(),
        }))
    }

    /// The rule that treats whole something which this path leads into.
    ///
    /// # Errors
    /// If it is no path.
    pub fn above(&self, path: &str) -> Result<Option<&Column>, ConfigError> {
        let steps = steps(path)?;
        let mut node = &self.root;
        for step in steps.iter().take(steps.len().saturating_sub(1)) {
            let next = match step {
                Step::Member(name) => node.member(name),
                Step::Each => node.each(),
            };
            let Some(next) = next else { return Ok(None) };
            if let Some(column) = self.column(next) {
                return Ok(Some(column));
            }
            node = next;
        }
        Ok(None)
    }

    /// All columns that have a rule, in the plan's order: that of the alphabet.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What becomes of a column that no rule names.
    pub fn unnamed(&self) -> Unnamed {
        self.unnamed
    }

    /// What becomes of a list or a table where the plan has the other, or a plain value where it has either.
    ///
    /// # Errors
    /// [`Refused::Kind`], where the plan refuses such.
    pub fn misshapen(&self) -> Result<Made, Refused> {
        match self.on_error {
            OnError::Refuse => Err(Refused::Kind),
            OnError::Suppress => Ok(Made::Null),
        }
    }

    /// A value under `redact`, of a column that has that by default.
    pub fn redacted(&self, cell: Cell<'_>) -> Fate<'static> {
        scrubbed(self.scrub.as_deref(), cell)
    }

    /// Whether all values of this name are secret, under `redact`.
    pub fn is_secret_name(&self, name: &str) -> bool {
        self.scrub.as_ref().is_some_and(|scrub| scrub.is_secret_name(name))
    }

    /// Paths by which people may be told apart.
    pub fn quasi_identifiers(&self) -> &[String] {
        &self.quasi_identifiers
    }

    /// Paths of what nobody should learn of them.
    pub fn sensitive(&self) -> &[String] {
        &self.sensitive
    }
}

fn scrubbed(scrub: Option<&dyn Scrub>, cell: Cell<'_>) -> Fate<'static> {
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

fn on_error(fields: &mut Fields<'_>) -> Result<Option<OnError>, ConfigError> {
    Ok(fields.word("on_error", &["refuse", "suppress"])?.map(|word| match word {
        "suppress" => OnError::Suppress,
        _ => OnError::Refuse,
    }))
}

/// Paths that lead to one value of each record, each once.
fn scalars(fields: &mut Fields<'_>, name: &'static str) -> Result<Vec<String>, ConfigError> {
    let mut paths: Vec<String> = Vec::new();
    for path in fields.texts(name)?.unwrap_or_default() {
        if steps(path)?.contains(&Step::Each) {
            return Err(fields.wrong(name, &format!("{path:?} leads to several values of a record")));
        }
        if paths.iter().any(|known| known == path) {
            return Err(fields.wrong(name, &format!("{path:?} is there twice")));
        }
        paths.push(path.to_owned());
    }
    Ok(paths)
}

/// TOML as the tree that plans are read from. Dates become their text.
fn members(table: toml::Table) -> Result<Map<String, Value>, ConfigError> {
    table.into_iter().map(|(name, value)| Ok((name, member(value)?))).collect()
}

fn member(value: toml::Value) -> Result<Value, ConfigError> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| ConfigError::new("a plan has no infinite numbers"))?,
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(list) => {
            Value::Array(list.into_iter().map(member).collect::<Result<Vec<_>, ConfigError>>()?)
        }
        toml::Value::Table(table) => Value::Object(members(table)?),
    })
}
