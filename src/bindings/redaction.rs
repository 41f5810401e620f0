//! Redaction for Python: text and bytes in, the same without secrets out.

use std::borrow::Cow;
use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping, PyString, PyTuple};

use super::errors::guarded;
use crate::redaction::{Allow, Detector, Finding, Identifier, Options, Redactor as Core};

/// Finds secrets in text and replaces them by ``[REDACTED:<ENTITY>]``.
///
/// Found are the values of secret names (``password=…``, ``"api_key": "…"``, ``Cookie: …``, also
/// percent-encoded), tokens of known services, JWTs, private keys, payment card numbers, e-mail addresses and
/// passwords in URLs. Names stay readable, values do not. Replacing twice is replacing once.
///
/// Every argument is checked at once. Detectors cost nothing where the fixed text in their pattern does not occur.
///
/// Build one and share it: it is immutable, and safe to use from all threads. The time is linear in the
/// text's length, whatever the text says. The GIL is released for texts above 128 KiB.
///
/// :param names: further names whose values are secret, compared by words: ``"license_key"`` also covers
///     ``X-License-Key`` and ``customerLicenseKey``. At most 1000, each of 3 letters to 64 bytes.
/// :param entities: look only for what is called one of these, which may be those of :meth:`identifiers`. ``None``: for
///     everything but these.
/// :param allow: finds that are left alone: texts, each exactly a whole find, and compiled patterns (``re.compile`` without
///     flags) that match a whole find, read as Rust's ``regex`` reads them.
/// :param deny: words of at least 3 characters that are always hidden where they stand alone, each with the
///     entity that it is called: ``{"bluebird": "CODENAME"}``. They win over *allow* and *entities*.
/// :param detectors: further kinds of secrets, each a mapping of ``name`` (``"employee_number"``), ``entity``
///     (``"EMPLOYEE_NUMBER"``) and ``pattern`` (Rust's ``regex``: bounded, without anchors, with a fixed text of at least 3
///     bytes), and, if wanted, ``literals`` (texts of which every match contains one, where the pattern does not
///     show them), ``context`` (words of which one must be near), ``before`` and ``after`` (how many bytes away it may be:
///     at most 256; 48 and 0), ``samples`` and ``counter_samples`` (texts that are tried at once).
/// :param context: further words that announce a number, by its entity, which is among *entities*: ``{"US_SSN": ["member
///     no"]}``. A word counts up to 64 bytes before the number, on its line.
/// :raises ValueError: at once, if one of them cannot be used, with the reason.
/// :raises TypeError: if one of them has the wrong type.
///
/// >>> redactor = Redactor(names=["license_key"])
/// >>> redactor.redact('{"user": "ann@example.org", "licenseKey": "abc"}')
/// '{"user": "[REDACTED:EMAIL_ADDRESS]", "licenseKey": "[REDACTED:SECRET]"}'
///
/// >>> badge = {"name": "badge", "entity": "BADGE", "pattern": "BDG-[0-9]{6}", "samples": ["BDG-123456"]}
/// >>> Redactor(detectors=[badge], deny={"bluebird": "CODENAME"}).redact("BDG-654321 works on bluebird")
/// '[REDACTED:BADGE] works on [REDACTED:CODENAME]'
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Redactor {
    pub(super) core: Arc<Core>,
    /// What findings can be called, in alphabetical order: ``("API_KEY", "AUTHORIZATION", …)``.
    #[pyo3(get)]
    entities: Py<PyTuple>,
}

