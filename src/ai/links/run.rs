//! The automaton: reads an answer and writes it without what may not stand.

use std::sync::Arc;

use super::super::Filter;
use super::super::findings::{Findings, Found, points};
use super::address::{LONGEST, Verdict, defanged, is_path, is_word, judge};
use super::bare::{Joined, is_open};
use super::html::{Tag, is_harmful};
use super::lines::Lines;
use super::{Known, Policy};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Link,
    Definition,
    Angle,
    Bare,
    Html,
}

pub(super) enum State {
    Text,
    /// What is held may become `https://`.
    Maybe,
    /// After `](` or `]:` and blanks.
    Open(Kind),
    /// In a destination; in `<>`, and how many `(` are open.
    Destination {
        kind: Kind,
        angle: bool,
        depth: u32,
    },
    /// Behind a destination that was removed, up to its `)`: so many characters at most.
    Behind(u32),
    /// After `<`.
    Less,
    /// After `<?` behind a word.
    Wildcard,
    Tag(Box<Tag>),
    /// After `//`, which may be followed by a host.
    Host,
    /// In an address that stands in the text; how many `(`, and how many `[`, are open.
    Bare(u32, u32),
    /// In an address that is too long, and was removed.
    Beyond(Kind, bool),
}

/// A `![` that was not closed.
#[derive(Clone, Copy)]
struct Image {
    depth: u32,
    /// Whether something stood in it that renderers read in their own ways: it may be closed later than it seems.
    unsure: bool,
}

pub(super) struct Run {
    known: Arc<Known>,
    pub(super) state: State,
    pub(super) held: String,
    /// The last character that was written, and whether its line has nothing else.
    pub(super) last: char,
    pub(super) blank_line: bool,
    pub(super) lines: Lines,
    image: Option<Image>,
    /// Whether a `![` was written, and whether a definition: where no image may stand, not both do.
    pictured: bool,
    defined: bool,
    /// Whether what is written now may be read as a part of the allowed address before it.
    pub(super) joined: Joined,
    /// Code points before what is looked at, and where the construct began.
    at: u64,
    pub(super) began: u64,
    pub(super) findings: Findings,
}

impl Run {
    pub(super) fn new(known: Arc<Known>) -> Self {
        Self {
            known,
            state: State::Text,
            held: String::new(),
            last: '\n',
            blank_line: true,
            lines: Lines::default(),
            image: None,
            pictured: false,
            defined: false,
            joined: Joined::No,
            at: 0,
            began: 0,
            findings: Findings::default(),
        }
    }
}

impl Filter for Run {
    fn feed(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        loop {
            if matches!(self.state, State::Text) {
                let plain = match self.joined {
                    Joined::No => plain_run(rest.as_bytes(), self.image.is_some()),
                    _ => 0,
                };
                let (passes, after) = rest.split_at_checked(plain).unwrap_or((rest, ""));
                if let Some(last) = passes.chars().next_back() {
                    if self.last == ']' {
                        self.close();
                        self.lines.closed();
                    }
                    self.lines.passed(self.last, passes);
                    self.blank_line =
                        self.blank_line && passes.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r'));
                    out.push_str(passes);
                    self.last = last;
                    self.at += points(passes);
                }
                rest = after;
            }
            let Some(c) = rest.chars().next() else { break };
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            self.take(c, true, out);
            self.at += 1;
        }
    }

