//! Decides which characters of a plain text go on.
//!
//! In this order:
//! 1. the text is normalised (UAX #15): one spelling for what is one text;
//! 2. escape sequences of terminals go as a whole (`escapes.rs`);
//! 3. line ends become `\n`, or a space where lines are not allowed, and so do tabs there;
//! 4. what is not seen goes, but for what scripts and emoji need (`crate::joiners`);
//! 5. of marks on one letter, the first 30 stay (the bound of UAX #15's Stream-Safe format);
//! 6. it is normalised again, for letters and marks that now meet, until nothing changes.
//!
//! # What it does not do
//! It does not trim or join blanks. It keeps letters that look alike, private use, and characters not assigned yet.
//! Zero-width spaces go, also those that part words in Khmer, Thai and Burmese for line breaking.
//!
//! Sources: UAX #15, UTS #51, UTS #55, UAX #31; CVE-2021-42574 (bidi); OWASP LLM01 and LLM10 of 2026 (tags, escapes).

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfkc};

use super::escapes::escape_at;
use crate::characters::{BRAILLE_BLANK, ends_line, is_unseen};
use crate::joiners::{Before, tags_after};

/// Which spelling a text gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Letters and their marks as one: what is stored and shown.
    Nfc,
    /// Also full-width, superscript and ligature forms as the plain letters: what is compared and searched.
    Nfkc,
}

/// How a text is cleaned.
#[derive(Debug, Clone, Copy)]
pub struct TextRules {
    /// The spelling.
    pub form: Form,
    /// Whether it may have several lines, and tabs.
    pub lines: bool,
    /// At most so many code points are left; what is beyond is cut.
    pub limit: Option<usize>,
}

/// The text as it may go on. The result has at most 18 code points for each of the text's (U+FDFA in NFKC; 3 in NFC).
pub fn clean_text(text: &str, rules: TextRules) -> Cow<'_, str> {
    if is_plain(text, rules.lines) {
        return Cow::Borrowed(cut(text, rules.limit));
    }
    let mut clean = settled(text, rules);
    loop {
        let short = cut(&clean, rules.limit);
        if short.len() == clean.len() {
            break;
        }
        // The cut may have parted a sequence. What is left of it goes; nothing grows.
        clean = settled(short, rules);
    }
    if clean == text { Cow::Borrowed(text) } else { Cow::Owned(clean) }
}

/// A text as sifting and normalising both leave it. Each makes little work for the other: a base that composes away
/// under a selector, say. Three rounds are more than what was found to be needed; after them all joiners go, and then
/// nothing is left to do.
fn settled(text: &str, rules: TextRules) -> String {
    let mut now = normalised(text, rules.form).into_owned();
    for _ in 0..3 {
        let next = normalised(&sifted(&now, rules.lines, true), rules.form).into_owned();
        if next == now {
            return now;
        }
        now = next;
    }
    normalised(&sifted(&now, rules.lines, false), rules.form).into_owned()
}

/// *text* in its form.
pub(super) fn normalised(text: &str, form: Form) -> Cow<'_, str> {
    match form {
        _ if text.is_ascii() => Cow::Borrowed(text),
        Form::Nfc if is_nfc(text) => Cow::Borrowed(text),
        Form::Nfkc if is_nfkc(text) => Cow::Borrowed(text),
        Form::Nfc => Cow::Owned(text.nfc().collect()),
        Form::Nfkc => Cow::Owned(text.nfkc().collect()),
    }
}

/// *text* without what is not seen. With *joiners*, what scripts and emoji need stays.
pub(super) fn sifted(text: &str, lines: bool, joiners: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = Before::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let mut write = |c: char| {
            before.wrote(c);
            out.push(c);
        };
        rest = after;
        if (' '..='~').contains(&c) {
            write(c);
        } else if ends_line(c) {
            if c == '\r' {
                rest = after.strip_prefix('\n').unwrap_or(after);
            }
            write(if lines { '\n' } else { ' ' });
        } else if c == '\t' {
            write(if lines { '\t' } else { ' ' });
        } else if c == BRAILLE_BLANK {
            let blank = if joiners && before.is_braille(after) { c } else { ' ' };
            before.wrote(blank);
            out.push(blank);
        } else if is_unseen(c) {
            let whole = text.get(text.len() - after.len() - c.len_utf8()..).unwrap_or_default();
            let length = escape_at(whole);
            if length > 0 {
                rest = whole.get(length..).unwrap_or(after);
            } else if joiners && before.needs(c, after) {
                before.wrote(c);
                out.push(c);
            }
        } else {
            write(c);
            if before.marks > MARKS {
                out.pop();
                before.marks = MARKS;
            } else if let Some(length) = tags_after(c, after).filter(|_| joiners) {
                let (tags, beyond) = after.split_at_checked(length).unwrap_or((after, ""));
                out.push_str(tags);
                rest = beyond;
            }
        }
    }
    out
}

/// Whether nothing needs to be done, which most texts of most peers are.
fn is_plain(text: &str, lines: bool) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') || (lines && matches!(byte, b'\n' | b'\t')))
}

