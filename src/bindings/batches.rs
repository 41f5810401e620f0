//! Cells of a store elsewhere that this host has taken in advance, for Python.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::limits::batches::{self, Spent};

use super::asked::{Charged, with_keys};
use super::clock::Clock;
use super::errors::guarded;
use super::limits::{LimitSet, Verdict, answer_of, arguments_of, now};
use super::stores::LimitStore;

/// A set of limits whose counters are elsewhere, and of which this host's *store* holds batches.
///
/// :param naming: the limits, on the seed that all hosts share.
/// :param store: this host's counters, where the batches are.
/// :param lease: seconds for which a batch is worth anything, 0.1 to 60.
/// :raises ValueError: for another *lease*.
///
/// >>> clock = Clock.manual(1_800_000_000.0)
/// >>> naming = LimitSet(LimitStore.local(clock, keys=1, seed=bytes(16)), [("", Quota.parse("10/minute"), "text")])
/// >>> batches = LimitBatches(naming, LimitStore.local(clock), 1.0)
/// >>> wanted = batches.spend(("ada",))
/// >>> wanted.arguments[:3]
/// ['take', 'g', '1']
/// >>> verdict, given = wanted.answered([1, 7, 18000000, 0, 640000000000, 3])
/// >>> verdict.admitted, len(given)
/// (True, 1)
/// >>> bool(batches.spend(("ada",), 2)), given[0].idle()
/// (True, None)
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct LimitBatches {
    naming: Py<LimitSet>,
    batches: Arc<batches::Batches>,
    clock: Py<Clock>,
}

#[pymethods]
impl LimitBatches {
    #[new]
    fn new(naming: &Bound<'_, LimitSet>, store: &Bound<'_, LimitStore>, lease: f64) -> PyResult<Self> {
        let (store, clock) = store.get().parts(naming.py());
        let nanos = if lease.is_finite() { (lease.clamp(0.0, 1e6) * 1e9).round() as u64 } else { 0 };
        let batches = Arc::new(batches::Batches::new(store, nanos)?);
        Ok(Self { naming: naming.clone().unbind(), batches, clock })
    }

    /// Spends *cost* cells under every limit, if this host holds them all, and gives the verdict; also a refusal that it remembers. Otherwise
    /// gives what the store elsewhere is to be asked.
    ///
    /// :raises ValueError: as :meth:`LimitSet.check`.
    #[pyo3(signature = (keys, cost=Charged::ONE), text_signature = "($self, keys, cost=1)")]
    fn spend(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, cost: Charged) -> PyResult<Py<PyAny>> {
        let limits = self.naming.get().limits();
        let now = now(limits, self.clock.bind(py).get());
        guarded(|| {
            let spent = with_keys(keys, |keys| Ok(self.batches.spend(limits, keys, cost.costs(), now)?))?;
            match spent {
                Spent::Told(verdict) => Verdict::of(verdict, self.naming.clone_ref(py)).into_py_any(py),
                Spent::Wanting(wanting) => LimitWanting::of(wanting, self, py).into_py_any(py),
            }
        })
    }

    /// Forgets what this host knows of *keys*.
    ///
    /// :raises ValueError: if *keys* are too few or too many.
    fn clear(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let limits = self.naming.get().limits();
        let now = now(limits, self.clock.bind(py).get());
        guarded(|| with_keys(keys, |keys| Ok(self.batches.clear(limits, keys, now)?)))
    }
}

/// What the store elsewhere is to be asked. What was spent for it of what this host holds is put back, unless it is answered.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct LimitWanting {
    wanting: Mutex<Option<batches::Wanting>>,
    batches: Arc<batches::Batches>,
    naming: Py<LimitSet>,
    clock: Py<Clock>,
    #[pyo3(get)]
    names: Vec<String>,
    #[pyo3(get)]
    arguments: Vec<String>,
}

