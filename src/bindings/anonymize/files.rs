//! Records of files for Python: bytes of whole records in, the same as a plan says out, while other threads run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use super::super::errors::guarded;
use super::AnonymizePlan;
use super::sealer::renewed;
use crate::anonymize::{Cutter, Dialect, Lines, Plan, Table, Treated, Watch};
use crate::crypto::fill_random;
use crate::error::ConfigError;

/// Treats JSON Lines by a plan.
///
/// :param skip: records that are refused are left out; else the first one is the last that is read.
/// :param longest: bytes of the longest line.
/// :param max_entries: most classes and values that are measured.
/// :raises ValueError: for a plan with functions of Python's.
///
/// >>> lines = AnonymizeLines(AnonymizePlan({"columns": {"born": {"do": "date", "to": "year"}}}))
/// >>> lines.treat(b'{"born": "1984-05-09"}\n')[0]
/// b'{"born":"1984"}\n'
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct AnonymizeLines {
    core: Lines,
    watch: Option<Arc<Watch>>,
    /// Whose keysets are asked for.
    plan: Py<AnonymizePlan>,
}

#[pymethods]
impl AnonymizeLines {
    #[new]
    #[pyo3(signature = (plan, *, skip = false, longest = 16 << 20, max_entries = 1_000_000))]
    fn new(
        plan: &Bound<'_, AnonymizePlan>,
        skip: bool,
        longest: usize,
        max_entries: usize,
    ) -> PyResult<Self> {
        guarded(|| {
            let said = &plan.get().core;
            let watch = watch(said, max_entries)?;
            let core = Lines::new(said.clone(), watch.clone(), longest, skip);
            Ok(Self { core, watch, plan: plan.clone().unbind() })
        })
    }

    /// What becomes of these whole lines: ``(out, (read, written, lines), refusals, refused, columns, fatal)``.
    ///
    /// A refusal is ``(line, code, column, at)``; the latter is None, or line and character of what is wrong.
    fn treat<'py>(&self, data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyTuple>> {
        let (py, bytes) = (data.py(), data.as_bytes());
        guarded(|| {
            renewed(self.plan.get().sealers.as_ref(), py)?;
            told(py, py.detach(|| self.core.treat(bytes)))
        })
    }

    /// Measures lines without treating them: of the table before (0) or after (1).
    fn measure(&self, data: &Bound<'_, PyBytes>, side: usize) -> PyResult<()> {
        let (py, bytes) = (data.py(), data.as_bytes());
        guarded(|| {
            py.detach(|| self.core.measure(bytes, side));
            Ok(())
        })
    }

    /// What was measured before and after, each as ``AnonymizeMeasure.result`` says it and the
    /// paths that only rows before have, or a text why it was not.
    fn measured<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        guarded(|| measured(py, self.watch.as_deref()))
    }

    /// What it refers to, for the collector of cycles: the plan, whose functions may refer to whoever holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.plan)
    }
}

/// Treats CSV by a plan.
///
/// :param names: of the columns.
/// :param delimiter: between fields, one byte. *quote* likewise.
/// :param crlf: whether records end with CR LF in what is written.
/// :param safe: makes text of what a spreadsheet would compute, and quotes all fields.
/// :raises ValueError: for a plan with functions of Python's, and for a name that is there twice.
///
/// >>> plan = AnonymizePlan({"columns": {"born": {"do": "date", "to": "year"}}})
/// >>> table = AnonymizeTable(plan, ["born"], delimiter=b",", quote=b'"')
/// >>> table.head() + table.treat(b"1984-05-09\n", True)[0]
/// b'born\n1984\n'
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct AnonymizeTable {
    core: Table,
    watch: Option<Arc<Watch>>,
    /// Whose keysets are asked for.
    plan: Py<AnonymizePlan>,
}

#[pymethods]
impl AnonymizeTable {
    #[new]
    #[pyo3(signature = (
        plan, names, *, delimiter, quote, crlf = false, safe = false, skip = false, longest = 16 << 20,
        max_entries = 1_000_000
    ))]
    #[allow(clippy::too_many_arguments, reason = "options of a dialect, by name")]
    fn new(
        plan: &Bound<'_, AnonymizePlan>,
        names: Vec<String>,
        delimiter: &[u8],
        quote: &[u8],
        crlf: bool,
        safe: bool,
        skip: bool,
        longest: usize,
        max_entries: usize,
    ) -> PyResult<Self> {
        guarded(|| {
            let said = &plan.get().core;
            let watch = watch(said, max_entries)?;
            let safe = safe.then_some(crate::sanitize::csv_cell as for<'a> fn(&'a str) -> Cow<'a, str>);
            let dialect = Dialect { crlf, safe, ..dialect(delimiter, quote)? };
            let core = Table::new(said.clone(), watch.clone(), dialect, names, longest, skip)?;
            Ok(Self { core, watch, plan: plan.clone().unbind() })
        })
    }

    /// The record of the names of what is left.
    ///
    /// :raises ValueError: for a column that the plan refuses, and if nothing is left.
    fn head<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| Ok(PyBytes::new(py, &self.core.head()?)))
    }

    /// What becomes of these whole records, which may be the *last* of the file: as `AnonymizeLines.treat`.
    fn treat<'py>(&self, data: &Bound<'py, PyBytes>, last: bool) -> PyResult<Bound<'py, PyTuple>> {
        let (py, bytes) = (data.py(), data.as_bytes());
        guarded(|| {
            renewed(self.plan.get().sealers.as_ref(), py)?;
            told(py, py.detach(|| self.core.treat(bytes, last)))
        })
    }

    /// Measures records without treating them: of the table before (0) or after (1).
    fn measure(&self, data: &Bound<'_, PyBytes>, side: usize) -> PyResult<()> {
        let (py, bytes) = (data.py(), data.as_bytes());
        guarded(|| {
            py.detach(|| self.core.measure(bytes, side));
            Ok(())
        })
    }

    /// What was measured, as `AnonymizeLines.measured`.
    fn measured<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        guarded(|| measured(py, self.watch.as_deref()))
    }

    /// What it refers to, for the collector of cycles: the plan, whose functions may refer to whoever holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.plan)
    }
}

