//! `KeysetKey` and `keyset_templates`: what is told of keys, without their material.

use pyo3::prelude::*;

use crate::vault::{Key, TEMPLATES, Template};

/// One key of a keyset, as far as it may be told.
#[pyclass(frozen, get_all, module = "flask_rampart._native")]
pub struct KeysetKey {
    /// Unique in its keyset.
    id: u32,
    /// ``"ENABLED"``, ``"DISABLED"`` or ``"DESTROYED"``.
    status: &'static str,
    /// Tink's name of its type, such as ``"AesGcmKey"``; ``""`` of a destroyed key.
    r#type: String,
    /// The template that makes such keys, such as ``"AES256_GCM"``; None if there is none, or it was destroyed.
    template: Option<&'static str>,
    /// What stands before its output: ``"TINK"``, ``"CRUNCHY"``, ``"LEGACY"`` or ``"RAW"``.
    prefix: &'static str,
    /// Whether it seals.
    primary: bool,
}

impl KeysetKey {
    pub(super) fn of(key: &Key, primary: u32) -> Self {
        let template = key
            .material()
            .and_then(|made| Template::of(&made.type_url, made.value.expose()))
            .map(|found| found.name);
        Self {
            id: key.id(),
            status: key.status().name(),
            r#type: key.type_name().to_owned(),
            template,
            prefix: key.prefix().name(),
            primary: key.id() == primary,
        }
    }
}

#[pymethods]
impl KeysetKey {
    fn __repr__(&self) -> String {
        let primary = if self.primary { " primary" } else { "" };
        format!("<KeysetKey {}{primary} {} {} {}>", self.id, self.status, self.r#type, self.prefix)
    }
}

/// The names of the kinds of keys that ``Keyset.generate`` makes, each with what it is for.
///
/// >>> dict(keyset_templates())["AES256_SIV"]
/// 'deterministic AEAD'
#[pyfunction]
pub fn keyset_templates() -> Vec<(&'static str, &'static str)> {
    TEMPLATES.iter().map(|template| (template.name, template.primitive.name())).collect()
}
