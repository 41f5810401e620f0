//! What a developer gives of headers: Python's dicts, lists and texts as the core takes them.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList, PyMapping, PyString, PyTuple};

use crate::error::ConfigError;
use crate::headers::{Csp, Setting};

/// Features with who may use them; `None` where one is left out.
pub(super) type Features = Vec<(String, Option<Vec<String>>)>;

pub(super) fn features(permissions: &Bound<'_, PyAny>) -> PyResult<Features> {
    let mut features = Vec::new();
    for (name, value) in pairs(permissions, "permissions is a dict of features, e.g. {\"camera\": \"self\"}")?
    {
        let allowed = if value.is_none() {
            None
        } else if let Ok(text) = value.cast::<PyString>() {
            Some(vec![text.to_str()?.to_owned()])
        } else {
            Some(strings(&value, &format!("permissions: {name}"))?)
        };
        features.push((name, allowed));
    }
    Ok(features)
}

/// Directives as a dict, or as the text of a policy.
pub(super) fn directives(csp: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Setting)>> {
    if let Ok(text) = csp.cast::<PyString>() {
        return Ok(Csp::split(text.to_str()?));
    }
    let mut directives = Vec::new();
    for (name, value) in
        pairs(csp, "csp is a text or a dict of directives, e.g. {\"default-src\": \"'self'\"}")?
    {
        let setting = if value.is_none() {
            Setting::Absent
        } else if let Ok(flag) = value.cast::<PyBool>() {
            Setting::Flag(flag.is_true())
        } else if let Ok(text) = value.cast::<PyString>() {
            Setting::Text(text.to_str()?.to_owned())
        } else {
            Setting::List(strings(&value, &format!("CSP: {name}"))?)
        };
        directives.push((name, setting));
    }
    Ok(directives)
}

pub(super) fn replacements(overrides: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Option<String>)>> {
    let mut replacements = Vec::new();
    for (name, value) in pairs(overrides, "overrides is a dict of header names to a value or None")? {
        let value = match value.cast::<PyString>() {
            Ok(text) => Some(text.to_str()?.to_owned()),
            Err(_) if value.is_none() => None,
            Err(_) => {
                return Err(
                    ConfigError::new(format!("overrides: {name} is neither a string nor None")).into()
                );
            }
        };
        replacements.push((name, value));
    }
    Ok(replacements)
}

fn pairs<'py>(mapping: &Bound<'py, PyAny>, wanted: &str) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
    let mapping = mapping.cast::<PyMapping>().map_err(|_| ConfigError::new(wanted))?;
    let mut pairs = Vec::new();
    for item in mapping.items()?.iter() {
        let (name, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item.extract()?;
        let name = name.cast::<PyString>().map_err(|_| ConfigError::new(wanted))?;
        pairs.push((name.to_str()?.to_owned(), value));
    }
    Ok(pairs)
}

/// A list or tuple of strings. A set has no order, and a string is not a list of its letters.
pub(super) fn strings(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<String>> {
    let wrong = || ConfigError::new(format!("{name} is a list or tuple of strings"));
    let items: Vec<Bound<'_, PyAny>> = match value.cast::<PyList>() {
        Ok(list) => list.iter().collect(),
        Err(_) => value.cast::<PyTuple>().map_err(|_| wrong())?.iter().collect(),
    };
    let mut strings = Vec::with_capacity(items.len());
    for item in items {
        strings.push(item.cast::<PyString>().map_err(|_| wrong())?.to_str()?.to_owned());
    }
    Ok(strings)
}
