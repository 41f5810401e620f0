//! Asks Python when the windows of the calendar begin: it has the rules of time zones.

use std::sync::{PoisonError, RwLock};

use pyo3::prelude::*;

use crate::error::ConfigError;
use crate::limits::{Almanac, Span, Window};

/// A function ``(zone, unit, every, unix) -> (start, end, next_end)``, in seconds since 1970, and what it said last of each span.
pub struct PyAlmanac {
    windows: Py<PyAny>,
    /// As many as an app has different spans.
    known: RwLock<Vec<(Span, Window)>>,
}

impl PyAlmanac {
    pub fn new(windows: Py<PyAny>) -> Self {
        Self { windows, known: RwLock::default() }
    }

    fn ask(&self, span: &Span, unix: u64) -> Result<Window, ConfigError> {
        let said = Python::attach(|py| {
            let given = (span.zone.as_str(), span.unit, span.every, unix);
            self.windows.bind(py).call1(given)?.extract::<(u64, u64, u64)>()
        });
        let (start, end, next_end) = said.map_err(|error| ConfigError::new(error.to_string()))?;
        Ok(Window { start, end, next_end })
    }
}

impl Almanac for PyAlmanac {
    fn window(&self, span: &Span, unix: u64) -> Result<Window, ConfigError> {
        let is_it = |window: &Window| window.start <= unix && unix < window.end;
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, window)) = known.iter().find(|(of, window)| of == span && is_it(window)) {
                return Ok(*window);
            }
        }
        // No lock is held while Python runs.
        let window = self.ask(span, unix)?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match known.iter_mut().find(|(of, _)| of == span) {
            Some((_, old)) => *old = window,
            None => known.push((span.clone(), window)),
        }
        Ok(window)
    }
}
