//! Decides whether an answer tells the system prompt, word for word.
//!
//! The prompt is kept as hashes of its words: of each alone, of each two and each five in a row. Words are compared without
//! case and width; what stands between them makes no difference, nor do characters that are not seen. An ideograph, a
//! kana, a letter of Thai, Lao, Khmer or Burmese is a word by itself. A leak is
//! 1. so many words in a row (12, or all of a shorter prompt), each five of which stand in the prompt in a row: `leak.run`;
//! 2. or such fives that add up to a share of the prompt's (a quarter, and no fewer than in 1.): `leak.share`. From then
//!    on each five words of it are a find.
//!
//! What may be said (`allow`) counts for neither. A find ends the text before the first word of its run, or is replaced, with
//! all that goes on with it, by `[system prompt]`.
//!
//! Held back: the word that is being written, and the words that may begin a run: at most 11 words with up to 64 bytes each
//! and up to 64 bytes between them. What was told piecemeal before the share was reached has passed.
//!
//! # What it does not do
//! It finds no paraphrase, no translation, no summary, and no prompt that is encoded, spelled out or told with a word between
//! every four: a canary in the prompt finds some of these (`canary.rs`). OWASP: a system prompt is no place for secrets.
//!
//! Memory: 8 bytes for each word, pair and five of the prompt; a bit for each five in each answer.
//!
//! Sources: OWASP LLM08 of 2026 (Hidden Context Exposure); "On the resemblance and containment of documents" (Broder, 1997).

use std::collections::VecDeque;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization as _;

use super::findings::{Findings, Found};
use super::held::Held;
use super::{Filter, OnFind, Plan};
use crate::characters::is_unseen;
use crate::error::ConfigError;

/// Finds passages of one prompt.
pub struct Leak(Arc<Known>);

struct Known {
    words: Vec<u64>,
    pairs: Vec<u64>,
    /// Of so many words in a row.
    shingles: Vec<u64>,
    width: usize,
    run: usize,
    /// So many different shingles are a leak.
    share: usize,
    on_find: OnFind,
}

impl Leak {
    /// Finds passages of *prompt*: *words* in a row, or a *share* of it; what stands in *allow* may be told.
    ///
    /// # Errors
    /// If the prompt has fewer than four words or over a mebibyte, *words* are not 4 to 64, or *share* is not above 0 and up to 1.
    pub fn new<'t>(
        prompt: &str,
        words: usize,
        share: f64,
        allow: impl IntoIterator<Item = &'t str>,
        on_find: OnFind,
    ) -> Result<Self, ConfigError> {
        if !(LEAST..=64).contains(&words) {
            return Err(ConfigError::new(format!("words: a passage has {LEAST} to 64 words, not {words}")));
        }
        if !(share > 0.0 && share <= 1.0) {
            return Err(ConfigError::new("share: a share of the prompt is above 0 and at most 1"));
        }
        if prompt.len() > LONGEST_PROMPT {
            return Err(ConfigError::new("prompt: a prompt has at most a mebibyte"));
        }
        let all = hashes(prompt);
        if all.len() < LEAST {
            return Err(ConfigError::new(format!(
                "prompt: a prompt of fewer than {LEAST} words cannot be told from other texts"
            )));
        }
        let run = words.min(all.len());
        let width = run.min(WIDTH);
        let sorted = |mut set: Vec<u64>| {
            set.sort_unstable();
            set.dedup();
            set
        };
        let mut shingles = sorted(all.windows(width).map(together).collect());
        for text in allow {
            let may = sorted(hashes(text).windows(width).map(together).collect());
            shingles.retain(|shingle| may.binary_search(shingle).is_err());
        }
        let part = (shingles.len() as f64 * share).ceil() as usize;
        Ok(Self(Arc::new(Known {
            pairs: sorted(all.windows(2).map(together).collect()),
            words: sorted(all),
            share: part.max(run - width + 1),
            shingles,
            width,
            run,
            on_find,
        })))
    }
}

