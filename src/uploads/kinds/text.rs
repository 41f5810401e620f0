//! Text, and what is more than text.

use super::super::source::{File, Gone, Reader};

/// Says, as its bytes come in, whether a file is text: UTF-8, with no control characters but tabs, line ends and form feeds.
#[derive(Default)]
pub(in crate::uploads) struct Text {
    /// The beginning of a character whose end has not come yet.
    open: Vec<u8>,
    is_none: bool,
}

impl Text {
    pub(in crate::uploads) fn feed(&mut self, bytes: &[u8]) {
        if self.is_none {
            return;
        }
        let is_control =
            |byte: &u8| (*byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c)) || *byte == 0x7f;
        if bytes.iter().any(is_control) {
            self.is_none = true;
            return;
        }
        let mut rest = bytes;
        // A character has 4 bytes at most.
        while !self.open.is_empty() {
            let Some((&first, after)) = rest.split_first() else { return };
            self.open.push(first);
            rest = after;
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) if error.error_len().is_some() => {
                    self.is_none = true;
                    return;
                }
                Err(_) => {}
            }
        }
        if let Err(error) = std::str::from_utf8(rest) {
            self.is_none = error.error_len().is_some();
            self.open = rest.get(error.valid_up_to()..).unwrap_or_default().to_vec();
        }
    }

    pub(in crate::uploads) fn is_text(&self) -> bool {
        !self.is_none && self.open.is_empty()
    }

    pub(in crate::uploads) fn is_none(&self) -> bool {
        self.is_none
    }
}

/// What a text is that is more than text, by its beginning: a script, or markup.
///
/// `is_whole` says whether that is all of it: what is hidden behind a beginning that long is the worst that it may be.
pub(in crate::uploads) fn markup(head: &[u8], is_whole: bool) -> Option<&'static str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if head.starts_with(b"%!PS") {
        // PostScript: who shows it runs it.
        return Some("text/x-script");
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        return line.trim_ascii_start().starts_with(b"/").then_some("text/x-script");
    }
    let mut rest = head.trim_ascii_start();
    if rest.is_empty() && !is_whole {
        // Blanks, and whatever stands behind them.
        return Some("text/html");
    }
    let is_declared = starts_with(rest, b"<?xml");
    if !is_declared && starts_with(rest, b"<?") {
        // PHP, say.
        return Some("text/x-script");
    }
    let is_tag = |rest: &[u8]| {
        rest.first() == Some(&b'<')
            && rest.get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || b"!?/".contains(byte))
    };
    if !is_tag(rest) {
        return None;
    }
    // To the first element. What is not at an end where we stop looking is the worst that it may be.
    loop {
        let end: &[u8] = if rest.starts_with(b"<!--") {
            b"-->"
        } else if starts_with(rest, b"<!doctype") {
            let name = rest.get(9..).unwrap_or_default().trim_ascii_start();
            if starts_with(name, b"html") {
                return Some("text/html");
            }
            let declared = rest.get(..memchr::memchr(b'>', rest).unwrap_or(rest.len())).unwrap_or_default();
            if declared.iter().any(|byte| b"[\"'".contains(byte)) {
                // An end may stand in a text or comment of it. Its root is somewhere behind.
                return Some(if has(rest, b"svg") {
                    "image/svg+xml"
                } else if !is_whole || has(rest, b"html") {
                    "text/html"
                } else {
                    "application/xml"
                });
            }
            b">"
        } else if rest.starts_with(b"<?") {
            b"?>"
        } else {
            break;
        };
        let Some(at) = memchr::memmem::find(rest, end) else { return Some("text/html") };
        rest = rest.get(at + end.len()..).unwrap_or_default().trim_ascii_start();
    }
    // No root, or one that is cut off.
    let name = rest
        .get(1..)
        .filter(|name| rest.starts_with(b"<") && name.first().is_some_and(u8::is_ascii_alphabetic));
    let end = name.and_then(|name| name.iter().position(|byte| b" \t\r\n/>\x0c".contains(byte)));
    let Some(name) = name.zip(end).and_then(|(name, end)| name.get(..end)) else { return Some("text/html") };
    let name = name.to_ascii_lowercase();
    let local = name.rsplit(|&byte| byte == b':').next().unwrap_or_default();
    Some(match local {
        b"svg" => "image/svg+xml",
        b"html" => "text/html",
        _ if is_declared => "application/xml",
        // A browser looks for these (WHATWG, MIME Sniffing), and finds more of them than it once did.
        _ if HTML.contains(&std::str::from_utf8(local).unwrap_or("a")) => "text/html",
        _ => "application/xml",
    })
}

