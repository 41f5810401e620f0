//! Rules, as Python's dicts say them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::monitor::{Answer, Measure, Rule, Signs, Subject};

pub(super) fn read(given: &Bound<'_, PyDict>) -> PyResult<Rule> {
    let rule = Rule {
        name: needed(given, "name")?,
        counts: signs(given, "counts")?,
        among: signs(given, "among")?,
        by: Subject::named(&needed::<String>(given, "by")?)?,
        measure: Measure::named(&optional(given, "measure", "count".to_owned())?)?,
        threshold: needed(given, "threshold")?,
        window: needed(given, "window")?,
        share: optional(given, "share", 0.0)?,
        alone: optional(given, "alone", 0)?,
        deviations: optional(given, "deviations", 6.0)?,
        learned: optional(given, "learned", 48)?,
        answer: Answer::named(&optional(given, "response", "log".to_owned())?)?,
    };
    Ok(rule.checked()?)
}

fn signs(given: &Bound<'_, PyDict>, name: &str) -> PyResult<Signs> {
    let mut signs = Signs(0);
    for sign in optional::<Vec<String>>(given, name, vec![])? {
        signs = signs.with(Signs::named(&sign)?);
    }
    Ok(signs)
}

fn needed<'py, T: FromPyObjectOwned<'py>>(given: &Bound<'py, PyDict>, name: &str) -> PyResult<T> {
    let value =
        given.get_item(name)?.ok_or_else(|| PyValueError::new_err(format!("a rule needs {name:?}")))?;
    value.extract().map_err(Into::into)
}

fn optional<'py, T: FromPyObjectOwned<'py>>(
    given: &Bound<'py, PyDict>,
    name: &str,
    otherwise: T,
) -> PyResult<T> {
    match given.get_item(name)? {
        Some(value) => value.extract().map_err(Into::into),
        None => Ok(otherwise),
    }
}
