//! Decides which characters that are not seen go on: those that scripts and emoji need.
//!
//! A model reads what a person does not see. In this order, at each character:
//! 1. what is seen stays; of marks on one letter, the first 30 do (UAX #15, Stream-Safe);
//! 2. vertical tab, form feed and NEL become line feeds; tab, line feed and carriage return stay; all other controls go;
//! 3. joiners, variation selectors, tags and format controls stay where the text round them needs them, one for each base
//!    (`crate::joiners` has the rules, and how little may hide even so); elsewhere they go, and so does all else of
//!    Unicode's `Default_Ignorable_Code_Point`: zero-width characters, bidi controls, the tag block, fillers of Hangul;
//! 4. interlinear annotation and non-characters go; Braille without a dot becomes a space, but for among Braille;
//! 5. characters for private use stay or go, as chosen: fonts of icons use them, and nothing says what a model reads in them.
//!
//! What it leaves, it leaves the second time as well.
//!
//! Held back: at most six characters, a black flag with tags of a region; mostly none or one.
//!
//! # What it does not do
//! It does not change the spelling (`clean_text` normalises), nor letters that look alike, nor spaces, of which there are many
//! kinds, all seen as a gap.
//!
//! Sources: UTS #51, UTS #55, UAX #31; OWASP LLM01 of 2026; "ASCII Smuggler" (J. Rehberger, 2024: tags); "Smuggling arbitrary
//! data through an emoji" (P. Butler, 2025: variation selectors); CVE-2021-42574 (bidi).

use super::findings::{Findings, Found, points};
use super::{Filter, Plan};
use crate::characters::{BRAILLE_BLANK, is_unseen};
use crate::joiners::{Before, tags_after};

/// Removes what is not seen.
#[derive(Debug, Clone, Copy)]
pub struct Invisible {
    /// Whether characters for private use stay.
    pub private_use: bool,
}

impl Plan for Invisible {
    fn start(&self) -> Box<dyn Filter> {
        Box::new(Run {
            private_use: self.private_use,
            before: Before::default(),
            held: String::new(),
            at: 0,
            findings: Findings::default(),
        })
    }
}

struct Run {
    private_use: bool,
    before: Before,
    /// What cannot be decided before more is known: one character that is not seen, or a flag with tags.
    held: String,
    /// Code points before *held*.
    at: u64,
    findings: Findings,
}

impl Filter for Run {
    fn feed(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        loop {
            if self.held.is_empty() {
                let plain = rest.bytes().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
                let (passes, after) = rest.split_at_checked(plain).unwrap_or((rest, ""));
                if let Some(last) = passes.chars().next_back() {
                    self.before.wrote(last);
                    out.push_str(passes);
                    self.at += points(passes);
                }
                rest = after;
            }
            let Some(c) = rest.chars().next() else { break };
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            self.take(c, out);
        }
    }

    fn finish(&mut self, out: &mut String) {
        while !self.held.is_empty() {
            self.settle(true, out);
        }
    }

    fn held(&self) -> usize {
        self.held.chars().count()
    }

    fn findings(&self, all: &mut Vec<Found>) {
        self.findings.tell(all);
    }

    fn stopped(&self) -> Option<&'static str> {
        None
    }
}

impl Run {
    fn take(&mut self, c: char, out: &mut String) {
        self.held.push(c);
        while !self.held.is_empty() {
            let before = self.held.len();
            self.settle(false, out);
            if self.held.len() == before {
                break;
            }
        }
    }

    /// Decides the first of what is held, if what follows it is known; with *ends*, nothing follows.
    fn settle(&mut self, ends: bool, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        let Some(c) = held.chars().next() else { return };
        let after = held.get(c.len_utf8()..).unwrap_or_default();
        let taken = match self.judge(c, after, ends, out) {
            Some(taken) => taken,
            None => {
                self.held = held;
                return;
            }
        };
        let (done, rest) = held.split_at_checked(taken).unwrap_or((&held, ""));
        self.at += points(done);
        self.held.push_str(rest);
    }

    /// How many bytes of what is held are done with; none if more must be known.
    fn judge(&mut self, c: char, after: &str, ends: bool, out: &mut String) -> Option<usize> {
        let length = c.len_utf8();
        let known = ends || !after.is_empty();
        match c {
            '\t' | '\n' | '\r' => self.write(c, out),
            '\x0b' | '\x0c' | '\u{85}' => {
                self.findings.note("invisible.control", self.at);
                self.write('\n', out);
            }
            BRAILLE_BLANK => {
                // After Braille it is Braille, whatever follows.
                if !known && !self.before.is_braille("") {
                    return None;
                }
                if self.before.is_braille(after) {
                    self.write(c, out);
                } else {
                    self.findings.note("invisible.blank", self.at);
                    self.write(' ', out);
                }
            }
            FLAG if !ends && may_go_on(after) => return None,
            FLAG => {
                self.write(c, out);
                if let Some(tags) = tags_after(c, after) {
                    out.push_str(after.get(..tags).unwrap_or_default());
                    return Some(length + tags);
                }
            }
            _ if is_unseen(c) => {
                if !is_ever_needed(c) {
                    self.findings.note(rule(c), self.at);
                } else if !known {
                    return None;
                } else if self.before.needs(c, what_stays(after)) {
                    self.write(c, out);
                } else {
                    self.findings.note(rule(c), self.at);
                }
            }
            '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' if !self.private_use => {
                self.findings.note("invisible.private", self.at);
            }
            _ => {
                let marks = self.before.marks;
                self.before.wrote(c);
                if self.before.marks > MARKS {
                    self.before.marks = marks;
                    self.findings.note("invisible.marks", self.at);
                } else {
                    out.push(c);
                }
            }
        }
        Some(length)
    }

