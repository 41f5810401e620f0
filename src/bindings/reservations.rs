//! What an admitted request was charged, for Python: to be settled when it is known what it cost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::limits::{self, Limits};

use super::asked::Cost;
use super::clock::Clock;
use super::errors::guarded;
use super::limits::now;

/// What :meth:`LimitSet.reserve` has charged. What is never settled stays charged as it was reserved.
///
/// >>> clock = Clock.manual(1_800_000_000.0)
/// >>> tokens = LimitSet(LimitStore.local(clock), [("tokens", Quota.parse("1000/hour"), "text")])
/// >>> verdict, reservation = tokens.reserve(("ada",), 400)
/// >>> reservation.settle(150)
/// >>> tokens.peek(("ada",)).remaining
/// 850
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Reservation {
    limits: Arc<Limits>,
    clock: Py<Clock>,
    /// Settling reads what was charged and then charges the difference: one thread at a time. No Python runs while it is locked.
    charged: Mutex<limits::Reservation>,
    /// The process that it is in progress in: a forked child has a copy, whose end is not its.
    process: u32,
}

impl Reservation {
    pub fn new(limits: Arc<Limits>, clock: Py<Clock>, charged: limits::Reservation) -> Self {
        Self { limits, clock, charged: Mutex::new(charged), process: std::process::id() }
    }

    fn release(&self) {
        if !self.limits.has_places() || self.process != std::process::id() {
            return;
        }
        let now = now(&self.limits, self.clock.get());
        self.limits.end(&mut self.charged(), now);
    }

    fn charged(&self) -> MutexGuard<'_, limits::Reservation> {
        self.charged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Reservation {
    /// Makes the charge what it has really cost: gives the rest back, or charges more, whether it is there or not.
    ///
    /// In a forked child it does nothing: what was charged is the parent's to settle.
    ///
    /// :param actual: cells, at least 0. Settling anew replaces what was said before.
    /// :param entry: which entry of the set this is about.
    /// :raises ValueError: if *actual* is negative, or there is no such entry.
    #[pyo3(signature = (actual, entry=0))]
    fn settle(&self, py: Python<'_>, actual: Cost, entry: usize) -> PyResult<()> {
        if entry >= self.limits.entries() {
            return Err(PyValueError::new_err("there is no such entry in this set"));
        }
        if self.process != std::process::id() {
            return Ok(());
        }
        let now = now(&self.limits, self.clock.bind(py).get());
        guarded(|| {
            let key = self.charged().key(entry).to_vec();
            // The almanac runs Python, which may run another thread that settles this, or the collector.
            let spots = self.limits.spots(&key, entry, now)?;
            self.limits.settle_at(&mut self.charged(), entry, actual.0, spots, now);
            Ok(())
        })
    }

    /// Ends what is in progress (``"20 concurrent"``). Again harmless; what nobody holds any more ends by itself.
    fn end(&self) {
        self.release();
    }

    fn __repr__(&self) -> String {
        format!("Reservation({:?})", self.limits.policy())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}