    fn finish(&mut self, out: &mut String) {
        match std::mem::replace(&mut self.state, State::Text) {
            State::Text | State::Behind(_) | State::Beyond(..) => {}
            State::Maybe | State::Open(_) | State::Less => self.release(out),
            State::Destination { kind, angle, .. } => {
                self.destination(kind, angle, None, out);
            }
            State::Host => self.no_host(true, out),
            State::Wildcard => self.hides(true, out),
            State::Tag(tag) => self.open_tag(&tag, out),
            State::Bare(..) => self.bare(out),
        }
        // What was no tag may have been read as something else, which is over as well; and that has no tags.
        if !matches!(self.state, State::Text) {
            self.finish(out);
        }
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
    /// Takes a character. Without *tags*, a `<` begins none, which what is read again needs for its time to be linear.
    pub(super) fn take(&mut self, c: char, tags: bool, out: &mut String) {
        match std::mem::replace(&mut self.state, State::Text) {
            State::Text => self.text(c, tags, out),
            State::Maybe => self.maybe(c, tags, out),
            State::Open(kind) => self.open(kind, c, tags, out),
            State::Destination { kind, angle, depth } => {
                self.in_destination(kind, angle, depth, c, tags, out)
            }
            State::Behind(left) => match c {
                ')' => {}
                '\n' => self.text(c, tags, out),
                _ if left > 0 => self.state = State::Behind(left - 1),
                _ => self.text(c, tags, out),
            },
            State::Host => self.host(c, tags, out),
            State::Less => self.less(c, tags, out),
            State::Wildcard => self.wildcard(c, tags, out),
            State::Tag(tag) => self.tag(tag, c, out),
            State::Bare(round, square) => self.in_bare(round, square, c, tags, out),
            State::Beyond(kind, angle) => {
                let ends = match kind {
                    Kind::Bare => c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '|'),
                    _ if angle => c == '>' || c == '\n',
                    _ => is_blank(c) || c == ')',
                };
                if !ends {
                    self.state = State::Beyond(kind, angle);
                } else if c != '>' && c != ')' {
                    self.text(c, tags, out);
                }
            }
        }
    }

    pub(super) fn text(&mut self, c: char, tags: bool, out: &mut String) {
        let last = self.last;
        match c {
            '(' if last == ']' => {
                let kind = if self.image.is_some() { Kind::Image } else { Kind::Link };
                self.close();
                return self.hold(c, State::Open(kind));
            }
            ':' if last == ']' && self.lines.may_define() => {
                self.close();
                self.lines.over();
                self.write(c, out);
                (self.state, self.began) = (State::Open(Kind::Definition), self.at);
                return;
            }
            _ if last == ']' => {
                self.close();
                self.lines.closed();
            }
            _ => {}
        }
        match c {
            '<' if tags => {
                self.unsure();
                return self.hold(c, State::Less);
            }
            '<' => out.push_str("< "),
            '[' => {
                self.lines.opened();
                if last == '!' && !self.shows_images() {
                    self.pictured = true;
                    if self.defined {
                        self.write(' ', out);
                    }
                }
                match &mut self.image {
                    Some(image) => image.depth = image.depth.saturating_add(1),
                    None if last == '!' => self.image = Some(Image { depth: 1, unsure: false }),
                    None => {}
                }
            }
            ']' => {
                if let Some(image) = &mut self.image {
                    image.depth = image.depth.saturating_sub(1);
                }
            }
            '\\' | '`' => self.unsure(),
            // What stands in one paragraph makes no image in the next, and no definition.
            '\n' if self.blank_line => {
                self.image = None;
                self.lines.over();
            }
            'h' | 'H' | 'f' | 'F' | 'w' | 'W' | 'm' | 'M' | ':' | '/' => return self.hold(c, State::Maybe),
            _ => {}
        }
        if c == '<' {
            self.last = ' ';
            self.lines.said();
        } else {
            self.write(c, out);
        }
    }

    pub(super) fn in_image(&self) -> bool {
        self.image.is_some()
    }

    fn unsure(&mut self) {
        if let Some(image) = &mut self.image {
            image.unsure = true;
        }
    }

    /// A bracket was closed just before: if it was the image's, and surely, the image is over.
    fn close(&mut self) {
        if self.image.is_some_and(|image| image.depth == 0 && !image.unsure) {
            self.image = None;
        }
    }

