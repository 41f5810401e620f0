//! The filters of prompts and answers that know nothing of a request, and those of its secrets.

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::ai::{TextPlan, detached, on_find, without_surrogates};
use super::errors::guarded;
use super::redaction::Redactor;
use crate::ai::{
    Ansi, Canary, Cap, Hidden, Invisible, Leak, Links, LinksRules, Placeholders as Core, Policy, Returns,
    canary_of, estimate_tokens as estimated,
};
use crate::crypto::fill_random;
use crate::redaction::Finding;

/// Removes characters that are not seen, but for those that scripts and emoji need.
///
/// :param private_use: whether characters for private use stay.
///
/// >>> InvisibleFilter().apply("hi\U000e0069\U000e0067\U000e006e")
/// ('hi', {'invisible.tag': (3, [2, 3, 4])}, None)
#[pyclass(frozen, extends = TextPlan, name = "InvisibleFilter", module = "flask_rampart._native")]
pub struct InvisibleFilter;

#[pymethods]
impl InvisibleFilter {
    #[new]
    #[pyo3(signature = (*, private_use = true))]
    fn new(private_use: bool) -> PyClassInitializer<Self> {
        TextPlan::as_base(Invisible { private_use }, Self)
    }
}

/// Removes escape sequences of terminals and control characters.
///
/// :param carriage_return: what becomes of one that ends no line: ``"newline"``, ``"keep"`` or ``"remove"``.
/// :raises ValueError: for another word.
///
/// >>> AnsiFilter().apply("\x1b]8;;https://evil.example\x1b\\bank")
/// ('bank', {'ansi.hyperlink': (1, [0])}, None)
#[pyclass(frozen, extends = TextPlan, name = "AnsiFilter", module = "flask_rampart._native")]
pub struct AnsiFilter;

#[pymethods]
impl AnsiFilter {
    #[new]
    #[pyo3(signature = (*, carriage_return = "newline"))]
    fn new(carriage_return: &str) -> PyResult<PyClassInitializer<Self>> {
        let returns = match carriage_return {
            "newline" => Returns::Newline,
            "keep" => Returns::Keep,
            "remove" => Returns::Remove,
            other => return Err(choice("carriage_return", other, &["newline", "keep", "remove"])),
        };
        Ok(TextPlan::as_base(Ansi { returns }, Self))
    }
}

/// Removes links and images that lead to hosts that are not listed.
///
/// :param hosts: ``"a.example"`` is that host alone, ``"*.a.example"`` each below it; a port is written if it is not the scheme's.
/// :param schemes: that may be: ``"https"``, ``"http"``, ``"mailto"``, ``"tel"``, ``"ftp"``, ``"ws"``, ``"wss"``.
/// :param images: of *hosts*, and what else browsers fetch and show: ``"remove"`` or ``"keep"``. Those of others always go.
/// :param links: to other hosts: ``"defang"`` (readable, not clickable), ``"remove"`` or ``"keep"``.
/// :param relative: whether addresses without a host may stand.
/// :param data_bits: most bits that an address may carry to a listed host, by the entropy of its path, query and fragment.
/// :raises ValueError: for what cannot be used.
///
/// >>> LinkFilter(hosts=["example.com"]).apply("[a](https://example.com/) [b](https://evil.example/x)")[0]
/// '[a](https://example.com/) [b] (hxxps://evil[.]example/x)'
#[pyclass(frozen, extends = TextPlan, name = "LinkFilter", module = "flask_rampart._native")]
pub struct LinkFilter;

#[pymethods]
impl LinkFilter {
    #[new]
    #[pyo3(signature = (*, hosts = None, schemes = None, images = "remove", links = "defang", relative = false, data_bits = None))]
    fn new(
        hosts: Option<&Bound<'_, PyAny>>,
        schemes: Option<&Bound<'_, PyAny>>,
        images: &str,
        links: &str,
        relative: bool,
        data_bits: Option<u32>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let hosts = texts("hosts", hosts)?.unwrap_or_default();
        let schemes = texts("schemes", schemes)?.unwrap_or_else(|| vec!["https".to_owned()]);
        let images = match images {
            "remove" => Policy::Remove,
            "keep" => Policy::Keep,
            other => return Err(choice("images", other, &["remove", "keep"])),
        };
        let links = match links {
            "defang" => Policy::Defang,
            "remove" => Policy::Remove,
            "keep" => Policy::Keep,
            other => return Err(choice("links", other, &["defang", "remove", "keep"])),
        };
        let rules = LinksRules { schemes, images, links, relative, data_bits };
        guarded(|| Ok(TextPlan::as_base(Links::new(hosts.iter().map(String::as_str), rules)?, Self)))
    }
}

