//! The classes of characters that rooms ask about, as sets of ranges.
//!
//! Unicode's own tables, from `regex-syntax`: nothing here is typed off by hand but the scripts' names.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// A set of characters, in ascending ranges that do not touch.
pub(crate) struct Set(Vec<(char, char)>);

impl Set {
    pub(crate) fn has(&self, c: char) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= c);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| c <= *end)
    }

    /// The set that a bracketed class of `regex` describes; empty if it is none, which a test excludes.
    fn of(class: &str) -> Self {
        let hir = regex_syntax::Parser::new().parse(class).map(|hir| hir.into_kind());
        Self(match hir {
            Ok(HirKind::Class(Class::Unicode(class))) => {
                class.iter().map(|range| (range.start(), range.end())).collect()
            }
            _ => Vec::new(),
        })
    }
}

pub(crate) struct Classes {
    /// What has no shape of its own: controls, bidi controls, zero-width characters, joiners, variation selectors,
    /// tags, interlinear annotation, non-characters. (UAX #44 `Default_Ignorable_Code_Point`, and what it leaves out:
    /// the format controls of hieroglyphs, and a head of a note that is not drawn.)
    pub(crate) unseen: Set,
    /// Marks, which stand on the letter before them.
    pub(crate) mark: Set,
    /// Pictures: what emoji sequences are built of (UTS #51 ED-15a).
    pub(crate) picture: Set,
    /// Skin tones (UTS #51 ED-11).
    pub(crate) modifier: Set,
    /// Han, whose variants are told apart by selectors (UTS #37).
    pub(crate) ideograph: Set,
    /// Letters of scripts whose letters join, so that ZWNJ and ZWJ part and join them (Unicode §9.2, §14).
    pub(crate) cursive: Set,
    /// Letters of scripts with conjuncts, so that ZWNJ and ZWJ choose their form (Unicode §12.1, §16).
    pub(crate) indic: Set,
    /// Mongolian, which has variation selectors of its own (Unicode §13.5).
    pub(crate) mongolian: Set,
    /// Dashes, hyphens and minus signs.
    pub(crate) dash: Set,
}

pub(crate) static CLASSES: LazyLock<Classes> = LazyLock::new(|| Classes {
    unseen: Set::of(
        r"[\p{Default_Ignorable_Code_Point}\x{FFF9}-\x{FFFB}\p{Cc}\p{Noncharacter_Code_Point}\x{13430}-\x{1343F}\x{1D159}]",
    ),
    mark: Set::of(r"[\p{M}]"),
    picture: Set::of(r"[\p{Extended_Pictographic}]"),
    modifier: Set::of(r"[\p{Emoji_Modifier}]"),
    ideograph: Set::of(r"[\p{Unified_Ideograph}]"),
    cursive: Set::of(
        r"[[\p{Arabic}\p{Syriac}\p{Mandaic}\p{Nko}\p{Phags_Pa}\p{Adlam}\p{Manichaean}\p{Psalter_Pahlavi}\p{Hanifi_Rohingya}\p{Sogdian}\p{Mongolian}]&&[\p{L}\p{M}]]",
    ),
    indic: Set::of(
        r"[[\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Balinese}\p{Javanese}\p{Sundanese}\p{Chakma}\p{Grantha}\p{Newa}\p{Tirhuta}]&&[\p{L}\p{M}]]",
    ),
    mongolian: Set::of(r"[\p{Mongolian}&&\p{L}]"),
    dash: Set::of(r"[\p{Dash}]"),
});

/// What is not seen, in any place.
pub(crate) fn is_unseen(c: char) -> bool {
    // Printable ASCII is most of most texts.
    !(' '..='~').contains(&c) && CLASSES.unseen.has(c)
}

/// What looks like `-`.
pub(crate) fn is_dash(c: char) -> bool {
    c == '-' || (!c.is_ascii() && CLASSES.dash.has(c))
}

/// Braille without a dot: a blank that is no white space to anybody else.
pub(crate) const BRAILLE_BLANK: char = '\u{2800}';

/// Where a line ends: UAX #14's mandatory breaks.
pub(crate) fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\x0b' | '\x0c' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_set_is_empty() {
        let all = &*CLASSES;
        for set in [&all.unseen, &all.mark, &all.picture, &all.modifier, &all.ideograph] {
            assert!(!set.0.is_empty());
        }
        for set in [&all.cursive, &all.indic, &all.mongolian, &all.dash] {
            assert!(!set.0.is_empty());
        }
    }

    #[test]
    fn what_is_not_seen_is_in_its_class() {
        let unseen = "\0\x1b\x7f\u{80}\u{9f}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{200d}\u{202e}\u{2060}\u{2064}\u{2066}\u{206f}\u{3164}\u{fdd0}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{ffff}\u{13430}\u{1343f}\u{1d159}\u{1d173}\u{1fffe}\u{e0001}\u{e0041}\u{e01ef}\u{10ffff}";
        for c in unseen.chars() {
            assert!(is_unseen(c), "{c:?}");
        }
        for c in "a ~\u{a0}\u{3000}é字\u{600}\u{6dd}\u{1f600}\u{2800}\u{1342f}\u{13441}\u{1d158}".chars() {
            assert!(!is_unseen(c), "{c:?}");
        }
    }
}
