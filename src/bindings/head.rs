//! A request's head, before anything in it is read: how large it is, and whether everybody reads it alike.
//!
//! One call for each request, which looks once at each entry of the environ; so it also sees whether there is anything to
//! settle of who the peer is (`peers`), which comes before. It adds up all of them, which is more than
//! the head; only where that is too much, or some entry has a control character, does it look which names are fields.
//! What is decided of the rest stands in `hygiene`.
//!
//! From the environ it takes what nobody inside may go by: `HTTP_PROXY`, which programs in C take for a setting of
//! their own (httpoxy, CVE-2016-5385), the fields that ask for another method than the one that was judged, and cookies
//! that are not UTF-8, which a neighbour's page can plant and of which one makes a framework refuse all.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors::guarded;
use super::peers::{self, PeerRule};
use crate::hygiene::{Head, Methods, Refusal, Rules, may_arrive, may_name, readable_cookies};

/// How large the head of a request may be, and what else it may be. Each bound is inclusive.
///
/// *max_headers*: header fields as WSGI shows them, where a field that was sent twice is one. *max_header_bytes*: their
/// names and values. *max_query*, *max_path*: bytes of the two, the path as it reads without escapes. *methods*: those
/// that are answered, in capitals. *encoded_slashes*: whether ``%2f`` and ``%5c`` in a path are data.
/// *method_override*: whether ``X-HTTP-Method-Override`` and its like stay in the environ.
///
/// >>> bounds = HeadBounds(max_headers=100, max_header_bytes=32768, max_query=8192, max_path=8192, methods=("GET",))
/// >>> bounds.judge({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "HTTP_X": "y"}) is None
/// True
/// >>> bounds.judge({"REQUEST_METHOD": "GET", "PATH_INFO": "/a/../b"})
/// ('path.malformed', 'dot segment')
/// >>> bounds.judge({"PATH_INFO": "/", "QUERY_STRING": "", "HTTP_X": "y" * 40000})
/// ('head.too_large', 'the head')
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct HeadBounds {
    max_headers: usize,
    max_header_bytes: usize,
    max_query: usize,
    max_path: usize,
    rules: Rules,
    method_override: bool,
}

/// The code of a refusal, and the word for the log.
type Refused = (&'static str, &'static str);

/// What is told of where a request came from, and its refusal.
type Arrived = (Option<peers::Told>, Option<Refused>);

#[pymethods]
impl HeadBounds {
    /// :raises ValueError: for methods that are never answered, or are none.
    #[new]
    #[pyo3(signature = (
        *, max_headers, max_header_bytes, max_query, max_path, methods, encoded_slashes=false, method_override=false
    ))]
    fn new(
        max_headers: usize,
        max_header_bytes: usize,
        max_query: usize,
        max_path: usize,
        methods: Vec<String>,
        encoded_slashes: bool,
        method_override: bool,
    ) -> PyResult<Self> {
        let methods = Methods::new(methods.iter().map(String::as_str))
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let rules = Rules { methods, encoded_slashes };
        Ok(Self { max_headers, max_header_bytes, max_query, max_path, rules, method_override })
    }

    /// The code of the refusal and a word for the log; None if it may go on.
    ///
    /// Sizes are judged first, except that a query which is too long is told last: some route may take it.
    fn judge(&self, environ: &Bound<'_, PyDict>) -> PyResult<Option<Refused>> {
        guarded(|| self.conclude(environ, &Gathered::of(environ)?))
    }

    /// Makes *environ* true by *rule*, and judges what it then is; None of nearly every request.
    ///
    /// What :meth:`PeerRule.settle` tells, and what :meth:`judge` says.
    fn arrive(&self, environ: &Bound<'_, PyDict>, rule: &PeerRule) -> PyResult<Option<Arrived>> {
        guarded(|| {
            let quiet = if rule.trusts() { None } else { Some(Gathered::of(environ)?) };
            let (told, found) = match quiet.filter(|found| found.is_quiet) {
                Some(found) => (None, found),
                None => (rule.settle(environ)?, Gathered::of(environ)?),
            };
            let refused = self.conclude(environ, &found)?;
            Ok((told.is_some() || refused.is_some()).then_some((told, refused)))
        })
    }
}

impl HeadBounds {
    fn conclude(&self, environ: &Bound<'_, PyDict>, found: &Gathered<'_>) -> PyResult<Option<Refused>> {
        let is_large = environ.len() > self.max_headers || found.bytes > self.max_header_bytes;
        if is_large && !self.holds_head(environ) {
            return Ok(Some(("head.too_large", "the head")));
        }
        if found.is_odd && fields(environ).any(|(name, value)| !is_plain(&name, &value)) {
            return Ok(Some(told(Refusal::Field)));
        }
        self.clean(environ, &found.seen)?;
        self.judge_rest(environ, &found.seen)
    }

