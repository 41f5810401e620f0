//! What a developer got wrong, told at start-up.
//!
//! Errors are sorted by who is to blame. This file holds the developer's: it may quote what was
//! configured and should suggest the cure. What a peer gets wrong is a rejection, one enum in each
//! room, which never quotes a value.

use std::fmt;

/// A setting, key, quota, schema or header that cannot be used. Raised at start-up, never by a request.
///
/// The message is written for the developer: it says what was wrong and what would be right.
/// It never contains key material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}
