//! Cookies on their way out, for Python: the lines of a list, replaced in place.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::errors::guarded;
use crate::cookies::{CookiePolicy, Notes, Rule, SameSite};
use crate::error::ConfigError;

/// With which attributes cookies leave: ``Secure`` over TLS, ``HttpOnly`` and ``SameSite=Lax`` where there are none.
///
/// :param rules: exceptions: a name, or a beginning of names with ``*`` at its end, with ``http_only``, ``same_site``
///     (``"Lax"``, ``"Strict"``, ``"None"``), ``secure`` and ``partitioned``; None leaves one open.
/// :param tell: called with the name of a cookie and a code, for each that browsers will not take as it is meant. What
///     it raises is not raised here.
/// :raises ValueError: for a rule that browsers would answer by dropping the cookie.
///
/// >>> CookiePolicy([("theme", False, None, None, None)]).harden("theme=dark; Path=/", True)
/// 'theme=dark; Path=/; Secure; SameSite=Lax'
#[pyclass(frozen, module = "flask_rampart._native", name = "CookiePolicy")]
pub struct PyCookiePolicy {
    core: CookiePolicy,
    tell: Option<Py<PyAny>>,
}

type Given = (String, Option<bool>, Option<String>, Option<bool>, Option<bool>);

#[pymethods]
impl PyCookiePolicy {
    #[new]
    #[pyo3(signature = (rules, tell=None))]
    fn new(rules: Vec<Given>, tell: Option<Py<PyAny>>) -> PyResult<Self> {
        let mut read = Vec::with_capacity(rules.len());
        for (pattern, http_only, same_site, secure, partitioned) in rules {
            let same_site = same_site.map(|word| {
                SameSite::named(&word).ok_or_else(|| {
                    ConfigError::new(format!("{pattern:?}: same_site is \"Lax\", \"Strict\" or \"None\""))
                })
            });
            let rule = Rule { http_only, same_site: same_site.transpose()?, secure, partitioned };
            read.push((pattern, rule));
        }
        guarded(|| Ok(Self { core: CookiePolicy::new(&read)?, tell }))
    }

    /// What leaves instead of *line*, the value of one ``Set-Cookie``; None if nothing does.
    fn harden(&self, py: Python<'_>, line: &str, tls: bool) -> PyResult<Option<String>> {
        guarded(|| {
            let hardened = self.core.harden(line, tls);
            self.say(py, hardened.name, hardened.notes);
            Ok(hardened.line.map(String::from))
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.tell)
    }
}

impl PyCookiePolicy {
    /// Hardens each `Set-Cookie` of *sent*, a list of pairs that nobody else holds.
    ///
    /// Where an app stands in another, both with a policy, the line goes through both: what the inner one's rules
    /// let pass is noted in the environ, which they share, and passes the outer one too.
    pub(super) fn apply(
        &self,
        py: Python<'_>,
        sent: &Bound<'_, PyList>,
        tls: bool,
        environ: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        guarded(|| {
            let mut index = 0;
            while index < sent.len() {
                let entry = sent.get_item(index)?;
                index += 1;
                let pair = entry.cast::<PyTuple>()?;
                let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
                if !is_cookie(name.cast::<PyString>()?.to_str()?) {
                    continue;
                }
                let value = value.cast::<PyString>()?;
                let line = value.to_str()?;
                let hardened = self.core.harden(line, tls);
                let Some(written) = hardened.line else {
                    self.say(py, hardened.name, hardened.notes);
                    index -= 1;
                    sent.del_item(index)?;
                    continue;
                };
                if written != line {
                    if passed(py, environ)?.is_some_and(|lines| lines.contains(value).unwrap_or(false)) {
                        continue;
                    }
                    sent.set_item(
                        index - 1,
                        PyTuple::new(py, [&*name, PyString::new(py, &written).as_any()])?,
                    )?;
                }
                if hardened.excepted {
                    let more = PyTuple::new(py, [PyString::new(py, &written)])?;
                    let lines = match passed(py, environ)? {
                        Some(lines) => lines.add(more)?,
                        None => more.into_any(),
                    };
                    environ.set_item(intern!(py, PASSED), lines)?;
                }
                self.say(py, hardened.name, hardened.notes);
            }
            Ok(())
        })
    }

    fn say(&self, py: Python<'_>, name: &str, notes: Notes) {
        let Some(tell) = &self.tell else { return };
        for note in notes.iter() {
            if let Err(error) = tell.bind(py).call1((name, note.code())) {
                // The answer does not depend on who hears of it.
                error.write_unraisable(py, Some(tell.bind(py)));
            }
        }
    }
}

/// The lines that rules let pass so far, in this request.
fn passed<'py>(py: Python<'py>, environ: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    Ok(environ.get_item(intern!(py, PASSED))?.and_then(|lines| lines.cast_into::<PyTuple>().ok()))
}

/// Whether a field of this name sets a cookie.
#[inline]
pub(super) fn is_cookie(name: &str) -> bool {
    name.len() == 10 && name.eq_ignore_ascii_case("Set-Cookie")
}

const PASSED: &str = "flask_rampart.cookies";
