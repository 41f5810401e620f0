//! The rows of the table, compiled: what finds the token that begins with a literal or a prefix.
//!
//! Of a row there is a *head*, which is matched where the row's literal or prefix puts it, and is bounded; what follows it in
//! the same alphabet is the token's, however long. Heads are compiled when they are first tried.

use std::sync::{LazyLock, OnceLock};

use regex::bytes::Regex;

use super::ahead::{Known, Text, any};
use super::coding::SLASHES;
use super::prefixes::{self, Route, Set};
use super::rules::{self, Extent, Rule};
use super::tails::{PEM_END, Tail};
use super::text::{base64, token68, word_starts};
use super::{Find, Finding, shapes};

/// The heads of all rows, in the table's order, each compiled when it is first tried. That none fails, a test shows.
pub(super) static HEADS: LazyLock<Vec<Head>> = LazyLock::new(|| {
    let head = |rule| Head { rule, head: OnceLock::new(), places: OnceLock::new(), spaced: OnceLock::new() };
    rules::all().map(head).collect()
});

/// The routes to all rows, in the table's order.
pub(super) static ROUTES: LazyLock<Vec<Route>> =
    LazyLock::new(|| rules::all().map(prefixes::route).collect());

pub(super) struct Head {
    pub(super) rule: &'static Rule,
    head: OnceLock<Option<Regex>>,
    /// What may stand where it starts: most of what is tried is none of it, and costs no search.
    places: OnceLock<(Box<[Set]>, bool)>,
    /// Whether it matches bytes that end a token elsewhere, as the blank in the name of a scheme and its token.
    spaced: OnceLock<bool>,
}

impl Head {
    pub(super) fn regex(&self) -> Option<&Regex> {
        // ASCII classes keep the automata small, and a text need not be UTF-8.
        let compile = || Regex::new(&format!(r"(?-u)\A(?:{})", self.rule.pattern)).ok();
        self.head.get_or_init(compile).as_ref()
    }

    #[inline]
    fn may_start(&self, text: &[u8]) -> bool {
        prefixes::may_start(&self.places().0, text)
    }

    #[inline]
    fn places(&self) -> &(Box<[Set]>, bool) {
        self.places.get_or_init(|| prefixes::places(self.rule.pattern))
    }

    /// Where the match ends that *text* starts with, which [`may_start`](Self::may_start) it.
    #[inline]
    fn end(&self, text: &[u8]) -> Option<usize> {
        match self.places() {
            (places, true) => (text.len() >= places.len()).then_some(places.len()),
            _ => self.regex().and_then(|regex| regex.find(text)).map(|found| found.end()),
        }
    }

    pub(super) fn is_spaced(&self) -> bool {
        *self.spaced.get_or_init(|| !prefixes::is_of(self.rule.pattern, goes_on))
    }
}

/// Whether *text* may start with what the row's pattern describes.
pub(super) fn may_start(row: usize, text: &[u8]) -> bool {
    HEADS.get(row).is_some_and(|head| head.may_start(text))
}

/// Whether all of *secret* is what the row's pattern describes.
pub(super) fn is_whole(row: usize, secret: &[u8]) -> bool {
    let head = HEADS.get(row).and_then(Head::regex);
    head.and_then(|head| head.find(secret)).is_some_and(|found| found.end() == secret.len())
}

/// How secrets start that may stand in the middle of a word.
pub(super) static GLUED: LazyLock<Vec<&'static [u8]>> = LazyLock::new(|| {
    let inside = rules::all().filter(|rule| !rule.alone && rule.before == 0);
    inside.flat_map(|rule| rule.literals).map(|literal| literal.as_bytes()).chain([PEM]).collect()
});

/// How a private key starts: with dashes, which are part of words.
const PEM: &[u8] = b"-----BEGIN";

/// Whether a secret starts here that may stand in the middle of a word.
pub(super) fn is_glued(rest: &[u8]) -> bool {
    GLUED.iter().any(|literal| rest.starts_with(literal))
}