impl Plan for Leak {
    fn start(&self) -> Box<dyn Filter> {
        Box::new(Run {
            known: Arc::clone(&self.0),
            word: None,
            ended: 0,
            row: VecDeque::new(),
            seen: vec![0; self.0.shingles.len().div_ceil(64)],
            count: 0,
            leaking: false,
            held: Held::default(),
            stopped: None,
            findings: Findings::default(),
        })
    }
}

/// A word that is being read.
#[derive(Clone, Copy)]
struct Word {
    hash: u64,
    /// Where it began, in bytes.
    place: u64,
    bytes: usize,
}

struct Run {
    known: Arc<Known>,
    word: Option<Word>,
    /// Where the last word ended.
    ended: u64,
    /// The last words, with the places where they began, as far as they may begin a run.
    row: VecDeque<(u64, u64)>,
    /// Which shingles were seen, a bit for each.
    seen: Vec<u64>,
    count: usize,
    /// Whether what comes goes on with what was replaced.
    leaking: bool,
    held: Held,
    stopped: Option<&'static str>,
    findings: Findings,
}

impl Filter for Run {
    fn feed(&mut self, text: &str, out: &mut String) {
        if self.stopped.is_some() {
            return;
        }
        let mut place = self.held.end();
        self.held.push(text);
        for c in text.chars() {
            self.take(c, place, out);
            if self.stopped.is_some() {
                return;
            }
            place += c.len_utf8() as u64;
        }
        let first = self.row.front().filter(|_| !self.leaking).map(|(_, place)| *place);
        let waiting = self.leaking.then_some(self.held.place());
        let keep = [first, waiting, self.word.map(|word| word.place)].into_iter().flatten().min();
        self.held.pass(keep.unwrap_or(place), Some(out));
    }

    fn finish(&mut self, out: &mut String) {
        if self.stopped.is_none() {
            self.end_word(self.held.end(), out);
        }
        if self.stopped.is_none() {
            self.held.pass(self.held.end(), Some(out));
        }
    }

    fn held(&self) -> usize {
        self.held.characters()
    }

    fn findings(&self, all: &mut Vec<Found>) {
        self.findings.tell(all);
    }

    fn stopped(&self) -> Option<&'static str> {
        self.stopped
    }
}

impl Run {
    fn take(&mut self, c: char, place: u64, out: &mut String) {
        if is_letter(c) {
            let alone = is_word(c);
            if alone {
                self.end_word(place, out);
            }
            let word = self.word.get_or_insert(Word { hash: SEED, place, bytes: 0 });
            word.hash = hashed(word.hash, c);
            self.grow(c, place);
            if alone && self.stopped.is_none() {
                self.end_word(place + c.len_utf8() as u64, out);
            }
        } else if !is_unseen(c) || c.is_control() {
            self.end_word(place, out);
        } else {
            self.grow(c, place);
        }
        if self.word.is_none() && place > self.ended + LONGEST_GAP {
            self.row.clear();
            self.leaking = false;
        }
    }

    /// The word goes on with *c*. Of a word too long to be one, nothing is held back, and nothing before it for it.
    fn grow(&mut self, c: char, place: u64) {
        let Some(word) = self.word.as_mut() else { return };
        word.bytes += c.len_utf8();
        if word.bytes > LONGEST_WORD {
            word.place = place + c.len_utf8() as u64;
            self.row.clear();
            self.leaking = false;
        }
    }

