//! Decides whether an answer lets a canary out: a random word that stands in the prompt and nowhere else.
//!
//! Who sees it has seen what was not meant for them. A canary is found, all in one pass,
//! 1. as it is, in either case, with anything that is no letter or digit between its letters: blanks, hyphens, zero-width
//!    characters, Markdown; also full-width, in circles, in ligatures (`ﬁ`), and whatever else is its letters to NFKC, which is
//!    so for all that follows as well;
//! 2. backwards, and in ROT13, and both; and with letters that look like its own (`look_alike.rs`: `4`, `@`, `а` for an `a`),
//!    also backwards;
//! 3. any of these with letters spelled by their numbers (`escapes.rs`: `%6e`, `\u006e`, `&#110;`);
//! 4. as in 1, backwards, and in ROT13, written in hexadecimal (`6e2f`, `6e 2f`, `0x6e, 0x2f`) or in base64, plain or URL-safe,
//!    wherever it may begin within a longer text (`packed.rs`), in UTF-8 or UTF-16.
//!
//! Between two of its letters at most 64 bytes may stand. A find ends the text before it, or is replaced by `[canary]`.
//!
//! Held back: what may become a canary, at most 64 bytes for each of its letters; in ordinary text, nothing or a few
//! characters.
//!
//! # What it does not do
//! It does not find a canary that is told in other ways: its letters' names or numbers in words, an acrostic, base32, a cipher,
//! two layers of encoding (base64 of hexadecimal, of base64, of escapes or of look-alikes; escapes of escapes), look-alikes in
//! ROT13, base64 backwards or with hyphens in it, halves that are far apart or have letters between them. That no canary
//! was seen does not show that nothing leaked.
//!
//! Sources: Rebuff and Vigil (canary words; compared as they are); OWASP LLM08 of 2026 (Hidden Context Exposure).

use unicode_normalization::UnicodeNormalization as _;

use super::escapes::Unescaper;
use super::findings::{Findings, Found};
use super::held::Held;
use super::look_alike::shape_of;
use super::packed::{BASE64_LANES, Base64, HEX_LANES, Hex};
use super::spelled::{Search, Words};
use super::{Filter, OnFind, Plan};
use crate::error::ConfigError;
use std::sync::Arc;

/// A canary of 120 random bits: 24 letters and digits.
pub fn canary_of(random: [u8; 15]) -> String {
    let bits =
        random.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect::<Vec<_>>();
    bits.chunks(5)
        .map(|five| usize::from(five.iter().fold(0, |value, bit| value << 1 | bit)))
        .filter_map(|value| BASE32.get(value).map(|letter| char::from(*letter)))
        .collect()
}

/// Finds canaries.
pub struct Canary {
    search: Arc<Searched>,
}

struct Searched {
    letters: Words,
    alike: Words,
    /// The first four, and six, bits of letters that a canary begins with, in some spelling.
    begin_hex: u64,
    begin_base64: u64,
    on_find: OnFind,
}

impl Canary {
    /// Finds these *tokens*.
    ///
    /// # Errors
    /// If there is none or more than eight, or one of them has fewer than eight letters and digits or more than 64, or others than ASCII's.
    pub fn new<'t>(tokens: impl IntoIterator<Item = &'t str>, on_find: OnFind) -> Result<Self, ConfigError> {
        let (mut letters, mut alike) = (Vec::new(), Vec::new());
        let mut count = 0;
        for token in tokens {
            count += 1;
            if count > MOST {
                return Err(ConfigError::new(format!("tokens: at most {MOST} canaries are looked for")));
            }
            if !(SHORTEST..=LONGEST).contains(&token.len())
                || !token.bytes().all(|b| b.is_ascii_alphanumeric())
            {
                return Err(ConfigError::new(format!(
                    "tokens: canary {count} is not {SHORTEST} to {LONGEST} letters and digits of ASCII; new_canary() makes one"
                )));
            }
            let plain: Vec<u8> = token.bytes().filter_map(letter).collect();
            let turned: Vec<u8> = plain.iter().map(|symbol| rot13(*symbol)).collect();
            let backwards = |word: &Vec<u8>| word.iter().rev().copied().collect::<Vec<_>>();
            letters.push((backwards(&plain), "canary.reversed"));
            letters.push((backwards(&turned), "canary.rot13"));
            letters.insert(0, (plain, "canary.plain"));
            letters.push((turned, "canary.rot13"));
            let shapes: Vec<u8> = token.chars().filter_map(shape_of).collect();
            alike.push((backwards(&shapes), "canary.look_alike"));
            alike.push((shapes, "canary.look_alike"));
        }
        if count == 0 {
            return Err(ConfigError::new("tokens: no canary is given; new_canary() makes one"));
        }
        let [letters, alike] = [letters, alike].map(|words| Words::new(&words));
        let (mut begin_hex, mut begin_base64) = (0, 0);
        for byte in 0..=127 {
            if letter(byte).is_some_and(|symbol| letters.begins(symbol)) {
                begin_hex |= 1 << (byte >> 4);
                begin_base64 |= 1 << (byte >> 2);
            }
        }
        Ok(Self { search: Arc::new(Searched { letters, alike, begin_hex, begin_base64, on_find }) })
    }
}

