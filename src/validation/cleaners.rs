//! What can be done to a text, and asked of one, by name: the words that `x-clean` and `format` take beside JSON Schema's.
//!
//! Validation knows none of them itself: the border hands them over, so that no room needs another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::error::ConfigError;

/// Cleans a text; nothing where there is nothing to do.
pub type Clean = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Makes a cleaner of what stands behind its name: `{"text": {"form": "NFKC"}}`; null where only the name is given.
pub type MakeClean = fn(&Value) -> Result<Clean, ConfigError>;

/// Whether a text has a format.
pub type Is = fn(&str) -> bool;

/// The keyword that names a cleaner.
pub(super) const NAME: &str = "x-clean";

/// The cleaners and formats that schemas may name.
#[derive(Default)]
pub struct Cleaners {
    cleaners: BTreeMap<&'static str, MakeClean>,
    formats: BTreeMap<&'static str, Is>,
}

impl Cleaners {
    /// With one more for `x-clean`.
    #[must_use]
    pub fn with(mut self, name: &'static str, make: MakeClean) -> Self {
        self.cleaners.insert(name, make);
        self
    }

    /// With one more for `format`.
    #[must_use]
    pub fn with_format(mut self, name: &'static str, is: Is) -> Self {
        self.formats.insert(name, is);
        self
    }

    pub(super) fn formats(&self) -> impl Iterator<Item = (&'static str, Is)> {
        self.formats.iter().map(|(name, is)| (*name, *is))
    }

    /// The cleaner that an `x-clean` at `pointer` names.
    pub(super) fn make(&self, said: &Value, pointer: &str) -> Result<Clean, ConfigError> {
        let (name, options) = match said {
            Value::String(name) => (name, &Value::Null),
            Value::Object(map) => match (map.iter().next(), map.len()) {
                (Some((name, options)), 1) => (name, options),
                _ => return Err(self.unknown(said, pointer)),
            },
            _ => return Err(self.unknown(said, pointer)),
        };
        let make = self.cleaners.get(name.as_str()).ok_or_else(|| self.unknown(said, pointer))?;
        make(options).map_err(|error| ConfigError::new(format!("the x-clean at {pointer}: {error}")))
    }

    fn unknown(&self, said: &Value, pointer: &str) -> ConfigError {
        let names: Vec<_> = self.cleaners.keys().map(|name| format!("\"{name}\"")).collect();
        ConfigError::new(format!(
            "the x-clean at {pointer} is {said:.80}: write one of {}, or an object of one of them with its options, \
             such as {{\"text\": {{\"form\": \"NFKC\"}}}}",
            names.join(", ")
        ))
    }
}

impl fmt::Debug for Cleaners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.cleaners.keys()).entries(self.formats.keys()).finish()
    }
}