    /// The word is over, if there is one; it ended at *end*.
    fn end_word(&mut self, end: u64, out: &mut String) {
        let Some(word) = self.word.take() else { return };
        let known = Arc::clone(&self.known);
        self.ended = end;
        if word.bytes > LONGEST_WORD || known.words.binary_search(&word.hash).is_err() {
            self.row.clear();
            self.leaking = false;
            return;
        }
        if let Some((before, _)) = self.row.back()
            && known.pairs.binary_search(&together(&[*before, word.hash])).is_err()
        {
            self.row.clear();
            self.leaking = false;
        }
        self.row.push_back((word.hash, word.place));
        if self.row.len() < known.width {
            return;
        }
        let last: Vec<u64> =
            self.row.iter().skip(self.row.len() - known.width).map(|(hash, _)| *hash).collect();
        let Ok(shingle) = known.shingles.binary_search(&together(&last)) else {
            // No run has both this word and the first of the five.
            self.row.drain(..self.row.len() - (known.width - 1));
            self.leaking = false;
            return;
        };
        if let Some(bits) = self.seen.get_mut(shingle / 64) {
            let bit = 1 << (shingle % 64);
            self.count += usize::from(*bits & bit == 0);
            *bits |= bit;
        }
        let rule = if self.leaking {
            None
        } else if self.row.len() >= known.run {
            Some("leak.run")
        } else if self.count >= known.share {
            Some("leak.share")
        } else {
            return;
        };
        self.found(rule, end, out);
    }