/// The token that a row of the table finds round a literal at *at*.
pub(super) fn table(
    row: usize,
    text: Text<'_>,
    at: usize,
    floor: usize,
    vain: &mut usize,
) -> Known<Option<Find>> {
    let Some(compiled) = HEADS.get(row) else { return Ok(None) };
    let rule = compiled.rule;
    let Some(start) = at.checked_sub(rule.before).filter(|start| *start >= floor) else { return Ok(None) };
    if rule.alone && !word_starts(&text, start, floor) {
        return Ok(None);
    }
    if matches!(rule.extent, Extent::Jwt) && start < *vain {
        return Ok(None);
    }
    if !compiled.may_start(&text[start..]) {
        return Ok(None);
    }
    settle(compiled, text, at)?;
    let Some(head) = compiled.end(&text[start..]).map(|length| start + length) else { return Ok(None) };
    let found = |start, end, tail| {
        Finding::new(start, end, rule.entity).map(|finding| Find::new(finding.by(rule.name), tail))
    };
    let (start, alphabet): (usize, fn(u8) -> bool) = match rule.extent {
        Extent::Run(alphabet) => (start, alphabet),
        Extent::Exactly(alphabet)
            if text.get(head).is_some_and(|b| alphabet(*b)) && !is_glued(&text[head..]) =>
        {
            return Ok(None);
        }
        Extent::Exactly(_) => (start, |_| false),
        Extent::Credentials => {
            let blank = text[start..head].iter().rposition(|b| matches!(b, b' ' | b'\t' | b'+'));
            let escape = text[start..head].windows(3).rposition(|w| w == b"%20").map(|i| i + 2);
            let Some(gap) = blank.max(escape) else { return Ok(None) };
            (start + gap + 1, token68)
        }
        Extent::Jwt => {
            return Ok(match shapes::jwt(text, start)? {
                Ok(tail) => found(start, tail.least(), tail),
                Err(reached) => {
                    *vain = reached;
                    None
                }
            });
        }
        Extent::Pem if !goes_on_as_key(text, head)? => return Ok(None),
        Extent::Pem => return Ok(found(start, head, Tail::pem(head))),
        Extent::Putty => return Ok(found(start, head, Tail::putty(head))),
        Extent::Shape | Extent::Near { .. } => return Ok(None),
    };
    // Checked before the rest is walked, so that a token that fails costs a bounded number of steps.
    let checked = head + text.run(head, CHECKED, alphabet)?;
    if !(rule.check)(&text[start..checked]) {
        return Ok(None);
    }
    Ok(found(start, checked, Tail::run_of(checked, alphabet)))
}

/// Whether enough is there of what begins with the literal at *at* to try the head of its row.
fn settle(head: &Head, text: Text<'_>, at: usize) -> Known<()> {
    if text.is_whole() {
        return Ok(());
    }
    match head.rule.extent {
        Extent::Pem => {
            text.run(at, LABEL, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b" -".contains(&b))
        }
        Extent::Credentials => {
            let name = text.run(at, 8, |b| b.is_ascii_alphabetic())?;
            let gap = text.run(at + name, 16, |b| b" \t+%20".contains(&b))?;
            text.run(at + name + gap, 16, token68)
        }
        _ if head.is_spaced() => text.run(at, HEAD, any),
        _ => text.run(at, HEAD, goes_on),
    }
    .map(|_| ())
}

/// Whether a private key goes on behind its BEGIN line that ends before *at*, and is not only told of: with a line break, as it is
/// or written out, or with base64; or a line of base64, or the END line, is not far, whatever a log, a page or source text puts
/// between the lines.
fn goes_on_as_key(text: Text<'_>, at: usize) -> Known<bool> {
    let blanks = at + text.run(at, BLANKS, |b| matches!(b, b' ' | b'\t'))?;
    let breaks = match text.peek(blanks)? {
        // Lines may come one by one.
        None | Some(b'\n' | b'\r') => true,
        Some(b'%') => matches!(text.percent(blanks)?, Some(b'\n' | b'\r' | b'%')),
        Some(b'<') => text.starts_with(blanks, b"<br")?,
        Some(b'&') => text.peek(blanks + 1)? == Some(b'#'),
        Some(b) if blanks == at && base64(b) => true,
        _ => {
            let slashes = text.run(blanks, SLASHES, |b| b == b'\\')?;
            let letter = text.peek(blanks + slashes)?;
            slashes > 0 && matches!(letter, Some(b'n' | b'r' | b'u' | b'x' | b'\n'))
        }
    };
    if breaks {
        return Ok(true);
    }
    let there = text.get(at..text.len().min(at + GAP + LINE)).unwrap_or_default();
    let line = there.split(|b| !base64(*b)).any(|run| run.len() >= LINE);
    if line || memchr::memmem::find(there, PEM_END).is_some() {
        return Ok(true);
    }
    text.need(at + GAP + LINE, any).map(|()| false)
}

/// Blanks behind the BEGIN line of a private key, what else may stand between it and its next, and how much of that is base64.
const BLANKS: usize = 64;
const GAP: usize = 256;
const LINE: usize = 40;

/// Whether a token may go on with this byte (but a private key, and after the name of a scheme).
pub(super) fn goes_on(byte: u8) -> bool {
    byte > b' '
        && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'(' | b')' | b',' | b';' | b'{' | b'}' | b'\\')
}

/// No head is longer, nor is a word with a name near by.
pub(super) const HEAD: usize = 320;

/// The BEGIN line of a private key, in bytes.
pub(super) const LABEL: usize = 96;

/// A check sees this much beyond a token's head.
const CHECKED: usize = 96;