/// Finds canaries, however they are spelled.
///
/// :param tokens: one to eight, each of 8 to 64 letters and digits; ``new_canary`` makes one.
/// :param on_find: ``"stop"`` ends the text before it, ``"replace"`` writes ``[canary]``.
/// :raises ValueError: for what cannot be used; it never quotes a token.
///
/// >>> CanaryFilter(["k7qzv3mwx2"]).apply("it is K-7-Q-Z-V-3-M-W-X-2.")
/// ('it is ', {'canary.plain': (1, [6])}, 'canary.plain')
#[pyclass(frozen, extends = TextPlan, name = "CanaryFilter", module = "flask_rampart._native")]
pub struct CanaryFilter;

#[pymethods]
impl CanaryFilter {
    #[new]
    #[pyo3(signature = (tokens, *, on_find = "stop"))]
    fn new(tokens: &Bound<'_, PyAny>, on_find: &str) -> PyResult<PyClassInitializer<Self>> {
        let tokens = texts("tokens", Some(tokens))?.unwrap_or_default();
        let on_find = self::on_find(on_find)?;
        guarded(|| Ok(TextPlan::as_base(Canary::new(tokens.iter().map(String::as_str), on_find)?, Self)))
    }
}

/// A canary of 120 random bits: 24 letters and digits.
///
/// :raises RuntimeError: if the system has no random bytes.
///
/// >>> len(new_canary())
/// 24
#[pyfunction]
pub fn new_canary() -> PyResult<String> {
    let mut random = [0; 15];
    drawn(&mut random)?;
    Ok(canary_of(random))
}

/// Finds passages of a system prompt.
///
/// :param prompt: at least four words; it is kept as hashes.
/// :param words: so many of its words in a row are a leak; 4 to 64.
/// :param share: so much of it in passages of five words is one, too.
/// :param allow: texts that may be told.
/// :param on_find: ``"stop"`` ends the text before it, ``"replace"`` writes ``[system prompt]``.
/// :raises ValueError: for what cannot be used.
///
/// >>> LeakFilter("Answer in verse only, and never mention prices.").apply("I must answer in verse only, and never mention prices.")
/// ('I must ', {'leak.run': (1, [7])}, 'leak.run')
#[pyclass(frozen, extends = TextPlan, name = "LeakFilter", module = "flask_rampart._native")]
pub struct LeakFilter;

#[pymethods]
impl LeakFilter {
    #[new]
    #[pyo3(signature = (prompt, *, words = 12, share = 0.25, allow = None, on_find = "stop"))]
    fn new(
        prompt: &str,
        words: usize,
        share: f64,
        allow: Option<&Bound<'_, PyAny>>,
        on_find: &str,
    ) -> PyResult<PyClassInitializer<Self>> {
        let allow = texts("allow", allow)?.unwrap_or_default();
        let on_find = self::on_find(on_find)?;
        guarded(|| {
            Ok(TextPlan::as_base(
                Leak::new(prompt, words, share, allow.iter().map(String::as_str), on_find)?,
                Self,
            ))
        })
    }
}

/// Ends a text at a cap, and counts it: a stream's ``counted``.
///
/// :param max_characters: code points. *max_bytes*: in UTF-8. *max_tokens*: estimated, as ``estimate_tokens`` does. None is no cap.
///
/// >>> CapFilter(max_characters=5).apply("too much")
/// ('too m', {'cap.characters': (1, [5])}, 'cap.characters')
#[pyclass(frozen, extends = TextPlan, name = "CapFilter", module = "flask_rampart._native")]
pub struct CapFilter;

#[pymethods]
impl CapFilter {
    #[new]
    #[pyo3(signature = (*, max_characters = None, max_bytes = None, max_tokens = None))]
    fn new(
        max_characters: Option<u64>,
        max_bytes: Option<u64>,
        max_tokens: Option<u64>,
    ) -> PyClassInitializer<Self> {
        let cap = Cap { characters: max_characters, bytes: max_bytes, tokens: max_tokens };
        TextPlan::as_base(cap, Self)
    }
}