    fn judge_rest(&self, environ: &Bound<'_, PyDict>, seen: &Seen<'_>) -> PyResult<Option<Refused>> {
        let of = |slot: Slot| seen.0[slot as usize].as_ref();
        // A lone surrogate stands for no byte, and neither does what is put here: both are refused.
        let text = |slot| of(slot).map_or("", |text| text.to_str().unwrap_or("\u{fffd}"));
        let (mount, path, query) = (text(Slot::Mount), text(Slot::Path), text(Slot::Query));
        if size(of(Slot::Mount)) + size(of(Slot::Path)) > self.max_path {
            return Ok(Some(("path.too_long", "the head")));
        }
        let (own_length, own_type) = (text(Slot::Length), text(Slot::Type));
        // `Content_Length` beside or instead of `Content-Length`: which of them counts, two servers read in two ways.
        for (shadow, own) in [(Slot::ShadowLength, own_length), (Slot::ShadowType, own_type)] {
            if of(shadow).is_some() && text(shadow) != own {
                return Ok(Some(("request.malformed", "underscores in a field")));
            }
        }
        // An empty one shows nothing, and must not hide the other.
        let raw = text(Slot::RawUri);
        let target = if raw.is_empty() { text(Slot::RequestUri) } else { raw };
        let mut head = Head {
            // As werkzeug reads it where there is none.
            method: of(Slot::Method).map_or("GET", |method| method.to_str().unwrap_or("")),
            mount,
            path,
            query,
            target,
            host: text(Slot::Host),
            length: own_length,
            transfer: of(Slot::Transfer).map(|_| text(Slot::Transfer)),
            expect: of(Slot::Expect).map(|_| text(Slot::Expect)),
            protocol: text(Slot::Protocol),
            relative: false,
        };
        if !path.is_empty() && !path.starts_with('/') {
            // Flask's own test client, which takes `client.get("users")`, is no server and leaves its own request there.
            // No field that a peer sends has such a name.
            head.relative = environ.contains(intern!(environ.py(), "werkzeug.request"))?
                && !environ.contains(intern!(environ.py(), "SERVER_SOFTWARE"))?;
        }
        if let Err(refusal) = self.rules.judge(&head) {
            return Ok(Some(told(refusal)));
        }
        if size(of(Slot::Query)) > self.max_query {
            return Ok(Some(("query.too_long", "the head")));
        }
        Ok(None)
    }

    /// Takes out what nobody inside may go by.
    fn clean(&self, environ: &Bound<'_, PyDict>, seen: &Seen<'_>) -> PyResult<()> {
        for (slot, name) in [
            (Slot::Proxy, "HTTP_PROXY"),
            (Slot::Override, "HTTP_X_HTTP_METHOD_OVERRIDE"),
            (Slot::OverrideShort, "HTTP_X_METHOD_OVERRIDE"),
            (Slot::OverrideOld, "HTTP_X_HTTP_METHOD"),
        ] {
            if seen.0[slot as usize].is_some() && !(self.method_override && slot != Slot::Proxy) {
                environ.del_item(name)?;
            }
        }
        let cookies = seen.0[Slot::Cookie as usize].as_ref().and_then(|cookies| cookies.to_str().ok());
        if let Some(cookies) = cookies.filter(|cookies| !cookies.is_ascii()) {
            match readable_cookies(cookies) {
                readable if readable.is_empty() => environ.del_item("HTTP_COOKIE")?,
                readable if readable == cookies => {}
                readable => environ.set_item("HTTP_COOKIE", readable)?,
            }
        }
        Ok(())
    }

    fn holds_head(&self, environ: &Bound<'_, PyDict>) -> bool {
        let (mut count, mut bytes) = (0_usize, 0_usize);
        for (name, value) in fields(environ) {
            let value = size(value.cast::<PyString>().ok());
            // Servers give these two also where they were not sent.
            if value == 0 && !name.starts_with("HTTP_") {
                continue;
            }
            count += 1;
            bytes =
                bytes.saturating_add(name.strip_prefix("HTTP_").unwrap_or(&name).len()).saturating_add(value);
        }
        count <= self.max_headers && bytes <= self.max_header_bytes
    }
}

/// What is looked at by name. Of `Cookie` a part may be taken out; those from `Proxy` on are, whatever they hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Method,
    Mount,
    Path,
    Query,
    RawUri,
    RequestUri,
    Host,
    Length,
    Type,
    Transfer,
    Expect,
    Protocol,
    ShadowLength,
    ShadowType,
    Cookie,
    Proxy,
    Override,
    OverrideShort,
    OverrideOld,
}

const SLOTS: usize = Slot::OverrideOld as usize + 1;