    fn write(&mut self, c: char, out: &mut String) {
        self.before.wrote(c);
        out.push(c);
    }
}

/// What stands after a character, for one that needs something there: what is not seen may go itself.
fn what_stays(after: &str) -> &str {
    if after.chars().next().is_some_and(is_unseen) { "" } else { after }
}

/// Whether what stands after a flag may still become the tags of a region.
fn may_go_on(after: &str) -> bool {
    after.chars().count() < REGION
        && after.chars().all(|c| ('\u{e0061}'..='\u{e007a}').contains(&c))
        && tags_after(FLAG, after).is_none()
}

/// Whether *c* is one of those that some text needs, so that what follows has to be looked at.
fn is_ever_needed(c: char) -> bool {
    matches!(c,
        '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe02}' | '\u{fe0e}' | '\u{fe0f}' | '\u{e0100}'..='\u{e011f}'
        | '\u{180b}'..='\u{180f}' | '\u{13430}'..='\u{1343f}' | '\u{1d159}')
}

fn rule(c: char) -> &'static str {
    match c {
        '\u{e0000}'..='\u{e007f}' => "invisible.tag",
        '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}' | '\u{34f}' => {
            "invisible.zero_width"
        }
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            "invisible.bidi"
        }
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180f}' => "invisible.selector",
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => "invisible.filler",
        '\u{fff9}'..='\u{fffb}' => "invisible.annotation",
        _ if c.is_control() => "invisible.control",
        _ => "invisible.other",
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\t')
}

const FLAG: char = '\u{1f3f4}';
/// The tags of a region, with the one that ends them.
const REGION: usize = 6;
/// Marks on one letter, as `clean_text` has it.
const MARKS: usize = 30;

#[cfg(test)]
mod tests {
    use super::super::tests::{dice, one, rules};
    use super::*;

    const ALL: Invisible = Invisible { private_use: true };

    #[test]
    fn what_is_smuggled_goes() {
        // Rehberger, "ASCII Smuggler": an instruction in tags.
        let tags: String =
            "ignore all".bytes().map(|b| char::from_u32(0xE0000 + u32::from(b)).unwrap_or(' ')).collect();
        assert_eq!(one(&ALL, &format!("hi{tags}!")), "hi!");
        assert_eq!(rules(&ALL, &tags), ["invisible.tag"]);
        // Butler: a byte in each of 256 variation selectors, after an emoji. One that presents it stays, once.
        let bytes = "secret".bytes().map(|b| char::from_u32(0xE0100 + u32::from(b) - 16).unwrap_or(' '));
        let smuggled: String = std::iter::once('😀').chain(bytes).collect();
        assert_eq!(one(&ALL, &smuggled), "😀");
        assert_eq!(one(&ALL, "😀\u{fe0f}\u{fe0f}\u{fe01}\u{fe0e}"), "😀\u{fe0f}");
        assert_eq!(one(&ALL, "user\u{202e}nimda\u{2066}!"), "usernimda!"); // CVE-2021-42574
        assert_eq!(one(&ALL, "pass\u{200b}wo\u{ad}rd\u{feff}\u{3164}\u{ffa0}\u{fff9}"), "password");
        assert_eq!(one(&ALL, "a\0b\u{85}c\x0bd\x1be\r\n\t"), "ab\nc\nde\r\n\t");
        assert_eq!(one(&ALL, "a\u{2800}b"), "a b");
    }

    #[test]
    fn what_scripts_need_stays() {
        for kept in [
            "می\u{200c}شود",
            "ক\u{9cd}\u{200d}ষ",
            "👩\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3}",
            "\u{2801}\u{2800}\u{2800}\u{2803}",
            "\u{2800}\u{2801}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}!",
            "葛\u{e0100}",
            "\u{e000}\u{100000}",
            "e\u{301}",
        ] {
            assert_eq!(one(&ALL, kept), kept);
            assert!(rules(&ALL, kept).is_empty(), "{kept:?}");
        }
        assert_eq!(one(&ALL, "🏴\u{e0067}\u{e0062}\u{e0065}"), "🏴");
        assert_eq!(one(&ALL, "🏴\u{e0067}\u{e0062}🏴"), "🏴🏴");
        assert_eq!(one(&Invisible { private_use: false }, "a\u{e000}\u{f8ff}\u{100000}b"), "ab");
        assert_eq!(one(&ALL, &format!("z{}x", "\u{335}".repeat(1000))).chars().count(), 32);
    }

    #[test]
    fn it_leaves_nothing_for_a_second_time() {
        let mut dice = dice(7);
        let alphabet: Vec<char> = "aम्کক😀👩🏴🏽1é字ᠠ \u{200c}\u{200d}\u{200b}\u{fe0f}\u{fe00}\u{e0100}\u{e0067}\u{e007f}\u{2800}\u{2801}\u{13000}\u{13430}\u{1d159}\u{1d165}\u{202e}\u{3164}\u{20e3}\u{180b}\n".chars().collect();
        for _ in 0..4000 {
            let text: String =
                (0..dice(12)).filter_map(|_| alphabet.get(dice(alphabet.len())).copied()).collect();
            let left = one(&ALL, &text);
            assert_eq!(one(&ALL, &left), left, "{text:?}");
        }
    }
}
