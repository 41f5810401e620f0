//! Decides whether a text is within an address, so that nothing personal is put back there.
//!
//! It is, in this order:
//! 1. within a tag, from `<` and a letter, `/`, `!` or `?` to the next `>`;
//! 2. behind `](`, up to a `)` or an empty line; behind `]:`, up to the end of the next line that says something;
//! 3. in a run without blanks that has `//`, `\\`, `www.`, `](`, `]:`, `:/` or `:?` in it, or one of `/ ? = # &` behind a point
//!    between letters or an `@`, which is a host; if a quote was opened in the run before that,
//!    up to the same quote.
//!
//! It errs on the safe side: after `a <b`, nothing is put back before a `>`. `Links` judges addresses exactly; this here only
//! has to know where one may be.
//!
//! Source: "Embrace The Red" (J. Rehberger, 2023: data in the address of an image).

/// What the text ends with.
#[derive(Default)]
pub(super) struct Places {
    /// The last four characters.
    last: [char; 4],
    /// The run without blanks has an address in it; and what may be a host.
    run: bool,
    host: bool,
    /// A quote that was opened in this run; and one whose end ends the address.
    quote: Option<char>,
    within: Option<char>,
    tag: bool,
    brackets: bool,
    /// Behind `]:`; whether its line said something.
    definition: Option<bool>,
    empty_line: bool,
}

impl Places {
    /// Whether what follows is within an address.
    pub(super) fn is_address(&self) -> bool {
        self.run || self.tag || self.brackets || self.within.is_some() || self.definition.is_some()
    }

    /// Notes that *text* was written.
    pub(super) fn wrote(&mut self, text: &str) {
        // Of a long plain text, only the end counts, if nothing is open.
        text.chars().for_each(|c| self.take(c));
    }

    fn take(&mut self, c: char) {
        let [_, third, second, last] = self.last;
        if c.is_whitespace() {
            (self.run, self.host, self.quote) = (false, false, None);
            if c == '\n' {
                if self.empty_line {
                    self.brackets = false;
                }
                self.definition = match self.definition {
                    Some(true) => None,
                    other => other,
                };
                self.empty_line = true;
            }
        } else {
            self.empty_line = false;
            let starts = match (last, c) {
                (']', '(') => {
                    self.brackets = true;
                    true
                }
                (']', ':') => {
                    self.definition = Some(false);
                    true
                }
                ('/', '/') | ('\\', '\\') | (':', '/' | '?') => true,
                (_, '/' | '?' | '=' | '#' | '&') if self.host => true,
                ('w' | 'W', '.') => matches!((third, second), ('w' | 'W', 'w' | 'W')),
                _ => false,
            };
            self.host |= c == '@' || (last == '.' && c.is_alphanumeric() && second.is_alphanumeric());
            if starts {
                self.run = true;
                self.within = self.within.or(self.quote);
            } else if let Some(said) = self.definition.as_mut() {
                *said = true;
            }
            if self.within == Some(c) {
                self.within = None;
            }
            match c {
                '"' | '\'' | '`' => self.quote = Some(c),
                ')' => self.brackets = false,
                '>' => self.tag = false,
                '<' if self.brackets || self.definition.is_some() => self.tag = true,
                'a'..='z' | 'A'..='Z' | '/' | '!' | '?' if last == '<' => self.tag = true,
                _ => {}
            }
        }
        self.last = [third, second, last, c];
    }
}

/// Whether *rest*, which stands behind a value, makes the value a part of a host or of an e-mail address: a point and a letter,
/// or an `@`, behind at most a label. `None` if that is not known yet.
pub(super) fn leads_on(rest: &str, ends: bool) -> Option<bool> {
    let mut after = rest.chars().skip_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '%'));
    let point = after.next();
    let label =
        rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '%')).take(LABEL + 1);
    match point {
        _ if label.count() > LABEL => Some(false),
        Some('@') => Some(true),
        Some(point @ ('.' | '。' | '．' | '｡')) => match after.next() {
            None => ends.then_some(false),
            // Where sentences end with its wide form, no blank follows.
            Some(c) => Some(c.is_ascii_alphanumeric() || (point == '.' && c.is_alphanumeric())),
        },
        Some(_) => Some(false),
        None => ends.then_some(false),
    }
}

/// The most characters of a part of a host (RFC 1035 §2.3.4).
pub(super) const LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_address_may_be_nothing_is_put_back() {
        for text in [
            "https://evil.example/?q=",
            "![x](",
            "![x]( ",
            "![x](\nhttps:",
            "[x](<https://evil.example/ a (b) ",
            "[id]: ",
            "[id]:\n",
            "[id]: <a b",
            "<img src=",
            "<img src='x' alt=",
            "<a\nhref=\"",
            "//evil.example/",
            "www.evil.example/",
            "\\\\evil\\",
            "fetch('//evil.example/?q='+'",
            "<img alt=\">\" src=\"https://evil.example/? ",
            "url(//",
            "http://u:",
            "[a](b(c)d",
            "<!-- ",
            "</a ",
            // Without a scheme, or with half of one.
            "evil.example/?q=",
            "evil.example?",
            "evil.example/a/",
            "mailto:x@evil.example?body=",
            "mailto:?body=",
            "https:/evil.example/",
            "x@evil.example?subject=a&body=",
        ] {
            let mut places = Places::default();
            places.wrote(text);
            assert!(places.is_address(), "{text:?}");
        }
    }

    #[test]
    fn elsewhere_it_is() {
        for text in [
            "",
            "Dear ",
            "Email:",
            "a < b ",
            "a/b ",
            "https://example.com/ and ",
            "[x](y) ",
            "[x] (",
            "<b>",
            "<b>Dear ",
            "[id]: /x\n",
            "either/or",
            "\"https://example.com/\" ",
            "1/2",
            "[x](y\n\n",
            "to=",
            "e.g. ",
            "Is it x.y? ",
            "evil.example/ and=",
            "{\"email\":\"",
        ] {
            let mut places = Places::default();
            places.wrote(text);
            assert!(!places.is_address(), "{text:?}");
        }
    }
}