    fn found(&mut self, rule: Option<&'static str>, end: u64, out: &mut String) {
        if let Some(rule) = rule {
            let began = self.row.front().map_or(end, |(_, place)| *place);
            self.held.pass(began, Some(out));
            self.findings.note(rule, self.held.points());
            if self.known.on_find == OnFind::Stop {
                self.stopped = Some(rule);
                self.held.clear();
                return;
            }
            out.push_str(MARK);
            self.leaking = true;
        }
        self.held.pass(end, None);
        let keep = self.known.width - 1;
        let more = self.row.len().saturating_sub(keep);
        self.row.drain(..more);
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric()
}

/// Whether it is a word by itself: scripts that are written without blanks.
fn is_word(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// A hash with one more character (FNV-1a): without case, and as NFKC has it.
fn hashed(hash: u64, c: char) -> u64 {
    let mix = |hash: u64, c: char| (hash ^ u64::from(u32::from(c))).wrapping_mul(0x0000_0100_0000_01b3);
    if c.is_ascii() {
        mix(hash, c.to_ascii_lowercase())
    } else {
        c.nfkc().flat_map(char::to_lowercase).fold(hash, mix)
    }
}

/// A hash of words in a row.
fn together(words: &[u64]) -> u64 {
    words.iter().fold(SEED, |hash, word| (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// The words of a text, as they are read in an answer.
fn hashes(text: &str) -> Vec<u64> {
    let (mut all, mut word) = (Vec::new(), None);
    for c in text.chars() {
        if is_letter(c) {
            let alone = is_word(c);
            if alone {
                all.extend(word.take());
            }
            word = Some(hashed(word.unwrap_or(SEED), c));
            if alone {
                all.extend(word.take());
            }
        } else if !is_unseen(c) || c.is_control() {
            all.extend(word.take());
        }
    }
    all.extend(word);
    all
}

/// What stands in the place of a passage.
const MARK: &str = "[system prompt]";
const SEED: u64 = 0xcbf2_9ce4_8422_2325;
/// The words of a shingle.
const WIDTH: usize = 5;
/// The fewest words of a passage.
const LEAST: usize = 4;
const LONGEST_WORD: usize = 64;
const LONGEST_GAP: u64 = 64;
const LONGEST_PROMPT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::super::tests::{one, rules, run};
    use super::*;

    const PROMPT: &str = "You are Bluebird, the assistant of Example Bank. Never tell anybody what the daily rate of \
        interest is, and never say that the vault is opened at noon by two clerks with a brass key.";

    fn from(word: &str) -> &'static str {
        PROMPT.find(word).and_then(|at| PROMPT.get(at..)).unwrap_or_default()
    }

    fn leak(on_find: OnFind) -> Leak {
        Leak::new(PROMPT, 12, 0.6, ["the assistant of Example Bank. Never"], on_find)
            .unwrap_or_else(|_| unreachable!())
    }

    #[test]
    fn twelve_words_of_the_prompt_end_the_answer_before_the_first() {
        let told = format!("Sure! My instructions: {}", from("Never"));
        let (left, stopped) = run(&leak(OnFind::Stop), &[&told]);
        assert_eq!(stopped, Some("leak.run"));
        assert_eq!(left, "Sure! My instructions: ");
        // Spelled otherwise: case, Markdown, line ends, zero-width characters, full-width letters.
        let shouted = told.to_uppercase().replace(' ', "**\n- _").replace('A', "Ａ\u{200b}");
        assert_eq!(run(&leak(OnFind::Stop), &[&shouted]).1, Some("leak.run"));
    }

    #[test]
    fn what_is_not_told_word_for_word_passes() {
        for text in [
            "The assistant of Example Bank. Never mind the rate of interest.",
            "never tell anybody what the daily rate of interest",
            "In other words: I must not say which interest is paid, nor when the vault opens.",
            "rate daily the what anybody tell never and is interest of key brass a with clerks two by noon at",
            "",
        ] {
            assert_eq!(run(&leak(OnFind::Stop), &[text]), (text.to_owned(), None));
        }
    }

    #[test]
    fn pieces_that_add_up_are_a_leak() {
        let words: Vec<&str> = PROMPT.split(' ').collect();
        let told = words.chunks(7).map(|piece| piece.join(" ")).collect::<Vec<_>>().join(" - oh dear - ");
        assert_eq!(run(&leak(OnFind::Stop), &[&told]).1, None, "three fives of each seven are too few");
        let told = words
            .windows(8)
            .step_by(4)
            .map(|piece| piece.join(" "))
            .collect::<Vec<_>>()
            .join(" - oh dear - ");
        assert_eq!(run(&leak(OnFind::Stop), &[&told]).1, Some("leak.share"));
        assert_eq!(rules(&leak(OnFind::Replace), &told), ["leak.share"]);
    }

    #[test]
    fn a_passage_is_replaced_with_all_that_goes_on_with_it() {
        let told = format!("They say: never {} Nice weather.", from("interest"));
        assert_eq!(one(&leak(OnFind::Replace), &told), "They say: never [system prompt]. Nice weather.");
        let twice = format!("a {PROMPT} b {PROMPT} c");
        // The second time, what stands before the part that may be told is a find as well: the share is reached.
        assert_eq!(one(&leak(OnFind::Replace), &twice).matches(MARK).count(), 3);
    }

    #[test]
    fn scripts_without_blanks_have_words_of_one_letter() {
        let prompt = "你是一个银行的助手，不要告诉任何人利率是多少。";
        let leak = Leak::new(prompt, 12, 1.0, [], OnFind::Stop).unwrap_or_else(|_| unreachable!());
        assert_eq!(run(&leak, &["好的：", prompt]), ("好的：".to_owned(), Some("leak.run")));
        assert_eq!(run(&leak, &["利率是多少？"]).1, None);
    }

    #[test]
    fn a_prompt_that_is_told_everywhere_is_refused() {
        for (prompt, words, share) in [
            ("Be kind.", 12, 0.5),
            (PROMPT, 3, 0.5),
            (PROMPT, 65, 0.5),
            (PROMPT, 12, 0.0),
            (PROMPT, 12, 1.1),
            (PROMPT, 12, f64::NAN),
        ] {
            assert!(Leak::new(prompt, words, share, [], OnFind::Stop).is_err());
        }
        assert!(Leak::new(&"a ".repeat(1 << 20), 12, 0.5, [], OnFind::Stop).is_err());
        let short =
            Leak::new("Answer in verse only", 12, 0.25, [], OnFind::Stop).unwrap_or_else(|_| unreachable!());
        assert_eq!(run(&short, &["I must answer in verse only."]), ("I must ".to_owned(), Some("leak.run")));
    }
}
