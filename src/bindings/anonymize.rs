//! Anonymisation for Python: records and columns in, the same as a plan says out.
//!
//! Values are taken out of their objects first, so that a column can be treated while other threads run. Records are walked
//! here, since they are Python's; which rule meets which value, the core says.

mod files;
mod measure;
mod outline;
mod sealer;
mod values;
mod walk;

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use serde_json::{Map, Number, Value};

use super::errors::guarded;
use super::redaction::Redactor;
use crate::anonymize::{
    Alphabet, Cell, Column, Fate, Ff1, Hands, MasterKey, Plan, Scrub, SealerFor, Step, Unnamed,
    collision_chance as chance, steps,
};
use crate::error::ConfigError;
pub use files::{AnonymizeLines, AnonymizeTable, csv_cut, csv_head};
pub use measure::AnonymizeMeasure;
use outline::Outline;
use sealer::{Sealers, Told, renewed};
use values::{Own, is_list, refused};
use walk::Walk;

pyo3::create_exception!(
    flask_rampart._native,
    AnonymizeRefused,
    PyValueError,
    "What a plan does not let pass. ``args`` is ``(code, column)``; neither says anything of the value."
);

/// What a plan says, ready to be carried out.
///
/// :param plan: TOML, or the same as a dict.
/// :param key: at least 32 random bytes, for pseudonyms, tokens and FF1.
/// :param redactor: for the rule ``"redact"``.
/// :param sealer: a function that gives the ``Keyset`` by which tokens are sealed, of the name that the rule gives, or None;
///     called again whenever the plan is used. What it raises is passed on.
/// :param customs: functions by name, for the rule ``"custom"``; each takes a value and returns another.
/// :raises ValueError: for what is no plan; says what would be right.
///
/// >>> plan = AnonymizePlan({"columns": {"born": {"do": "date", "to": "year"}}})
/// >>> plan.apply_row({"born": "1984-05-09"})
/// {'born': '1984'}
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct AnonymizePlan {
    core: Arc<Plan>,
    customs: Py<PyDict>,
    sealers: Option<Sealers>,
}

