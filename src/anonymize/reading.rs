//! Reads the members of a table of a plan, each of its type, and none that is unknown.
//!
//! Every question names the member; what was never asked for is an error when the table is finished, with the nearest of the
//! names that were. So the names that a rule knows stand where it reads them, and nowhere else.

use serde_json::{Map, Value};

use crate::error::ConfigError;
use crate::suggest::nearest;

/// A table of a plan.
pub(super) struct Fields<'t> {
    /// What the table is called, for messages.
    at: String,
    table: &'t Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    pub fn new(at: impl Into<String>, value: &'t Value) -> Result<Self, ConfigError> {
        let at = at.into();
        match value {
            Value::Object(table) => Ok(Self { at, table, known: Vec::new() }),
            _ => Err(ConfigError::new(format!("{at}: a table is expected"))),
        }
    }

    /// An error at a member of this table.
    pub fn wrong(&self, name: &str, what: &str) -> ConfigError {
        let dot = if self.at.is_empty() { "" } else { "." };
        ConfigError::new(format!("{}{dot}{name}: {what}", self.at))
    }

    pub fn get(&mut self, name: &'static str) -> Option<&'t Value> {
        self.known.push(name);
        self.table.get(name)
    }

    pub fn text(&mut self, name: &'static str) -> Result<Option<&'t str>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "a text is expected")),
        }
    }

    /// The text of a member that must be there.
    pub fn needed(&mut self, name: &'static str, example: &str) -> Result<&'t str, ConfigError> {
        match self.text(name)? {
            Some(text) => Ok(text),
            None => Err(self.wrong(name, &format!("it is missing; such as {example}"))),
        }
    }

    /// One of these words.
    pub fn word(
        &mut self,
        name: &'static str,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => {
                let hint = match nearest(text, words.iter().copied()) {
                    Some(near) => format!("Did you mean {near:?}?"),
                    None => format!("There are {}.", words.join(", ")),
                };
                Err(self.wrong(name, &format!("{} is not known. {hint}", shown(text))))
            }
        }
    }

    pub fn integer(&mut self, name: &'static str) -> Result<Option<i64>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64()),
            Some(_) => Err(self.wrong(name, "a whole number is expected")),
        }
    }

    /// An integer that some smaller type must hold.
    pub fn small<T: TryFrom<i64>>(&mut self, name: &'static str, default: T) -> Result<T, ConfigError> {
        match self.integer(name)? {
            None => Ok(default),
            Some(number) => T::try_from(number).map_err(|_| self.wrong(name, "the number is out of range")),
        }
    }

    /// A number as its decimals.
    pub fn decimal(&mut self, name: &'static str) -> Result<Option<String>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.wrong(name, "a number is expected")),
        }
    }

    pub fn decimals(&mut self, name: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let numbers = value.as_array().and_then(|list| {
            list.iter().map(|item| item.is_number().then(|| item.to_string())).collect::<Option<Vec<_>>>()
        });
        numbers.map(Some).ok_or_else(|| self.wrong(name, "a list of numbers is expected"))
    }

    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<&'t str>>, ConfigError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let texts =
            value.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        texts.map(Some).ok_or_else(|| self.wrong(name, "a list of texts is expected"))
    }

    /// Refuses what was never asked for.
    pub fn finish(self) -> Result<(), ConfigError> {
        for name in self.table.keys() {
            if !self.known.contains(&name.as_str()) {
                let hint = match nearest(name, self.known.iter().copied()) {
                    Some(near) => format!("Did you mean {near}?"),
                    None => format!("There are {}.", self.known.join(", ")),
                };
                let of = if self.at.is_empty() { "a plan".to_owned() } else { self.at };
                return Err(ConfigError::new(format!("{} is not known in {of}. {hint}", shown(name))));
            }
        }
        Ok(())
    }
}

/// A text of the developer's, for a message: not all of it, if it is long.
pub(super) fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(80).collect();
    if start.len() < text.len() {
        start.push_str("...");
    }
    format!("{start:?}")
}
