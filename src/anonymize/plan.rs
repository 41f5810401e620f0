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

use std::sync::Arc;

use foldhash::HashMap;
use serde_json::{Map, Value};

use super::column::{Column, Fate, scrubbed};
use super::key::MasterKey;
use super::path::{Step, steps};
use super::reading::{Fields, shown};
use super::rules::Rule;
use super::token::Sealer;
use super::value::{Cell, Made, Refused};
use crate::error::ConfigError;

/// Finds secrets in text, for the rule `redact`.
pub trait Scrub: Send + Sync {
    /// The text without its secrets, if it has some.
    fn scrub(&self, text: &str) -> Option<String>;

    /// Whether values of this name are secret.
    fn is_secret_name(&self, name: &str) -> bool;

    /// What is in the text, by entity; each as often as it is there.
    fn entities(&self, text: &str) -> Vec<String>;
}

/// Makes what tokens are sealed with, for a scope, by the keyset of the name that the rule gives, if it gives one.
pub type SealerFor<'h> = &'h dyn Fn(&str, Option<&str>) -> Result<Box<dyn Sealer>, ConfigError>;

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

const MAX_COLUMNS: usize = 10_000;
/// Most quasi-identifiers, and most sensitive columns.
const MAX_MEASURED: usize = 1000;
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
        self.columns.push(Column::new(path, word, rule, on_error, hands.scrub.clone(), secret));
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

    /// Which of [`Self::columns`] has the rule of a place.
    pub fn index(&self, node: &Node) -> Option<usize> {
        node.column
    }

    /// What secrets are in a text, by entity.
    pub fn entities(&self, text: &str) -> Vec<String> {
        self.scrub.as_ref().map_or_else(Vec::new, |scrub| scrub.entities(text))
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

    /// What becomes of a value that a rule cannot read, where the rule does not say.
    pub fn on_error(&self) -> OnError {
        self.on_error
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

fn on_error(fields: &mut Fields<'_>) -> Result<Option<OnError>, ConfigError> {
    Ok(fields.word("on_error", &["refuse", "suppress"])?.map(|word| match word {
        "suppress" => OnError::Suppress,
        _ => OnError::Refuse,
    }))
}

/// Paths that lead to one value of each record, each once.
fn scalars(fields: &mut Fields<'_>, name: &'static str) -> Result<Vec<String>, ConfigError> {
    let paths = fields.texts(name)?.unwrap_or_default();
    // Each row has as many values as these, and each two of them are compared.
    if paths.len() > MAX_MEASURED {
        return Err(fields.wrong(name, &format!("at most {MAX_MEASURED} paths")));
    }
    for (at, path) in paths.iter().enumerate() {
        if steps(path)?.contains(&Step::Each) {
            let path = shown(path);
            return Err(fields.wrong(name, &format!("{path} leads to several values of a record")));
        }
        if paths.iter().take(at).any(|known| known == path) {
            return Err(fields.wrong(name, &format!("{} is there twice", shown(path))));
        }
    }
    Ok(paths.into_iter().map(str::to_owned).collect())
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
