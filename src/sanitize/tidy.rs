//! Brings tags into order before they are parsed, so that parsing takes linear time and memory.
//!
//! HTML's own repair does not: ten thousand open `<b title=…>` are opened anew in each of ten thousand paragraphs
//! (§13.2.4.3), text in a table is moved before it past all that stands there (§13.2.6.1), each tag looks through all open
//! ones (§13.2.4.2), each attribute through all of its tag.
//!
//! Written anew are: text, its `<` escaped; start tags of allowed elements, with allowed attributes in quotes, at most
//! 100 deep, those counted that HTML opens by itself; and an end tag for each, in order. Elements end where HTML ends them by themselves (paragraphs, items, rows,
//! cells), and a table's text gets a cell.
//!
//! It is a bound and no guard: what is safe, the parser after it decides.

use super::policy::HtmlPolicy;
use super::tags::{BLOCKS, HEADINGS, HOLLOW, TABLE, VOID};

/// *html* in order, for *policy*.
pub(super) fn tidy(html: &str, policy: &HtmlPolicy) -> String {
    let out = String::with_capacity(html.len() + html.len() / 8);
    let mut tidy = Tidy { out, open: Vec::new(), run: 0, policy };
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, markup) = rest.split_at_checked(at).unwrap_or((rest, ""));
        tidy.text(text);
        rest = tidy.markup(markup);
    }
    tidy.text(rest);
    tidy.close_to(0);
    tidy.out
}

struct Tidy<'p> {
    out: String,
    open: Vec<&'static str>,
    /// Bytes of text since it was cut.
    run: usize,
    policy: &'p HtmlPolicy,
}

