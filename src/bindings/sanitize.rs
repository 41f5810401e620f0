//! Cleaning for Python: a text in, what may go on of it out.
//!
//! Lone surrogates, which UTF-8 cannot hold, are gone before the core sees a text.

use std::borrow::Cow;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyString};

use super::errors::guarded;
use crate::sanitize::{
    Form, HtmlPolicy as Core, Names, Sites, TextRules, clean_text as core_text, csv_cell as core_cell,
    safe_filename as core_filename, safe_redirect as core_redirect,
};

/// Which elements, attributes and schemes are left of HTML.
///
/// Build one and share it: it is immutable, and safe to use from all threads. An element that is not named loses its
/// tags and keeps its text; ``script``, ``style``, ``svg``, ``math`` and what else holds no text of the page go whole.
/// No policy can allow what runs, loads a document, submits, styles, or names what scripts would find.
///
/// :param tags: elements. One part of a table brings the others.
/// :param attributes: names by element; ``"*"`` is every element.
/// :param schemes: of links and images: ``"http"``, ``"https"``, ``"mailto"``, ``"sms"``, ``"tel"``, ``"xmpp"``.
/// :param relative: whether links without a scheme stay, also those that begin with ``//``.
/// :raises ValueError: for what is unsafe or unknown.
///
/// >>> policy = HtmlPolicy(tags=["p", "img"], attributes={"img": ["src", "alt"]})
/// >>> policy.clean('<p onclick=x><img src=https://a.example/i.png onerror=y>')
/// '<p><img src="https://a.example/i.png"></p>'
/// >>> HtmlPolicy(tags=["script"])
/// Traceback (most recent call last):
/// ValueError: tags: "script" cannot be allowed: ...
#[pyclass(frozen, name = "HtmlPolicy", module = "flask_rampart._native")]
pub struct PyHtmlPolicy(Core);

#[pymethods]
impl PyHtmlPolicy {
    #[new]
    #[pyo3(signature = (*, tags, attributes = None, schemes = None, relative = false))]
    fn new(
        tags: &Bound<'_, PyAny>,
        attributes: Option<&Bound<'_, PyAny>>,
        schemes: Option<&Bound<'_, PyAny>>,
        relative: bool,
    ) -> PyResult<Self> {
        let tags = names("tags", tags)?;
        let mut pairs = Vec::new();
        if let Some(attributes) = attributes {
            for item in attributes.cast::<PyMapping>()?.items()? {
                let (tag, of_tag): (String, Bound<'_, PyAny>) = item.extract()?;
                for name in names("attributes", &of_tag)? {
                    pairs.push((tag.clone(), name));
                }
            }
        }
        let schemes = match schemes {
            Some(schemes) => names("schemes", schemes)?,
            None => ["http", "https", "mailto"].map(str::to_owned).to_vec(),
        };
        guarded(|| Ok(Self(Core::own(&tags, &pairs, &schemes, relative)?)))
    }

    /// The policy of that name.
    ///
    /// * ``"none"``: no element; what is left is text, escaped.
    /// * ``"basic"``: emphasis, links, lists, quotations, code.
    /// * ``"rich"``: the same with headings, tables, definitions, figures, details and ruby.
    ///
    /// :raises ValueError: for any other name.
    ///
    /// >>> HtmlPolicy.named("basic").clean("<h1>a</h1><script>b</script><b>c")
    /// 'a<b>c</b>'
    #[staticmethod]
    fn named(name: &str) -> PyResult<Self> {
        guarded(|| Ok(Self(Core::named(name)?)))
    }

    /// *html* with what the policy lists, and nothing else: well formed, safe between tags.
    ///
    /// >>> HtmlPolicy.named("none").clean("<b>1 < 2</b>")
    /// '1 &lt; 2'
    fn clean<'py>(&self, html: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
        let py = html.py();
        guarded(|| {
            let text = plain(html)?;
            let clean = detached(py, text.len(), || self.0.clean(&text));
            Ok(PyString::new(py, &clean))
        })
    }