#[pymethods]
impl Redactor {
    #[new]
    #[pyo3(signature = (*, names = None, entities = None, allow = None, deny = None, detectors = None, context = None))]
    fn new(
        py: Python<'_>,
        names: Option<&Bound<'_, PyAny>>,
        entities: Option<&Bound<'_, PyAny>>,
        allow: Option<&Bound<'_, PyAny>>,
        deny: Option<&Bound<'_, PyAny>>,
        detectors: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let names = texts("names", names)?.unwrap_or_default();
        let entities = texts("entities", entities)?;
        let allow = allowed(allow)?;
        let deny = denied(deny)?;
        let detectors = own(detectors)?;
        let context = announcing(context)?;

        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let entities: Option<Vec<&str>> =
            entities.as_ref().map(|all| all.iter().map(String::as_str).collect());
        let allow: Vec<Allow<'_>> = allow.iter().map(Allowed::borrowed).collect();
        let deny: Vec<(&str, &str)> = deny.iter().map(|(word, entity)| (&**word, &**entity)).collect();
        let lists: Vec<_> = detectors.iter().map(OwnDetector::lists).collect();
        let detectors: Vec<Detector<'_>> =
            detectors.iter().zip(&lists).map(|(detector, lists)| detector.borrowed(lists)).collect();
        let words: Vec<Vec<&str>> =
            context.iter().map(|(_, words)| words.iter().map(String::as_str).collect()).collect();
        let context: Vec<(&str, &[&str])> =
            context.iter().zip(&words).map(|((entity, _), words)| (&**entity, &**words)).collect();
        let options = Options {
            names: &names,
            entities: entities.as_deref(),
            allow: &allow,
            deny: &deny,
            detectors: &detectors,
            context: &context,
        };
        let core = guarded(|| Ok(Arc::new(Core::build(options)?)))?;
        let entities = PyTuple::new(py, core.entities())?.unbind();
        Ok(Self { core, entities })
    }

    /// *text* with its secrets replaced; the same object if it has none. Any text is taken: lone
    /// surrogates are ordinary characters and stay. Raises for no text.
    ///
    /// >>> Redactor().redact("password=hunter2 from 192.0.2.1")
    /// 'password=[REDACTED:PASSWORD] from 192.0.2.1'
    fn redact<'py>(&self, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
        let py = text.py();
        guarded(|| {
            if let Ok(plain) = text.to_str() {
                return Ok(match detached(py, plain.len(), || self.core.redact(plain)) {
                    Cow::Borrowed(_) => text.clone(),
                    Cow::Owned(clean) => PyString::new(py, &clean),
                });
            }
            let encoded = surrogates_as_bytes(text)?;
            let bytes = encoded.as_bytes();
            match detached(py, bytes.len(), || self.core.redact_bytes(bytes)) {
                Cow::Borrowed(_) => Ok(text.clone()),
                Cow::Owned(clean) => from_bytes(&PyBytes::new(py, &clean)),
            }
        })
    }

    /// The same for bytes in UTF-8 or any other encoding that contains ASCII; the same object if clean.
    ///
    /// >>> Redactor().redact_bytes(b"\xff token=abc")
    /// b'\xff token=[REDACTED:TOKEN]'
    fn redact_bytes<'py>(&self, data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
        let py = data.py();
        guarded(|| {
            let bytes = data.as_bytes();
            Ok(match detached(py, bytes.len(), || self.core.redact_bytes(bytes)) {
                Cow::Borrowed(_) => data.clone(),
                Cow::Owned(clean) => PyBytes::new(py, &clean),
            })
        })
    }

    /// What is secret in *text*: ``(entity, start, end, rule)`` from left to right, without overlaps. Offsets count
    /// code points, so ``text[start:end]`` is the secret. The rule is the detector that found it, ``"named"`` for
    /// the value of a secret name, or ``"deny"``.
    ///
    /// >>> Redactor().scan("pin: 1234")
    /// [('PIN', 5, 9, 'named')]
    fn scan(&self, text: &Bound<'_, PyString>) -> PyResult<Vec<(&str, usize, usize, &str)>> {
        let py = text.py();
        guarded(|| {
            let encoded;
            let bytes = match text.to_str() {
                Ok(plain) => plain.as_bytes(),
                Err(_) => {
                    encoded = surrogates_as_bytes(text)?;
                    encoded.as_bytes()
                }
            };
            Ok(detached(py, bytes.len(), || in_code_points(&self.core, bytes)))
        })
    }

    /// The identifiers that can be selected: ``(entity, country, words, sample, harmless)``. *country* is an ISO 3166-1
    /// code or empty; one of *words* has to stand shortly before the number, unless its form is unmistakable; in
    /// *sample* it is found, in *harmless* it is not.
    ///
    /// >>> {entity: sample for entity, _, _, sample, _ in Redactor.identifiers()}["UK_NHS"]
    /// 'NHS number 943 476 5919'
    #[staticmethod]
    fn identifiers() -> Vec<(&'static str, &'static str, Vec<&'static str>, &'static str, &'static str)> {
        let row = |row: Identifier| (row.entity, row.country, row.words.to_vec(), row.sample, row.harmless);
        Core::identifiers().map(row).collect()
    }

    /// Whether values of *name* are secret. Case, ``-``, ``_`` and camel case make no difference.
    ///
    /// >>> redactor = Redactor()
    /// >>> [redactor.is_secret_name(name) for name in ("X-Api-Key", "clientSecret", "max_tokens")]
    /// [True, True, False]
    fn is_secret_name(&self, name: &Bound<'_, PyString>) -> PyResult<bool> {
        guarded(|| Ok(self.core.is_secret_name(&name.to_string_lossy())))
    }

    /// What values of *name* are called; None if they are not secret, or not looked for.
    ///
    /// >>> [Redactor().entity_of_name(name) for name in ("X-Api-Key", "max_tokens")]
    /// ['API_KEY', None]
    fn entity_of_name(&self, name: &Bound<'_, PyString>) -> PyResult<Option<&'static str>> {
        guarded(|| Ok(self.core.entity_of_name(&name.to_string_lossy())))
    }

    /// Whether a find that is all of *value* is left alone, since it was allowed.
    ///
    /// >>> [Redactor(allow=["changeme"]).allows(value) for value in ("changeme", "changeme2")]
    /// [True, False]
    fn allows(&self, value: &Bound<'_, PyString>) -> PyResult<bool> {
        guarded(|| Ok(self.core.allows(value.to_string_lossy().as_bytes())))
    }
}

