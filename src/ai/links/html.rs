//! Reads an HTML tag as browsers do, character by character, and says what addresses it has.
//!
//! The states are those of HTML §13.2.5.6 to .40, as far as they decide where a tag ends and which value an attribute has.
//! A `<` outside of a quoted value is a part of the tag to browsers, and the end of it to renderers of Markdown. So it ends
//! the reading, but for tags that are harmless either way, as code is that only looks like some (`Vec<Vec<u8>>`, `tags.rs`).
//!
//! Source: HTML (WHATWG), §13.2.5 "Tokenization"; OWASP "XSS Filter Evasion".

use super::address::is_followed;

/// A tag that is being read.
#[derive(Default)]
pub(super) struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
    place: Place,
    /// What stands outside of the values that are judged, in lower case.
    outside: String,
    /// Whether it may be `<scheme:…>`, and whether it cannot be any more.
    scheme: bool,
    spaced: bool,
    /// Whether a value was begun.
    valued: bool,
    /// Where, in what is held, further `<` stand before the one that this tag began with; the first is not among them.
    pub(super) within: Vec<usize>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Name,
    /// Between attributes.
    Between,
    Attribute,
    /// After an attribute's name and a blank.
    After,
    /// After `=`.
    Equals,
    Quoted(char),
    Bare,
    /// After a quoted value.
    Behind,
}

/// What a character makes of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    More,
    /// It is complete.
    Tag,
    /// It is `<scheme:`: an address in angle brackets.
    Scheme,
    /// It is none.
    Not,
}

/// What an address of a tag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The reader may go there.
    Link,
    /// The browser goes there by itself, and shows what it gets.
    Show,
    /// It may go there by itself.
    Fetch,
}

impl Tag {
    pub(super) fn take(&mut self, c: char) -> Step {
        let blank = matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c');
        self.spaced |= blank || c == '<';
        // An address in angle brackets has no quotes: it ends here.
        if c == '>' && self.is_scheme() {
            return Step::Scheme;
        }
        if c == '<' && !matches!(self.place, Place::Quoted(_)) {
            return Step::Not;
        }
        if c == '>' && !matches!(self.place, Place::Quoted(_)) {
            return Step::Tag;
        }
        let judged = match self.place {
            Place::Quoted(_) | Place::Bare | Place::Equals => {
                self.attributes.last().is_some_and(|(name, _)| !is_harmless(name))
            }
            _ => false,
        };
        if !judged {
            self.outside.push(c.to_ascii_lowercase());
        }
        match self.place {
            Place::Name if blank || c == '/' => self.place = Place::Between,
            Place::Name => {
                self.scheme |= c == ':' && self.name.len() > 1 && is_scheme(&self.name);
                self.name.push(c.to_ascii_lowercase());
            }
            Place::Between | Place::Behind if blank || c == '/' => self.place = Place::Between,
            Place::Attribute | Place::After if c == '=' => (self.place, self.valued) = (Place::Equals, true),
            Place::Attribute if blank => self.place = Place::After,
            Place::Attribute | Place::After if c == '/' => self.place = Place::Between,
            Place::After if blank => {}
            Place::Attribute => {
                if let Some((name, _)) = self.attributes.last_mut() {
                    name.push(c.to_ascii_lowercase());
                }
            }
            Place::Between | Place::Behind | Place::After => {
                self.attributes.push((c.to_ascii_lowercase().to_string(), String::new()));
                self.place = Place::Attribute;
            }
            Place::Equals if blank => {}
            Place::Equals if matches!(c, '"' | '\'') => self.place = Place::Quoted(c),
            Place::Quoted(quote) if c == quote => self.place = Place::Behind,
            Place::Bare if blank => self.place = Place::Between,
            Place::Equals | Place::Quoted(_) | Place::Bare => {
                if self.place == Place::Equals {
                    self.place = Place::Bare;
                }
                if let Some((_, value)) = self.attributes.last_mut() {
                    value.push(c);
                }
            }
        }
        Step::More
    }

    /// Whether it is `<scheme:…` so far: an address in angle brackets, if a `>` follows before a blank.
    pub(super) fn is_scheme(&self) -> bool {
        self.scheme && !self.spaced
    }

    /// Whether a `<` in it may be one of code (`Vec<Vec<u8>>`, `a<b && c<d`), since nothing is said by `=` so far.
    pub(super) fn may_go_on(&self) -> bool {
        let nothing = self.name.is_empty();
        !self.valued
            && !self.is_harmful()
            && !self.leads_somewhere()
            && (!nothing || !self.within.is_empty())
            && self.within.len() < DEEPEST
    }

    /// Whether a character right behind a further `<` makes a tag's end, a comment or an instruction of it.
    pub(super) fn begins_otherwise(&self, c: char) -> bool {
        self.name.is_empty() && self.place == Place::Name && matches!(c, '/' | '!' | '?')
    }

