//! Names a place in a record: `user.email`, `orders[*].card`, `"a name with. in it".x`.
//!
//! Names are parted by dots; `[*]` is each element of a list; a name in double quotes is taken as it is, with `\"` and `\\` for
//! these two. At most 1024 bytes and 32 steps. There are no other patterns: what a plan treats, it names.

use crate::error::ConfigError;

/// One step into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Each element of a list.
    Each,
    /// The member of this name.
    Member(String),
}

const MAX_BYTES: usize = 1024;
const MAX_STEPS: usize = 32;

/// The steps of a path.
///
/// # Errors
/// If it is empty, too long, or not written as above.
pub fn steps(path: &str) -> Result<Vec<Step>, ConfigError> {
    let wrong = |why: &str| {
        let shown: String = path.chars().take(80).collect();
        Err(ConfigError::new(format!("{shown:?} is not a path such as user.email or orders[*].card: {why}")))
    };
    if path.is_empty() || path.len() > MAX_BYTES {
        return wrong("it has 1 to 1024 bytes");
    }
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let name = if let Some(quoted) = rest.strip_prefix('"') {
            let Some((name, after)) = unquoted(quoted) else { return wrong("a quote is not closed") };
            rest = after;
            name
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() {
                return wrong("a name is empty");
            }
            if name.contains(['"', ']', '*', '\\']) {
                return wrong("a name with a mark in it stands in double quotes");
            }
            rest = after;
            name.to_owned()
        };
        steps.push(Step::Member(name));
        while let Some(after) = rest.strip_prefix("[*]") {
            steps.push(Step::Each);
            rest = after;
        }
        if steps.len() > MAX_STEPS {
            return wrong("it has at most 32 steps");
        }
        if rest.is_empty() {
            return Ok(steps);
        }
        let Some(after) = rest.strip_prefix('.') else { return wrong("after a name is a dot or [*]") };
        rest = after;
    }
}

/// A name as a message may show it: one that looks like a name of a column, not like a value that became one.
///
/// Tables by customer have addresses and numbers for names.
pub fn shown_name(name: &str) -> &str {
    let plain = name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' '));
    let digits = name.chars().filter(|letter| letter.is_numeric()).count();
    if plain && digits <= 4 && (1..=64).contains(&name.len()) { name } else { "(a name that is not shown)" }
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut letters = text.char_indices();
    loop {
        match letters.next()? {
            (at, '"') => return Some((name, text.get(at + 1..)?)),
            (_, '\\') => match letters.next()?.1 {
                letter @ ('"' | '\\') => name.push(letter),
                _ => return None,
            },
            (_, letter) => name.push(letter),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn member(name: &str) -> Step {
        Step::Member(name.to_owned())
    }

    #[test]
    fn paths_are_read_as_they_are_written() {
        assert_eq!(steps("a").unwrap(), [member("a")]);
        assert_eq!(steps("a.b[*].c").unwrap(), [member("a"), member("b"), Step::Each, member("c")]);
        assert_eq!(steps("a[*][*]").unwrap(), [member("a"), Step::Each, Step::Each]);
        assert_eq!(steps(r#""a.b\"\\[*]".c d"#).unwrap(), [member("a.b\"\\[*]"), member("c d")]);
        assert_eq!(steps(r#""""#).unwrap(), [member("")]);
    }

    #[test]
    fn a_name_that_looks_like_a_value_is_not_shown() {
        for name in ["e-mail", "Name 2", "caf\u{e9}"] {
            assert_eq!(shown_name(name), name);
        }
        for value in ["ann@example.org", "4111111111111111", "", "1984-05-09", "a.b", &"x".repeat(65)] {
            assert_ne!(shown_name(value), value);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = "a.".repeat(33) + "a";
        for path in [
            "", ".", "a.", ".a", "a..b", "a[0]", "a[*]b", "[*]", "a*", "\"a", "\"a\"b", "\"\\n\"", "a\"b",
            &long,
        ] {
            assert!(steps(path).is_err(), "{path}");
        }
    }
}
