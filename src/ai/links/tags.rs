//! What becomes of a tag, once it is whole or turns out to be none.
//!
//! Code looks like tags: `if x<y`, `Vec<Vec<u8>>`, `for (i=0; i<n; i++)`. What says nothing to any reader, as a tag or as text,
//! passes as it is, also with further `<` in it or without a `>` at the end of the text; of what may say something, a tag is
//! looked at by itself, and what is none is written `< none`.

use super::address::{LONGEST, Verdict, is_path, is_word};
use super::bare::is_open;
use super::html::{Step, Tag, Use};
use super::run::{Kind, Run, State};

impl Run {
    pub(super) fn less(&mut self, c: char, tags: bool, out: &mut String) {
        match c {
            'a'..='z' | 'A'..='Z' => {
                self.held.push(c);
                let mut tag = Box::<Tag>::default();
                tag.take(c);
                self.state = State::Tag(tag);
            }
            // A type of Java's: behind a word, up to its end.
            '?' if self.last.is_alphanumeric() => {
                self.held.push(c);
                self.state = State::Wildcard;
            }
            // Comments, declarations and instructions hide what follows from the reader, or from us.
            '!' | '?' => {
                self.held.push(c);
                self.hides(tags, out);
            }
            _ => {
                self.release(out);
                self.text(c, tags, out);
            }
        }
    }

    /// After `<?`, which is an instruction unless it goes on as a wildcard does. Browsers take that for a comment up to the
    /// next `>`, and renderers of Markdown for an instruction up to the next `?>`: what stands there is looked at as text all the same.
    pub(super) fn wildcard(&mut self, c: char, tags: bool, out: &mut String) {
        self.held.push(c);
        let begins = |whole: &&&str| whole.starts_with(&self.held);
        match WILDCARDS.iter().find(begins) {
            Some(whole) if **whole == self.held => self.release(out),
            Some(_) => self.state = State::Wildcard,
            None => self.hides(tags, out),
        }
    }

    /// What is held would hide something: it is written so that nobody takes it for more than text.
    pub(super) fn hides(&mut self, tags: bool, out: &mut String) {
        self.findings.note("links.html", self.began);
        let held = std::mem::take(&mut self.held);
        out.push_str("< ");
        self.last = ' ';
        held.chars().skip(1).for_each(|c| self.take(c, tags, out));
    }

    pub(super) fn tag(&mut self, mut tag: Box<Tag>, c: char, out: &mut String) {
        if !tag.within.is_empty() && (c == '=' || tag.begins_otherwise(c)) {
            return self.apart(&tag, c, out);
        }
        match tag.take(c) {
            Step::More => {
                self.held.push(c);
                self.state = State::Tag(tag);
                if self.held.len() > LONGEST {
                    self.state = State::Text;
                    self.untag(out);
                }
            }
            Step::Not if tag.may_go_on() => {
                let mut next = Box::<Tag>::default();
                next.within = std::mem::take(&mut tag.within);
                next.within.push(self.held.len());
                self.held.push(c);
                self.state = State::Tag(next);
            }
            step if !tag.within.is_empty() => {
                let is_code = match step {
                    Step::Scheme => self.held.rsplit('<').next().is_some_and(is_path),
                    Step::Tag => tag.is_inert(),
                    _ => false,
                };
                if !is_code || self.shows_more() {
                    return self.apart(&tag, c, out);
                }
                self.held.push(c);
                self.release(out);
            }
            Step::Tag => {
                self.held.push(c);
                self.whole(&tag, out);
            }
            Step::Scheme => self.destination(Kind::Angle, true, Some(c), out),
            Step::Not => {
                self.untag(out);
                self.take(c, true, out);
            }
        }
    }

    /// What is held has a tag in it that is looked at by itself: what stands before that was none.
    fn apart(&mut self, tag: &Tag, c: char, out: &mut String) {
        let at = tag.within.first().copied().unwrap_or(0);
        let rest = self.held.split_off(at.min(self.held.len()));
        self.untag(out);
        // Each time, one `<` less is in it.
        rest.chars().for_each(|c| self.take(c, true, out));
        self.take(c, true, out);
    }

    /// The end of the text, within a tag.
    pub(super) fn open_tag(&mut self, tag: &Tag, out: &mut String) {
        let named = self.held.split_once(':').map(|(_, rest)| rest);
        let is_code = if tag.is_scheme() { named == Some("") } else { tag.is_inert_open() };
        if is_code && !self.shows_more() {
            self.release(out);
        } else {
            self.untag(out);
        }
    }

    /// Whether there is anything in what is held that is more than a tag to whoever shows tags as text.
    fn shows_more(&self) -> bool {
        let text = self.held.to_ascii_lowercase();
        let brackets = self.in_image() && text.contains(['[', ']', '`', '\\']);
        brackets || ["//", "www.", "mailto:", "](", "]:", "!["].iter().any(|link| text.contains(link))
    }

    /// A whole tag.
    fn whole(&mut self, tag: &Tag, out: &mut String) {
        if tag.is_inert() && !self.shows_more() {
            return self.release(out);
        }
        let mut refused = tag.is_harmful().then_some((Kind::Html, Verdict::Unreadable));
        let mut open = false;
        for (place, address) in tag.addresses() {
            let kind = if place == Use::Link { Kind::Link } else { Kind::Html };
            let address = address.trim_matches([' ', '\t', '\n', '\r', '\x0c']);
            let verdict = self.judge(address);
            open |= is_open(address);
            let shown = match place {
                Use::Link => false,
                Use::Show => !address.is_empty(),
                Use::Fetch => !is_word(address),
            };
            if !self.may(kind, verdict) || (shown && !self.shows_images()) {
                refused = refused.or(Some((kind, verdict)));
            }
        }
        // What a renderer that shows tags as text would read in it.
        let text = self.held.get(1..).unwrap_or_default();
        if refused.is_none() && (text.contains(['<', '[', ']']) || tag.hides()) {
            return self.untag(out);
        }
        match refused {
            None => {
                self.release(out);
                if open {
                    self.join_tag();
                }
            }
            // It is code, or the beginning of a tag whose rest is not one.
            Some(_) if !tag.is_harmful() && !tag.is_markup() => self.untag(out),
            Some((kind, _)) => {
                self.held.clear();
                // Its address is not repeated: a tag may have several.
                self.refuse(kind, Verdict::Unreadable, "", out);
            }
        }
    }

    /// What is held is no tag: it is written so that nobody takes it for one, and read again as text.
    pub(super) fn untag(&mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        self.findings.note("links.unterminated", self.began);
        out.push_str("< ");
        (self.last, self.blank_line) = (' ', false);
        self.lines.said();
        held.chars().skip(1).for_each(|c| self.take(c, false, out));
    }
}

/// How a type of Java's with a wildcard begins: `List<?>`, `Map<?, ?>`, `List<? extends T>`.
const WILDCARDS: [&str; 4] = ["<?>", "<?,", "<? extends ", "<? super "];