    /// Whether it says nothing to whoever takes it for a tag: no address, no script, no style. So is code.
    pub(super) fn is_inert(&self) -> bool {
        let says = |(name, value): &(String, String)| {
            !value.is_empty()
                && (SHOWN.contains(&name.as_str())
                    || !value.chars().all(|c| c.is_alphanumeric() || PLAIN.contains(c)))
        };
        !self.is_harmful() && !self.leads_somewhere() && !self.attributes.iter().any(says)
    }

    /// Whether its name begins as an address that a program of the reader's follows.
    fn leads_somewhere(&self) -> bool {
        self.name.contains('@') || (self.scheme && self.name.split(':').next().is_some_and(is_followed))
    }

    /// Whether it says nothing either if its end never comes, and another text follows.
    pub(super) fn is_inert_open(&self) -> bool {
        let settled = self.place == Place::Name || !OPEN.contains(&self.name.as_str());
        settled && self.is_inert() && !matches!(self.place, Place::Quoted(_) | Place::Equals)
    }

    /// Whether renderers of Markdown take it for a tag, by the names in it (CommonMark §6.6).
    pub(super) fn is_markup(&self) -> bool {
        self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && self.attributes.iter().all(|(name, _)| is_name(name))
    }

    /// Whether the tag may not stand, whatever its addresses are.
    pub(super) fn is_harmful(&self) -> bool {
        is_harmful(&self.name)
            || self.attributes.iter().any(|(name, value)| {
                name.starts_with("on")
                    || LISTS.contains(&name.as_str())
                    || (name == "style" && !is_plain_style(value))
            })
    }

    /// Whether there is an address where none is judged: whoever shows the tag as text would make a link of it.
    pub(super) fn hides(&self) -> bool {
        ["//", "www.", "mailto:"].iter().any(|link| self.outside.contains(link))
            || self.name.contains('@')
            || !self.attributes.iter().all(|(name, _)| is_name(name))
    }

    /// The addresses of the tag, and what may be one.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (Use, &str)> {
        let link = matches!(self.name.as_str(), "a" | "area");
        self.attributes.iter().filter(|(name, _)| !is_harmless(name)).map(move |(name, value)| {
            let kind = match name.as_str() {
                "href" if link => Use::Link,
                name if SHOWN.contains(&name) => Use::Show,
                _ => Use::Fetch,
            };
            (kind, value.as_str())
        })
    }
}

/// Whether an element of this name may not stand.
pub(super) fn is_harmful(name: &str) -> bool {
    HARMFUL.iter().any(|harmful| harmful.eq_ignore_ascii_case(name))
}

/// Whether *name* is one of an attribute (CommonMark §6.6).
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:.-".contains(&b))
}

fn is_scheme(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-_".contains(&b))
}

/// Styles that name nothing outside: no functions, no escapes.
fn is_plain_style(style: &str) -> bool {
    style.bytes().all(|b| b.is_ascii_alphanumeric() || b" -:;.,#%!".contains(&b))
}

fn is_harmless(name: &str) -> bool {
    HARMLESS.contains(&name) || name.starts_with("aria-")
}

/// Elements that run, embed, redirect, submit or style. `noscript` is read otherwise with scripts than without.
const HARMFUL: [&str; 24] = [
    "applet",
    "base",
    "body",
    "embed",
    "form",
    "frame",
    "frameset",
    "html",
    "iframe",
    "link",
    "math",
    "meta",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "plaintext",
    "portal",
    "script",
    "style",
    "svg",
    "template",
    "textarea",
    "xmp",
];

/// Attributes with several addresses, or with a document.
const LISTS: [&str; 6] = ["archive", "attributionsrc", "imagesrcset", "ping", "srcdoc", "srcset"];

/// Attributes whose address is of an image, or of what is shown as one is.
const SHOWN: [&str; 9] =
    ["background", "data", "dynsrc", "href", "icon", "lowsrc", "poster", "src", "xlink:href"];

/// Attributes without an address. `style` is judged by itself.
const HARMLESS: [&str; 40] = [
    "abbr",
    "align",
    "alt",
    "border",
    "cellpadding",
    "cellspacing",
    "checked",
    "class",
    "color",
    "cols",
    "colspan",
    "controls",
    "datetime",
    "dir",
    "disabled",
    "face",
    "for",
    "height",
    "hreflang",
    "id",
    "label",
    "lang",
    "loading",
    "name",
    "open",
    "placeholder",
    "rel",
    "reversed",
    "role",
    "rows",
    "rowspan",
    "scope",
    "size",
    "start",
    "style",
    "target",
    "title",
    "type",
    "valign",
    "width",
];

/// Beside letters and digits, what a value may have that leads nowhere: no address has a scheme or a host without others.
const PLAIN: &str = "_-.,;!*~+=\"'()[]{}|^$ ";

/// Elements whose attributes browsers act on. Without a `>`, what stands behind the text would be these.
const OPEN: [&str; 16] = [
    "a", "area", "audio", "bgsound", "button", "image", "img", "input", "marquee", "source", "table", "td",
    "th", "tr", "track", "video",
];

/// How many `<` may stand in what looks like one tag.
const DEEPEST: usize = 8;