/// How many tokens *text* has, about: a little more than today's tokenizers give for English.
///
/// >>> estimate_tokens("The quick brown fox jumps over the lazy dog.")
/// 13
#[pyfunction]
pub fn estimate_tokens(text: &Bound<'_, PyString>) -> PyResult<u64> {
    guarded(|| match text.to_str() {
        Ok(plain) => Ok(detached(text.py(), plain.len(), || estimated(plain))),
        Err(_) => Ok(estimated(&without_surrogates(text)?)),
    })
}

/// Hides values from a model, and puts them back in its answer. One for each request or conversation.
///
/// :param max_entries: values that are kept; what is beyond becomes ``[REDACTED:<ENTITY>]``.
/// :param max_bytes: of all of them together.
/// :raises ValueError: for a bound that keeps nothing.
///
/// It cannot be copied, pickled or printed; ``close``, or the end of a ``with`` block, wipes the values.
///
/// >>> with Placeholders() as placeholders:
/// ...     prompt = placeholders.hide("Write to ada@example.com", Redactor())
/// ...     answer = placeholders.restorer().apply(prompt.replace("Write", "I wrote"))
/// >>> prompt.startswith("Write to <") and prompt.endswith("_1_EMAIL_ADDRESS>"), answer[0]
/// (True, 'I wrote to ada@example.com')
#[pyclass(frozen, name = "Placeholders", module = "flask_rampart._native")]
pub struct Placeholders(Core);

#[pymethods]
impl Placeholders {
    #[new]
    #[pyo3(signature = (*, max_entries = 256, max_bytes = 65_536))]
    fn new(max_entries: usize, max_bytes: usize) -> PyResult<Self> {
        let mut random = [0; 24];
        drawn(&mut random)?;
        guarded(|| Ok(Self(Core::new(max_entries, max_bytes, random)?)))
    }

    /// *text* with placeholders for what *redactor* finds. The same value has the same placeholder.
    fn hide<'py>(&self, text: &Bound<'py, PyString>, redactor: &Redactor) -> PyResult<Bound<'py, PyString>> {
        let py = text.py();
        guarded(|| {
            let encoded;
            let plain = match text.to_str() {
                Ok(plain) => plain,
                Err(_) => {
                    encoded = without_surrogates(text)?;
                    &encoded
                }
            };
            let core = &redactor.core;
            let hidden = detached(py, plain.len(), || {
                let found = core.scan(plain);
                let part = |found: &Finding| Hidden {
                    start: found.start,
                    end: found.end,
                    entity: core.entity(found),
                };
                (!found.is_empty()).then(|| self.0.hide(plain, found.iter().map(part)))
            });
            Ok(hidden.map_or_else(|| text.clone(), |hidden| PyString::new(py, &hidden)))
        })
    }

    /// A plan that puts them back, but for within addresses.
    fn restorer(&self, py: Python<'_>) -> PyResult<Py<PlaceholderFilter>> {
        Py::new(py, TextPlan::as_base(self.0.restorer(), PlaceholderFilter))
    }

    /// Wipes the values. What is hidden later is hidden for good, and nothing is put back any more.
    fn close(&self) {
        self.0.close();
    }

    /// How many values were beyond the bounds.
    #[getter]
    fn full(&self) -> u64 {
        self.0.full()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __bool__(&self) -> bool {
        // One that holds nothing yet is none the less there.
        true
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {
        self.0.close();
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("what was hidden cannot be pickled or copied"))
    }
}

/// Puts back what ``Placeholders`` hid; made by its ``restorer``.
#[pyclass(frozen, extends = TextPlan, name = "PlaceholderFilter", module = "flask_rampart._native")]
pub struct PlaceholderFilter;

fn drawn(random: &mut [u8]) -> PyResult<()> {
    fill_random(random).map_err(|_| PyRuntimeError::new_err("the system has no random bytes"))
}

/// A word that is none of *choices*.
pub(super) fn choice(what: &str, given: &str, choices: &[&str]) -> PyErr {
    let choices: Vec<String> = choices.iter().map(|choice| format!("{choice:?}")).collect();
    PyValueError::new_err(format!("{what} is {given:?}; it is one of {}", choices.join(", ")))
}

/// A sequence of texts. A text is a sequence as well, of its letters, and would be refused for a confusing reason.
fn texts(what: &str, given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<String>>> {
    match given {
        Some(given) if given.is_instance_of::<PyString>() => {
            Err(PyTypeError::new_err(format!("{what} is a sequence of texts, not one text")))
        }
        Some(given) => given.try_iter()?.map(|text| text?.extract()).collect::<PyResult<Vec<_>>>().map(Some),
        None => Ok(None),
    }
}