    pub(super) fn hold(&mut self, c: char, state: State) {
        (self.state, self.began) = (state, self.at);
        self.held.push(c);
    }

    pub(super) fn write(&mut self, c: char, out: &mut String) {
        if self.joined != Joined::No {
            self.part(c, out);
        }
        out.push(c);
        self.blank_line = c == '\n' || (self.blank_line && matches!(c, ' ' | '\t' | '\r'));
        self.lines.wrote(self.last, c);
        self.last = c;
    }

    /// Lets pass what is held.
    pub(super) fn release(&mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        held.chars().for_each(|c| self.write(c, out));
    }

    fn open(&mut self, kind: Kind, c: char, tags: bool, out: &mut String) {
        match c {
            // The first few are kept, however many there are; a second line is none of it.
            ' ' | '\t' | '\r' => {
                if self.held.len() < LONGEST_BLANK {
                    self.held.push(c);
                }
                self.state = State::Open(kind);
            }
            '\n' if !self.held.contains('\n') => {
                self.held.push(c);
                self.state = State::Open(kind);
            }
            '<' => {
                self.held.push(c);
                self.state = State::Destination { kind, angle: true, depth: 0 };
            }
            // Nothing: no destination.
            ')' | '\n' => {
                self.release(out);
                self.text(c, tags, out);
            }
            // Any other blank is the beginning of one: no renderer skips them all.
            _ => {
                self.state = State::Destination { kind, angle: false, depth: 0 };
                self.take(c, tags, out);
            }
        }
    }

    fn in_destination(&mut self, kind: Kind, angle: bool, depth: u32, c: char, tags: bool, out: &mut String) {
        let (depth, ends) = match c {
            '(' => (depth + 1, false),
            // A definition has no brackets round it.
            ')' if !angle && kind != Kind::Definition => (depth.saturating_sub(1), depth == 0),
            _ if angle => (depth, c == '>' || c == '\n'),
            _ => (depth, is_blank(c)),
        };
        if !ends {
            self.held.push(c);
            self.state = State::Destination { kind, angle, depth };
            if self.held.len() > LONGEST {
                self.held.clear();
                self.refuse(kind, Verdict::Unreadable, "", out);
                self.state = State::Beyond(kind, angle);
            }
            return;
        }
        self.destination(kind, angle, Some(c), out);
        match (&self.state, c) {
            // What was removed takes its end with it.
            (State::Behind(_), ')') => self.state = State::Text,
            (_, '>') if angle => {}
            (State::Behind(_), _) => self.take(c, tags, out),
            _ => self.text(c, tags, out),
        }
    }

    /// Judges the destination that is held, which *end* ended.
    pub(super) fn destination(&mut self, kind: Kind, angle: bool, end: Option<char>, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        let from = held
            .find(|c: char| !(is_blank(c) || (c == '(' && kind != Kind::Definition)))
            .unwrap_or(held.len());
        let address = held.get(from..).unwrap_or_default();
        let address = if angle { address.strip_prefix('<').unwrap_or(address) } else { address };
        let verdict = match end {
            Some('\n') if angle => Verdict::Unreadable,
            // To who reads tags first, `](<script>` is one.
            _ if angle && is_harmful(address) => Verdict::Unreadable,
            _ => self.judge(address),
        };
        if kind == Kind::Angle && verdict == Verdict::Unreadable {
            // `<Foo::Bar>` is a type, and `<javascript:x>` a link to nobody once it is none.
            let is_type = is_path(address);
            self.held = held;
            if is_type {
                self.held.push('>');
                return self.release(out);
            }
            self.untag(out);
            if end == Some('>') {
                self.take('>', false, out);
            }
            return;
        }
        if self.may(kind, verdict) && (kind != Kind::Definition || self.may_define(address)) {
            let open = !matches!(end, None | Some('\n')) && is_open(address);
            held.chars().for_each(|c| self.write(c, out));
            self.join(open);
            if angle && end == Some('>') {
                self.write('>', out);
            }
            return;
        }
        self.refuse(kind, verdict, address, out);
        if matches!(kind, Kind::Image | Kind::Link) {
            self.state = State::Behind(LONGEST_TITLE);
        }
    }