fn cut(text: &str, limit: Option<usize>) -> &str {
    let end = limit.and_then(|limit| text.char_indices().nth(limit)).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

/// Marks on one letter. No language needs more than a few; more run into the lines above ("Zalgo").
const MARKS: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    const NFC: TextRules = TextRules { form: Form::Nfc, lines: true, limit: None };

    fn nfc(text: &str) -> String {
        clean_text(text, NFC).into_owned()
    }

    #[test]
    fn bidi_zero_width_and_tag_characters_go() {
        assert_eq!(nfc("user\u{202e}nimda\u{2066}!"), "usernimda!"); // CVE-2021-42574
        assert_eq!(nfc("pass\u{200b}word\u{feff}\u{2060}"), "password");
        assert_eq!(nfc("hi\u{e0049}\u{e0067}\u{e006e}"), "hi"); // ASCII smuggling into prompts
    }

    #[test]
    fn joiners_stay_where_scripts_need_them_and_nowhere_else() {
        for kept in ["می\u{200c}شود", "ক\u{9cd}\u{200d}ষ", "ന\u{d4d}\u{200d}", "র\u{200d}\u{9cd}য"]
        {
            assert_eq!(nfc(kept), kept);
        }
        assert_eq!(nfc("pay\u{200d}pal"), "paypal");
        assert_eq!(nfc("می\u{200c}"), "می");
        assert_eq!(nfc("می\u{200c}\u{200d}\u{200c}شود"), "می\u{200c}شود");
    }

    #[test]
    fn emoji_sequences_stay_whole() {
        for kept in [
            "👩\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}",
            "🏳\u{fe0f}\u{200d}🌈",
            "👩🏽\u{200d}🚀",
            "1\u{fe0f}\u{20e3}",
            "🇩🇪",
        ] {
            assert_eq!(nfc(kept), kept);
        }
        let england = "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";
        assert_eq!(nfc(england), england);
        assert_eq!(nfc(england.trim_end_matches('\u{e007f}')), "🏴");
        assert_eq!(nfc("😀\u{fe0f}\u{e0101}\u{e0102}\u{fe0f}\u{fe0f}"), "😀\u{fe0f}");
    }

    #[test]
    fn blanks_that_look_like_nothing_stay_in_their_scripts_only() {
        for kept in [
            "\u{2801}\u{2800}\u{2800}\u{2803}",
            "\u{2800}\u{2801}\u{2800}",
            "\u{1d159}\u{1d165}",
            "\u{13000}\u{13430}\u{13001}",
        ] {
            assert_eq!(nfc(kept), kept);
        }
        assert_eq!(nfc("\u{2800}\u{2800}x\u{2800}"), "  x ");
        assert_eq!(nfc("a\u{1d159}b\u{1d159}"), "ab");
        assert_eq!(nfc("a\u{13430}b\u{13437}"), "ab");
        let hidden = format!("\u{13000}{}", "\u{13430}\u{13431}".repeat(100));
        assert_eq!(nfc(&hidden).chars().count(), 4);
        for text in [
            "\u{2800}\u{2800}\u{2801}",
            "\u{13430}\u{13430}\u{13430}\u{13430}\u{13000}",
            "\u{1d159}\u{1d159}\u{1d165}",
        ] {
            let once = nfc(text);
            assert_eq!(nfc(&once), once, "{text:?}");
        }
    }

    #[test]
    fn line_ends_are_one_kind_or_a_space() {
        let text = "a\r\nb\rc\u{85}d\u{2028}e\tf";
        assert_eq!(nfc(text), "a\nb\nc\nd\ne\tf");
        assert_eq!(clean_text(text, TextRules { lines: false, ..NFC }), "a b c d e f");
    }

    #[test]
    fn cleaning_twice_is_cleaning_once_even_where_removal_lets_letters_meet() {
        let rules = TextRules { form: Form::Nfkc, ..NFC };
        for text in [
            "™\u{fe0f}\u{301}",
            "👩\u{200d}↔\u{200b}\u{338}",
            "e\u{200b}\u{301}",
            "㊗\u{fe0f}\u{3099}",
            "ｅ\u{200d}\u{301}",
        ] {
            let once = clean_text(text, rules).into_owned();
            assert_eq!(clean_text(&once, rules), once, "{text:?}");
        }
        assert_eq!(nfc("e\u{200b}\u{301}"), "é");
    }

    #[test]
    fn a_limit_holds_after_the_text_has_grown() {
        let rules = TextRules { form: Form::Nfkc, limit: Some(20), ..NFC };
        assert_eq!(clean_text(&"\u{fdfa}".repeat(100), rules).chars().count(), 20);
        let joined = "👩\u{200d}👩";
        assert_eq!(clean_text(joined, TextRules { limit: Some(2), ..NFC }), "👩");
    }

    #[test]
    fn thirty_marks_stay_on_a_letter() {
        let zalgo = format!("z{}x", "\u{335}".repeat(10_000));
        assert_eq!(nfc(&zalgo).chars().count(), 32);
    }
}
