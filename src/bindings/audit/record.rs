//! A record's members, from what Python has.
//!
//! 1. Of a request: its id, address, principal, token and route as they stand; its method and path redacted, as all that a peer wrote. A path
//!    that is its route's own text is the app's.
//! 2. What is given beside, as it stands or redacted.
//! 3. Names and long numbers of what is redacted are too, and texts before they are cut.
//! 4. Nothing here fails by what a peer sent: texts are cut, and half a surrogate pair is replaced.
//!
//! It appends nothing and decides nothing.

use std::borrow::Cow;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::super::verified::PyVerifiedToken;
use crate::json;
use crate::redaction::Redactor as Core;

/// Writes the members of a record, each with a comma before it.
///
/// `plain` are ours and stand as they are; `told` are redacted. An exchange's own stand around them.
pub(super) fn compose(
    redactor: &Core,
    exchange: Option<&Bound<'_, PyAny>>,
    plain: Option<&Bound<'_, PyDict>>,
    told: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<u8>> {
    let mut members = Vec::with_capacity(640);
    let request = exchange.map(Request::of).transpose()?;
    if let Some(request) = &request {
        request.who(&mut members)?;
    }
    let mut cut = 0;
    if let Some(plain) = plain {
        let mut writer = Writer { redactor: None, out: &mut members, left: MOST, cut };
        writer.members(plain, b",", 0)?;
        cut = writer.cut;
    }
    if let Some(request) = &request {
        request.what(redactor, &mut members)?;
    }
    if let Some(told) = told {
        let mut writer = Writer { redactor: Some(redactor), out: &mut members, left: MOST, cut };
        writer.members(told, b",", 0)?;
        cut = writer.cut;
    }
    if cut > 0 {
        members.extend_from_slice(b",\"audit_cut\":");
        json::number(&mut members, cut);
    }
    Ok(members)
}

/// How an answer ended: its status, bytes, whether all of it was sent, and microseconds.
pub(super) type Outcome = (i64, Option<i64>, bool, i64);

/// How an answer ended, and whose it was.
pub(super) fn ending(exchange: &Bound<'_, PyAny>, outcome: Outcome) -> PyResult<Vec<u8>> {
    let py = exchange.py();
    let (status, bytes, is_complete, micros) = outcome;
    let mut out = Vec::with_capacity(256);
    let id = exchange.getattr(intern!(py, "id"))?;
    text(&mut out, b",\"request_id\":", &id, ID);
    out.extend_from_slice(b",\"outcome\":");
    json::string(&mut out, if is_complete { "complete" } else { "broken_off" }, ID);
    out.extend_from_slice(b",\"status\":");
    json::number(&mut out, status);
    out.extend_from_slice(b",\"bytes\":");
    match bytes {
        Some(bytes) => json::number(&mut out, bytes),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"duration_us\":");
    json::number(&mut out, micros);
    let principal = exchange.getattr(intern!(py, "principal"))?;
    if !principal.is_none() {
        whose(&mut out, &principal)?;
    }
    Ok(out)
}

/// A principal's id.
fn whose(out: &mut Vec<u8>, principal: &Bound<'_, PyAny>) -> PyResult<()> {
    let name = b",\"principal\":";
    if let Ok(token) = principal.cast::<PyVerifiedToken>() {
        // As its `id` says: no text of Python's is made of it.
        let id = token.get().0.claims().subject.as_deref().unwrap_or_default();
        out.extend_from_slice(name);
        json::string(out, id, ID);
        return Ok(());
    }
    text(out, name, &principal.getattr(intern!(principal.py(), "id"))?, ID);
    Ok(())
}

/// An `Exchange`, as a record tells of it.
struct Request<'a, 'py> {
    exchange: &'a Bound<'py, PyAny>,
    environ: Bound<'py, PyDict>,
    route: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Request<'a, 'py> {
    fn of(exchange: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        let py = exchange.py();
        let environ = exchange.getattr(intern!(py, "environ"))?.cast_into()?;
        let route = exchange.getattr(intern!(py, "route"))?;
        Ok(Self { exchange, environ, route: Some(route).filter(|route| !route.is_none()) })
    }

    fn who(&self, out: &mut Vec<u8>) -> PyResult<()> {
        let py = self.exchange.py();
        text(out, b",\"request_id\":", &self.exchange.getattr(intern!(py, "id"))?, ID);
        match self.environ.get_item(intern!(py, "REMOTE_ADDR"))? {
            Some(address) if !address.is_none() => text(out, b",\"address\":", &address, ID),
            _ => out.extend_from_slice(b",\"address\":null"),
        }
        let principal = self.exchange.getattr(intern!(py, "principal"))?;
        if !principal.is_none() {
            whose(out, &principal)?;
            if let Ok(token) = principal.cast::<PyVerifiedToken>() {
                if let Some(id) = token.get().0.claims().token_id.as_deref() {
                    out.extend_from_slice(b",\"token_id\":");
                    json::string(out, id, ID);
                }
            } else {
                let token = principal.getattr(intern!(py, "token_id"))?;
                if !token.is_none() {
                    text(out, b",\"token_id\":", &token, ID);
                }
            }
        }
        if let Some(route) = &self.route {
            text(out, b",\"route\":", route, ROUTE);
        }
        Ok(())
    }

    fn what(&self, redactor: &Core, out: &mut Vec<u8>) -> PyResult<()> {
        let py = self.exchange.py();
        let method = self.of_environ(intern!(py, "REQUEST_METHOD"))?;
        let method = method.as_ref().map(as_sent).unwrap_or_default();
        out.extend_from_slice(b",\"method\":");
        redacted(redactor, out, &method, METHOD);
        let (root, path) =
            (self.of_environ(intern!(py, "SCRIPT_NAME"))?, self.of_environ(intern!(py, "PATH_INFO"))?);
        let mut target = path.as_ref().map(as_sent).unwrap_or_default();
        let root = root.as_ref().map(as_sent).unwrap_or_default();
        if !root.is_empty() {
            target = Cow::Owned(format!("{root}{target}"));
        }
        out.extend_from_slice(b",\"target\":");
        let is_route = |route: &Bound<'_, PyAny>| {
            route.cast::<PyString>().is_ok_and(|route| route.to_string_lossy() == target)
        };
        if self.route.as_ref().is_some_and(is_route) {
            // The developer's own text.
            json::string(out, &target, TARGET);
        } else {
            redacted(redactor, out, &target, TARGET);
        }
        Ok(())
    }

    /// A text of the environ.
    fn of_environ(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyString>>> {
        Ok(self.environ.get_item(name)?.and_then(|value| value.cast_into().ok()))
    }
}

/// A text of the environ, which is bytes in latin-1 (PEP 3333), as the UTF-8 that they are.
fn as_sent<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    let text = text.to_string_lossy();
    if text.is_ascii() {
        return text;
    }
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// A member whose text stands as it is. What is no text stands as Python writes it.
fn text(out: &mut Vec<u8>, name: &[u8], value: &Bound<'_, PyAny>, most: usize) {
    out.extend_from_slice(name);
    match value.cast::<PyString>() {
        Ok(value) => json::string(out, &value.to_string_lossy(), most),
        Err(_) => {
            let shown = value.str();
            let shown = shown.as_ref().map_or(Cow::Borrowed("?"), |shown| shown.to_string_lossy());
            json::string(out, &shown, most);
        }
    }
}

/// Writes the first characters of a text that a peer or the app had a hand in, redacted.
fn redacted(redactor: &Core, out: &mut Vec<u8>, value: &str, most: usize) {
    if is_no_secret(value) {
        return json::string(out, value, most);
    }
    // Redacted before it is cut: of a secret that a cut goes through, half would stay. So what is looked at is longer than what is shown, and of
    // that its end is not shown, however much the marks have shortened it.
    let seen = cut(value, most.max(TOLD) + BEHIND);
    let mut shown = redactor.redact(seen).into_owned();
    if seen.len() < value.len() {
        let end = shown.char_indices().rev().nth(END - 1).map_or(0, |(at, _)| at);
        shown.truncate(end);
        shown.push_str("...");
    }
    json::string(out, &shown, most);
}

/// The first characters of a text.
fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

/// Writes what Python has as JSON.
pub(super) struct Writer<'a> {
    /// What texts pass; None where they are ours.
    redactor: Option<&'a Core>,
    out: &'a mut Vec<u8>,
    left: usize,
    /// Members and texts that did not fit.
    cut: i64,
}

impl Writer<'_> {
    pub(super) fn members(
        &mut self,
        fields: &Bound<'_, PyDict>,
        mut before: &[u8],
        depth: usize,
    ) -> PyResult<()> {
        for (name, value) in fields {
            let name = name.cast_into::<PyString>()?;
            if self.out.len() > ROOM {
                self.cut += 1;
                continue;
            }
            // A lone surrogate, which a peer can send in JSON, must not keep the record from being written.
            let name = name.to_string_lossy();
            let name = name.as_ref();
            if depth == 0 && RESERVED.contains(&name) {
                return Err(PyValueError::new_err(format!("a record has a member {name:?} already")));
            }
            self.out.extend_from_slice(before);
            before = b",";
            match self.redactor {
                // A peer may have chosen it.
                Some(redactor) => redacted(redactor, self.out, name, NAME),
                None => json::string(self.out, name, NAME),
            }
            self.out.push(b':');
            match self.redactor.and_then(|redactor| redactor.entity_of_name(name)) {
                Some(_) if !value.is_none() => self.out.extend_from_slice(b"\"[REDACTED]\""),
                _ => self.value(&value, depth)?,
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| PyValueError::new_err("a record has at most 256 values"))?;
        if let Ok(text) = value.cast::<PyString>() {
            let text = text.to_string_lossy();
            if self.out.len() > ROOM {
                self.cut += 1;
                self.out.extend_from_slice("\"…\"".as_bytes());
                return Ok(());
            }
            match self.redactor {
                Some(redactor) => redacted(redactor, self.out, &text, TOLD),
                None => json::string(self.out, &text, TEXT),
            }
        } else if value.is_none() {
            self.out.extend_from_slice(b"null");
        } else if let Ok(flag) = value.cast::<PyBool>() {
            self.out.extend_from_slice(if flag.is_true() { b"true" } else { b"false" });
        } else if value.is_instance_of::<PyInt>() {
            match value.extract::<i64>() {
                Ok(number) => self.number(&number.to_string()),
                Err(_) => json::string(self.out, "beyond 64 bits", TEXT),
            }
        } else if value.is_instance_of::<PyFloat>() {
            let number: f64 = value.extract()?;
            if number.is_finite() {
                self.number(&number.to_string());
            } else {
                self.out.extend_from_slice(b"null");
            }
        } else if depth >= DEPTH {
            return Err(PyValueError::new_err("a record is at most 4 deep"));
        } else if let Ok(fields) = value.cast::<PyDict>() {
            self.out.push(b'{');
            self.members(fields, b"", depth + 1)?;
            self.out.push(b'}');
        } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            self.out.push(b'[');
            for (i, item) in value.try_iter()?.enumerate() {
                if i > 0 {
                    self.out.push(b',');
                }
                self.value(&item?, depth + 1)?;
            }
            self.out.push(b']');
        } else {
            return Err(PyTypeError::new_err(
                "a record holds texts, numbers, truth values, None, lists and dicts",
            ));
        }
        Ok(())
    }

    /// A number, which may be a card's or a person's as its digits are in a text.
    fn number(&mut self, shown: &str) {
        let digits = shown.bytes().filter(u8::is_ascii_digit).count();
        if digits >= OF_SOMEBODY
            && let Some(redactor) = self.redactor
        {
            let redacted = redactor.redact(shown);
            if redacted != shown {
                return json::string(self.out, &redacted, TEXT);
            }
        }
        self.out.extend_from_slice(shown.as_bytes());
    }
}

/// A word or an IPv4 address, which no rule could find a secret in: shorter than the shortest of them.
fn is_no_secret(text: &str) -> bool {
    text.len() <= 7 || (text.len() <= 15 && text.parse::<std::net::Ipv4Addr>().is_ok())
}

const RESERVED: [&str; 5] = ["audit_cut", "event", "link", "seq", "time"];
const TEXT: usize = 2048;
/// Characters of a text that is redacted; how many behind that are looked at; and of them the end, which is not shown.
const TOLD: usize = 256;
const BEHIND: usize = 768;
const END: usize = 256;
const NAME: usize = 64;
/// Digits that a number has which may be somebody's: cards have 12 to 19.
const OF_SOMEBODY: usize = 12;
/// Bytes after which members and texts are left out. One name and one text more (2,048 characters of up to 12 bytes), and 512 numbers, fit in the
/// 256 KiB of a record still.
const ROOM: usize = 192 << 10;
const DEPTH: usize = 4;
const MOST: usize = 256;
/// Characters of an id, and of an address.
const ID: usize = 256;
const METHOD: usize = 32;
const ROUTE: usize = 1024;
const TARGET: usize = 1024;
