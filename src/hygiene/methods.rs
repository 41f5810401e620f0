//! Which methods an application answers: letter for letter, since methods have a case (RFC 9110 §9.1).
//!
//! `TRACE` gives a caller's own credentials back to its page (cross-site tracing, CWE-693), `TRACK` is the same by another
//! name, and `CONNECT` asks for a tunnel: no list can have them.

use crate::error::ConfigError;

/// An allow-list of methods.
#[derive(Debug, Clone)]
pub struct Methods(Vec<Box<str>>);

impl Methods {
    /// A list of these.
    ///
    /// # Errors
    /// [`ConfigError`] for an empty list, for what is no method in capitals, and for what is never answered.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let mut found: Vec<Box<str>> = Vec::new();
        for name in names {
            if NEVER.iter().any(|never| never.eq_ignore_ascii_case(name)) {
                return Err(ConfigError::new(format!(
                    "{name} is never answered: it would give a caller's credentials back, or open a tunnel. Leave it out"
                )));
            }
            if !Self::is_name(name) {
                let meant = name.trim().to_ascii_uppercase();
                return Err(ConfigError::new(if Self::is_name(&meant) {
                    format!("{name:?} is no method: they are written in capitals. Write {meant:?}")
                } else {
                    format!(
                        "{name:?} is no method: it is a word of at most {LONGEST} capitals, such as \"GET\""
                    )
                }));
            }
            if !found.iter().any(|known| **known == *name) {
                found.push(name.into());
            }
        }
        if found.is_empty() {
            return Err(ConfigError::new("without a method, nothing would be answered"));
        }
        Ok(Self(found))
    }

    /// Whether this is a method, in capitals, that may be on a list.
    pub fn is_name(name: &str) -> bool {
        (1..=LONGEST).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
            && !NEVER.contains(&name)
    }

    /// Whether it is on the list.
    #[inline]
    pub fn has(&self, method: &str) -> bool {
        self.0.iter().any(|known| **known == *method)
    }
}

const NEVER: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// The longest that is registered, `UPDATEREDIRECTREF`, has 17 letters.
const LONGEST: usize = 32;