impl LimitWanting {
    fn of(wanting: batches::Wanting, of: &LimitBatches, py: Python<'_>) -> Self {
        let names = wanting.lacking().map(|(question, _)| format!("{:032x}", question.name)).collect();
        let mut arguments = vec!["take".to_owned()];
        for (question, _) in wanting.lacking() {
            arguments.extend(arguments_of(&question.rule, question.cost.to_string(), "0", 0));
        }
        arguments.extend(wanting.lacking().map(|(_, want)| want.to_string()));
        let (batches, naming, clock) = (of.batches.clone(), of.naming.clone_ref(py), of.clock.clone_ref(py));
        Self { wanting: Mutex::new(Some(wanting)), batches, naming, clock, names, arguments }
    }

    fn take(&self) -> Option<batches::Wanting> {
        self.wanting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl LimitWanting {
    /// The verdict, and the batches that are held of it now.
    ///
    /// :param reply: what ``check.lua`` returns of ``take``, without the number of bans.
    /// :raises ValueError: unless there is an answer for each limit that was asked; or if it was answered before.
    fn answered(&self, py: Python<'_>, reply: Vec<i64>) -> PyResult<(Verdict, Vec<LimitBatch>)> {
        let now = self.clock.bind(py).get().host();
        let short = || PyValueError::new_err("the store has not answered for each limit");
        let count = self.names.len();
        let (answers, given) =
            reply.get(1..).and_then(|rest| rest.split_at_checked(4 * count)).ok_or_else(short)?;
        if given.len() != count {
            return Err(short());
        }
        let replies: Vec<_> = answers
            .chunks_exact(4)
            .zip(given)
            .filter_map(|(four, given)| match *four {
                [left, reset, wait, mark] => {
                    let given = u32::try_from((*given).max(0)).unwrap_or(u32::MAX);
                    Some((answer_of(left, reset, wait), given, u64::try_from(mark).unwrap_or(0)))
                }
                _ => None,
            })
            .collect();
        let wanting = self.take().ok_or_else(|| PyValueError::new_err("it was answered before"))?;
        guarded(|| {
            let (verdict, given) = wanting.answered(self.naming.get().limits(), &replies, now)?;
            let hold =
                |batch| LimitBatch { batch, batches: self.batches.clone(), clock: self.clock.clone_ref(py) };
            Ok((Verdict::of(verdict, self.naming.clone_ref(py)), given.into_iter().map(hold).collect()))
        })
    }

    /// Puts back what was spent for it.
    fn put_back(&self) {
        drop(self.take());
    }
}

/// Cells that the store elsewhere has given in advance.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct LimitBatch {
    batch: batches::Batch,
    batches: Arc<batches::Batches>,
    clock: Py<Clock>,
}

#[pymethods]
impl LimitBatch {
    /// The counter elsewhere.
    #[getter]
    fn name(&self) -> String {
        format!("{:032x}", self.batch.name)
    }

    /// Whether what is left of it is to be given back.
    #[getter]
    fn is_due(&self) -> bool {
        self.batch.is_due(self.clock.get().host())
    }

    /// Six arguments of ``settle`` (see ``check.lua``) that give back cells for which there was no room; None if there was.
    fn loose(&self) -> Option<Vec<String>> {
        self.giving_back(self.batch.loose)
    }

    /// Takes out what is left of it: six arguments of ``settle`` that give it back; None if nothing is left.
    fn idle(&self) -> Option<Vec<String>> {
        self.giving_back(self.batches.take_out(&self.batch, self.clock.get().host()))
    }
}

impl LimitBatch {
    fn giving_back(&self, cells: u32) -> Option<Vec<String>> {
        if cells == 0 {
            return None;
        }
        let mut arguments = arguments_of(&self.batch.rule, format!("-{cells}"), "0", 0);
        let mark_at =
            if matches!(self.batch.rule, crate::limits::remote::Told::Fixed { .. }) { 3 } else { 4 };
        if let Some(place) = arguments.get_mut(mark_at) {
            *place = self.batch.mark.to_string();
        }
        Some(arguments.into())
    }
}