impl Plan for Canary {
    fn start(&self) -> Box<dyn Filter> {
        Box::new(Run {
            plain: Search::new(&self.search.letters),
            decoded: Search::new(&self.search.letters),
            alike: Search::new(&self.search.alike),
            alike_decoded: Search::new(&self.search.alike),
            hexadecimal: std::array::from_fn(|_| Search::new(&self.search.letters)),
            base64: std::array::from_fn(|_| Search::new(&self.search.letters)),
            hex: Hex::default(),
            sixty_four: Base64::default(),
            unescaper: Unescaper::default(),
            search: Arc::clone(&self.search),
            held: Held::default(),
            stopped: None,
            findings: Findings::default(),
        })
    }
}

struct Run {
    search: Arc<Searched>,
    plain: Search,
    decoded: Search,
    alike: Search,
    alike_decoded: Search,
    hexadecimal: [Search; HEX_LANES],
    base64: [Search; BASE64_LANES],
    hex: Hex,
    sixty_four: Base64,
    unescaper: Unescaper,
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
            let found = self.take(c, place);
            place += c.len_utf8() as u64;
            if let Some((rule, began)) = found {
                self.found(rule, began, place, out);
                if self.stopped.is_some() {
                    return;
                }
            }
        }
        let keep = self.began(place);
        self.held.pass(keep.unwrap_or(place), Some(out));
    }

    fn finish(&mut self, out: &mut String) {
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
    /// Where what may become a find began, now that the text has come to *place*.
    fn began(&self, place: u64) -> Option<u64> {
        let Searched { letters, alike, begin_hex, begin_base64, .. } = &*self.search;
        // A symbol that has begun is where it began, however long it takes to end.
        let escaped = self.unescaper.began().unwrap_or(place);
        let of = |search: &Search, words, now| search.began(words, now);
        let single = [
            of(&self.plain, letters, place),
            of(&self.decoded, letters, escaped),
            of(&self.alike, alike, place),
            of(&self.alike_decoded, alike, escaped),
            self.hex.began(place, |digit| begin_hex >> digit & 1 == 1),
            self.sixty_four.began(place, |symbol| begin_base64 >> symbol & 1 == 1),
            self.unescaper.began(),
        ];
        let (digit, symbol) = (self.hex.pending(place), self.sixty_four.pending(place));
        let packed = self.hexadecimal.iter().filter_map(|search| of(search, letters, digit));
        let packed = packed.chain(self.base64.iter().filter_map(|search| of(search, letters, symbol)));
        single.into_iter().flatten().chain(packed).min()
    }

    /// What ends with this character, and where it began. A ligature is all of its letters.
    fn take(&mut self, c: char, place: u64) -> Option<(&'static str, u64)> {
        let mut found = None;
        normal(c, |c| {
            let ended = self.take_normal(c, place);
            found = found.or(ended);
        });
        found
    }

    fn take_normal(&mut self, c: char, place: u64) -> Option<(&'static str, u64)> {
        let Self { search, plain, decoded, alike, alike_decoded, hexadecimal, base64, .. } = self;
        let mut found = None;
        if let Some(symbol) = letter_of(c) {
            found = plain.take(&search.letters, symbol, place);
        }
        let mut spelled = |c, at| {
            let symbol = letter_of(c);
            if let Some((rule, began)) = symbol.and_then(|symbol| decoded.take(&search.letters, symbol, at)) {
                found.get_or_insert((if rule == "canary.plain" { "canary.escaped" } else { rule }, began));
            }
            let shape = shape_of(c);
            if let Some(ended) = shape.and_then(|shape| alike_decoded.take(&search.alike, shape, at)) {
                found.get_or_insert(ended);
            }
        };
        self.unescaper.take(c, place, |c, at| normal(c, |c| spelled(c, at)));
        if let Some(shape) = shape_of(c) {
            let ended = alike.take(&search.alike, shape, place);
            found = found.or(ended);
        }
        let mut packed = |search_of: Option<&mut Search>, byte, began, rule| {
            let ended =
                letter(byte).zip(search_of).and_then(|(symbol, of)| of.take(&search.letters, symbol, began));
            if let Some((_, began)) = ended {
                found.get_or_insert((rule, began));
            }
        };
        self.hex.take(c, place, |lane, byte, at| packed(hexadecimal.get_mut(lane), byte, at, "canary.hex"));
        self.sixty_four
            .take(c, place, |lane, byte, at| packed(base64.get_mut(lane), byte, at, "canary.base64"));
        found
    }

    /// Lets pass what stands before a find, and takes the find out.
    fn found(&mut self, rule: &'static str, began: u64, ended: u64, out: &mut String) {
        self.held.pass(began, Some(out));
        self.findings.note(rule, self.held.points());
        match self.search.on_find {
            OnFind::Stop => {
                self.stopped = Some(rule);
                self.held.clear();
            }
            OnFind::Replace => {
                out.push_str(MARK);
                self.held.pass(ended, None);
            }
        }
        let Self { plain, decoded, alike, alike_decoded, hexadecimal, base64, .. } = self;
        let four = [plain, decoded, alike, alike_decoded].into_iter();
        four.chain(hexadecimal).chain(base64).for_each(Search::clear);
        (self.hex, self.sixty_four) = (Hex::default(), Base64::default());
        self.unescaper.clear();
    }
}

