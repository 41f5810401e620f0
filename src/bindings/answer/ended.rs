//! What is told of a request that has ended, read once for all who are told: metrics, the monitor, the access log.
//!
//! It decides nothing.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::time::HostTime;

/// What an exchange says of its request.
pub(in crate::bindings) struct Told<'py> {
    /// The route that matched.
    pub route: Option<Bound<'py, PyString>>,
    /// The codes of its refusals.
    pub codes: Bound<'py, PyTuple>,
    /// Who it was, if that is known.
    pub principal: Option<Bound<'py, PyAny>>,
}

impl<'py> Told<'py> {
    pub(super) fn of(exchange: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = exchange.py();
        let principal = exchange.getattr(intern!(py, "principal"))?;
        Ok(Self {
            route: exchange.getattr(intern!(py, "route"))?.cast_into().ok(),
            codes: exchange.getattr(intern!(py, "codes"))?.cast_into()?,
            principal: Some(principal).filter(|principal| !principal.is_none()),
        })
    }
}

/// How it ended.
pub(in crate::bindings) struct Ended<'a, 'py> {
    pub exchange: &'a Bound<'py, PyAny>,
    pub environ: &'a Bound<'py, PyDict>,
    pub id: &'a Bound<'py, PyString>,
    pub status: i64,
    /// Bytes of the body, if they are known.
    pub size: Option<i64>,
    /// When, if somebody has asked a clock already.
    pub now: Option<HostTime>,
}
