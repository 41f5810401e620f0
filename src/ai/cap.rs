//! Decides how much of a text may go on: so many characters, bytes and tokens, and then it ends.
//!
//! The text ends before the first character that would be too much, at the same place however it is cut. Tokens are
//! estimated, not counted: a letter or digit of ASCII is a quarter or a third of one and begins one with each word, a
//! letter of another alphabet is half of one, an ideograph is one, a picture two, each sign and each line end one; a
//! space goes with the word after it, a run of more counts a token for every four. For English that is a little more
//! than what the tokenizers of today's models give.
//!
//! Held back: nothing.
//!
//! # What it does not do
//! An estimate is no bill: what is paid for is counted by the model's own tokenizer, which the Python side may call.
//!
//! Source: OWASP LLM06 of 2026 (Unbounded Consumption: hard caps, estimates before the call).

use super::findings::{Findings, Found};
use super::{Filter, Plan};

/// The most that may go on; none is no bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cap {
    /// Code points.
    pub characters: Option<u64>,
    /// Bytes in UTF-8.
    pub bytes: Option<u64>,
    /// Estimated tokens.
    pub tokens: Option<u64>,
}

/// How much has gone on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Code points.
    pub characters: u64,
    /// Bytes in UTF-8.
    pub bytes: u64,
    /// Estimated tokens.
    pub tokens: u64,
}

/// How many tokens a text has, about.
pub fn estimate_tokens(text: &str) -> u64 {
    let mut estimate = Estimate::default();
    text.chars().map(|c| estimate.cost(c)).sum()
}

impl Plan for Cap {
    fn start(&self) -> Box<dyn Filter> {
        Box::new(Run {
            cap: *self,
            counts: Counts::default(),
            estimate: Estimate::default(),
            stopped: None,
            findings: Findings::default(),
        })
    }
}

struct Run {
    cap: Cap,
    counts: Counts,
    estimate: Estimate,
    stopped: Option<&'static str>,
    findings: Findings,
}

impl Filter for Run {
    fn feed(&mut self, text: &str, out: &mut String) {
        if self.stopped.is_some() {
            return;
        }
        for (at, c) in text.char_indices() {
            let mut estimate = self.estimate;
            let counts = Counts {
                characters: self.counts.characters + 1,
                bytes: self.counts.bytes + c.len_utf8() as u64,
                tokens: self.counts.tokens + estimate.cost(c),
            };
            if let Some(rule) = self.cap.exceeded(counts) {
                out.push_str(text.get(..at).unwrap_or_default());
                self.findings.note(rule, self.counts.characters);
                self.stopped = Some(rule);
                return;
            }
            (self.counts, self.estimate) = (counts, estimate);
        }
        out.push_str(text);
    }

    fn finish(&mut self, _out: &mut String) {}

    fn held(&self) -> usize {
        0
    }

    fn findings(&self, all: &mut Vec<Found>) {
        self.findings.tell(all);
    }

    fn stopped(&self) -> Option<&'static str> {
        self.stopped
    }

    fn counts(&self) -> Option<Counts> {
        Some(self.counts)
    }
}

impl Cap {
    fn exceeded(&self, counts: Counts) -> Option<&'static str> {
        let over = |most: Option<u64>, count| most.is_some_and(|most| count > most);
        if over(self.characters, counts.characters) {
            Some("cap.characters")
        } else if over(self.bytes, counts.bytes) {
            Some("cap.bytes")
        } else if over(self.tokens, counts.tokens) {
            Some("cap.tokens")
        } else {
            None
        }
    }
}

/// The run of like characters that the text ends with.
#[derive(Debug, Clone, Copy, Default)]
struct Estimate {
    kind: Kind,
    length: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Blank,
    Letter,
    Digit,
    Foreign,
    Whole,
}

impl Estimate {
    /// What one more character costs.
    fn cost(&mut self, c: char) -> u64 {
        let (kind, per) = match c {
            'a'..='z' | 'A'..='Z' => (Kind::Letter, 4),
            '0'..='9' => (Kind::Digit, 3),
            ' ' | '\t' => (Kind::Blank, 4),
            _ if c < '\u{100}' && !c.is_alphabetic() => (Kind::Whole, 1),
            '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => (Kind::Whole, 1),
            '\u{10000}'.. => (Kind::Whole, 0),
            _ => (Kind::Foreign, 2),
        };
        self.length = if kind == self.kind { self.length.wrapping_add(1) } else { 0 };
        self.kind = kind;
        match (kind, per) {
            (Kind::Whole, 0) => 2,
            // The first blank goes with the word after it.
            (Kind::Blank, _) => u64::from(self.length % per == per - 1),
            _ => u64::from(self.length.is_multiple_of(per)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn a_text_ends_exactly_at_its_cap() {
        let characters = Cap { characters: Some(5), ..Cap::default() };
        assert_eq!(run(&characters, &["héll", "o"]), ("héllo".to_owned(), None));
        assert_eq!(run(&characters, &["héll", "o!", "more"]), ("héllo".to_owned(), Some("cap.characters")));
        let bytes = Cap { bytes: Some(5), ..Cap::default() };
        assert_eq!(run(&bytes, &["hél", "lo"]), ("héll".to_owned(), Some("cap.bytes")));
        let tokens = Cap { tokens: Some(3), ..Cap::default() };
        assert_eq!(run(&tokens, &["one two six", " ten"]), ("one two six ".to_owned(), Some("cap.tokens")));
        assert_eq!(
            run(&Cap { characters: Some(0), ..Cap::default() }, &["a"]),
            (String::new(), Some("cap.characters"))
        );
    }

    #[test]
    fn an_estimate_is_near_what_tokenizers_give() {
        // Counted with o200k_base: 10, 5, 7, 8.
        for (text, least, most) in [
            ("The quick brown fox jumps over the lazy dog.", 10, 14),
            ("for (;;) {}", 4, 9),
            ("你好，世界！", 4, 7),
            ("Привет, как дела?", 5, 11),
            ("", 0, 0),
            (&" ".repeat(400), 90, 110),
        ] {
            let tokens = estimate_tokens(text);
            assert!((least..=most).contains(&tokens), "{text:?} {tokens}");
        }
    }
}