impl Tidy<'_> {
    /// Takes what a `<` begins, and returns what is after it (HTML §13.2.5.6).
    fn markup<'h>(&mut self, html: &'h str) -> &'h str {
        match html.as_bytes() {
            [b'<', b'!', b'-', b'-', ..] => after_comment(html),
            [b'<', b'/', c, ..] if c.is_ascii_alphabetic() => match Tag::read(&html[2..], None) {
                Some((tag, rest)) => {
                    self.end(&tag.name);
                    rest
                }
                None => "",
            },
            [b'<', b'!' | b'?' | b'/', _, ..] => html.split_once('>').map_or("", |(_, rest)| rest),
            [b'<', c, ..] if c.is_ascii_alphabetic() => match Tag::read(&html[1..], Some(self.policy)) {
                Some((tag, rest)) => {
                    if let Ok(at) = HOLLOW.binary_search(&tag.name.as_str()) {
                        let foreign = matches!(HOLLOW.get(at), Some(&("svg" | "math")));
                        return if foreign && tag.closed { rest } else { after_hollow(rest, &tag.name) };
                    }
                    self.start(&tag);
                    rest
                }
                None => "",
            },
            _ => {
                self.text("&lt;");
                html.get(1..).unwrap_or_default()
            }
        }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !text.bytes().all(|byte| byte.is_ascii_whitespace()) {
            self.enter_cell();
        }
        // What writes the tree anew looks from each `&`, and each character of which the first byte is that of a no-break space, through the
        // rest of its text. So the text is cut there: by comments, which do not stay.
        let mut from = 0;
        for (at, _) in text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'&' | 0xC2)) {
            if self.run + (at - from) >= LONGEST_TEXT {
                self.out.push_str(text.get(from..at).unwrap_or_default());
                self.out.push_str("<!---->");
                (self.run, from) = (0, at);
            }
        }
        let rest = text.get(from..).unwrap_or_default();
        self.run += rest.len();
        self.out.push_str(rest);
    }

    fn start(&mut self, tag: &Tag) {
        let Some(name) = self.policy.tags.get(tag.name.as_str()).copied() else { return };
        if TABLE.contains(&name) && name != "table" {
            if !self.make_room(name) {
                return;
            }
        } else {
            self.enter_cell();
            self.end_implied(name);
        }
        // What is between a table and a cell of it is opened by itself. It counts where the table begins, so that all of
        // it has room: a cell that had none would let its text out before the table.
        let needed = if name == "table" { CELL } else { 1 };
        if self.open.len() + needed > DEPTH && !VOID.contains(&name) {
            return;
        }
        self.out.push('<');
        self.out.push_str(name);
        for (name, value) in &tag.attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.out.push_str(&value.replace('"', "&quot;"));
            self.out.push('"');
        }
        self.out.push('>');
        if !VOID.contains(&name) {
            self.open.push(name);
        }
        if name == "pre" {
            // A line end here is dropped each time it is read (HTML §13.2.6.4.7): this one, so that the text's own stays.
            self.out.push('\n');
        }
    }

    fn end(&mut self, name: &str) {
        let part = TABLE.contains(&name);
        let found =
            self.open.iter().rposition(|open| *open == name || (is_scope(open) && !part) || *open == "table");
        if let Some(at) = found.filter(|at| self.open.get(*at).is_some_and(|open| *open == name)) {
            self.close_to(at);
        }
    }

    /// Ends what the start of *name* ends.
    fn end_implied(&mut self, name: &str) {
        if HEADINGS.contains(&name) || BLOCKS.binary_search(&name).is_ok() {
            self.close_inner("p", &[]);
        }
        match name {
            "a" => self.close_inner("a", &[]),
            "li" => self.close_inner("li", &["ol", "ul"]),
            "dd" | "dt" => {
                self.close_inner("dd", &["dl"]);
                self.close_inner("dt", &["dl"]);
            }
            "rp" | "rt" => {
                self.close_inner("rp", &["ruby"]);
                self.close_inner("rt", &["ruby"]);
            }
            _ => {}
        }
        let in_heading = self.open.last().is_some_and(|open| HEADINGS.contains(open));
        if in_heading && HEADINGS.contains(&name) {
            self.close_to(self.open.len() - 1);
        }
    }

    /// Closes the innermost *name*, unless one of *bounds*, a cell or a table is between.
    fn close_inner(&mut self, name: &str, bounds: &[&str]) {
        let found =
            self.open.iter().rposition(|open| *open == name || is_scope(open) || bounds.contains(open));
        if let Some(at) = found.filter(|at| self.open.get(*at).is_some_and(|open| *open == name)) {
            self.close_to(at);
        }
    }

    /// Closes and opens what must be between the innermost table and its part *name*. False if it has no place.
    fn make_room(&mut self, name: &str) -> bool {
        let Some(table) = self.open.iter().rposition(|open| *open == "table") else { return false };
        // The deepest element of this table that may hold the part.
        let holders: &[&str] = match name {
            "td" | "th" => &["tr", "tbody", "thead", "tfoot"],
            "tr" => &["tbody", "thead", "tfoot"],
            "col" => &["colgroup"],
            _ => &[],
        };
        let inside = self.open.get(table + 1..).unwrap_or_default();
        let held = inside.iter().take(2).take_while(|open| holders.contains(open)).count();
        self.close_to(table + 1 + held);
        let last = self.open.last().copied();
        match name {
            "tr" | "td" | "th" if last == Some("table") => self.open_plain("tbody"),
            "col" if last == Some("table") => self.open_plain("colgroup"),
            _ => {}
        }
        if matches!(name, "td" | "th") && last != Some("tr") {
            self.open_plain("tr");
        }
        true
    }

    /// Opens a cell where a table would let out what is not of it.
    fn enter_cell(&mut self) {
        let is_part =
            |open: &&str| matches!(*open, "table" | "tbody" | "thead" | "tfoot" | "tr" | "colgroup");
        if self.open.last().is_some_and(is_part) && self.make_room("td") {
            self.open_plain("td");
        }
    }

    fn open_plain(&mut self, name: &'static str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        self.open.push(name);
    }

    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            if let Some(name) = self.open.pop() {
                self.out.push_str("</");
                self.out.push_str(name);
                self.out.push('>');
            }
        }
    }
}

/// Where the search for an open element ends (HTML §13.2.4.2).
fn is_scope(open: &&str) -> bool {
    matches!(*open, "table" | "td" | "th" | "caption")
}

struct Tag<'h> {
    name: String,
    attributes: Vec<(&'static str, &'h str)>,
    closed: bool,
}

