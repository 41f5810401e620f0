//! What one pass over an environ finds of the fields that forward, and what is taken out of it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::Told;
use crate::network::fields::{self, Role};

/// What one pass over an environ finds.
#[derive(Default)]
pub(super) struct Seen<'py> {
    pub(super) forwards: Vec<Field<'py>>,
    passes: Vec<Field<'py>>,
    /// Fields that no app shall see, whoever sent them.
    pub(super) never: Vec<Field<'py>>,
    /// Whether `Host` came twice: seen before what a proxy says of it takes its place.
    pub(super) two_hosts: bool,
    pub(super) odd_address: bool,
}

pub(super) type Field<'py> = (Bound<'py, PyString>, Bound<'py, PyAny>);

impl<'py> Seen<'py> {
    pub(super) fn of(environ: &Bound<'py, PyDict>) -> Self {
        let mut seen = Self::default();
        for (key, value) in environ.iter() {
            let Ok(key) = key.cast_into::<PyString>() else { continue };
            let Ok(name) = key.to_str() else { continue };
            let Some(name) = name.strip_prefix("HTTP_") else {
                if name == "REMOTE_ADDR" {
                    let text = value.cast::<PyString>().ok().and_then(|text| text.to_str().ok());
                    seen.odd_address = text.is_some_and(|text| text == "0.0.0.0" || text == "localhost");
                }
                continue;
            };
            match fields::role(name) {
                None => {}
                Some(Role::Host) => {
                    let text = value.cast::<PyString>().ok().and_then(|text| text.to_str().ok());
                    seen.two_hosts = text.is_none_or(|text| text.contains(','));
                }
                Some(Role::Forwards) => seen.forwards.push((key, value)),
                Some(Role::Passes) => seen.passes.push((key, value)),
                Some(Role::Path) => seen.never.push((key, value)),
            }
        }
        seen
    }

    /// Whether the server took the path under which the app is served from a header field.
    pub(super) fn script_taken(&self, environ: &Bound<'py, PyDict>) -> PyResult<Option<String>> {
        let py = environ.py();
        for (key, value) in &self.never {
            if key.to_str()? == "HTTP_SCRIPT_NAME" && environ.contains(intern!(py, "gunicorn.socket"))? {
                let taken = environ.get_item(intern!(py, "SCRIPT_NAME"))?;
                if taken.is_some_and(|taken| taken.eq(value).unwrap_or(true)) && !value.eq("")? {
                    return Ok(Some("Script_Name".to_owned()));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .forwards
            .iter()
            .find(|(key, _)| key.to_str().is_ok_and(|key| key.strip_prefix("HTTP_") == Some(name)))?;
        // What is no text of bytes is malformed, and not absent.
        Some(
            value
                .cast::<PyString>()
                .map_or_else(|_| "?".to_owned(), |text| text.to_string_lossy().into_owned()),
        )
    }
}

/// Removes all that forwards, and tells of the first of it.
pub(super) fn strip(environ: &Bound<'_, PyDict>, seen: &Seen<'_>) -> PyResult<Option<Told>> {
    remove(environ, &seen.forwards)?;
    remove(environ, &seen.passes)?;
    let field = match seen.forwards.first() {
        Some((key, _)) => Some(shown(key.to_str()?.trim_start_matches("HTTP_"))),
        // The rest of these names is the peer's own.
        None => seen.passes.first().map(|_| "X-Forwarded-*".to_owned()),
    };
    Ok(field.map(|field| ("unread", field)))
}

pub(super) fn remove(environ: &Bound<'_, PyDict>, fields: &[Field<'_>]) -> PyResult<()> {
    for (key, _) in fields {
        environ.del_item(key)?;
    }
    Ok(())
}

/// A field's name as people write it. Only names that are known here come to this.
pub(super) fn shown(name: &str) -> String {
    name.split('_')
        .map(|part| {
            part.get(..1).unwrap_or_default().to_owned()
                + &part.get(1..).unwrap_or_default().to_ascii_lowercase()
        })
        .collect::<Vec<_>>()
        .join("-")
}
