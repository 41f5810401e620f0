//! Where a value ends that has neither quotes nor brackets: at a blank, or at a delimiter that is one.

use super::super::ahead::{Known, Text};
use super::super::coding::{self, Coding};
use super::super::text::{alnum, run};

pub(super) fn bare_end(at: &mut usize, coding: Coding, text: Text<'_>) -> Known<usize> {
    *at += run(&text, *at, alnum);
    while let Some(byte) = text.peek(*at)? {
        if ends_at(text, *at, byte, coding)? {
            break;
        }
        // A replacement inside a value is passed over whole.
        *at += if byte == b'[' { text.marker(*at)?.unwrap_or(1) } else { 1 };
    }
    Ok(*at)
}

pub(in super::super) fn ends_at(text: Text<'_>, at: usize, byte: u8, coding: Coding) -> Known<bool> {
    let next = || Ok(text.peek(at + 1)?.unwrap_or(b' '));
    Ok(match byte {
        0..=b' ' => true,
        b'%' | b'\\' | b'&' if coding != Coding::Plain && is_coded_end(text, at, coding)? => true,
        b'&' | b';' | b',' => {
            let next = next()?;
            next <= b' '
                || matches!(next, b')' | b']' | b'}')
                || quote_follows(text, at + 1)?
                || coded_quote_follows(text, at + 1, coding)?
                || name_follows(text, at + 1)?
        }
        b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'>' => {
            let next = next()?;
            next <= b' ' || b"\"'`)]}>,;&.:|<\\".contains(&next)
        }
        b'<' => {
            let next = next()?;
            matches!(next, b'/' | b'!') || next.is_ascii_alphabetic() || text.marker(at + 1)?.is_some()
        }
        // `\"` closes the text that the pair stands in.
        b'\\' if quote_follows(text, at)? || text.colour(at)? > 0 => true,
        _ => false,
    })
}

/// Whether a quote stands at *at*, at whatever depth of escaping.
fn quote_follows(text: Text<'_>, at: usize) -> Known<bool> {
    let slashes = text.run(at, coding::SLASHES, |b| b == b'\\')?;
    Ok(matches!(text.peek(at + slashes)?, Some(b'"' | b'\'' | b'`')))
}

/// Whether a delimiter stands at *at* that is encoded as the sign was.
fn is_coded_end(text: Text<'_>, at: usize, coding: Coding) -> Known<bool> {
    let ends =
        |byte| matches!(byte, 0..=b' ' | b'&' | b';' | b',' | b'"' | b'\'' | b'#' | b'}' | b'<' | b'>');
    Ok(coding::of(text, at, coding)?.is_some_and(|found| ends(found.byte)))
}

/// Whether a quote stands at *at* that is encoded as the sign was.
fn coded_quote_follows(text: Text<'_>, at: usize, coding: Coding) -> Known<bool> {
    Ok(coding != Coding::Plain && coding::of(text, at, coding)?.is_some_and(|found| found.is_quote()))
}

/// Whether `name=` or `name:` stands at *at*.
pub(in super::super) fn name_follows(text: Text<'_>, at: usize) -> Known<bool> {
    let length = text.run(at, 64, |b| alnum(b) || matches!(b, b'_' | b'-' | b'.' | b'[' | b']'))?;
    let sign = match text.peek(at + length)? {
        Some(b'%') => text.percent(at + length)?,
        sign => sign,
    };
    Ok(length > 0 && matches!(sign, Some(b'=' | b':')))
}