#[pymethods]
impl AnonymizePlan {
    #[new]
    #[pyo3(signature = (plan, *, key = None, redactor = None, customs = None, sealer = None))]
    fn new(
        py: Python<'_>,
        plan: &Bound<'_, PyAny>,
        key: Option<&[u8]>,
        redactor: Option<&Redactor>,
        customs: Option<&Bound<'_, PyDict>>,
        sealer: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        guarded(|| {
            let key = key.map(|key| MasterKey::new(key.to_vec())).transpose()?;
            let own = PyDict::new(py);
            let mut names = Vec::new();
            for (name, function) in customs.into_iter().flat_map(|customs| customs.iter()) {
                names.push(name.extract()?);
                if !function.is_callable() {
                    return Err(PyTypeError::new_err("customs are functions by name"));
                }
                own.set_item(name, function)?;
            }
            let scrub = redactor.map(|redactor| Arc::new(Scrubber(redactor.core.clone())) as Arc<dyn Scrub>);
            let sealers = sealer.map(Sealers::new);
            let sealer = sealers.as_ref().map(|sealers| |_: &str, name: Option<&str>| sealers.of(py, name));
            let sealer = sealer.as_ref().map(|sealer| sealer as SealerFor<'_>);
            let hands = Hands { key: key.as_ref(), scrub, customs: names, sealer };
            let core = match plan.cast::<PyString>() {
                Ok(text) => Plan::parse(text.to_str()?, &hands),
                Err(_) => Plan::new(&tree(plan, 0)?, &hands),
            };
            let core = core.map_err(|error| {
                sealers.as_ref().and_then(Sealers::raised).unwrap_or_else(|| error.into())
            })?;
            Ok(Self { core: Arc::new(core), customs: own.unbind(), sealers })
        })
    }

    /// A copy of a record, with each value as the plan says. What is kept is the same object.
    ///
    /// :raises AnonymizeRefused: for a value that a rule cannot read or a column that no rule names, where the plan
    ///     refuses such.
    fn apply_row<'py>(&self, row: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        guarded(|| {
            renewed(self.sealers.as_ref(), row.py())?;
            Walk::new(self, Vec::new()).members(self.core.root(), row)
        })
    }

    /// A copy of a column, or None if the plan drops it.
    ///
    /// *path* is the column's in the plan: ``"user.email"``, or ``'"user.email"'`` for a name with a dot in it.
    fn apply_column<'py>(
        &self,
        path: &str,
        values: &Bound<'py, PyList>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = values.py();
        guarded(|| {
            renewed(self.sealers.as_ref(), py)?;
            let mut walk = Walk::new(self, vec![path.to_owned()]);
            let place = self.core.place(path)?;
            if let Some(column) = place.and_then(|node| self.core.column(node)) {
                return self.column(py, column, values);
            }
            if place.is_some() {
                return Err(ConfigError::new(format!(
                    "{path:?} has parts of which the plan speaks: give whole records"
                ))
                .into());
            }
            if let Some(column) = self.core.above(path)? {
                return Err(ConfigError::new(format!(
                    "a rule treats {:?} whole: give that column, not {path:?}",
                    column.path()
                ))
                .into());
            }
            for step in steps(path)? {
                if let Step::Member(name) = step {
                    walk.enter(&name);
                }
            }
            let out = PyList::empty(py);
            for value in values.iter() {
                match walk.unnamed("", &value)? {
                    Some(made) => out.append(made)?,
                    None => return Ok(None),
                }
            }
            // A column without values is left out all the same.
            Ok((self.core.unnamed() != Unnamed::Drop).then_some(out))
        })
    }

    /// The text that a token, or a text encrypted by FF1, of this column stands for.
    ///
    /// :raises AnonymizeRefused: for what was not made with this key.
    /// :raises ValueError: for a column whose rule cannot be undone.
    fn reverse(&self, py: Python<'_>, path: &str, text: &str) -> PyResult<String> {
        guarded(|| {
            renewed(self.sealers.as_ref(), py)?;
            let column = self.core.place(path)?.and_then(|node| self.core.column(node));
            match column.and_then(|column| column.reversed(text)) {
                Some(done) => done.map_err(|why| refused(why, path)),
                None => Err(ConfigError::new(format!(
                    "{path:?} has no rule that can be undone: token and ff1 can"
                ))
                .into()),
            }
        })
    }

    /// ``(default, on_error, [(steps, path, rule, gives, on_error)])``; a step that is None is each element of a list.
    ///
    /// What a rule gives is ``"text"``, ``"integer"``, ``"float"``, ``"whole"`` and ``"fraction"`` for numbers of the kind that they
    /// were, ``"redacted"``, ``"same"``, ``"null"``, ``"none"`` or ``"custom"``.
    fn outline(&self) -> PyResult<Outline> {
        guarded(|| Ok(self.outlined()?))
    }

    /// What each rule met: ``(path, rule, values, nothings, suppressed)``.
    fn met(&self) -> Vec<(String, &'static str, u64, u64, u64)> {
        let told = self.core.columns().iter().map(|column| {
            let met = column.met();
            (column.path().to_owned(), column.word(), met.values, met.nulls, met.suppressed)
        });
        told.collect()
    }

    /// What seals its tokens now: ``(name, primitive, fingerprint)`` of each keyset that its rules name; None for no name.
    ///
    /// The fingerprint is the same wherever the same key is primary, and says nothing of the key.
    fn sealed_by(&self, py: Python<'_>) -> PyResult<Vec<Told>> {
        guarded(|| {
            renewed(self.sealers.as_ref(), py)?;
            Ok(self.sealers.as_ref().map(Sealers::told).unwrap_or_default())
        })
    }

    /// What it refers to, for the collector of cycles: functions may refer to whoever holds the plan.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.customs)?;
        // Keysets are left out: they refer to nothing. No other object shares these two.
        self.sealers.as_ref().map_or(Ok(()), |sealers| visit.call(sealers.by_name()))
    }

    /// Paths by which people may be told apart.
    #[getter]
    fn quasi_identifiers(&self) -> Vec<String> {
        self.core.quasi_identifiers().to_vec()
    }

    /// Paths of what nobody should learn of them.
    #[getter]
    fn sensitive(&self) -> Vec<String> {
        self.core.sensitive().to_vec()
    }
}

