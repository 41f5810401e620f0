//! Origins for Python: text in, the origin as browsers send it out.

use std::borrow::Cow;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors::guarded;
use crate::origins::{Origin, Origins as Core, Page, Told};

/// An origin as browsers send it (RFC 6454 section 6.2); None for what is no origin, such as ``null`` or a URL with a path.
///
/// Scheme and host are put in lower case, a name beyond ASCII becomes its A-labels, the default port goes.
///
/// >>> parse_origin("HTTPS://Example.com:443"), parse_origin("https://example.com/"), parse_origin("null")
/// ('https://example.com', None, None)
#[pyfunction]
pub fn parse_origin(text: &Bound<'_, PyString>) -> PyResult<Option<String>> {
    guarded(|| {
        // A lone surrogate is in no origin.
        let Ok(text) = text.to_str() else { return Ok(None) };
        Ok(Origin::parse(text).map(|origin| origin.as_str().to_owned()))
    })
}

/// Origins that were listed.
///
/// Build one and share it: it is immutable, and safe to use from all threads.
///
/// :param listed: origins; ``https://*.example.com`` for all names below a domain; ``http://localhost:*`` for all ports.
/// :param patterns: regular expressions of Rust's ``regex`` crate; each must match the whole of an origin.
/// :raises ValueError: for what is no origin, and for what would let in strangers.
///
/// >>> origins = Origins(["https://*.example.com"], [])
/// >>> origins.has("https://a.example.com"), origins.has("https://a.example.com.evil.test")
/// (True, False)
/// >>> Origins(["https://*.co.uk"], [])
/// Traceback (most recent call last):
/// ValueError: "https://*.co.uk": that is a public suffix, ...
#[pyclass(frozen, name = "Origins", module = "flask_rampart._native")]
pub struct PyOrigins(Core);

#[pymethods]
impl PyOrigins {
    #[new]
    fn new(listed: Vec<String>, patterns: Vec<String>) -> PyResult<Self> {
        guarded(|| {
            Ok(Self(Core::new(listed.iter().map(String::as_str), patterns.iter().map(String::as_str))?))
        })
    }

    /// Whether the origin that a browser sent is one of these; linear in its length.
    fn has(&self, sent: &Bound<'_, PyString>) -> PyResult<bool> {
        guarded(|| Ok(sent.to_str().is_ok_and(|sent| self.0.has(sent))))
    }

    /// The first that is reached over plain HTTP from elsewhere; None if there is none.
    #[getter]
    fn insecure(&self) -> Option<&str> {
        self.0.insecure()
    }
}

/// Whose page made a browser send a request: see ``flask_rampart.origins.page_of``.
///
/// :param environ: of the request (PEP 3333).
/// :param trusted: a collection of origins.
/// :returns: ``"own"``, ``"trusted"``, ``"other"``, ``"hidden"`` or ``"unsaid"``.
#[pyfunction]
pub fn page_of(environ: &Bound<'_, PyDict>, trusted: &Bound<'_, PyAny>) -> PyResult<&'static str> {
    guarded(|| {
        Ok(match page_behind(environ, Some(trusted))? {
            Page::Hidden => "hidden",
            Page::Other | Page::Sibling => "other",
            Page::Own => "own",
            Page::Trusted => "trusted",
            Page::Unsaid => "unsaid",
        })
    })
}

/// Whose page made a browser send the request of an environ.
pub(super) fn page_behind(environ: &Bound<'_, PyDict>, trusted: Option<&Bound<'_, PyAny>>) -> PyResult<Page> {
    let py = environ.py();
    // What cannot be asked for trusts nobody.
    let is_trusted = |origin: &str| trusted.is_some_and(|trusted| trusted.contains(origin).unwrap_or(false));
    let site = item(environ, intern!(py, "HTTP_SEC_FETCH_SITE"))?;
    let site = site.as_ref().map(|text| text.to_string_lossy());
    let Some(origin) = item(environ, intern!(py, "HTTP_ORIGIN"))? else {
        // The usual request: of where it went nothing is asked.
        return Ok(Page::of(&Told { site: site.as_deref(), ..Told::default() }, is_trusted));
    };
    let (scheme, host) =
        (item(environ, intern!(py, "wsgi.url_scheme"))?, item(environ, intern!(py, "HTTP_HOST"))?);
    let host = match lossy(&host) {
        Cow::Borrowed("") => {
            let (name, port) =
                (item(environ, intern!(py, "SERVER_NAME"))?, item(environ, intern!(py, "SERVER_PORT"))?);
            Cow::Owned(format!("{}:{}", lossy(&name), lossy(&port)))
        }
        host => host,
    };
    let origin = origin.to_string_lossy();
    let told = Told { site: site.as_deref(), origin: Some(&origin), scheme: &lossy(&scheme), host: &host };
    Ok(Page::of(&told, is_trusted))
}

/// A text of an environ. What is no text is left out: the server is at fault.
pub(super) fn item<'py>(
    environ: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyString>>> {
    Ok(environ.get_item(name)?.and_then(|found| found.cast_into().ok()))
}

/// Such a text as Rust has it; empty if it is not there.
pub(super) fn lossy<'a>(text: &'a Option<Bound<'_, PyString>>) -> Cow<'a, str> {
    text.as_ref().map_or(Cow::Borrowed(""), |text| text.to_string_lossy())
}
