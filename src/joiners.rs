//! Decides which characters without a shape stay: those that the text before and after them needs.
//!
//! They stay
//! 1. ZWJ and ZWNJ between letters of one kind of script that joins or stacks its letters (UAX #31 §2.3; Persian
//!    plurals, Bengali ya-phalaa), and after a virama (RFC 5892 A.1 and A.2);
//! 2. ZWJ between pictures (UTS #51 ED-16: families, professions, flags with a rainbow);
//! 3. U+FE0E and U+FE0F after a picture, U+FE0F in a keycap (UTS #51 ED-9a, ED-14c);
//! 4. ideographic variation selectors 17 to 48 and U+FE00 to U+FE02 after a Han ideograph (UTS #37);
//! 5. Mongolian variation selectors and vowel separators after Mongolian letters;
//! 6. tags after a black flag, if they name a subdivision and end: England, Scotland, Wales (UTS #51 ED-14a).
//!
//! 7. format controls of hieroglyphs beside a sign, three in a row at most (Unicode §11.4);
//! 8. the head of a note that is not drawn, before a stem or a flag, which stands on it (Unicode §21.2).
//!
//! Braille without a dot stays after Braille and directly before it; elsewhere it becomes the space that it looks like.
//!
//! One for each base, never two in a row: a hundred variation selectors after a smiley hide a hundred bytes.
//! Even so, who may choose between none, ZWJ and ZWNJ after each letter can hide a bit or so in each.

use unicode_normalization::char::canonical_combining_class;

use crate::characters::CLASSES;

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
const FLAG: char = '\u{1f3f4}';
const KEYCAP: char = '\u{20e3}';
const VIRAMA: u8 = 9;

/// What the text written so far ends with.
#[derive(Default)]
pub(crate) struct Before {
    last: Option<char>,
    /// The script of the last letter, through the marks on it.
    script: Script,
    /// Whether it ends with a picture that a ZWJ may follow.
    picture: bool,
    /// How many marks stand at the end.
    pub(crate) marks: usize,
    /// How many format controls of hieroglyphs stand at the end.
    controls: usize,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Script {
    Cursive,
    Indic,
    #[default]
    Other,
}

impl Before {
    /// Notes that *c* was written.
    pub(crate) fn wrote(&mut self, c: char) {
        self.last = Some(c);
        self.controls = if is_control(c) { self.controls + 1 } else { 0 };
        if c < '\u{a9}' {
            (self.script, self.picture, self.marks) = (Script::Other, false, 0);
            return;
        }
        match c {
            ZWJ => self.picture = false,
            // On a picture it stays one; elsewhere there was none.
            ZWNJ | '\u{fe0e}' | '\u{fe0f}' => {}
            _ => {
                let mark = CLASSES.mark.has(c);
                self.marks = if mark { self.marks + 1 } else { 0 };
                let script = script(c);
                // The marks of Arabic belong to no script: they do not part a letter from what follows.
                if !mark || script != Script::Other {
                    self.script = script;
                }
                self.picture = CLASSES.picture.has(c) || (self.picture && CLASSES.modifier.has(c));
            }
        }
    }

    /// Whether Braille without a dot stays Braille before *rest*.
    pub(crate) fn is_braille(&self, rest: &str) -> bool {
        matches!(self.last, Some('\u{2800}'..='\u{28ff}'))
            || matches!(rest.chars().next(), Some('\u{2801}'..='\u{28ff}'))
    }

    /// Whether *c*, which is not seen, stays before *rest*.
    pub(crate) fn needs(&self, c: char, rest: &str) -> bool {
        let next = rest.chars().next();
        if c == '\u{1d159}' {
            return matches!(next, Some('\u{1d165}'..='\u{1d169}' | '\u{1d16d}'..='\u{1d172}'));
        }
        // A space is before a text as well as in it.
        let last = self.last.unwrap_or(' ');
        match c {
            ZWJ | ZWNJ if last == ZWJ || last == ZWNJ => false,
            ZWJ if self.picture => next.is_some_and(|next| CLASSES.picture.has(next)),
            ZWJ | ZWNJ => {
                self.script != Script::Other
                    && (canonical_combining_class(last) == VIRAMA
                        || next.is_some_and(|next| script(next) == self.script))
            }
            '\u{fe0f}' if matches!(last, '0'..='9' | '#' | '*') => next == Some(KEYCAP),
            '\u{fe0e}' | '\u{fe0f}' => CLASSES.picture.has(last),
            '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e011f}' => CLASSES.ideograph.has(last),
            '\u{180b}'..='\u{180d}' | '\u{180f}' => CLASSES.mongolian.has(last),
            _ if is_control(c) => {
                self.controls < 3 && (is_control(last) || is_sign(last) || next.is_some_and(is_sign))
            }
            '\u{180e}' => CLASSES.mongolian.has(last) && next.is_some_and(|next| CLASSES.mongolian.has(next)),
            _ => false,
        }
    }
}

/// A control of the format of hieroglyphs.
fn is_control(c: char) -> bool {
    ('\u{13430}'..='\u{1343f}').contains(&c)
}

/// A hieroglyph, or a blank or a mark among them.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{13000}'..='\u{1342f}' | '\u{13440}'..='\u{143ff}')
}

fn script(c: char) -> Script {
    if c < '\u{600}' {
        Script::Other
    } else if CLASSES.cursive.has(c) {
        Script::Cursive
    } else if CLASSES.indic.has(c) {
        Script::Indic
    } else {
        Script::Other
    }
}

/// The length in bytes of the tags that follow a flag, if they are those of a subdivision that has one, and the cancel tag.
pub(crate) fn tags_after(flag: char, rest: &str) -> Option<usize> {
    if flag != FLAG {
        return None;
    }
    // Those that pictures exist of (UTS #51, "subdivision flags"): any other would be room for a hidden text.
    for region in ["gbeng", "gbsct", "gbwls"] {
        let mut after = rest.char_indices();
        let mut tags = region.chars().map(|c| char::from_u32(0xE0000 + u32::from(c)));
        if tags.all(|tag| after.next().map(|(_, c)| c) == tag)
            && let Some((at, end @ '\u{e007f}')) = after.next()
        {
            return Some(at + end.len_utf8());
        }
    }
    None
}
