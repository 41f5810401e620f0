//! How much JSON a body may hold.

use crate::error::ConfigError;

/// The limits of one parse. Each is inclusive: exactly the bound passes, one more is refused.
///
/// Values as such are not counted: the shortest takes two bytes, so `max_bytes` bounds them too. A
/// body of many empty arrays becomes at most about 32 times its own size in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Longest body, in bytes.
    pub(super) max_bytes: usize,
    /// Deepest nesting: `[]` has depth 1, a number has depth 0.
    pub(super) max_depth: usize,
    /// Most object members in the whole document.
    pub(super) max_keys: usize,
    /// Longest number, in characters as written, without its sign.
    pub(super) max_digits: usize,
}

impl Bounds {
    /// The deepest nesting that can be allowed: the schema engine stops comparing values below it.
    pub const DEEPEST: usize = 255;
    /// The longest number that can be allowed: what Python itself converts by default.
    pub const LONGEST_NUMBER: usize = 4300;

    /// Bounds that can be kept.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the bound which is zero or above what the engine can honour.
    pub fn new(
        max_bytes: usize,
        max_depth: usize,
        max_keys: usize,
        max_digits: usize,
    ) -> Result<Self, ConfigError> {
        within("max_bytes", max_bytes, usize::MAX >> 1)?;
        within("max_depth", max_depth, Self::DEEPEST)?;
        within("max_keys", max_keys, usize::MAX >> 1)?;
        within("max_digits", max_digits, Self::LONGEST_NUMBER)?;
        Ok(Self { max_bytes, max_depth, max_keys, max_digits })
    }

    /// Longest body, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Deepest nesting.
    pub fn max_depth(&self) -> usize {
        self.max_depth
    }

    /// Most object members in the whole document.
    pub fn max_keys(&self) -> usize {
        self.max_keys
    }

    /// Longest number, in characters without its sign.
    pub fn max_digits(&self) -> usize {
        self.max_digits
    }
}

impl Default for Bounds {
    /// 1 MiB, 64 levels, 10,000 members, 309 digits (the longest integer that a double can hold).
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_depth: 64, max_keys: 10_000, max_digits: 309 }
    }
}

fn within(name: &str, value: usize, most: usize) -> Result<(), ConfigError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(format!("{name} is {value}; it must be between 1 and {most}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_defaults_are_bounds_that_can_be_kept() {
        let defaults = Bounds::default();
        assert_eq!(Bounds::new(1 << 20, 64, 10_000, 309).unwrap(), defaults);
    }

    #[test]
    fn a_bound_of_zero_or_beyond_the_engine_is_refused_by_name() {
        for (bounds, name) in [
            (Bounds::new(0, 1, 1, 1), "max_bytes"),
            (Bounds::new(1, 0, 1, 1), "max_depth"),
            (Bounds::new(1, 256, 1, 1), "max_depth"),
            (Bounds::new(1, 1, 0, 1), "max_keys"),
            (Bounds::new(1, 1, 1, 4301), "max_digits"),
        ] {
            assert!(bounds.unwrap_err().to_string().starts_with(name));
        }
    }
}