fn has(text: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(&text.to_ascii_lowercase(), what).is_some()
}

fn starts_with(text: &[u8], what: &[u8]) -> bool {
    text.get(..what.len()).is_some_and(|start| start.eq_ignore_ascii_case(what))
}

const HTML: [&str; 48] = [
    "a", "abbr", "article", "audio", "b", "base", "body", "br", "button", "center", "code", "details",
    "dialog", "div", "embed", "font", "footer", "form", "frameset", "h1", "h2", "h3", "head", "header", "hr",
    "i", "iframe", "img", "input", "li", "link", "main", "math", "meta", "nav", "object", "ol", "p", "pre",
    "script", "section", "select", "span", "style", "table", "textarea", "title", "video",
];

/// Deepest nesting of a JSON text: about what readers that call themselves can take.
const DEEPEST: u32 = 128;

/// Whether a text is one JSON text (RFC 8259), at most [`DEEPEST`] deep.
pub(in crate::uploads) fn is_json(file: &mut File<'_>) -> Result<bool, Gone> {
    let (mut at, mut depth, mut is_quoted, mut is_escaped) = (0, 0_u32, false, false);
    loop {
        let piece = file.piece(at)?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        for byte in piece {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                b'[' | b'{' if !is_quoted => depth += 1,
                b']' | b'}' if !is_quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST {
                return Ok(false);
            }
        }
    }
    let mut reader = Reader { file, at: 0, is_gone: false };
    let said: Result<serde::de::IgnoredAny, _> = {
        let mut read = serde_json::Deserializer::from_reader(std::io::BufReader::new(&mut reader));
        let said = serde::Deserialize::deserialize(&mut read);
        said.and_then(|value| read.end().map(|()| value))
    };
    if reader.is_gone { Err(Gone) } else { Ok(said.is_ok()) }
}

/// Whether a text is a table (RFC 4180): records of as many fields each, two at least, divided by commas, semicolons or tabs.
pub(in crate::uploads) fn is_csv(file: &mut File<'_>) -> Result<bool, Gone> {
    let head = file.bytes(0, 4096)?;
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |mark: &u8| memchr::memchr_iter(*mark, line).count();
    let Some(mark) = [b',', b';', b'\t'].into_iter().max_by_key(count).filter(|mark| count(mark) > 0) else {
        return Ok(false);
    };
    let (mut at, mut is_quoted, mut was_quote, mut is_empty) = (0, false, false, true);
    let (mut fields, mut wanted) = (1_usize, None);
    loop {
        let piece = file.piece(at)?;
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        for &byte in piece {
            if is_quoted {
                if byte == b'"' {
                    (is_quoted, was_quote) = (false, true);
                }
                continue;
            }
            match byte {
                // Doubled, it stands for itself.
                b'"' => (is_quoted, is_empty) = (true, false),
                _ if byte == mark => (fields, is_empty) = (fields + 1, false),
                b'\n' => {
                    if !is_empty && *wanted.get_or_insert(fields) != fields {
                        return Ok(false);
                    }
                    (fields, is_empty) = (1, true);
                }
                b'\r' => {}
                _ if was_quote => return Ok(false),
                _ => is_empty = false,
            }
            was_quote = false;
        }
    }
    Ok(!is_quoted && (is_empty || *wanted.get_or_insert(fields) == fields))
}
