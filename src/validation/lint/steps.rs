//! The ways down from a value to the values in it, as a schema tells them apart.

use std::rc::Rc;

use regex::Regex;

/// Which elements or members an applicator reaches.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The element at this index.
    Index(usize),
    /// Every element from this index on.
    From(usize),
    /// The member of this name.
    Member(Rc<str>),
    /// Members whose name matches.
    Pattern(Pattern),
    /// Members that neither of these covers.
    Rest {
        /// Names in `properties`.
        named: Rc<[Rc<str>]>,
        /// Patterns in `patternProperties`.
        patterns: Rc<[Pattern]>,
    },
    /// The names themselves, as strings.
    Name,
}

impl Step {
    /// Whether a step that is open to any name may be taken for this one.
    pub(super) fn may_be_member(&self, member: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(member) != Some(false),
            Self::Rest { named, patterns } => {
                !named.iter().any(|name| &**name == member)
                    && !patterns.iter().any(|pattern| pattern.matches(member) == Some(true))
            }
            _ => false,
        }
    }

    /// Whether a step that is open to any index may be taken for this one.
    pub(super) fn may_be_index(&self, index: usize) -> bool {
        matches!(self, Self::From(first) if index >= *first)
    }
}

/// A pattern of `patternProperties`, as far as it is certain what it matches.
#[derive(Debug, Clone)]
pub(in crate::validation) struct Pattern(Option<Regex>);

impl Pattern {
    /// ECMA-262 and the `regex` crate agree on simple patterns; of others nothing is claimed.
    pub(in crate::validation) fn new(pattern: &str) -> Self {
        let is_simple =
            pattern.chars().all(|c| c.is_ascii_alphanumeric() || "^$_-.:*+?()|[]{},/ ".contains(c))
                && !pattern.contains("(?")
                && !pattern.contains("[[")
                && !pattern.contains("--");
        Self(if is_simple { Regex::new(pattern).ok() } else { None })
    }

    /// Whether `name` matches, if that is certain.
    pub(in crate::validation) fn matches(&self, name: &str) -> Option<bool> {
        let is_plain = name.bytes().all(|byte| (0x20..0x7F).contains(&byte));
        self.0.as_ref().filter(|_| is_plain).map(|regex| regex.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_only_trusted_where_both_dialects_agree() {
        assert_eq!(Pattern::new("^x-").matches("x-trace"), Some(true));
        assert_eq!(Pattern::new("^x-").matches("left"), Some(false));
        assert_eq!(Pattern::new("^x-").matches("größe"), None);
        assert_eq!(Pattern::new("[[a]]").matches("a"), None);
        assert_eq!(Pattern::new("\\d").matches("1"), None);
        assert_eq!(Pattern::new("(?=a)").matches("a"), None);
    }
}