/// Above this, about half a millisecond of work, other threads may run meanwhile.
const DETACH: usize = 128 * 1024;

fn detached<T: Send>(py: Python<'_>, length: usize, work: impl FnOnce() -> T + Send) -> T {
    if length > DETACH { py.detach(work) } else { work() }
}

/// A text that UTF-8 cannot hold, its lone surrogates as three bytes each.
pub(super) fn surrogates_as_bytes<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    let py = text.py();
    Ok(text.call_method1(intern!(py, "encode"), ("utf-8", "surrogatepass"))?.cast_into()?)
}

/// The way back. Finds start and end at characters; were one ever not to, a log line with a broken character is
/// better than a client that can make logging raise.
pub(super) fn from_bytes<'py>(clean: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyString>> {
    let decode = intern!(clean.py(), "decode");
    let text = clean.call_method1(decode, ("utf-8", "surrogatepass"));
    Ok(text.or_else(|_| clean.call_method1(decode, ("utf-8", "replace")))?.cast_into()?)
}

fn in_code_points<'r>(core: &'r Core, text: &[u8]) -> Vec<(&'r str, usize, usize, &'r str)> {
    let (mut at, mut points) = (0, 0);
    let mut count = |to: usize| {
        points += text[at..to].iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        at = to;
        points
    };
    let told = |found: &Finding| (core.entity(found), count(found.start), count(found.end), core.rule(found));
    core.scan_bytes(text).iter().map(told).collect()
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

enum Allowed {
    Text(String),
    Pattern(String),
}

impl Allowed {
    fn borrowed(&self) -> Allow<'_> {
        match self {
            Self::Text(text) => Allow::Text(text),
            Self::Pattern(pattern) => Allow::Pattern(pattern),
        }
    }
}

fn allowed(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Allowed>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if given.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("allow is a sequence of texts and patterns, not one text"));
    }
    let py = given.py();
    let entry = |entry: PyResult<Bound<'_, PyAny>>| {
        let entry = entry?;
        if let Ok(text) = entry.cast::<PyString>() {
            return Ok(Allowed::Text(text.extract()?));
        }
        let (Ok(pattern), Ok(flags)) =
            (entry.getattr(intern!(py, "pattern")), entry.getattr(intern!(py, "flags")))
        else {
            return Err(PyTypeError::new_err(
                "allow has an entry that is neither a text nor a compiled pattern",
            ));
        };
        if flags.extract::<u32>()? != UNICODE {
            return Err(PyTypeError::new_err(
                "allow has a pattern with flags, which are not taken over; write them in the pattern: (?i)",
            ));
        }
        let pattern = pattern
            .extract()
            .map_err(|_| PyTypeError::new_err("allow has a pattern of bytes, not of text"))?;
        Ok(Allowed::Pattern(pattern))
    };
    given.try_iter()?.map(entry).collect()
}

