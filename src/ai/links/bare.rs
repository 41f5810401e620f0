//! Addresses that stand in the text: where they begin, where they end, and what may be read as a part of them.
//!
//! 1. They begin with one of `BEGINNINGS`, `www.` at the beginning of a word, `//` with a host behind it alone;
//! 2. they end where most renderers end them. Some go on: GFM does up to a blank or `<`, so that
//!    `https://good.example|@evil.example` leads to `evil.example`. So behind an allowed address without a path, a blank is
//!    written before what would be read as a part of it; with a path, its host is settled;
//! 3. an e-mail address without `mailto:` is none: most clients make a link of it, which nobody follows by itself.
//!
//! Sources: GFM §6.9; WHATWG URL, "host parsing" and "authority state"; linkify-it 5.

use super::address::{LONGEST, Verdict, is_defanged};
use super::run::{Kind, Run, State, is_blank};

/// What a renderer that ends addresses later than we do could make of an allowed one that has no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    No,
    /// What follows may be the rest of its host; and whether a point was there.
    Host(bool),
    /// Its host cannot go on, but it may turn out to be the name of a user: `https://good.example|@evil.example`.
    User,
}

impl Run {
    /// Notes that an allowed address was written, which has no path if it is *open*.
    pub(super) fn join(&mut self, open: bool) {
        if open {
            self.joined = Joined::Host(false);
        }
    }

    /// Notes that a tag with such an address was written: behind its `>`, no host goes on.
    pub(super) fn join_tag(&mut self) {
        self.joined = Joined::User;
    }

    /// Writes a blank before *c*, if it would make another address of the one before it.
    pub(super) fn part(&mut self, c: char, out: &mut String) {
        let parts = match (c, self.joined) {
            (' ' | '\t' | '\r' | '\n' | '<' | '/' | '?' | '#', _) => {
                self.joined = Joined::No;
                false
            }
            // A name of a user, or a reference to a character.
            ('@' | '&' | '＠', _) => true,
            // No host has these.
            ('[' | ']' | '|' | '^' | '>' | '\\', _) => {
                self.joined = Joined::User;
                false
            }
            ('.' | '。' | '．' | '｡', Joined::Host(_)) => {
                self.joined = Joined::Host(true);
                false
            }
            (c, Joined::Host(true)) => c.is_alphanumeric(),
            _ => false,
        };
        if parts {
            out.push(' ');
            (self.last, self.joined) = (' ', Joined::No);
        }
    }

    pub(super) fn maybe(&mut self, c: char, tags: bool, out: &mut String) {
        self.held.push(c);
        while let Some(first) = self.held.chars().next() {
            if !BEGINNINGS.iter().any(|whole| begins(whole, &self.held)) {
                self.held.remove(0);
                self.began += 1;
                // The character itself was not looked at yet, the others begin nothing.
                if self.held.is_empty() {
                    return self.text(first, tags, out);
                }
                self.write(first, out);
            } else if let Some(whole) = BEGINNINGS.iter().find(|whole| whole.eq_ignore_ascii_case(&self.held))
            {
                // `www.` begins an address at the beginning of a word alone.
                let within = self.last.is_alphanumeric();
                if whole.ends_with('.') && within {
                    return self.release(out);
                }
                self.state = match *whole {
                    "//" if within || matches!(self.last, ':' | '/') => return self.release(out),
                    "//" => State::Host,
                    _ => State::Bare(0, 0),
                };
                return;
            } else {
                self.state = State::Maybe;
                return;
            }
        }
    }

    /// After `//`, which begins an address if a host follows: it has a point in it, or the name of a user before it.
    pub(super) fn host(&mut self, c: char, tags: bool, out: &mut String) {
        match c {
            '.' | '。' | '．' | '｡' | '@' if self.held.len() > 2 => {
                self.state = State::Bare(0, 0);
                self.take(c, tags, out);
            }
            _ if self.held.len() < LONGEST
                && (c.is_ascii_alphanumeric() || "-_~:%&;$!*+,='`{}(".contains(c) || !c.is_ascii())
                && !c.is_whitespace() =>
            {
                self.held.push(c);
                self.state = State::Host;
            }
            _ => {
                self.no_host(tags, out);
                self.take(c, tags, out);
            }
        }
    }

    /// What is held was none: it is read again, and has no `//` but the first.
    pub(super) fn no_host(&mut self, tags: bool, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        let rest = held.strip_prefix("//").unwrap_or(&held);
        held.chars().take(held.len() - rest.len()).for_each(|c| self.write(c, out));
        rest.chars().for_each(|c| self.take(c, tags, out));
    }

    pub(super) fn in_bare(&mut self, round: u32, square: u32, c: char, tags: bool, out: &mut String) {
        let (round, square, ends) = match c {
            '(' => (round + 1, square, false),
            ')' => (round.saturating_sub(1), square, round == 0),
            '[' => (round, square + 1, false),
            ']' => (round, square.saturating_sub(1), square == 0),
            '<' | '>' | '"' | '`' | '|' | '}' | '，' | '、' | '）' | '」' | '』' | '】' | '》' | '”'
            | '’' => (round, square, true),
            _ => (round, square, c.is_whitespace() || c.is_control()),
        };
        if ends {
            self.bare(out);
            return self.text(c, tags, out);
        }
        self.held.push(c);
        self.state = State::Bare(round, square);
        if self.held.len() > LONGEST {
            self.held.clear();
            self.refuse(Kind::Bare, Verdict::Unreadable, "", out);
            self.state = State::Beyond(Kind::Bare, false);
        }
    }

    /// Judges the address that is held. The points and signs at its end are the sentence's.
    pub(super) fn bare(&mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        let address = held.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~']);
        let after = held.get(address.len()..).unwrap_or_default();
        if address.len() < held.len() && matches!(address, "" | "//" | "mailto")
            || address == "://"
            || (address.starts_with("://") && matches!(self.last, 'p' | 's') && is_defanged(address))
        {
            held.chars().for_each(|c| self.write(c, out));
            return;
        }
        let written = if starts(address, "www.") { format!("https://{address}") } else { address.to_owned() };
        let verdict = self.judge(&written);
        if self.may(Kind::Bare, verdict) {
            if self.joined != Joined::No && !is_blank(self.last) {
                self.write(' ', out);
            }
            self.joined = Joined::No;
            address.chars().for_each(|c| self.write(c, out));
            self.join(verdict == Verdict::Allowed && is_open(&written));
        } else {
            self.refuse(Kind::Bare, verdict, address, out);
        }
        after.chars().for_each(|c| self.write(c, out));
    }
}

/// Whether *address* has a host, and nothing behind it.
pub(super) fn is_open(address: &str) -> bool {
    address.split_once("//").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']))
}

fn starts(address: &str, with: &str) -> bool {
    address.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn begins(whole: &str, held: &str) -> bool {
    whole.get(..held.len()).is_some_and(|start| start.eq_ignore_ascii_case(held))
}

/// What clients make links of. `://` is behind any other scheme, whose name was written already.
const BEGINNINGS: [&str; 9] =
    ["http://", "https://", "ftp://", "ws://", "wss://", "www.", "mailto:", "://", "//"];
