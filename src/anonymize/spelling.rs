//! Decides which spellings of a text are one, before it gets a pseudonym.
//!
//! Nothing is done that was not declared: without a declaration, `Ann@example.org` and `ann@example.org` are two people.
//! What was declared is done in this order, whatever the order of the declaration:
//! 1. `nfc` or `nfkc` (UAX #15); 2. `lower`: lower case, by Unicode, without a language; 3. the form again, since lower case
//!    may leave it; 4. `blanks`: each run of white space becomes one space; 5. `strip`: white space at the ends is dropped.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::error::ConfigError;
use crate::suggest::nearest;

/// What is made equal before a text is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spelling {
    form: Option<Form>,
    lower: bool,
    blanks: bool,
    strip: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Nfc,
    Nfkc,
}

const WORDS: [&str; 5] = ["nfc", "nfkc", "lower", "blanks", "strip"];

impl Spelling {
    /// From the words of a declaration.
    ///
    /// # Errors
    /// For another word, a word twice, or both forms.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let mut spelling = Self::default();
        for word in words {
            let twice = match word {
                "nfc" => spelling.form.replace(Form::Nfc).is_some(),
                "nfkc" => spelling.form.replace(Form::Nfkc).is_some(),
                "lower" => std::mem::replace(&mut spelling.lower, true),
                "blanks" => std::mem::replace(&mut spelling.blanks, true),
                "strip" => std::mem::replace(&mut spelling.strip, true),
                other => {
                    let hint = match nearest(other, WORDS) {
                        Some(near) => format!(" Did you mean {near:?}?"),
                        None => format!(" There are {}.", WORDS.join(", ")),
                    };
                    return Err(ConfigError::new(format!("normalise: {other:?} is not known.{hint}")));
                }
            };
            if twice {
                return Err(ConfigError::new("normalise: each word once, and one of nfc and nfkc"));
            }
        }
        Ok(spelling)
    }

    /// *text* in the one spelling.
    pub(super) fn of<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = self.formed(Cow::Borrowed(text));
        if self.lower {
            text = self.formed(Cow::Owned(text.to_lowercase()));
        }
        if self.blanks {
            text = Cow::Owned(one_space(&text));
        }
        if self.strip {
            text = match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
                Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
            };
        }
        text
    }

    fn formed<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        match self.form {
            // What is ASCII is in every form already.
            _ if text.is_ascii() => text,
            None => text,
            Some(Form::Nfc) => Cow::Owned(text.nfc().collect()),
            Some(Form::Nfkc) => Cow::Owned(text.nfkc().collect()),
        }
    }
}

fn one_space(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = false;
    for letter in text.chars() {
        if letter.is_whitespace() {
            if !blank {
                out.push(' ');
            }
            blank = true;
        } else {
            out.push(letter);
            blank = false;
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made(words: &[&str], text: &str) -> String {
        Spelling::new(words.iter().copied()).unwrap().of(text).into_owned()
    }

    #[test]
    fn nothing_is_made_equal_that_was_not_declared() {
        assert_eq!(made(&[], " Ann\u{301} "), " Ann\u{301} ");
        assert_eq!(made(&["strip"], " Ann  B "), "Ann  B");
        assert_eq!(made(&["blanks", "strip"], "\u{a0}Ann \t B\n"), "Ann B");
        assert_eq!(made(&["lower"], "ANN"), "ann");
        assert_eq!(made(&["nfc"], "e\u{301}"), "\u{e9}");
    }

    #[test]
    fn capitals_that_a_form_brings_are_made_small_too() {
        // U+2121 is "TEL" in NFKC; U+0130 is two characters in lower case.
        assert_eq!(made(&["lower", "nfkc"], "\u{2121} \u{ff21}"), "tel a");
        assert_eq!(made(&["nfc", "lower"], "\u{130}"), "i\u{307}");
    }

    #[test]
    fn a_declaration_that_says_two_things_is_refused() {
        for words in [&["nfc", "nfkc"][..], &["lower", "lower"], &["lowre"], &[""]] {
            assert!(Spelling::new(words.iter().copied()).is_err(), "{words:?}");
        }
        let error = Spelling::new(["lowre"]).unwrap_err().to_string();
        assert!(error.contains("Did you mean \"lower\""), "{error}");
    }
}