/// `re.UNICODE`, the one flag of a pattern of text that was compiled without any.
const UNICODE: u32 = 32;

fn denied(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(String, String)>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let Ok(given) = given.cast::<PyMapping>() else {
        return Err(PyTypeError::new_err(
            "deny is a mapping of words to entities, such as {\"bluebird\": \"CODENAME\"}",
        ));
    };
    given.items()?.iter().map(|pair| pair.extract()).collect()
}

/// The words that announce numbers, by entity.
fn announcing(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(String, Vec<String>)>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let Ok(given) = given.cast::<PyMapping>() else {
        return Err(PyTypeError::new_err(
            "context is a mapping of entities to lists of words, such as {\"US_SSN\": [\"member no\"]}",
        ));
    };
    let mut all = Vec::new();
    for pair in given.items()?.iter() {
        let (entity, words): (String, Bound<'_, PyAny>) = pair.extract()?;
        all.push((entity, texts("context", Some(&words))?.unwrap_or_default()));
    }
    Ok(all)
}

/// A detector as it was given, its texts copied.
struct OwnDetector {
    name: String,
    entity: String,
    pattern: String,
    literals: Vec<String>,
    context: Vec<String>,
    before: usize,
    after: usize,
    samples: Vec<String>,
    counter_samples: Vec<String>,
}

/// A detector's lists: literals, context, samples, counter-samples.
type Lists<'a> = [Vec<&'a str>; 4];

impl OwnDetector {
    fn lists(&self) -> Lists<'_> {
        [&self.literals, &self.context, &self.samples, &self.counter_samples]
            .map(|list| list.iter().map(String::as_str).collect())
    }

    fn borrowed<'a>(&'a self, [literals, context, samples, counter_samples]: &'a Lists<'a>) -> Detector<'a> {
        Detector {
            name: &self.name,
            entity: &self.entity,
            pattern: &self.pattern,
            literals,
            context,
            before: self.before,
            after: self.after,
            samples,
            counter_samples,
        }
    }
}

/// What a detector's mapping may contain.
const MEMBERS: [&str; 9] =
    ["name", "entity", "pattern", "literals", "context", "before", "after", "samples", "counter_samples"];

/// How far before a match its context may stand, in bytes, where nothing else is said.
const BEFORE: usize = 48;

fn own(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<OwnDetector>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    given.try_iter()?.map(|detector| own_detector(&detector?)).collect()
}

fn own_detector(given: &Bound<'_, PyAny>) -> PyResult<OwnDetector> {
    let Ok(mapping) = given.cast::<PyMapping>() else {
        return Err(PyTypeError::new_err(
            "detectors is a sequence of mappings with name, entity and pattern",
        ));
    };
    let members = PyDict::new(given.py());
    members.update(mapping)?;
    for member in members.keys() {
        let name: String = member.extract()?;
        if !MEMBERS.contains(&name.as_str()) {
            let problem = format!("a detector has no {name:?}; it has {}", MEMBERS.join(", "));
            return Err(pyo3::exceptions::PyValueError::new_err(problem));
        }
    }
    let text = |name: &str| match members.get_item(name)? {
        Some(text) => text.extract::<String>(),
        None => Err(pyo3::exceptions::PyValueError::new_err(format!(
            "a detector has no {name}, which it must have"
        ))),
    };
    let list =
        |name: &str| Ok::<_, PyErr>(texts(name, members.get_item(name)?.as_ref())?.unwrap_or_default());
    let number = |name: &str, otherwise| match members.get_item(name)? {
        Some(number) => number.extract::<usize>(),
        None => Ok(otherwise),
    };
    Ok(OwnDetector {
        name: text("name")?,
        entity: text("entity")?,
        pattern: text("pattern")?,
        literals: list("literals")?,
        context: list("context")?,
        before: number("before", BEFORE)?,
        after: number("after", 0)?,
        samples: list("samples")?,
        counter_samples: list("counter_samples")?,
    })
}