impl<'h> Tag<'h> {
    /// Reads a tag from its name on, and what is after it; nothing if it does not end (HTML §13.2.5.8 and following).
    /// Of attributes, those that *policy* allows are kept, the first of each name.
    fn read(html: &'h str, policy: Option<&HtmlPolicy>) -> Option<(Self, &'h str)> {
        let end = html.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>')?;
        let (name, mut rest) = html.split_at_checked(end)?;
        // A longer one is no element; it is not copied.
        let name = if name.len() <= LONGEST { name.to_ascii_lowercase() } else { String::new() };
        let allowed = policy.map(|policy| [policy.attributes.get(name.as_str()), policy.attributes.get("*")]);
        let mut tag = Tag { name, attributes: Vec::new(), closed: false };
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
            match rest.as_bytes() {
                [] => return None,
                [b'>', ..] => return Some((tag, rest.get(1..)?)),
                [b'/', ..] => {
                    rest = rest.get(1..)?;
                    tag.closed = rest.starts_with('>');
                    continue;
                }
                _ => {}
            }
            let (attribute, value, after) = attribute(rest)?;
            rest = after;
            if attribute.len() <= LONGEST
                && let Some(allowed) = &allowed
            {
                let lower = attribute.to_ascii_lowercase();
                let known = allowed.iter().flatten().find_map(|names| names.get(lower.as_str()).copied());
                if let Some(known) =
                    known.filter(|known| !tag.attributes.iter().any(|(name, _)| name == known))
                    && value.len() <= LONGEST_VALUE
                {
                    tag.attributes.push((known, value));
                }
            }
        }
    }
}

/// Name and value of an attribute, and what is after it; nothing if the text ends before.
fn attribute(html: &str) -> Option<(&str, &str, &str)> {
    // A `=` at the start is part of the name.
    let ends =
        |(at, c): &(usize, char)| c.is_ascii_whitespace() || matches!(c, '/' | '>') || (*c == '=' && *at > 0);
    let (end, _) = html.char_indices().find(ends)?;
    let (name, rest) = html.split_at_checked(end)?;
    let blank = |c: char| c.is_ascii_whitespace();
    let Some(value) = rest.trim_start_matches(blank).strip_prefix('=') else {
        return Some((name, "", rest));
    };
    let value = value.trim_start_matches(blank);
    if let Some(quoted) = value.strip_prefix('"') {
        return quoted.split_once('"').map(|(value, rest)| (name, value, rest));
    }
    if let Some(quoted) = value.strip_prefix('\'') {
        return quoted.split_once('\'').map(|(value, rest)| (name, value, rest));
    }
    let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>')?;
    value.split_at_checked(end).map(|(value, rest)| (name, value, rest))
}

/// What is after a comment: its end is the first of `-->` and `--!>`, or `>` at once.
fn after_comment(html: &str) -> &str {
    let body = html.get(4..).unwrap_or_default();
    for short in [">", "->"] {
        if let Some(rest) = body.strip_prefix(short) {
            return rest;
        }
    }
    let mut rest = body;
    while let Some((_, after)) = rest.split_once("--") {
        for end in [">", "!>"] {
            if let Some(after) = after.strip_prefix(end) {
                return after;
            }
        }
        // `--->` ends too: the second dash may begin the end.
        rest = rest.get(rest.len() - after.len() - 1..).unwrap_or_default();
    }
    ""
}

/// What is after the end tag of an element whose content is not kept; nothing if it does not end.
fn after_hollow<'h>(html: &'h str, name: &str) -> &'h str {
    if name == "plaintext" {
        return ""; // It has no end.
    }
    let mut rest = html;
    while let Some(at) = rest.find("</") {
        rest = rest.get(at + 2..).unwrap_or_default();
        let ends = rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        let after = rest.get(name.len()..).unwrap_or_default();
        if ends && after.starts_with(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>') {
            return Tag::read(rest, None).map_or("", |(_, rest)| rest);
        }
    }
    ""
}

/// How deep elements may be in each other; deeper ones are left out, their text stays.
const DEPTH: usize = 100;
/// How many of them a table needs down to a cell: itself, a body, a row, the cell.
const CELL: usize = 4;
/// How many bytes of text come before a cut.
const LONGEST_TEXT: usize = 2048;
/// The longest value of an attribute, in bytes; one that is longer is left out.
const LONGEST_VALUE: usize = 16_384;
/// The longest name of an element or attribute that a policy could allow, in bytes, and of those that go whole.
const LONGEST: usize = 16;