impl AnonymizePlan {
    fn column<'py>(
        &self,
        py: Python<'py>,
        column: &Column,
        values: &Bound<'py, PyList>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        if column.is_dropped() && values.is_empty() {
            return Ok(None);
        }
        let values: Vec<Bound<'py, PyAny>> = values.iter().collect();
        let own = values.iter().map(Own::of).collect::<PyResult<Vec<_>>>()?;
        let treat = || own.iter().map(|own| column.treat(own.cell())).collect::<Result<Vec<_>, _>>();
        let fates = if own.len() > DETACH { py.detach(treat) } else { treat() };
        let fates = fates.map_err(|why| refused(why, column.path()))?;
        if fates.contains(&Fate::Drop) {
            return Ok(None);
        }
        let mut walk = Walk::new(self, vec![column.path().to_owned()]);
        let out = PyList::empty(py);
        for (value, fate) in values.iter().zip(fates) {
            // `Drop` is gone.
            if let Some(made) = walk.carried_out(column, fate, value)? {
                out.append(made)?;
            }
        }
        Ok(Some(out))
    }
}

/// Values above which other threads may run: some half a millisecond of the cheapest rule.
const DETACH: usize = 1000;

struct Scrubber(Arc<crate::redaction::Redactor>);

impl Scrub for Scrubber {
    fn scrub(&self, text: &str) -> Option<String> {
        match self.0.redact(text) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(clean) => Some(clean),
        }
    }

    fn is_secret_name(&self, name: &str) -> bool {
        self.0.is_secret_name(name)
    }

    fn entities(&self, text: &str) -> Vec<String> {
        self.0.scan(text).iter().map(|finding| self.0.entity(finding).to_owned()).collect()
    }
}

/// A plan as a dict, as what plans are read from.
fn tree(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let wrong = || PyErr::from(ConfigError::new("a plan is made of tables, lists, texts and numbers"));
    if depth > 8 {
        return Err(wrong());
    }
    if let Ok(table) = value.cast::<PyDict>() {
        let mut out = Map::new();
        for (name, value) in table.iter() {
            out.insert(name.extract().map_err(|_| wrong())?, tree(&value, depth + 1)?);
        }
        return Ok(Value::Object(out));
    }
    if is_list(value) {
        let items = value.try_iter()?.map(|item| tree(&item?, depth + 1)).collect::<PyResult<_>>()?;
        return Ok(Value::Array(items));
    }
    match Own::of(value)?.cell() {
        Cell::Bool(truth) => Ok(Value::Bool(truth)),
        Cell::Int(number) => Ok(Value::from(number)),
        Cell::Float(number) => Number::from_f64(number).map(Value::Number).ok_or_else(wrong),
        Cell::Text(text) | Cell::Date(_, text) => Ok(Value::String(text.to_owned())),
        _ => Err(wrong()),
    }
}

/// FF1 (NIST SP 800-38G) over texts of one alphabet. ``flask_rampart.anonymize.FF1`` says more.
///
/// >>> ff1 = FF1(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
/// >>> ff1.encrypt("0123456789")
/// '2433477484'
/// >>> ff1.decrypt("2433477484")
/// '0123456789'
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct FF1(Ff1);

#[pymethods]
impl FF1 {
    #[new]
    #[pyo3(signature = (key, *, scope = None, alphabet = "digits", separators = "", tweak = None))]
    fn new(
        key: &[u8],
        scope: Option<&str>,
        alphabet: &str,
        separators: &str,
        tweak: Option<&[u8]>,
    ) -> PyResult<Self> {
        guarded(|| {
            let (alphabet, tweak) = (Alphabet::new(alphabet)?, tweak.unwrap_or_default());
            Ok(Self(match scope {
                Some(scope) => {
                    Ff1::scoped(&MasterKey::new(key.to_vec())?, scope, alphabet, separators, tweak)?
                }
                None => Ff1::new(key, alphabet, separators, tweak)?,
            }))
        })
    }

    /// The text that *text* becomes.
    fn encrypt(&self, text: &str) -> PyResult<String> {
        guarded(|| self.0.encrypt(text).map_err(|why| refused(why, "")))
    }

    /// The text that became *text*.
    fn decrypt(&self, text: &str) -> PyResult<String> {
        guarded(|| self.0.decrypt(text).map_err(|why| refused(why, "")))
    }

    /// Fewest characters of a text, without separators.
    #[getter]
    fn shortest(&self) -> usize {
        self.0.shortest()
    }
}

/// The chance that some two of *values* different values share one of 2 ** *bits* pseudonyms. ``flask_rampart.anonymize`` says more.
///
/// >>> collision_chance(128, 1e9) < 1e-20
/// True
#[pyfunction]
pub fn collision_chance(bits: f64, values: f64) -> f64 {
    chance(bits, values)
}