/// The number of a letter or digit, in either case.
pub(super) const fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'z' => Some(byte - b'a' + 10),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn letter_of(c: char) -> Option<u8> {
    u8::try_from(c).ok().and_then(letter)
}

/// What *c* is to NFKC, each character of it: the letters of `ﬁ`, the one in brackets (`⒦`), the digit with a point (`⒎`).
fn normal(c: char, mut give: impl FnMut(char)) {
    match drawn(c) {
        _ if c.is_ascii() => give(c),
        Some(letter) => give(letter),
        None => c.nfkc().for_each(give),
    }
}

/// Letters that are drawn in black circles, in squares, or as halves of flags, which NFKC leaves as they are.
fn drawn(c: char) -> Option<char> {
    let first = [0x1f150, 0x1f170, 0x1f1e6].into_iter().rfind(|first| *first <= u32::from(c))?;
    let number = u8::try_from(u32::from(c) - first).ok().filter(|number| *number < 26)?;
    Some(char::from(b'A' + number))
}

fn rot13(symbol: u8) -> u8 {
    if symbol < 10 { symbol } else { (symbol - 10 + 13) % 26 + 10 }
}

/// What stands in the place of a canary.
const MARK: &str = "[canary]";
const MOST: usize = 8;
const SHORTEST: usize = 8;
const LONGEST: usize = 64;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

#[cfg(test)]
mod tests {
    use super::super::tests::{one, rules, run};
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    const TOKEN: &str = "k7qzv3mwx2";

    fn canary(on_find: OnFind) -> Canary {
        Canary::new([TOKEN, "Another0ne4You"], on_find).unwrap_or_else(|_| unreachable!())
    }

    fn spelled(each: impl Fn(u8) -> String) -> String {
        TOKEN.bytes().map(each).collect()
    }