/// How many bytes of *data*, which begin a record of CSV, are whole records; at most *most* records.
///
/// >>> csv_cut(b'a,"b\n",c\nd,e', delimiter=b",", quote=b'"')
/// 9
#[pyfunction]
#[pyo3(signature = (data, *, delimiter, quote, most = u64::MAX))]
pub fn csv_cut(data: &Bound<'_, PyBytes>, delimiter: &[u8], quote: &[u8], most: u64) -> PyResult<usize> {
    let (py, bytes) = (data.py(), data.as_bytes());
    guarded(|| {
        let cutter = Cutter::new(dialect(delimiter, quote)?);
        Ok(py.detach(|| cutter.cut(bytes, most)))
    })
}

/// The fields of the first record of CSV.
///
/// :raises ValueError: ``fields`` if there is none, ``utf8``, or ``quote`` for text behind a closing quotation mark.
///
/// >>> csv_head(b'name,"home, town"\n', delimiter=b",", quote=b'"')
/// ['name', 'home, town']
#[pyfunction]
#[pyo3(signature = (data, *, delimiter, quote))]
pub fn csv_head(data: &[u8], delimiter: &[u8], quote: &[u8]) -> PyResult<Vec<String>> {
    guarded(|| dialect(delimiter, quote)?.head(data).map_err(|fault| PyValueError::new_err(fault.code())))
}

fn dialect(delimiter: &[u8], quote: &[u8]) -> PyResult<Dialect> {
    match (delimiter, quote) {
        ([delimiter], [quote])
            if delimiter != quote && !b"\r\n".contains(delimiter) && !b"\r\n".contains(quote) =>
        {
            Ok(Dialect { delimiter: *delimiter, quote: *quote, crlf: false, safe: None })
        }
        _ => {
            Err(ConfigError::new("delimiter and quote are one byte each, not the same, and no line ends")
                .into())
        }
    }
}

fn watch(plan: &Plan, max_entries: usize) -> PyResult<Option<Arc<Watch>>> {
    if let Some(column) = plan.columns().iter().find(|column| column.word() == "custom") {
        return Err(ConfigError::new(format!(
            "columns.{:?}: functions of Python's cannot be called for files of this format; use Plan.apply",
            column.path()
        ))
        .into());
    }
    let mut key = [0; 16];
    fill_random(&mut key).map_err(|_| ConfigError::new("the system has no random bytes"))?;
    Ok(Watch::of(plan, key, max_entries)?.map(Arc::new))
}

fn told(py: Python<'_>, done: Treated) -> PyResult<Bound<'_, PyTuple>> {
    let tally = done.tally;
    let columns = PyDict::new(py);
    for (path, counts) in tally.columns {
        let values = (counts.nulls, counts.kept, counts.changed, counts.dropped, counts.suppressed);
        columns.set_item(path, (counts.rule, values, counts.refused, counts.found))?;
    }
    let refusals: Vec<_> = done
        .refusals
        .into_iter()
        .map(|refusal| (refusal.line, refusal.fault.code(), refusal.column, refusal.at))
        .collect();
    let refused: BTreeMap<&str, u64> = tally.refused;
    let out = PyBytes::new(py, &done.out);
    (out, (tally.read, tally.written, tally.lines), refusals, refused, columns, done.fatal).into_pyobject(py)
}

fn measured<'py>(py: Python<'py>, watch: Option<&Watch>) -> PyResult<Option<Bound<'py, PyList>>> {
    let Some(watch) = watch else { return Ok(None) };
    let out = PyList::empty(py);
    for side in watch.measured() {
        match side {
            Ok((privacy, dropped)) => {
                let sensitive: Vec<_> = privacy
                    .sensitive
                    .iter()
                    .map(|of| (of.values, of.distinct, of.entropy, of.closeness))
                    .collect();
                out.append((privacy.rows, privacy.classes, privacy.sizes, sensitive, dropped))?;
            }
            Err(why) => out.append(why)?,
        }
    }
    Ok(Some(out))
}
