//! Decides what of a prompt or an answer may go on, while it is still being written.
//!
//! An answer of a model is a text that an attacker may have a hand in: whoever writes a page that the model reads can make
//! it write (OWASP LLM01). So it is filtered before it reaches a terminal, a browser or a person. Each filter is one
//! rule with one file:
//! 1. [`Ansi`]: no escape sequence of a terminal (`ansi.rs`);
//! 2. [`Invisible`]: no character that is not seen, but for what scripts need (`invisible.rs`);
//! 3. [`Canary`]: no canary, however it is spelled (`canary.rs`, on `spelled.rs` and `escapes.rs`);
//! 4. [`Leak`]: no passage of the system prompt (`leak.rs`);
//! 5. [`Cap`]: no more than so much (`cap.rs`);
//! 6. [`Placeholders`]: what was hidden from the model is put back, where it cannot be carried off (`placeholders.rs`,
//!    `restore.rs`, `places.rs`);
//! 7. [`Links`]: no image and no link to a host that is not listed (`links/`).
//!
//! A [`Chain`] runs several, in the order in which they are given; the order above is the one for answers. Links are last,
//! so that whatever leaves was seen by them.
//!
//! # One definition for texts and streams
//! A filter is an automaton over characters: it does the same at each character, wherever chunks begin and end. So for
//! every text and every way to cut it, what [`Filter::feed`] and [`Filter::finish`] give is, put together, what they give
//! for the whole. What a filter cannot decide yet it holds back, never more than its file says. The time is linear.
//!
//! A filter that stops gives what stood before its find, the same for every cut, and then nothing any more.
//!
//! # What it does not do
//! It does not recognise an injection, a lie or an insult: no pattern does. It knows no model and no tokenizer.
//!
//! Sources: OWASP Top 10 for LLM Applications 2026 (LLM02, LLM06, LLM08, LLM10).

mod ansi;
mod canary;
mod cap;
mod chain;
mod escapes;
mod findings;
mod held;
mod invisible;
mod leak;
mod links;
mod look_alike;
mod packed;
mod placeholders;
mod places;
mod restore;
mod spelled;

#[cfg(test)]
mod tests;

pub use ansi::{Ansi, Returns};
pub use canary::{Canary, canary_of};
pub use cap::{Cap, Counts, estimate_tokens};
pub use chain::Chain;
pub use findings::{Findings, Found};
pub use invisible::Invisible;
pub use leak::Leak;
pub use links::{Links, LinksRules, Policy};
pub use placeholders::{Hidden, Placeholders};
pub use restore::Restore;

/// What becomes of a text: made once, shared by all threads.
pub trait Plan: Send + Sync {
    /// A filter for one text.
    fn start(&self) -> Box<dyn Filter>;
}

/// A filter at work on one text.
pub trait Filter: Send + Sync {
    /// Takes the next piece of the text, and writes to *out* what may go on now.
    fn feed(&mut self, text: &str, out: &mut String);
    /// Takes the end of the text, and writes what is left. Once only.
    fn finish(&mut self, out: &mut String);
    /// How many characters are held back.
    fn held(&self) -> usize;
    /// What was found so far.
    fn findings(&self, all: &mut Vec<Found>);
    /// The rule that ended the text before its end.
    fn stopped(&self) -> Option<&'static str>;
    /// Characters, bytes and estimated tokens, if this filter counts them.
    fn counts(&self) -> Option<Counts> {
        None
    }
}

/// What becomes of a find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFind {
    /// The text ends before it.
    Stop,
    /// A mark stands in its place.
    Replace,
}