    #[test]
    fn a_canary_is_found_however_it_is_spelled() {
        let backwards: String = TOKEN.chars().rev().collect();
        let alike = TOKEN.replace('k', "к").replace('w', "ԝ").replace('3', "е");
        for (text, rule) in [
            (TOKEN.to_owned(), "canary.plain"),
            (TOKEN.to_uppercase(), "canary.plain"),
            (spelled(|b| format!("{} ", b as char)), "canary.plain"),
            (spelled(|b| format!("**{}**-\u{200b}\n", b as char)), "canary.plain"),
            (
                spelled(|b| char::from_u32(0xFF00 + u32::from(b) - 0x20).unwrap_or(' ').to_string()),
                "canary.plain",
            ),
            (backwards.clone(), "canary.reversed"),
            ("x7dmi3zjk2".to_owned(), "canary.rot13"),
            ("2kjz3imd7x".to_owned(), "canary.rot13"),
            (spelled(|b| format!("%{b:02x}")), "canary.escaped"),
            (spelled(|b| format!("&#{b};")), "canary.escaped"),
            (spelled(|b| format!("\\u{b:04X} ")), "canary.escaped"),
            (spelled(|b| format!("U+{b:04X} ")), "canary.escaped"),
            (spelled(|b| format!("\\{b:03o}")), "canary.escaped"),
            (TOKEN.replace('z', "Ž").replace('x', "х").replace('3', "E"), "canary.look_alike"),
            (backwards.replace('7', "+").replace('z', "2"), "canary.look_alike"),
            (format!("{}%{:02x}{}", &TOKEN[..4], TOKEN.as_bytes()[4], &TOKEN[5..]), "canary.escaped"),
            (spelled(|b| format!("{b:02X}")), "canary.hex"),
            (spelled(|b| format!("0x{b:02x}, ")), "canary.hex"),
            (STANDARD.encode(TOKEN), "canary.base64"),
            (STANDARD.encode(format!("a{TOKEN}bc")), "canary.base64"),
            (STANDARD.encode(format!("is: {}", TOKEN.to_uppercase())), "canary.base64"),
            ("ⓚ⒎🅀⒵🆅3🄼🇼⒳2".to_owned(), "canary.plain"),
            // What NFKC says of a code is a code.
            (wide(&spelled(|b| format!("{b:02x}"))), "canary.hex"),
            (wide(&spelled(|b| format!("0X{b:02X}, "))), "canary.hex"),
            (wide(&STANDARD.encode(TOKEN)), "canary.base64"),
            (wide(&spelled(|b| format!("&#{b};"))), "canary.escaped"),
            (spelled(|b| format!("\\u{:04x}", u32::from(b) + 0xFEE0)), "canary.escaped"),
            // Disguises of two kinds at once.
            ("-".to_owned() + &alike.to_uppercase(), "canary.look_alike"),
            (alike.chars().rev().flat_map(|c| [c, '·', ' ']).collect(), "canary.look_alike"),
            (alike.chars().map(|c| format!("&#{};", c as u32)).collect(), "canary.look_alike"),
            (alike.chars().rev().map(|c| format!("\\u{:04x}", c as u32)).collect(), "canary.look_alike"),
            ("ᴋ7qᴢᴠ3ᴍᴡx2".to_owned(), "canary.look_alike"),
            (STANDARD.encode("K7Qzv3Mwx2"), "canary.base64"),
            (STANDARD.encode(spelled(|b| format!("{} ", b as char))), "canary.base64"),
            (STANDARD.encode(&backwards), "canary.base64"),
            (STANDARD.encode("is x7dmi3zjk2"), "canary.base64"),
            (STANDARD.encode(TOKEN).replace("", " "), "canary.base64"),
            (STANDARD.encode(spelled(|b| format!("{}\0", b as char))), "canary.base64"),
            (spelled(|b| format!("{} ", STANDARD.encode([b]))), "canary.base64"),
            (spelled(|b| format!("{b:02x}{:02x}", b'-')), "canary.hex"),
            (backwards.bytes().map(|b| format!("0X{b:02X} ")).collect(), "canary.hex"),
            ("k7Qzv3Mwx2".bytes().map(|b| format!("{b:04x}")).collect(), "canary.hex"),
            (STANDARD.encode(format!("the word is {TOKEN} indeed")).replace('d', "d\n"), "canary.base64"),
        ] {
            let text = format!("It is {text}!");
            let (left, stopped) = run(&canary(OnFind::Stop), &[&text]);
            assert!(stopped.is_some() && "It is ".starts_with(left.get(..6).unwrap_or(&left)), "{text:?}");
            assert!(rules(&canary(OnFind::Replace), &text).contains(&rule), "{text:?}");
            let kept = one(&canary(OnFind::Replace), &text);
            assert!(kept.contains(MARK) && !kept.contains(TOKEN), "{text:?} {kept:?}");
        }
    }