    /// The elements that stay, in alphabetical order.
    #[getter]
    fn tags(&self) -> Vec<&'static str> {
        self.0.tags()
    }

    fn __repr__(&self) -> String {
        match self.0.name() {
            Some(name) => format!("HtmlPolicy.named({name:?})"),
            None => format!("HtmlPolicy(tags={:?})", self.0.tags()),
        }
    }
}

/// *text* without what is not seen, in one spelling. ``flask_rampart.sanitize.clean_text`` says more.
///
/// >>> clean_text("a\u202eb", form="NFC", lines=True, limit=None)
/// 'ab'
#[pyfunction]
#[pyo3(signature = (text, *, form, lines, limit))]
pub fn clean_text<'py>(
    text: &Bound<'py, PyString>,
    form: &str,
    lines: bool,
    limit: Option<usize>,
) -> PyResult<Bound<'py, PyString>> {
    let form = match form {
        "NFC" => Form::Nfc,
        "NFKC" => Form::Nfkc,
        other => {
            return Err(PyValueError::new_err(format!("form is {other:?}: there are \"NFC\" and \"NFKC\"")));
        }
    };
    let py = text.py();
    guarded(|| {
        let (rules, plain) = (TextRules { form, lines, limit }, plain(text)?);
        let clean = detached(py, plain.len(), || core_text(&plain, rules));
        Ok(same_or_new(text, &clean))
    })
}

/// The name under which a file may be kept. ``flask_rampart.sanitize.safe_filename`` says more.
///
/// >>> safe_filename("../a.txt", fallback="file", limit=255)
/// 'a.txt'
#[pyfunction]
#[pyo3(signature = (name, *, fallback, limit))]
pub fn safe_filename(name: &Bound<'_, PyString>, fallback: &str, limit: usize) -> PyResult<String> {
    guarded(|| Ok(core_filename(&plain(name)?, &Names::new(fallback, limit)?)))
}

/// *text* as a cell that no spreadsheet computes. ``flask_rampart.sanitize.csv_cell`` says more.
///
/// >>> csv_text("=1+1")
/// "'=1+1"
#[pyfunction]
pub fn csv_text<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
    guarded(|| {
        let plain = plain(text)?;
        Ok(same_or_new(text, &core_cell(&plain)))
    })
}

/// Whether a browser sent to *target* stays on this site or *hosts*. ``flask_rampart.sanitize.safe_redirect`` says more.
///
/// >>> [is_safe_redirect(target, hosts=["a.example"]) for target in ("/x", "//a.example", "https://a.example")]
/// [True, False, True]
#[pyfunction]
#[pyo3(signature = (target, *, hosts))]
pub fn is_safe_redirect(target: &Bound<'_, PyString>, hosts: &Bound<'_, PyAny>) -> PyResult<bool> {
    let hosts = names("hosts", hosts)?;
    guarded(|| {
        let sites = Sites::new(hosts.iter().map(String::as_str))?;
        // A lone surrogate is in no address.
        Ok(target.to_str().is_ok_and(|target| core_redirect(target, &sites).is_some()))
    })
}

/// Above this, about half a millisecond of work, other threads may run meanwhile.
const DETACH: usize = 16 * 1024;

pub(super) fn detached<T: Send>(py: Python<'_>, length: usize, work: impl FnOnce() -> T + Send) -> T {
    if length > DETACH { py.detach(work) } else { work() }
}

/// The text without lone surrogates.
fn plain<'t>(text: &'t Bound<'_, PyString>) -> PyResult<Cow<'t, str>> {
    if let Ok(plain) = text.to_str() {
        return Ok(Cow::Borrowed(plain));
    }
    let py = text.py();
    let bytes: Vec<u8> = text.call_method1(intern!(py, "encode"), ("utf-8", "ignore"))?.extract()?;
    Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// *text* itself if nothing was changed.
fn same_or_new<'py>(text: &Bound<'py, PyString>, clean: &str) -> Bound<'py, PyString> {
    if text.to_str().is_ok_and(|text| text == clean) { text.clone() } else { PyString::new(text.py(), clean) }
}

/// The names of a sequence. One text is a sequence of its letters, which would be refused for a confusing reason.
fn names(what: &str, sequence: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if sequence.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!("{what}: a sequence of names, not one text")));
    }
    sequence.try_iter()?.map(|name| name?.extract()).collect()
}