/// What was found by name.
#[derive(Default)]
struct Seen<'py>([Option<Bound<'py, PyString>>; SLOTS]);

/// What one pass over an environ finds.
struct Gathered<'py> {
    seen: Seen<'py>,
    bytes: usize,
    /// Whether some entry has a character that no field may have.
    is_odd: bool,
    /// Whether nothing of it says where the request came from but the socket.
    is_quiet: bool,
}

impl<'py> Gathered<'py> {
    fn of(environ: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut found = Self { seen: Seen::default(), bytes: 0, is_odd: false, is_quiet: true };
        for (name, value) in environ.iter() {
            let Ok(name) = name.cast::<PyString>() else { continue };
            // No server can show another name.
            let Ok(name) = name.to_str() else { continue };
            let slot = slot(name);
            let Ok(text) = value.cast::<PyString>() else {
                found.is_quiet &= peers::is_quiet(name, ",");
                if slot.is_some_and(|slot| slot < Slot::Cookie) && !value.is_none() {
                    value.cast_into::<PyString>()?;
                }
                continue;
            };
            match text.to_str() {
                Ok(text) => {
                    found.bytes = found.bytes.saturating_add(name.len()).saturating_add(text.len());
                    found.is_odd |= !may_arrive(text.as_bytes()) | !may_name(name.as_bytes());
                    found.is_quiet &= peers::is_quiet(name, text);
                }
                Err(_) => {
                    found.is_odd = true;
                    found.is_quiet &= peers::is_quiet(name, ",");
                }
            }
            if let Some(slot) = slot {
                found.seen.0[slot as usize] = value.cast_into::<PyString>().ok();
            }
        }
        Ok(found)
    }
}

/// By length first: most names have none of these.
#[inline]
fn slot(name: &str) -> Option<Slot> {
    let (known, slot) = match (name.len(), name.as_bytes().last()) {
        (11, Some(b'E')) if name.starts_with('H') => ("HTTP_COOKIE", Slot::Cookie),
        (7, _) => ("RAW_URI", Slot::RawUri),
        (9, Some(b'O')) => ("PATH_INFO", Slot::Path),
        (9, _) => ("HTTP_HOST", Slot::Host),
        (10, _) => ("HTTP_PROXY", Slot::Proxy),
        (11, Some(b'E')) => ("SCRIPT_NAME", Slot::Mount),
        (11, Some(b'T')) => ("HTTP_EXPECT", Slot::Expect),
        (11, _) => ("REQUEST_URI", Slot::RequestUri),
        (12, Some(b'G')) => ("QUERY_STRING", Slot::Query),
        (12, _) => ("CONTENT_TYPE", Slot::Type),
        (14, Some(b'D')) => ("REQUEST_METHOD", Slot::Method),
        (14, _) => ("CONTENT_LENGTH", Slot::Length),
        (15, Some(b'L')) => ("SERVER_PROTOCOL", Slot::Protocol),
        (17, _) => ("HTTP_CONTENT_TYPE", Slot::ShadowType),
        (18, _) => ("HTTP_X_HTTP_METHOD", Slot::OverrideOld),
        (19, _) => ("HTTP_CONTENT_LENGTH", Slot::ShadowLength),
        (22, Some(b'G')) => ("HTTP_TRANSFER_ENCODING", Slot::Transfer),
        (22, _) => ("HTTP_X_METHOD_OVERRIDE", Slot::OverrideShort),
        (27, _) => ("HTTP_X_HTTP_METHOD_OVERRIDE", Slot::Override),
        _ => return None,
    };
    (name == known).then_some(slot)
}

/// The fields of the head, by their names in the environ (PEP 3333).
fn fields<'py>(environ: &Bound<'py, PyDict>) -> impl Iterator<Item = (String, Bound<'py, PyAny>)> {
    environ.iter().filter_map(|(name, value)| {
        let name = name.cast::<PyString>().ok()?.to_str().ok()?;
        let is_field = matches!(name, "CONTENT_TYPE" | "CONTENT_LENGTH") || name.starts_with("HTTP_");
        is_field.then(|| (name.to_owned(), value))
    })
}

fn is_plain(name: &str, value: &Bound<'_, PyAny>) -> bool {
    let plain = |text: &Bound<'_, PyString>| text.to_str().is_ok_and(|text| may_arrive(text.as_bytes()));
    may_name(name.as_bytes()) && value.cast::<PyString>().ok().is_none_or(plain)
}

fn told(refusal: Refusal) -> Refused {
    (refusal.code(), refusal.reason())
}

/// Characters of a text, which in an environ are bytes each (PEP 3333).
fn size(text: Option<&Bound<'_, PyString>>) -> usize {
    text.and_then(|text| text.len().ok()).unwrap_or(0)
}