    pub(super) fn judge(&self, address: &str) -> Verdict {
        judge(&self.known.rules, &self.known.hosts, address)
    }

    /// Whether images of listed hosts may stand. Those of others never do.
    pub(super) fn shows_images(&self) -> bool {
        self.known.rules.images == Policy::Keep
    }

    pub(super) fn may(&mut self, kind: Kind, verdict: Verdict) -> bool {
        let follows = matches!(kind, Kind::Link | Kind::Angle | Kind::Bare);
        match verdict {
            Verdict::Allowed => kind != Kind::Image || self.shows_images(),
            Verdict::Unlisted if follows && self.known.rules.links == Policy::Keep => {
                self.findings.note(rule(kind, verdict), self.began);
                true
            }
            _ => false,
        }
    }

    /// Whether a definition that leads to a listed host, or nowhere, may stand: not if an image could have used it, where none may.
    fn may_define(&mut self, address: &str) -> bool {
        if self.shows_images() || is_word(address) {
            return true;
        }
        self.defined = true;
        !self.pictured
    }

    /// Writes what stands in the place of an address that may not.
    pub(super) fn refuse(&mut self, kind: Kind, verdict: Verdict, address: &str, out: &mut String) {
        self.findings.note(rule(kind, verdict), self.began);
        self.joined = Joined::No;
        if !self.last.is_whitespace() {
            out.push(' ');
        }
        if verdict == Verdict::Unlisted
            && self.known.rules.links == Policy::Defang
            && !matches!(kind, Kind::Image | Kind::Definition | Kind::Html)
        {
            out.push('(');
            out.push_str(&defanged(address));
            out.push(')');
        } else if matches!(kind, Kind::Image | Kind::Html) {
            out.push_str("(image removed)");
        } else {
            out.push_str("(link removed)");
        }
        (self.last, self.blank_line) = (')', false);
        self.lines.said();
    }
}

fn rule(kind: Kind, verdict: Verdict) -> &'static str {
    match (verdict, kind) {
        (Verdict::Data, _) => "links.data",
        (Verdict::Unreadable, Kind::Link | Kind::Angle | Kind::Bare) => "links.unreadable",
        (_, Kind::Image) => "links.image",
        (_, Kind::Link) => "links.link",
        (_, Kind::Definition) => "links.reference",
        (_, Kind::Angle) => "links.autolink",
        (_, Kind::Bare) => "links.bare",
        (_, Kind::Html) => "links.html",
    }
}

/// What ends a destination. Browsers and renderers have these alone in common: any other blank, or a control, is a part of
/// it, which makes it unreadable.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// How many bytes begin nothing. What is in an image's brackets is looked at more closely.
fn plain_run(bytes: &[u8], image: bool) -> usize {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let looks = match byte {
            b'[' | b']' | b'<' | b'\n' => true,
            b'(' => at == 0,
            b':' | b'/' => at == 0 || bytes.get(at + 1).is_none_or(|next| *next == b'/'),
            b'\\' | b'`' => image,
            b'!' => false,
            b'h' | b'H' | b'f' | b'F' | b'w' | b'W' | b'm' | b'M' => {
                matches!(
                    (byte | 0x20, bytes.get(at + 1).map(|next| next | 0x20)),
                    (_, None) | (b'h' | b'f', Some(b't')) | (b'w', Some(b'w' | b's')) | (b'm', Some(b'a'))
                )
            }
            _ => false,
        };
        if looks {
            break;
        }
        at += 1;
    }
    at
}

/// Blanks before a destination.
const LONGEST_BLANK: usize = 64;
/// What may stand behind a destination.
const LONGEST_TITLE: u32 = 256;