    fn wide(text: &str) -> String {
        let wide = |c: char| char::from_u32(c as u32 + 0xFEE0).filter(|_| c.is_ascii_graphic());
        text.chars().map(|c| wide(c).unwrap_or(c)).collect()
    }

    // Several letters that are one character.
    #[test]
    fn a_canary_with_ligatures_in_it_is_found_whole() {
        let token = "kgfi10ffldzTEL3";
        let canary = Canary::new([token], OnFind::Replace).unwrap_or_else(|_| unreachable!());
        for (disguised, rule) in [
            ("㎏ﬁ⑩ﬄǳ℡3", "canary.plain"),
            ("㎏-ﬁ-⑽-ﬀldz-℡-3", "canary.plain"),
            ("3Lᴇᴛzdlﬀ01ifgk", "canary.look_alike"),
            ("㎏ﬁ⑩ﬄǳтᴇʟ3", "canary.look_alike"),
        ] {
            assert!(rules(&canary, disguised).contains(&rule), "{disguised}");
            assert_eq!(one(&canary, &format!("a{disguised}b")), "a[canary]b", "{disguised}");
        }
        assert_eq!(one(&canary, "㎏ﬁ⑩ﬅdz℡3"), "㎏ﬁ⑩ﬅdz℡3");
    }

    #[test]
    fn what_is_no_canary_passes() {
        for text in
            ["k7qzv3mwx", "k7qzv3mwxx2", "7qzv3mwx2", "100% of k7qz", "azd2enYz", &TOKEN.replace('z', "zz")]
        {
            assert_eq!(run(&canary(OnFind::Stop), &[text]), (text.to_owned(), None));
        }
        let far = format!("k7qzv{}3mwx2", " ".repeat(64));
        assert_eq!(one(&canary(OnFind::Stop), &far), far);
    }

    #[test]
    fn what_can_be_no_canary_any_more_is_not_held_back() {
        // In a script without a letter of ASCII, no symbol would end the search.
        for begun in ["k", "k7qz", "&#10", "6b 3", "azd"] {
            let mut filter = canary(OnFind::Stop).start();
            let mut out = String::new();
            filter.feed(&format!("{begun} {}", "字".repeat(40)), &mut out);
            assert_eq!(filter.held(), 0, "{begun}");
        }
    }

    #[test]
    fn one_that_is_replaced_takes_its_own_letters_only() {
        assert_eq!(
            one(&canary(OnFind::Replace), "a k7qzv3mwx2k7qzv3mwx2b another0ne4you."),
            "a [canary][canary]b [canary]."
        );
        assert_eq!(
            run(&canary(OnFind::Stop), &["a k7q", "zv3m", "wx2 b"]),
            ("a ".to_owned(), Some("canary.plain"))
        );
    }

    #[test]
    fn a_new_canary_is_all_of_its_bits() {
        assert_eq!(canary_of([0; 15]), "a".repeat(24));
        assert_eq!(canary_of([255; 15]), "7".repeat(24));
        assert_ne!(canary_of([1; 15]), canary_of([2; 15]));
    }

    #[test]
    fn tokens_that_would_be_found_everywhere_are_refused() {
        for token in ["", "short", "with space!", "naïvenaïve", &"x".repeat(65)] {
            assert!(Canary::new([token], OnFind::Stop).is_err(), "{token:?}");
        }
        assert!(Canary::new([], OnFind::Stop).is_err());
        assert!(Canary::new([TOKEN; 9], OnFind::Stop).is_err());
    }
}
